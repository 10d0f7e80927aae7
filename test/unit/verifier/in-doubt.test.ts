import { expect, it } from 'vitest'
import type { ComparedEnd, TablePair } from '../../../src/core/comparison-plan.ts'
import type { ColumnType } from '../../../src/core/schema.ts'
import type { Difference } from '../../../src/core/verification.ts'
import { inDoubtOf } from '../../../src/verifier/in-doubt.ts'

const pairWith = (keyType: ColumnType): TablePair => {
  const end = { keyTypes: [keyType] } as unknown as ComparedEnd
  return { name: 's.t', columnNames: ['id'], source: end, target: end, order: 'shared', ignored: [] }
}
const difference = (key: string | number): Difference => ({
  table: 's.t',
  kind: 'different',
  key: [key],
  source: {},
  target: {},
  columns: [],
})

it('keys of numbers are looked at again by themselves', () => {
  const pair = pairWith({ kind: 'int', bytes: 8, sql: 'bigint' })
  const { certain, again } = inDoubtOf(pair, [difference(1), difference(2)], [[2n], [3n]])
  expect(certain.map(({ key }) => key[0])).toEqual([1])
  expect(again.map(({ key }) => key[0])).toEqual([2])
})

it('keys of text may meet under a collation: all are looked at again, as long as there is doubt', () => {
  const pair = pairWith({ kind: 'text', charset: 'utf8mb4', sql: 'varchar(9)' })
  expect(inDoubtOf(pair, [difference('a')], [['Z']]).again).toHaveLength(1)
  expect(inDoubtOf(pair, [difference('a')], []).again).toHaveLength(0)
})
