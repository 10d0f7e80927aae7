/**
 * Durations and sizes as people write them in files: `20ms`, `5s`, `8MiB`.
 *
 * The text stays as it was written in every stored document; it is turned into a number only where it is used, so that a document
 * parses to itself. A number without a unit is refused: nobody can tell what it means.
 */
import { z } from 'zod'

const durationUnitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const sizeUnitBytes = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, kB: 1e3, MB: 1e6, GB: 1e9 } as const

const durationText = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/
const sizeText = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|kB|MB|GB)$/

/** `20ms` -> 20. Throws on anything but a number with a unit of time. */
export function durationMs(text: string): number {
  const [, amount, unit] = durationText.exec(text) ?? []
  if (amount === undefined || unit === undefined) throw new RangeError(`not a duration: ${text}`)
  return Math.round(Number(amount) * durationUnitMs[unit as keyof typeof durationUnitMs])
}

/** `8MiB` -> 8388608. Throws on anything but a number with a unit of size. */
export function sizeBytes(text: string): number {
  const [, amount, unit] = sizeText.exec(text) ?? []
  if (amount === undefined || unit === undefined) throw new RangeError(`not a size: ${text}`)
  return Math.round(Number(amount) * sizeUnitBytes[unit as keyof typeof sizeUnitBytes])
}

const quantity =
  (text: RegExp, read: (text: string) => number, expected: string) => (least: string, most: string) =>
    z
      .string({ error: `expected ${expected}` })
      .regex(text, { error: `expected ${expected}`, abort: true })
      .refine((value) => read(value) >= read(least) && read(value) <= read(most), {
        error: `must be between ${least} and ${most}`,
      })

/** A duration within bounds, kept as text. */
export const duration = quantity(durationText, durationMs, 'a duration with a unit, like 20ms, 5s, 10m or 1h')

/** A size within bounds, kept as text. */
export const size = quantity(sizeText, sizeBytes, 'a size with a unit, like 512KiB, 8MiB or 1GiB')
