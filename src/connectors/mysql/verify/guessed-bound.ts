/**
 * Where a range of about so many rows ends, without reading them: for keys of one whole number, by how far apart the keys of the last range were.
 *
 * To find the end exactly the server passes over every row, which is a tenth of the time of comparing them and doubles the rows read. A guess
 * needs to be no row's key, and only the size of the range depends on it: the server's own estimate (an index dive) tells whether it is far off, and
 * then, or where keys have gaps, the end is found exactly. Pure but for the question. State is one number for each table; nothing survives.
 */
import type { ComparedColumn, ComparedEnd } from '../../../core/comparison-plan.ts'
import type { Value } from '../../../core/value.ts'
import type { KeyRange } from '../../../core/verification.ts'

/** Of fewer rows the exact end costs nothing, and samples need it. */
const leastStep = 10_000
/** An estimate beyond this many times the wanted rows is not believed. */
const mostTimes = 3

export interface BoundGuesser {
  /** null: the end must be found exactly. */
  guess(end: ComparedEnd, range: KeyRange, step: number): readonly Value[] | null
  /** Is the server's estimate of the range up to the guess near enough? */
  isNear(estimatedRows: number, step: number): boolean
  /** A range that was digested has so many rows. */
  learn(end: ComparedEnd, range: KeyRange, rows: number): void
}

export function createBoundGuesser(): BoundGuesser {
  /** Keys per row of the last range, and the rows that it should have had. */
  const known = new WeakMap<ComparedEnd, { keysPerRow: number }>()
  const asked = new WeakMap<ComparedEnd, number>()
  return {
    guess(end, { after, upTo }, step) {
      asked.set(end, step)
      const [from] = after ?? []
      const learnt = known.get(end)
      if (step < leastStep || learnt === undefined || !isWhole(end) || !isInteger(from)) return null
      const key = BigInt(from) + BigInt(Math.ceil(step * learnt.keysPerRow))
      if (isInteger(upTo?.[0]) && key >= BigInt(upTo[0])) return null
      return [typeof from === 'bigint' ? key : Number(key)]
    },
    isNear: (estimatedRows, step) => estimatedRows <= mostTimes * step,
    learn(end, { after, upTo }, rows) {
      const [from] = after ?? []
      const [to] = upTo ?? []
      if (!isWhole(end) || !isInteger(from) || !isInteger(to)) return
      // A gap: the next range begins behind it, and only the server knows where it ends.
      if (rows === 0 || rows < (asked.get(end) ?? 0) / mostTimes) known.delete(end)
      else known.set(end, { keysPerRow: Number(BigInt(to) - BigInt(from)) / rows })
    },
  }
}

const isInteger = (value: Value | undefined): value is number | bigint =>
  typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))

/** One column of whole numbers, and every row of the table counts. */
function isWhole(end: ComparedEnd): boolean {
  const column = end.columns[end.key[0] as number] as ComparedColumn
  return end.key.length === 1 && column.type.kind === 'int' && !column.nullable && end.filter === null
}
