/*
 * GTID sets against the server's own functions, and against the server that is asked for its log by them.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collationOf } from '../../../src/connectors/mysql/binlog/collations.ts'
import { GtidSet } from '../../../src/connectors/mysql/gtid-set.ts'
import { connect, freshDatabase, type MysqlFacts, sharedSource } from '../../support/servers.ts'
import { changesOf, follow, headOf, readUntil, slicesOf } from './binlog-support.ts'

let server: MysqlFacts
let connection: Connection
beforeAll(async () => {
  server = await sharedSource()
  connection = await connect(server)
})
afterAll(() => connection?.end())

const first = async (sql: string): Promise<unknown> => {
  const [rows] = await connection.query({ sql, rowsAsArray: true })
  return (rows as unknown[][])[0]?.[0]
}

/** Numbers that are the same in every run, so that a failure can be seen again. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state % below
  }
}

const sources = [
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  '3e11fa47-71ca-11e1-9e33-c80aa9429562:tag_b',
  '3e11fa47-71ca-11e1-9e33-c80aa9429562:tag_a',
  '00000000-0000-0000-0000-000000000001:_x',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
]

function randomSet(next: (below: number) => number): string {
  const entries = Array.from({ length: next(12) }, () => {
    const start = next(30) + 1
    return `${sources[next(sources.length)]}:${start}-${start + next(6)}`
  })
  return entries.join(',')
}

it('have the text and the meaning that the server gives them', async () => {
  const next = generator(7)
  const cases = Array.from({ length: 300 }, () => [randomSet(next), randomSet(next)] as const)
  const [rows] = await connection.query({
    sql: cases
      .map(
        ([a, b]) =>
          `SELECT GTID_SUBTRACT('${a}', ''), GTID_SUBSET('${a}', '${b}'), GTID_SUBTRACT('${a},${b}', '')`,
      )
      .join(' UNION ALL '),
    rowsAsArray: true,
  })
  for (const [i, [a, b]] of cases.entries()) {
    const [text, isSubset, union] = (rows as [string, number, string][])[i] as [string, number, string]
    const own = GtidSet.parse(a)
    expect(own.toString()).toBe(text.replaceAll('\n', ''))
    expect(GtidSet.parse(b).includes(own)).toBe(isSubset === 1)
    expect(own.union(GtidSet.parse(b)).toString()).toBe(union.replaceAll('\n', ''))
  }
})

it('end where the server says', async () => {
  const last = `${sources[0]}:9223372036854775806`
  expect(await first(`SELECT GTID_SUBTRACT('${last}', '')`)).toBe(last)
  await expect(first(`SELECT GTID_SUBTRACT('${sources[0]}:9223372036854775807', '')`)).rejects.toThrow(
    /out of range/,
  )
})

describe('asking for the log', () => {
  it('with tags and gaps gives what is missing and nothing else', async () => {
    const database = await freshDatabase(connection, 'binloggtid')
    await connection.query(`CREATE TABLE ${database}.t (id INT PRIMARY KEY)`)
    const start = await headOf(connection)
    const taken: string[] = []
    for (const [i, next] of [
      'AUTOMATIC',
      'AUTOMATIC:blue',
      'AUTOMATIC:red',
      'AUTOMATIC',
      'AUTOMATIC:blue',
    ].entries()) {
      await connection.query(
        `SET gtid_next = '${next}'; INSERT INTO ${database}.t VALUES (${i}); SET gtid_next = 'AUTOMATIC'`,
      )
    }
    const end = await headOf(connection)
    const all = await readUntil(follow(server, start), start, end)
    for (const slice of slicesOf(all, database)) taken.push(slice.id)
    expect(taken.filter((id) => id.includes(':blue:')).length).toBe(2)
    expect(taken.filter((id) => id.includes(':red:')).length).toBe(1)
    expect(changesOf(all, database).map((change) => change.after?.[0])).toEqual([0, 1, 2, 3, 4])

    // A hole in the middle, tagged and untagged: only that comes.
    const holes = GtidSet.parse(start.token)
    for (const id of [taken[0], taken[2], taken[4]]) holes.add(id as string)
    const from = { token: holes.toString(), ordinal: 0 }
    const rest = await readUntil(follow(server, from), from, end)
    expect(slicesOf(rest, database).map((slice) => slice.id)).toEqual([taken[1], taken[3]])
  })
})

it('all collations of the server are known by their numbers', async () => {
  const [rows] = await connection.query(
    'SELECT c.ID AS id, c.COLLATION_NAME AS name, c.CHARACTER_SET_NAME AS charset, s.MAXLEN AS charBytes FROM information_schema.COLLATIONS c JOIN information_schema.CHARACTER_SETS s USING (CHARACTER_SET_NAME)',
  )
  const list = rows as { id: number; name: string; charset: string; charBytes: number }[]
  expect(list.length).toBeGreaterThan(250)
  for (const { id, name, charset, charBytes } of list) {
    expect({ id, ...collationOf(Number(id)) }).toEqual({
      id,
      collation: name,
      charset,
      charBytes: Number(charBytes),
    })
  }
})

it('the collations that do not pad with spaces are those of UCA 9.0.0, besides binary', async () => {
  const [rows] = await connection.query({
    sql: "SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE (PAD_ATTRIBUTE = 'NO PAD') <> (COLLATION_NAME LIKE '%\\_0900\\_%')",
    rowsAsArray: true,
  })
  expect(rows).toEqual([['binary']])
})
