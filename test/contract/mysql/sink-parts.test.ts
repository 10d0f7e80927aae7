/*
 * A transaction that comes in parts, on a real server: nobody sees a part of it, an error or a takeover leaves nothing of it, and its commit
 * carries position and load progress.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { createSink } from '../../../src/connectors/mysql/sink/sink.ts'
import type { Destination } from '../../../src/core/plan.ts'
import {
  at,
  codeOf,
  destinationOf,
  header,
  openConnection,
  progress,
  type SinkFixture,
  sinkFixture,
  small,
  work,
} from './sink-support.ts'

let f: SinkFixture
let d: Destination

beforeEach(async () => {
  f = await sinkFixture('sinkparts')
  await f.sql.query(`CREATE TABLE ${f.database}.t (id INT PRIMARY KEY, v VARCHAR(5), UNIQUE KEY v (v))`)
  d = await f.destination('t')
})
afterEach(() => f.close())

test('parts are seen all at once, with position and load progress; unique values may move from part to part', async () => {
  const { sink } = await f.owner(10n, 0)
  await sink.begin(at(0))
  await sink.applySmall(header(1), small(work(d, [[1, 'x']])), [])
  const parts = await sink.beginParts(2)
  await parts.write(small(work(d, [[2, 'y']], [[1]])))
  await parts.write(small(work(d, [[3, 'x']])))
  expect(await f.rows('t')).toEqual([['1', 'x']])
  await parts.commit({ ...header(2), to: at(7) }, [progress('shop.t', [3], 3, true)])
  expect(await f.rows('t')).toEqual([
    ['2', 'y'],
    ['3', 'x'],
  ])
  // The slot is free again, and what follows is a transaction of its own.
  await sink.applySmall(header(3), small(work(d, [[4, 'z']])), [])
  expect((await f.owner(11n, 0)).resume).toEqual({
    position: at(3),
    batch: 3,
    unfinished: null,
    load: [progress('shop.t', [3], 3, true)],
    parked: [],
  })
})

test('while parts are written nothing else is', async () => {
  const { sink } = await f.owner(10n, 0)
  await sink.begin(at(0))
  const parts = await sink.beginParts(1)
  expect(await codeOf(sink.applySmall(header(1), small(work(d, [[1, 'x']])), []))).toBe('SYNC-9001')
  expect(await codeOf(sink.beginParts(1))).toBe('SYNC-9001')
  await parts.commit(header(1), [])
  expect(await codeOf(sink.beginParts(1)), 'written already').toBe('SYNC-9001')
})

test('a part that is refused takes the parts before it along, and its table is named', async () => {
  const { sink } = await f.owner(10n, 0)
  await sink.begin(at(0))
  const parts = await sink.beginParts(1)
  await parts.write(small(work(d, [[1, 'x']])))
  await expect(parts.write(small(work(d, [[2, 'too long']])))).rejects.toMatchObject({
    code: 'SYNC-3302',
    details: { table: `${f.database}.t` },
  })
  expect(await f.rows('t')).toEqual([])
  const again = await sink.beginParts(1)
  await again.write(small(work(d, [[1, 'x']])))
  await again.commit(header(1), [])
  expect(await f.rows('t')).toEqual([['1', 'x']])
})

test('a statement that is refused behind other packets of its part is named as well', async () => {
  await f.sql.query(`CREATE TABLE ${f.database}.filler (id INT PRIMARY KEY, b VARBINARY(4000))`)
  const filler = await f.destination('filler')
  const { sink } = await f.owner(10n, 0)
  await sink.begin(at(0))
  const parts = await sink.beginParts(1)
  const rows = Array.from({ length: 1000 }, (_, id) => [id, 'b'.repeat(4000)])
  await expect(parts.write(small(work(filler, rows), work(d, [[2, 'too long']])))).rejects.toMatchObject({
    code: 'SYNC-3302',
    details: { table: `${f.database}.t` },
  })
  expect(await f.rows('filler')).toEqual([])
})

test('a takeover ends a predecessor that stays within its parts, and nothing of them is written', async () => {
  const { sink } = await f.owner(10n, 0)
  await sink.begin(at(0))
  const parts = await sink.beginParts(1)
  await parts.write(small(work(d, [[1, 'x']])))
  const successor = await f.owner(11n, 0)
  expect(successor.resume).toMatchObject({ position: at(0), batch: 0, unfinished: null })
  expect(await codeOf(parts.commit(header(1), []))).toBe('SYNC-3101')
  await successor.sink.applySmall(header(1), small(work(d, [[9, 'new']])), [])
  expect(await f.rows('t')).toEqual([['9', 'new']])
})

test('a transaction that does not fit the log of the target says so', async () => {
  const server: MysqlServer = await startMysql({
    name: 'small transactions',
    durable: false,
    extraArgs: ['--binlog-cache-size=32K', '--max-binlog-cache-size=1M'],
  })
  const sql = await openConnection(server)
  try {
    await sql.query('CREATE DATABASE own')
    await sql.query('CREATE TABLE own.big (id INT PRIMARY KEY, b LONGBLOB)')
    const big = await destinationOf(sql, 'own', 'big')
    const sink = await createSink(() => openConnection(server), 'parts', {
      lanes: 0,
      loadWriters: 0,
      origin: 'here',
    })
    await sink.takeOver(1n)
    await sink.begin(at(0))
    const parts = await sink.beginParts(1)
    const write = async (): Promise<void> => {
      for (let id = 0; id < 20; id++) await parts.write(small(work(big, [[id, 'b'.repeat(100_000)]])))
      await parts.commit(header(1), [])
    }
    await expect(write()).rejects.toMatchObject({ code: 'SYNC-3310' })
    expect((await sql.query('SELECT COUNT(*) FROM own.big')).rows).toEqual([['0']])
    await sink.close()
  } finally {
    await sql.close()
    await server.discard()
  }
})
