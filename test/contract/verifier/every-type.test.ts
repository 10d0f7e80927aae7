/**
 * Every column type with its boundary values: equal tables are equal, and differences of every kind that are planted in every column are all found
 * and nothing else. What there is to be found is told by test/support/compare.ts, which knows nothing of the code under test.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fillShop } from '../../../dev/shop/fill.ts'
import { createShop, permissiveSession, shopTables } from '../../../dev/shop/schema.ts'
import { identifier } from '../../../dev/shop/table.ts'
import { compareDatabases, type Difference as Planted } from '../../support/compare.ts'
import { exactText, joined } from '../../support/compare-columns.ts'
import { type MysqlFacts, sharedSource, sharedTarget } from '../../support/servers.ts'
import { type Ends, openEnds } from './support.ts'

let source: MysqlFacts
let target: MysqlFacts
let ends: Ends

beforeAll(async () => {
  source = await sharedSource()
  target = await sharedTarget()
  ends = await openEnds(source, target, 'types')
  for (const [server, connection] of [
    [source, ends.at.source],
    [target, ends.at.target],
  ] as const) {
    await createShop(connection, ends.database)
    await fillShop({ server, database: ends.database, size: 0 })
  }
})

afterAll(() => ends.close())

type Column = {
  readonly name: string
  readonly type: string
  readonly isKey: boolean
  readonly isWritten: boolean
}

async function columnsOf(table: string): Promise<Column[]> {
  const [rows] = await ends.at.target.query(
    'SELECT COLUMN_NAME AS c, LOWER(DATA_TYPE) AS d, COLUMN_KEY AS k, EXTRA AS e FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION',
    [ends.database, table],
  )
  return (rows as { c: string; d: string; k: string; e: string }[]).map(({ c, d, k, e }) => ({
    name: c,
    type: d,
    isKey: k === 'PRI',
    isWritten: !e.includes('GENERATED') || e.includes('DEFAULT_GENERATED'),
  }))
}

/** Gives one row after another the value that another row has in a column, at the target alone. @returns how many columns were changed */
async function plantInEveryColumn(table: string): Promise<number> {
  const { target: connection } = ends.at
  const columns = await columnsOf(table)
  const key = joined(columns.filter(({ isKey }) => isKey).map(exactText))
  const used = new Set<string>()
  let planted = 0
  for (const column of columns.filter(({ isKey, isWritten }) => !isKey && isWritten)) {
    const [rows] = await connection.query(
      `SELECT ${key} AS k, ${exactText(column)} AS v FROM ${identifier(table)} ORDER BY 1 LIMIT 1000`,
    )
    const values = rows as { k: string; v: string | null }[]
    for (const row of values) {
      if (used.has(row.k)) continue
      const other = values.find(({ v }) => v !== row.v)
      if (other === undefined) break
      used.add(row.k)
      const changed = await connection
        .query(
          `UPDATE ${identifier(table)} AS t JOIN (SELECT ${identifier(column.name)} AS v FROM ${identifier(table)} WHERE ${key} = ?) AS o SET t.${identifier(column.name)} = o.v WHERE ${key.replaceAll(/`[^`]+`/g, (name) => `t.${name}`)} = ?`,
          [other.k, row.k],
        )
        .then(
          ([result]) => (result as { affectedRows: number }).affectedRows,
          // A unique value: another row may have room for it.
          () => 0,
        )
      planted += changed
      if (changed > 0) break
    }
  }
  return planted
}

const counted = (items: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const item of items.toSorted()) counts[item] = (counts[item] ?? 0) + 1
  return counts
}

async function expectFound(): Promise<number> {
  const { differences } = await compareDatabases(source, target, {
    databases: [ends.database],
    describe: 1e6,
  })
  const expected: string[] = []
  const found: string[] = []
  for (const { name: table } of shopTables) {
    const { pair, differences: ours } = await ends.compare(table)
    const compared = new Set(pair.columnNames)
    const planted = differences.filter((each: Planted) => each.table === `${ends.database}.${table}`)
    for (const { kind, column } of planted) {
      if (kind === 'missing row') expected.push(`${table} only-source`)
      else if (kind === 'extra row') expected.push(`${table} only-target`)
      else if (compared.has(column as string)) expected.push(`${table}.${column}`)
    }
    for (const { kind, columns } of ours) {
      if (kind === 'different') found.push(...columns.map((column) => `${table}.${column}`))
      else found.push(`${table} ${kind}`)
    }
  }
  expect(counted(found)).toEqual(counted(expected))
  return expected.length
}

it('equal tables are equal', async () => {
  for (const { name } of shopTables) {
    const { tally, differences } = await ends.compare(name)
    expect(differences, name).toEqual([])
    expect(tally.rowsCompared, name).toBe(tally.equal)
  }
})

it('equal tables are equal value by value', async () => {
  for (const { name } of shopTables) {
    const { differences } = await ends.compare(name, { mode: 'row' })
    expect(differences, name).toEqual([])
  }
})

it('a value changed in every column of every table, rows removed at either end: all found, nothing else', async () => {
  await ends.at.target.query(permissiveSession)
  let planted = 0
  for (const { name } of shopTables) planted += await plantInEveryColumn(name)
  // So many columns take a value of another row; the rest are all alike, or unique.
  expect(planted).toBeGreaterThan(220)
  for (const [i, { name }] of shopTables.entries()) {
    await ends.at[i % 2 === 0 ? 'source' : 'target'].query(
      `SET SESSION foreign_key_checks = 0; DELETE FROM ${identifier(name)} LIMIT ${1 + (i % 3)}`,
    )
  }
  expect(await expectFound()).toBeGreaterThan(planted)
})
