/*
 * The collations that MariaDB has beside MySQL's, by the rules by which it gives out their numbers (MariaDB 10.11; a contract test compares
 * them with the server's own list).
 */
import type { Collation } from './collations.ts'

/** Without padding: the number of the padding one, plus this. */
const noPad = 1024
/** UCA 14.0.0: from here on 256 numbers for each character set, eight for each language. */
const uca1400 = 2048

const wideCharsets: readonly (readonly [charset: string, charBytes: number, own: number])[] = [
  ['utf8mb3', 3, 576],
  ['utf8mb4', 4, 608],
  ['ucs2', 2, 640],
  ['utf16', 4, 672],
  ['utf32', 4, 736],
]
const ownNames = ['croatian_ci', 'myanmar_ci', 'thai_520_w2'] as const
/** Numbers 21 and 22 are not given out. */
const languages: readonly (string | undefined)[] =
  ',icelandic,latvian,romanian,slovenian,polish,estonian,spanish,swedish,turkish,czech,danish,lithuanian,slovak,spanish2,roman,persian,esperanto,hungarian,sinhala,german2,?,?,vietnamese,croatian'.split(
    ',',
  )
const strengths = ['ai_ci', 'ai_cs', 'as_ci', 'as_cs'] as const

/** @param known the collations with padding that both products have */
export function mariadbCollation(
  number: number,
  known: (number: number) => Collation | undefined,
): Collation | undefined {
  if (number >= uca1400) return uca1400Collation(number - uca1400)
  if (number >= noPad) {
    const padding = known(number - noPad)
    return padding && { ...padding, collation: padding.collation.replace(/_(ci|bin)$/, '_nopad_$1') }
  }
  for (const [charset, charBytes, own] of wideCharsets) {
    const name = ownNames[number - own]
    if (name !== undefined) return { collation: `${charset}_${name}`, charset, charBytes }
  }
  return undefined
}

function uca1400Collation(offset: number): Collation | undefined {
  const [charset, charBytes] = wideCharsets[offset >> 8] ?? []
  const language = languages[(offset & 0xff) >> 3]
  if (charset === undefined || charBytes === undefined || language === undefined || language === '?') {
    return undefined
  }
  const pad = (offset & 4) !== 0 ? 'nopad_' : ''
  const tailoring = language === '' ? '' : `${language}_`
  return { collation: `${charset}_uca1400_${tailoring}${pad}${strengths[offset & 3]}`, charset, charBytes }
}
