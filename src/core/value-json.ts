/**
 * Values as JSON that gives back exactly what was put in: a bigint is `{"i":"..."}`, -0 is `{"n":"-0"}`, a byte string is a JSON string whose units
 * 0 to 255 are the bytes. Pure; what this module did not write is never guessed at.
 */
import type { Value } from './value.ts'

/** Ready for JSON.stringify. */
export function jsonOfValue(value: Value): unknown {
  if (typeof value === 'bigint') return { i: `${value}` }
  if (Object.is(value, -0)) return { n: '-0' }
  return value
}

/** @returns undefined for what is none */
export function valueOfJson(part: unknown): Value | undefined {
  if (part === null || typeof part === 'number' || typeof part === 'string') return part
  const { i, n } = part as { i?: unknown; n?: unknown }
  if (typeof i === 'string') return BigInt(i)
  return n === '-0' ? -0 : undefined
}
