/*
 * Logs that no healthy server writes on demand, made byte by byte: unknown events, damage, files past 4 GiB, ends within transactions, rows in
 * the form of 5.5.
 */
import { crc32, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readTaggedGtid } from '../../../src/connectors/mysql/binlog/gtid-event.ts'
import { statementKind, xaName } from '../../../src/connectors/mysql/binlog/query-event.ts'
import { sourceError } from '../../../src/connectors/mysql/binlog/server-errors.ts'
import {
  type AssemblerOptions,
  TransactionAssembler,
} from '../../../src/connectors/mysql/binlog/transaction-assembler.ts'
import type { LogEvent, TransactionSlice } from '../../../src/core/transaction.ts'

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const uuidBytes = Buffer.from(uuid.replaceAll('-', ''), 'hex')

interface EventOptions {
  readonly flags?: number
  readonly nextPosition?: number
  readonly checksum?: boolean
}

let position = 4

/** An event as it stands in a file, with its checksum. */
function event(
  type: number,
  body: Buffer,
  { flags = 0, nextPosition, checksum = true }: EventOptions = {},
): Buffer {
  const size = 19 + body.length + (checksum ? 4 : 0)
  position = nextPosition ?? position + size
  const header = Buffer.alloc(19)
  header.writeUInt32LE(1_700_000_000, 0)
  header.writeUInt8(type, 4)
  header.writeUInt32LE(1, 5)
  header.writeUInt32LE(size, 9)
  header.writeUInt32LE(position % 2 ** 32, 13)
  header.writeUInt16LE(flags, 17)
  const bytes = Buffer.concat([header, body])
  if (!checksum) return bytes
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(bytes), 0)
  return Buffer.concat([bytes, sum])
}

function formatDescription({ algorithm = 1, version = 4, queryHeader = 13 } = {}): Buffer {
  const postHeaders = Buffer.alloc(42)
  const known = { 2: queryHeader, 19: 8, 23: 8, 24: 8, 25: 8, 30: 10, 31: 10, 32: 10, 33: 42 }
  for (const [type, bytes] of Object.entries(known)) postHeaders[Number(type) - 1] = bytes
  const body = Buffer.alloc(2 + 50 + 4 + 1)
  body.writeUInt16LE(version, 0)
  body.write('9.7.0-test', 2)
  body.writeUInt8(19, 56)
  return event(15, Buffer.concat([body, postHeaders, Buffer.from([algorithm])]))
}

function rotate(file: string, offset: number | bigint, artificial: boolean): Buffer {
  const body = Buffer.alloc(8)
  body.writeBigUInt64LE(BigInt(offset))
  return event(4, Buffer.concat([body, Buffer.from(file)]), { flags: artificial ? 0x20 : 0, nextPosition: 0 })
}

function gtid(gno: number, type = 33): Buffer {
  const body = Buffer.alloc(42 + 7)
  uuidBytes.copy(body, 1)
  body.writeBigUInt64LE(BigInt(gno), 17)
  body.writeUIntLE(1_700_000_000_000, 42, 6)
  return event(type, body)
}

function query(statement: string, schema = 's'): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt8(schema.length, 8)
  return event(2, Buffer.concat([head, Buffer.from(`${schema}\0${statement}`)]))
}

/** s.t (id INT NOT NULL, v VARCHAR(20)), with table id 7. */
function tableMap(optionals = '0404026964017602033fff00'): Buffer {
  const names = Buffer.from('\x01s\0\x01t\0', 'latin1')
  // types INT and VARCHAR, 2 bytes of metadata, the second may be NULL
  const columns = Buffer.from('02030f02140002', 'hex')
  const names2 = Buffer.from('0405026964017602033fff00'.slice(0, 0), 'hex')
  return event(
    19,
    Buffer.concat([
      Buffer.from('0700000000000100', 'hex'),
      names,
      columns,
      names2,
      Buffer.from(optionals, 'hex'),
    ]),
  )
}
// signedness: signed; default charset: utf8mb4 (255); names: id, v
const metadata = '010100' + '0203fcff00' + '04050269640176'

const image = (id: number, v: string | null): Buffer => {
  const head = Buffer.from([v === null ? 2 : 0])
  const int = Buffer.alloc(4)
  int.writeInt32LE(id)
  return Buffer.concat([
    head,
    int,
    v === null ? Buffer.alloc(0) : Buffer.from(`${String.fromCharCode(v.length)}${v}`, 'latin1'),
  ])
}

function rows(type: number, images: readonly Buffer[], { present = 0xff, tableId = 7 } = {}): Buffer {
  const isV2 = type >= 30
  const isUpdate = type === 31 || type === 24
  const head = Buffer.alloc(8)
  head.writeUIntLE(tableId, 0, 6)
  head.writeUInt16LE(1, 6)
  const parts = [head, isV2 ? Buffer.from([2, 0]) : Buffer.alloc(0), Buffer.from([2, present])]
  if (isUpdate) parts.push(Buffer.from([present]))
  return event(type, Buffer.concat([...parts, ...images]))
}

const xid = (): Buffer => event(16, Buffer.alloc(8))
const opening = (): Buffer[] => {
  position = 4
  return [rotate('binlog.000003', 4, true), formatDescription()]
}

const options: AssemblerOptions = {
  sliceMaxBytes: 1 << 20,
  sliceMaxRows: 10_000,
  maxPreparedBytes: 1 << 20,
  from: { token: '', ordinal: 0 },
  scope: { takesTable: () => true, takesSchema: () => true },
  acknowledged: new Set(),
}

function read(events: readonly Buffer[], more: Partial<AssemblerOptions> = {}): LogEvent[] {
  const assembler = new TransactionAssembler({ ...options, ...more })
  const out: LogEvent[] = []
  for (const each of events) {
    assembler.take(each, 0, each.length)
    while (assembler.proceed() === 'full') out.push(...assembler.output())
    out.push(...assembler.output())
  }
  return out
}

const slices = (events: readonly LogEvent[]): TransactionSlice[] =>
  events.filter((each): each is TransactionSlice => each.kind === 'slice')
const images = (events: readonly LogEvent[]): unknown[] =>
  slices(events).flatMap(({ changes }) => changes.map(({ before, after }) => [before, after]))

const transaction = (gno: number): Buffer[] => [
  gtid(gno),
  query('BEGIN'),
  tableMap(metadata),
  rows(30, [image(gno, 'v')]),
  xid(),
]

describe('a log made by hand', () => {
  it("is read as a server's", () => {
    const events = read([...opening(), ...transaction(5)])
    expect(slices(events)).toMatchObject([
      {
        id: `${uuid}:5`,
        firstOrdinal: 0,
        last: true,
        commitTimeUs: 1_700_000_000_000,
        coordinate: { file: 3, offset: position },
      },
    ])
    expect(images(events)).toEqual([[null, [5, 'v']]])
    expect(slices(events)[0]?.changes[0]?.table).toMatchObject({
      id: { schema: 's', name: 't' },
      columns: [
        { name: 'id', nullable: false, type: { kind: 'int', bytes: 4, unsigned: false } },
        { name: 'v', nullable: true, type: { kind: 'text', charset: 'utf8mb4', maxBytes: 20 } },
      ],
    })
  })

  it('with rows in the form before 5.6', () => {
    const log = [
      gtid(1),
      query('BEGIN'),
      tableMap(metadata),
      rows(23, [image(1, 'a'), image(2, null)]),
      rows(24, [image(1, 'a'), image(1, 'b')]),
      rows(25, [image(2, null)]),
      xid(),
    ]
    expect(images(read([...opening(), ...log]))).toEqual([
      [null, [1, 'a']],
      [null, [2, null]],
      [
        [1, 'a'],
        [1, 'b'],
      ],
      [[2, null], null],
    ])
  })

  it('without checksums, by what the file says', () => {
    position = 4
    const bare = (buffer: Buffer): Buffer => {
      const copy = Buffer.from(buffer.subarray(0, buffer.length - 4))
      copy.writeUInt32LE(copy.length, 9)
      return copy
    }
    const log = [
      bare(rotate('binlog.000003', 4, true)),
      formatDescription({ algorithm: 0 }),
      ...transaction(1).map(bare),
    ]
    expect(images(read(log))).toEqual([[null, [1, 'v']]])
  })
})

describe('is refused and never passed over:', () => {
  it.each([
    ['an unknown event', 'SYNC-2206', () => event(99, Buffer.alloc(5))],
    ['an incident', 'SYNC-2206', () => event(26, Buffer.from([1, 0, 0]))],
    ['a transaction without a GTID', 'SYNC-2201', () => gtid(0, 34)],
    ['rows of an unknown table id', 'SYNC-2206', () => rows(30, [image(1, 'a')], { tableId: 8 })],
    ['rows without all columns', 'SYNC-2208', () => rows(30, [image(1, 'a')], { present: 0xfd })],
    ['rows that end outside their event', 'SYNC-2206', () => rows(30, [image(1, 'a').subarray(0, 6)])],
    ['parts of JSON', 'SYNC-2208', () => rows(39, [image(1, 'a')])],
    ['a rollback of rows', 'SYNC-2206', () => query('ROLLBACK')],
    ['a rollback of rows to a savepoint', 'SYNC-2206', () => query('ROLLBACK TO `s`')],
    ['a statement', 'SYNC-2205', () => query('DELETE FROM t')],
    ['a statement nobody knows', 'SYNC-2205', () => query('FROBNICATE t')],
    [
      'a load of a file',
      'SYNC-2205',
      () =>
        event(
          18,
          Buffer.concat([
            Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
            Buffer.alloc(13),
            Buffer.from('s\0LOAD DATA INFILE x'),
          ]),
        ),
    ],
    ['an event cut short', 'SYNC-2207', () => xid().subarray(0, 22)],
  ])('%s', (_, code, bad) => {
    const start = [...opening(), gtid(1), query('BEGIN'), tableMap(metadata), rows(30, [image(1, 'a')])]
    const bytes = bad()
    expect(() => read([...start, bytes])).toThrow(expect.objectContaining({ code }))
  })

  it('a statement whose parts come without it', () => {
    const log = [...opening(), gtid(1), query('BEGIN'), event(5, Buffer.alloc(9)), xid()]
    expect(() => read(log)).toThrow(
      expect.objectContaining({ code: 'SYNC-2205', details: expect.objectContaining({ at: `${uuid}:1` }) }),
    )
  })

  it.each([
    ['rows outside a transaction', [gtid(1), tableMap(metadata), rows(30, [image(1, 'a')])]],
    ['a commit outside a transaction', [xid()]],
    ['a statement without a GTID', [query('CREATE TABLE x (a INT)')]],
  ])('%s', (_, log) => {
    expect(() => read([...opening(), ...log])).toThrow(expect.objectContaining({ code: 'SYNC-2206' }))
  })

  it.each([
    ['another version', formatDescription({ version: 3 })],
    ['another checksum', formatDescription({ algorithm: 7 })],
    ['another form of an event', formatDescription({ queryHeader: 14 })],
  ])('a file of %s', (_, description) => {
    expect(() => read([description])).toThrow(expect.objectContaining({ code: 'SYNC-2206' }))
  })

  it('a turned bit, wherever it is', () => {
    const log = [...opening(), ...transaction(1)]
    for (let i = 0; i < log.length; i++) {
      const original = log[i] as Buffer
      for (let at = 0; at < original.length; at++) {
        // The flags of the first rotation say that it was made for the reader; without them it is a file's, before any description.
        const damaged = Buffer.from(original)
        damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
        const bad = log.map((each, k) => (k === i ? damaged : each))
        expect(() => read(bad)).toThrow(expect.objectContaining({ code: 'SYNC-2207' }))
      }
    }
  })
})

it('what may be ignored is ignored', () => {
  const log = [
    ...opening(),
    gtid(1),
    query('BEGIN'),
    event(29, Buffer.from('select 1')),
    event(99, Buffer.alloc(5), { flags: 0x80 }),
    tableMap(metadata),
    rows(30, [image(1, 'a')]),
    xid(),
    event(3, Buffer.alloc(0)),
  ]
  expect(images(read(log))).toEqual([[null, [1, 'a']]])
})

describe('places in the log', () => {
  it('go on past 4 GiB', () => {
    const log = opening()
    const near = 2 ** 32 - 100
    log.push(event(27, Buffer.from('binlog.000003'), { nextPosition: near }))
    const big = transaction(1)
    const last = read([...log, ...big]).at(-1)
    expect(last?.coordinate).toEqual({ file: 3, offset: position })
    expect(position).toBeGreaterThan(2 ** 32)
    const more = transaction(2)
    expect(read([...log, ...big, ...more]).at(-1)?.coordinate).toEqual({ file: 3, offset: position })
  })

  it('come with heartbeats, of both forms, between transactions', () => {
    const v1 = event(27, Buffer.from('binlog.000003'), { nextPosition: 5000 })
    const v2 = event(
      41,
      Buffer.concat([
        Buffer.from([1, 13]),
        Buffer.from('binlog.000003'),
        Buffer.from([2, 9, 254]),
        Buffer.from('0010000002000000', 'hex'),
        Buffer.from([0]),
      ]),
      { nextPosition: 0 },
    )
    const events = read([...opening(), v1, v1, v2])
    expect(events.slice(-2)).toEqual([
      { kind: 'progress', coordinate: { file: 3, offset: 5000 } },
      { kind: 'progress', coordinate: { file: 3, offset: 0x2_0000_1000 } },
    ])
  })

  it('move with the file', () => {
    const log = [
      ...opening(),
      ...transaction(1),
      rotate('binlog.000004', 4, false),
      rotate('binlog.000004', 4, true),
    ]
    expect(read(log).at(-1)).toEqual({ kind: 'progress', coordinate: { file: 4, offset: 4 } })
  })
})

describe('a transaction that the file does not end', () => {
  const start = (): Buffer[] => [
    ...opening(),
    gtid(1),
    query('BEGIN'),
    tableMap(metadata),
    rows(30, [image(1, 'a'), image(2, 'b')]),
  ]
  it('was never committed: the server crashed while it wrote it', () => {
    const log = [...start(), formatDescription(), ...transaction(1)]
    expect(images(read(log))).toEqual([[null, [1, 'v']]])
  })
  it('is an error when part of it was taken', () => {
    const log = [...start(), formatDescription(), ...transaction(1)]
    expect(() => read(log, { sliceMaxRows: 1 })).toThrow(expect.objectContaining({ code: 'SYNC-2206' }))
    expect(() => read(log, { from: { token: '', ordinal: 1 } })).toThrow(
      expect.objectContaining({ code: 'SYNC-2206' }),
    )
  })
})

describe('slices', () => {
  const many = (): Buffer[] => [
    ...opening(),
    gtid(1),
    query('BEGIN'),
    tableMap(metadata),
    rows(
      30,
      Array.from({ length: 25 }, (_, i) => image(i, 'x')),
    ),
    rows(30, [image(25, 'y')]),
    xid(),
  ]
  it('are cut within a row event, and end before the transaction', () => {
    const found = slices(read(many(), { sliceMaxRows: 10, sliceMaxBytes: 800 }))
    expect(found.map(({ firstOrdinal, changes, last }) => [firstOrdinal, changes.length, last])).toEqual([
      [0, 10, false],
      [10, 10, false],
      [20, 6, true],
    ])
    for (const { coordinate, last } of found) expect(coordinate.offset < position).toBe(!last)
  })
  it.each([1, 9, 10, 24, 25, 26])('are the same from ordinal %d on', (skipChanges) => {
    const found = slices(read(many(), { sliceMaxRows: 10, from: { token: '', ordinal: skipChanges } }))
    expect(found[0]?.firstOrdinal).toBe(skipChanges)
    expect(found.flatMap(({ changes }) => changes.map(({ after }) => after?.[0]))).toEqual(
      Array.from({ length: 26 - skipChanges }, (_, i) => skipChanges + i),
    )
    expect(found.at(-1)?.last).toBe(true)
  })
  it('from an ordinal that the transaction does not have are refused', () => {
    expect(() => read(many(), { from: { token: '', ordinal: 27 } })).toThrow(
      expect.objectContaining({ code: 'SYNC-2210' }),
    )
  })
})

describe('payloads', () => {
  const payload = (kind: number, packed: Buffer, size: number): Buffer => {
    const lenenc = (n: number): Buffer => (n < 251 ? Buffer.from([n]) : Buffer.from([252, n & 255, n >> 8]))
    const field = (type: number, value: Buffer): Buffer =>
      Buffer.concat([Buffer.from([type, value.length]), value])
    return event(
      40,
      Buffer.concat([
        field(2, lenenc(kind)),
        field(3, lenenc(size)),
        field(1, lenenc(packed.length)),
        Buffer.from([0]),
        packed,
      ]),
    )
  }
  const inside = (): Buffer => {
    const bare = { checksum: false, nextPosition: 0 }
    const strip = (buffer: Buffer): Buffer =>
      event(buffer[4] as number, buffer.subarray(19, buffer.length - 4), bare)
    return Buffer.concat([query('BEGIN'), tableMap(metadata), rows(30, [image(1, 'a')]), xid()].map(strip))
  }
  it.each([
    ['zstd', 0, (bytes: Buffer) => zstdCompressSync(bytes)],
    ['nothing', 255, (bytes: Buffer) => bytes],
  ])('packed with %s', (_, kind, pack) => {
    const start = [...opening(), gtid(1)]
    position = 500
    const bytes = inside()
    position = 500
    const events = read([...start, payload(kind, pack(bytes), bytes.length)])
    expect(images(events)).toEqual([[null, [1, 'a']]])
    expect(slices(events)[0]?.coordinate).toEqual({ file: 3, offset: position })
  })
  it('that cannot be unpacked are refused', () => {
    const bytes = inside()
    expect(() => read([...opening(), gtid(1), payload(0, Buffer.from('not zstd'), bytes.length)])).toThrow(
      expect.objectContaining({ code: 'SYNC-2206' }),
    )
    expect(() => read([...opening(), gtid(1), payload(9, bytes, bytes.length)])).toThrow(
      expect.objectContaining({ code: 'SYNC-2206' }),
    )
    expect(() => read([...opening(), gtid(1), payload(255, bytes.subarray(0, 30), 30)])).toThrow(
      expect.objectContaining({ code: 'SYNC-2206' }),
    )
  })
})

it('a table that cannot be carried harms nobody until its rows come', () => {
  const nameless = tableMap('010100' + '0203fcff00')
  const unknownCharset = tableMap('010100' + '0203fcff7f' + '04050269640176')
  const before = [...opening(), gtid(1), query('BEGIN')]
  for (const [map, code] of [
    [nameless, 'SYNC-2208'],
    [unknownCharset, 'SYNC-2203'],
  ] as const) {
    expect(slices(read([...before, map, xid()]))).toMatchObject([{ changes: [] }])
    expect(() => read([...before, map, rows(30, [image(1, 'a')])])).toThrow(expect.objectContaining({ code }))
  }
})

it('a tagged GTID is read from the bytes of a 9.7 server', () => {
  const body = Buffer.from(
    '0270000000020c050284e9039503ae22c5039d02f404f103000000020404060874616778082c0a380c7f94c7929494c060061041061283120b'.replace(
      '94c7929494',
      '94c79294',
    ),
    'hex',
  )
  expect(readTaggedGtid(body, 0, body.length)).toEqual({
    id: '068142fa-e557-11f1-a77a-02fc00000001:tagx:1',
    commitTimeUs: 1_795_230_102_898_580,
  })
  expect(() => readTaggedGtid(body, 0, 20)).toThrow(expect.objectContaining({ code: 'SYNC-2206' }))
})

describe('statements', () => {
  it.each([
    ['BEGIN', 'begin'],
    ['COMMIT', 'commit'],
    ['ROLLBACK', 'rollback'],
    ['SAVEPOINT `a`', 'savepoint'],
    ['ROLLBACK TO `a`', 'rollback-to-savepoint'],
    ["XA START X'61',X'',1", 'xa-start'],
    ["XA END X'61',X'',1", 'xa-end'],
    ["XA COMMIT X'61',X'',1", 'xa-commit'],
    ["XA ROLLBACK X'61',X'',1", 'xa-rollback'],
    ['create table t (a int)', 'definition'],
    ['/* hello */ -- more\n ALTER TABLE t ADD x INT', 'definition'],
    ['/*!40000 ALTER TABLE t DISABLE KEYS */', 'definition'],
    ['DROP /*!40005 TEMPORARY */ TABLE IF EXISTS t', 'definition'],
    ['TRUNCATE t', 'definition'],
    ["SET STATEMENT max_statement_time = 9, sql_mode = ' for ' FOR ALTER TABLE t ADD x INT", 'definition'],
    ['SET STATEMENT max_statement_time = 9 FOR UPDATE t SET a = 1', 'data'],
    ['INSERT INTO created VALUES (1)', 'data'],
    ['WITH x AS (SELECT 1) DELETE FROM t', 'data'],
    ['CALL p()', 'data'],
    ['', 'data'],
    ['commitment', 'data'],
    ['droplet', 'data'],
  ])('%s', (statement, kind) => {
    expect(statementKind(statement)).toBe(kind)
  })

  it('of XA have a name', () => {
    expect(xaName("XA START X'61',X'62',1")).toBe("X'61',X'62',1")
    expect(xaName("XA COMMIT X'61',X'62',1")).toBe("X'61',X'62',1")
  })
})

describe('what the server answers in place of its log', () => {
  it.each([
    [
      1236,
      'Cannot replicate because the source purged required binary logs. Replicate the missing transactions from elsewhere',
      'SYNC-2204',
    ],
    [1236, 'Could not find first log file name in binary log index file', 'SYNC-2204'],
    [
      1236,
      'A replica with the same server_uuid/server_id as this replica has connected to the source',
      'SYNC-2105',
    ],
    [1236, "Replica has more GTIDs than the source has, using the source's SERVER_UUID", 'SYNC-2210'],
    [
      1236,
      'The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead of ON.',
      'SYNC-2201',
    ],
    [1236, 'Binary log is not open', 'SYNC-2201'],
    [1236, 'Replication event checksum verification failed while reading from a log file', 'SYNC-2207'],
    [1236, 'bogus data in log event; the first event', 'SYNC-2207'],
    [1236, 'something new', 'SYNC-2199'],
    [
      1227,
      'Access denied; you need (at least one of) the REPLICATION SLAVE privilege(s) for this operation',
      'SYNC-2103',
    ],
    [1053, 'Server shutdown in progress', 'SYNC-2101'],
    [9999, 'anything', 'SYNC-2199'],
  ])('%d %s', (errno, message, code) => {
    expect(sourceError(errno, 'HY000', message)).toMatchObject({ code, details: { errno } })
  })
})
