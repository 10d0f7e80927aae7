/**
 * The rule for rows that may be on their way, told by a source and a target whose rows change between the readings.
 */
import { expect, it } from 'vitest'
import type { ComparedRow } from '../../../src/connectors/contract.ts'
import type { ComparedEnd, TablePair } from '../../../src/core/comparison-plan.ts'
import type { ColumnType } from '../../../src/core/schema.ts'
import { settle } from '../../../src/verifier/settle.ts'

const int: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const number = { as: 'number', scale: 0 } as const
const end: ComparedEnd = {
  table: { schema: 's', name: 't' },
  columns: ['id', 'v'].map((name) => ({ name, type: int, nullable: false, form: number })),
  key: [0],
  keyName: 'PRIMARY',
  keyTypes: [int],
  identity: [number],
  filter: null,
}
const pair: TablePair = {
  name: 's.t',
  columnNames: ['id', 'v'],
  source: end,
  target: end,
  order: 'shared',
  ignored: [],
}

type Rows = Readonly<Record<number, number>>

const read = (rows: Rows, keys: readonly (readonly unknown[])[]): ComparedRow[] =>
  keys.flatMap(([key]) => {
    const id = Number(key)
    const v = rows[id]
    if (v === undefined) return []
    const cells = [`${id}`, `${v}`]
    return [{ identity: `${id}`, key: [id], cells, shown: cells }]
  })

/**
 * @param source what each reading of the source shows: two for each round; the last one stays
 * @param target what each reading of the target shows
 */
async function settled(source: readonly Rows[], target: readonly Rows[], keys = [1], rounds = 4) {
  let [sourceReads, targetReads, waits] = [0, 0, 0]
  const found = await settle({
    pair,
    keys: keys.map((key) => [key]),
    readSource: async (asked) => ({
      rows: read(source[Math.min(sourceReads++, source.length - 1)] as Rows, asked),
      high: { file: 1, offset: sourceReads },
    }),
    readTarget: async (asked) => read(target[Math.min(targetReads++, target.length - 1)] as Rows, asked),
    waitPassed: async () => {
      waits++
    },
    rounds,
    firstPauseMs: 1,
  })
  const kinds = found.differences.map(({ kind, key }) => `${kind} ${key.join()}`)
  return { kinds, tally: found.tally, sourceReads, targetReads, waits }
}

it('equal to the first or to the second reading is equal', async () => {
  expect(await settled([{ 1: 5 }], [{ 1: 5 }])).toMatchObject({ kinds: [], tally: { equal: 1 }, waits: 1 })
  expect(await settled([{ 1: 5 }, { 1: 6 }], [{ 1: 5 }])).toMatchObject({ kinds: [], tally: { equal: 1 } })
  expect(await settled([{ 1: 5 }, { 1: 6 }], [{ 1: 6 }])).toMatchObject({ kinds: [], tally: { equal: 1 } })
})

it('different only when two rounds in a row say so', async () => {
  expect(await settled([{ 1: 5 }], [{ 1: 4 }])).toMatchObject({ kinds: ['different 1'], targetReads: 2 })
  expect(await settled([{ 1: 5 }], [{ 1: 4 }, { 1: 5 }])).toMatchObject({ kinds: [], targetReads: 2 })
  // A round in which the source changed does not count, nor do those before it.
  expect(await settled([{ 1: 5 }, { 1: 5 }, { 1: 5 }, { 1: 6 }, { 1: 6 }], [{ 1: 4 }])).toMatchObject({
    kinds: ['different 1'],
    targetReads: 4,
  })
})

it('rows that one end lacks', async () => {
  expect(await settled([{ 1: 5 }], [{}])).toMatchObject({ kinds: ['only-source 1'] })
  expect(await settled([{}], [{ 1: 5 }])).toMatchObject({ kinds: ['only-target 1'] })
  expect(await settled([{}], [{}])).toMatchObject({ kinds: [], tally: { rowsCompared: 0 }, targetReads: 1 })
  expect(await settled([{ 1: 5 }, {}], [{}])).toMatchObject({ kinds: [], tally: { rowsCompared: 0 } })
})

it('a row that never stands still is unsettled, and not different', async () => {
  const always = Array.from({ length: 20 }, (_, i) => ({ 1: i }))
  const found = await settled(always, [{ 1: 100 }])
  expect(found).toMatchObject({
    kinds: ['unsettled 1'],
    targetReads: 4,
    tally: { unsettled: 1, different: 0 },
  })
})

it('only rows that are not settled are read again', async () => {
  const found = await settled([{ 1: 1, 2: 2, 3: 3 }], [{ 1: 1, 2: 0 }], [1, 2, 3])
  expect(found.kinds.toSorted()).toEqual(['different 2', 'only-source 3'])
  expect(found.tally).toMatchObject({ rowsCompared: 3, equal: 1 })
})
