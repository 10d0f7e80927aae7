/*
 * Chunks of a load, written beside the lanes against a real server: upserts in a transaction of their own under a mark row of their own,
 * fenced like every other write, on connections that are there while they are needed.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startMysql } from '../../../dev/mysql.ts'
import { createSink } from '../../../src/connectors/mysql/sink/sink.ts'
import { sharedTarget } from '../../support/servers.ts'
import {
  at,
  codeOf,
  destinationOf,
  header,
  lane,
  openConnection,
  type SinkFixture,
  sinkFixture,
  work,
} from './sink-support.ts'

let f: SinkFixture
beforeAll(async () => {
  f = await sinkFixture('sinkchunk')
})
afterAll(() => f.close())

async function fresh(table: string) {
  await f.sql.query(`CREATE TABLE ${f.database}.${table} (id INT PRIMARY KEY, note VARCHAR(20))`)
  return f.destination(table)
}

async function owner(epoch: bigint) {
  const sink = await f.sink(2, await sharedTarget(), 2)
  return { sink, resume: await sink.takeOver(epoch) }
}

const connections = async (): Promise<number> => {
  const { rows } = await f.sql.query(
    `SELECT COUNT(*) FROM syncline.apply_mark m JOIN performance_schema.threads t ON t.PROCESSLIST_ID = m.connection_id WHERE m.pipeline = _utf8mb4'${f.pipeline}'`,
  )
  return Number(rows[0]?.[0])
}

test('several chunks and a lane write side by side, and a chunk meets its own rows', async () => {
  const [a, b] = [await fresh('a'), await fresh('b')]
  const { sink } = await owner(10n)
  await sink.begin(at(0))
  await sink.writeHeader(header(1, 1))
  const notes = (from: number, note: string) => Array.from({ length: 5_000 }, (_, i) => [from + i, note])
  await Promise.all([
    sink.applyChunk(1, { destination: a, rows: notes(0, 'first'), text: null }),
    sink.applyChunk(2, { destination: a, rows: notes(5_000, 'second'), text: null }),
    sink.applyLane(header(1, 1), 1, 1, lane(work(b, [[1, 'log']]))),
  ])
  await sink.applyChunk(2, { destination: a, rows: notes(4_000, 'again'), text: null })
  const { rows } = await f.sql.query(`SELECT note, COUNT(*) FROM ${f.database}.a GROUP BY note ORDER BY note`)
  expect(rows).toEqual([
    ['again', '5000'],
    ['first', '4000'],
    ['second', '1000'],
  ])
  // What a successor has to finish does not depend on the chunks.
  const next = await owner(11n)
  expect(next.resume).toMatchObject({ position: at(1), batch: 1, unfinished: null })
})

test("a writer's connection is opened when it is needed, known to a successor, and closed after the load", async () => {
  const d = await fresh('c')
  const { sink } = await owner(20n)
  expect(await connections()).toBe(3)
  await sink.applyChunk(1, { destination: d, rows: [[1, 'x']], text: null })
  expect(await connections()).toBe(4)
  await sink.closeWriters()
  await expect.poll(connections).toBe(3)
  await sink.applyChunk(2, { destination: d, rows: [[2, 'y']], text: null })
  expect(await f.rows('c')).toEqual([
    ['1', 'x'],
    ['2', 'y'],
  ])
})

test('a chunk of an owner that was replaced writes nothing, on an open connection or a new one', async () => {
  const d = await fresh('d')
  const { sink } = await owner(30n)
  await sink.applyChunk(1, { destination: d, rows: [[1, 'mine']], text: null })
  await owner(31n)
  expect(await codeOf(sink.applyChunk(1, { destination: d, rows: [[2, 'late']], text: null }))).toBe(
    'SYNC-4002',
  )
  expect(await codeOf(sink.applyChunk(2, { destination: d, rows: [[3, 'late']], text: null }))).toBe(
    'SYNC-4002',
  )
  expect(await f.rows('d')).toEqual([['1', 'mine']])
})

test('after a takeover a chunk that was being written is there as a whole or not at all', async () => {
  const d = await fresh('e')
  const { sink } = await owner(40n)
  const writing = sink.applyChunk(1, {
    destination: d,
    rows: Array.from({ length: 20_000 }, (_, i) => [i, 'x']),
    text: null,
  })
  const taken = owner(41n)
  const outcome = await codeOf(writing)
  await taken
  const { rows } = await f.sql.query(`SELECT COUNT(*) FROM ${f.database}.e`)
  expect(outcome === 'no error' ? ['20000'] : ['0', '20000']).toContain(rows[0]?.[0])
})

/** Rows of (id, note) as a source's reader passes them on; \N is NULL. */
function lines(rows: readonly (readonly [number, string])[], taken = rows.map((_, i) => i)) {
  let end = 0
  const ends = rows.map(([id, note]) => (end += `${id}\t${note}\n`.length))
  return { bytes: Buffer.from(rows.map(([id, note]) => `${id}\t${note}\n`).join('')), ends, taken }
}

test('rows that are passed on as text: those that were struck are left out, and a fenced owner writes none', async () => {
  const d = await fresh('f')
  const { sink } = await owner(50n)
  expect(sink.textFormat(d)).toBe('mysql-load-lines')
  const many = Array.from({ length: 30_000 }, (_, i): [number, string] => [i, `note ${i}`])
  const kept = many.map(([id]) => id).filter((id) => id % 3 !== 0 || id > 20_000)
  await sink.applyChunk(1, { destination: d, rows: [], text: lines(many, kept) })
  const { rows } = await f.sql.query(
    `SELECT COUNT(*), SUM(id), SUM(note = CONCAT(_latin1'note ', id)) FROM ${f.database}.f`,
  )
  const sum = kept.reduce((total, id) => total + id, 0)
  expect(rows).toEqual([[`${kept.length}`, `${sum}`, `${kept.length}`]])
  expect(sink.textFormat(d)).toBe('mysql-load-lines')
  await owner(51n)
  const late = sink.applyChunk(2, { destination: d, rows: [], text: lines([[40_000, 'late']]) })
  expect(await codeOf(late)).toBe('SYNC-4002')
  expect(await f.rows('f', 'COUNT(*), MAX(id)')).toEqual([[`${kept.length}`, '29999']])
})

test('a row that the target would not take as it is makes nothing of the chunk stay, and is named', async () => {
  await f.sql.query(
    `CREATE TABLE ${f.database}.g (id INT PRIMARY KEY, note VARCHAR(5) NOT NULL, UNIQUE (note))`,
  )
  const d = await f.destination('g')
  await f.sql.query(`INSERT INTO ${f.database}.g VALUES (1, 'own')`)
  const { sink } = await owner(60n)
  const refusals: [[number, string], string][] = [
    [[3, 'own'], 'SYNC-3301'],
    [[3, 'much too long'], 'SYNC-3302'],
    [[3, '\\N'], 'SYNC-3302'],
    [[9_999_999_999, 'x'], 'SYNC-3302'],
  ]
  for (const [row, code] of refusals) {
    const text = lines([[2, 'good'], row])
    const failure = sink.applyChunk(1, { destination: { ...d }, rows: [], text })
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(`id=${row[0]}`) })
    expect(await f.rows('g')).toEqual([['1', 'own']])
  }
  // What was there before with the same key is a row of our own, read again.
  await sink.applyChunk(1, {
    destination: d,
    rows: [],
    text: lines([
      [1, 'mine'],
      [2, 'good'],
    ]),
  })
  expect(await f.rows('g')).toEqual([
    ['1', 'mine'],
    ['2', 'good'],
  ])
  // Once is enough to know that lines of this table are refused.
  expect(sink.textFormat(d)).toBeNull()
})

test('a target that takes no files gets rows', async () => {
  const server = await startMysql({ name: 'nofiles', serverId: 199, extraArgs: ['--local-infile=OFF'] })
  try {
    const sql = await openConnection(server)
    await sql.query('CREATE DATABASE own')
    await sql.query('CREATE TABLE own.t (id INT PRIMARY KEY, note VARCHAR(20))')
    const d = await destinationOf(sql, 'own', 't')
    const sink = await createSink((role) => openConnection(server, 1000, role), 'nofiles', {
      lanes: 1,
      loadWriters: 1,
      origin: 'here',
    })
    await sink.takeOver(1n)
    expect(sink.textFormat(d)).toBeNull()
    // It was switched off after the reader had asked.
    await sink.applyChunk(1, { destination: d, rows: [], text: lines([[1, 'a']]) })
    const { rows } = await sql.query('SELECT * FROM own.t')
    expect(rows).toEqual([['1', 'a']])
    await sink.close()
    await sql.close()
  } finally {
    await server.discard()
  }
})
