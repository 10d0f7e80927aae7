/**
 * How the values of two columns are told to be equal, for every pair of types. Pure, and the same for every kind of store.
 *
 * Each pair has one *form* that both ends can make of their values: two values count as equal where their forms are the same text. A store
 * makes forms by itself (contract.ts, `ComparisonReader`), digests them in place, and gives them out only for rows that differ. Of some pairs (floats
 * with a tolerance, JSON by meaning) the forms of equal values may differ; never the other way round. There `cellsEqual` has the last word over rows whose
 * forms differ.
 *
 * A pair of types without such a form is a finding with a remedy: it is never left out in silence, and nothing is guessed.
 */
import { jsonEqual } from './json-meaning.ts'
import type { Column, ColumnType } from './schema.ts'

/** What a person may say of a column; the schema of the file is in config/verification.ts. Nothing said: exactly. */
export interface ColumnRule {
  /** float: numbers count as equal whose difference is at most this part of the greater one. */
  readonly tolerance?: number
  /** text: equal where this collation says so. Both servers must know it. */
  readonly collation?: string
  /** text: spaces at the end do not count; bytes: zero bytes. Default: where one end pads and the other does not. */
  readonly padding?: 'ignore' | 'compare'
  /** Text that holds JSON counts by its meaning; JSON itself always does, unless `text` is said. */
  readonly json?: 'meaning' | 'text'
  /** time, datetime, timestamp: digits of a second that count; the rest is cut off. */
  readonly fractionDigits?: number
  /** TIMESTAMP against DATETIME: the offset from UTC at which the DATETIME is written ('+02:00'). Default: UTC. */
  readonly timeZone?: string
  /** Not compared at all. The report names the column. */
  readonly ignore?: boolean
}

/** The form, in which both ends give values. NULL is told from everything in each. */
export type ComparisonForm =
  /** Decimal digits, `scale` of them after the point; none: an integer without a point. */
  | { readonly as: 'number'; readonly scale: number }
  /** The shortest text that reads back as the same double. */
  | { readonly as: 'double'; readonly tolerance: number }
  /** Bytes as stored; both ends have one character set, or none. `trim`: without this byte at the end. */
  | { readonly as: 'bytes'; readonly trim: 'space' | 'zero' | null }
  /** Characters, in utf8mb4. */
  | { readonly as: 'text'; readonly trim: 'space' | null }
  /** The collation's weights. */
  | { readonly as: 'weights'; readonly collation: string; readonly trim: 'space' | null }
  | { readonly as: 'json'; readonly byMeaning: boolean }
  | { readonly as: 'date' }
  | { readonly as: 'time'; readonly fraction: number }
  /** In UTC. `offset`: where columns without a time zone are. */
  | { readonly as: 'instant'; readonly fraction: number; readonly offset: string | null }
  /** ENUM's number, where both ends number alike. */
  | { readonly as: 'enum-number' }
  /** SET's bits, by the numbers of these labels (ordinary text): the source's. */
  | { readonly as: 'set-bits'; readonly labels: readonly string[] }
  /** ENUM's label in utf8mb4; the error value is told from the label ''. */
  | { readonly as: 'label' }
  | { readonly as: 'vector'; readonly tolerance: number }

/** Why a pair cannot be compared. */
export interface Incomparable {
  readonly reason: string
  readonly remedy: string
}

export const isIncomparable = (form: ComparisonForm | Incomparable): form is Incomparable => 'reason' in form

/** The form of a pair. */
export function formOf(source: Column, target: Column, rule: ColumnRule = {}): ComparisonForm | Incomparable {
  const misplaced = misplacedRule(source.type, target.type, rule)
  return misplaced ?? formOfTypes(source.type, target.type, rule)
}

/** May two cells whose forms differ be equal all the same? */
export const isSoft = (form: ComparisonForm): boolean =>
  form.as === 'json'
    ? form.byMeaning
    : form.as === 'double' || form.as === 'vector'
      ? form.tolerance > 0
      : false

/** The last word on two cells, in the form; null: NULL. Byte strings. */
export function cellsEqual(form: ComparisonForm, source: string | null, target: string | null): boolean {
  if (source === target) return true
  if (source === null || target === null || !isSoft(form)) return false
  switch (form.as) {
    case 'double':
      return isClose(Number(source), Number(target), form.tolerance)
    case 'vector':
      return vectorsClose(source, target, form.tolerance)
    case 'json':
      return jsonEqual(source, target)
    default:
      return false
  }
}

const isClose = (a: number, b: number, tolerance: number): boolean =>
  Object.is(a, b) || Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b))

/** @param a float32 numbers, little-endian, in hexadecimal */
function vectorsClose(a: string, b: string, tolerance: number): boolean {
  if (a.length !== b.length) return false
  const [left, right] = [floatsOf(a), floatsOf(b)]
  for (let at = 0; at < left.length; at++) {
    if (!isClose(left[at] as number, right[at] as number, tolerance)) return false
  }
  return true
}

function floatsOf(hex: string): number[] {
  const view = new DataView(new ArrayBuffer(4))
  const numbers: number[] = []
  for (let at = 0; at + 8 <= hex.length; at += 8) {
    view.setUint32(0, Number.parseInt(hex.slice(at, at + 8), 16))
    numbers.push(view.getFloat32(0, true))
  }
  return numbers
}

type Kind = ColumnType['kind']

const wholeNumbers: ReadonlySet<Kind> = new Set(['int', 'year', 'bit'])
const numbers: ReadonlySet<Kind> = new Set(['int', 'year', 'bit', 'decimal'])
const floats: ReadonlySet<Kind> = new Set(['float', 'double'])
const instants: ReadonlySet<Kind> = new Set(['datetime', 'timestamp'])
const withText: ReadonlySet<Kind> = new Set(['text', 'enum', 'json'])

/** Each rule says something of some kinds of columns only; elsewhere it would be left out in silence. */
function misplacedRule(s: ColumnType, t: ColumnType, rule: ColumnRule): Incomparable | null {
  const both = (kinds: ReadonlySet<Kind>): boolean => kinds.has(s.kind) && kinds.has(t.kind)
  const either = (kinds: ReadonlySet<Kind>): boolean => kinds.has(s.kind) || kinds.has(t.kind)
  const wrong = (name: keyof ColumnRule, fits: boolean): Incomparable | null =>
    rule[name] === undefined || fits
      ? null
      : {
          reason: `the rule ${name} says nothing of ${s.sql} and ${t.sql}`,
          remedy: `Take ${name} away from the column's rule.`,
        }
  return (
    wrong('tolerance', either(floats) || both(new Set<Kind>(['vector']))) ??
    wrong('collation', either(new Set<Kind>(['text']))) ??
    wrong('padding', either(new Set<Kind>(['text', 'bytes']))) ??
    wrong('json', either(new Set<Kind>(['json', 'text']))) ??
    wrong('fractionDigits', either(new Set<Kind>(['time', 'datetime', 'timestamp']))) ??
    wrong('timeZone', both(instants) && s.kind !== t.kind)
  )
}

function formOfTypes(s: ColumnType, t: ColumnType, rule: ColumnRule): ComparisonForm | Incomparable {
  if (floats.has(s.kind) || floats.has(t.kind)) return doubleForm(s, t, rule)
  if (numbers.has(s.kind) && numbers.has(t.kind)) return numberForm(s, t)
  if (s.kind === 'json' || t.kind === 'json' || rule.json === 'meaning') return jsonForm(s, t, rule)
  if (s.kind === 'enum' && t.kind === 'enum')
    return sameLabels(s, t) ? { as: 'enum-number' } : { as: 'label' }
  if (s.kind === 'set' && t.kind === 'set') return { as: 'set-bits', labels: labelTexts(s) }
  if (withText.has(s.kind) && withText.has(t.kind)) return textForm(s, t, rule)
  if (s.kind === 'bytes' && t.kind === 'bytes') return { as: 'bytes', trim: trimmedBytes(s, t, rule) }
  if (instants.has(s.kind) && instants.has(t.kind)) {
    return { as: 'instant', fraction: fractionOf(s, t, rule), offset: rule.timeZone ?? null }
  }
  if (s.kind !== t.kind) return unlike(s, t)
  switch (s.kind) {
    case 'date':
      return { as: 'date' }
    case 'time':
      return { as: 'time', fraction: fractionOf(s, t, rule) }
    case 'geometry':
      return { as: 'bytes', trim: null }
    case 'vector':
      return { as: 'vector', tolerance: rule.tolerance ?? 0 }
    default:
      return unlike(s, t)
  }
}

const unlike = (s: ColumnType, t: ColumnType): Incomparable => ({
  reason: `${s.sql} at the source and ${t.sql} at the target have no form in which both are exact`,
  remedy: 'Give both columns the same type, or leave the column out of the comparison (ignore: true).',
})

function doubleForm(s: ColumnType, t: ColumnType, rule: ColumnRule): ComparisonForm | Incomparable {
  if (floats.has(s.kind) && floats.has(t.kind)) return { as: 'double', tolerance: rule.tolerance ?? 0 }
  if (!numbers.has(s.kind) && !numbers.has(t.kind)) return unlike(s, t)
  if (rule.tolerance !== undefined) return { as: 'double', tolerance: rule.tolerance }
  return {
    reason: `${s.sql} at the source and ${t.sql} at the target: a floating-point number has no exact decimal form`,
    remedy: 'Say how far they may be apart (tolerance: 1e-9), or give both columns the same type.',
  }
}

const mostDigits = 65

function numberForm(s: ColumnType, t: ColumnType): ComparisonForm | Incomparable {
  const scale = Math.max(s.scale ?? 0, t.scale ?? 0)
  const whole = Math.max(wholeDigits(s), wholeDigits(t))
  // DECIMAL has no more; a cast beyond it would round or cut.
  return scale > 0 && whole + scale > mostDigits ? unlike(s, t) : { as: 'number', scale }
}

const wholeDigits = (type: ColumnType): number =>
  wholeNumbers.has(type.kind) ? 20 : (type.precision ?? mostDigits) - (type.scale ?? 0)

function jsonForm(s: ColumnType, t: ColumnType, rule: ColumnRule): ComparisonForm | Incomparable {
  const holds = (type: ColumnType): boolean => type.kind === 'json' || type.kind === 'text'
  return holds(s) && holds(t) ? { as: 'json', byMeaning: rule.json !== 'text' } : unlike(s, t)
}

/** CHAR gives its values without the spaces at their end; what the other end keeps of them cannot count then. */
const isChar = (type: ColumnType): boolean => /^(?:national )?char\b/i.test(type.sql)

function textForm(s: ColumnType, t: ColumnType, rule: ColumnRule): ComparisonForm {
  const padsOne = isChar(s) !== isChar(t) && s.kind === 'text' && t.kind === 'text'
  const ignores = rule.padding === undefined ? padsOne : rule.padding === 'ignore'
  const trim = ignores ? 'space' : null
  if (rule.collation !== undefined) return { as: 'weights', collation: rule.collation, trim }
  if (s.kind === 'text' && t.kind === 'text' && s.charset === t.charset && !(trim && isWide(s.charset))) {
    return { as: 'bytes', trim }
  }
  return { as: 'text', trim }
}

/** Sets in which a space is not one byte 0x20. */
const isWide = (charset: string | undefined): boolean => /^(?:ucs2|utf16|utf16le|utf32)$/.test(charset ?? '')

function trimmedBytes(s: ColumnType, t: ColumnType, rule: ColumnRule): 'zero' | null {
  const padsUnlike =
    (s.fixed === true || t.fixed === true) && (s.fixed !== t.fixed || s.maxBytes !== t.maxBytes)
  return (rule.padding === undefined ? padsUnlike : rule.padding === 'ignore') ? 'zero' : null
}

const fractionOf = (s: ColumnType, t: ColumnType, rule: ColumnRule): number =>
  rule.fractionDigits ?? Math.max(s.fraction ?? 0, t.fraction ?? 0)

/** Labels as ordinary text, as the server shows them in a column's type. */
export function labelTexts(type: ColumnType): readonly string[] {
  const texts: string[] = []
  for (const match of type.sql.matchAll(/'((?:[^']|'')*)'/g))
    texts.push((match[1] as string).replaceAll("''", "'"))
  return texts
}

const sameLabels = (s: ColumnType, t: ColumnType): boolean => {
  const [a, b] = [labelTexts(s), labelTexts(t)]
  return a.length === b.length && a.every((label, i) => label === b[i])
}
