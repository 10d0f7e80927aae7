import { describe, expect, it } from 'vitest'
import { classify, type Side } from '../../../src/connectors/mysql/errors.ts'
import { ProtocolError, ServerError } from '../../../src/connectors/mysql/text-protocol.ts'
import { type Disposition, SyncError } from '../../../src/core/errors.ts'

const server = (errno: number, message = 'words of the server'): ServerError =>
  new ServerError(errno, 'HY000', message, 0)

const table: readonly [errno: number, source: string, target: string, disposition: Disposition][] = [
  [1040, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [1053, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [1158, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [1159, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [1317, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [3169, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [4031, 'SYNC-2101', 'SYNC-3101', 'retry'],
  [1045, 'SYNC-2102', 'SYNC-3102', 'block'],
  [1698, 'SYNC-2102', 'SYNC-3102', 'block'],
  [3118, 'SYNC-2102', 'SYNC-3102', 'block'],
  [3159, 'SYNC-2102', 'SYNC-3102', 'block'],
  [1044, 'SYNC-2103', 'SYNC-3103', 'block'],
  [1142, 'SYNC-2103', 'SYNC-3103', 'block'],
  [1143, 'SYNC-2103', 'SYNC-3103', 'block'],
  [1227, 'SYNC-2103', 'SYNC-3103', 'block'],
  [1370, 'SYNC-2103', 'SYNC-3103', 'block'],
  [1205, 'SYNC-2104', 'SYNC-3104', 'retry'],
  [1213, 'SYNC-2104', 'SYNC-3104', 'retry'],
  [3572, 'SYNC-2104', 'SYNC-3104', 'retry'],
  [1021, 'SYNC-2199', 'SYNC-3105', 'block'],
  [1114, 'SYNC-2199', 'SYNC-3105', 'block'],
  [3675, 'SYNC-2199', 'SYNC-3105', 'block'],
  [1290, 'SYNC-2199', 'SYNC-3106', 'block'],
  [1792, 'SYNC-2199', 'SYNC-3106', 'block'],
  [1836, 'SYNC-2199', 'SYNC-3106', 'block'],
  [1048, 'SYNC-2199', 'SYNC-3301', 'block'],
  [1062, 'SYNC-2199', 'SYNC-3301', 'block'],
  [1586, 'SYNC-2199', 'SYNC-3301', 'block'],
  [1049, 'SYNC-2301', 'SYNC-3201', 'block'],
  [1146, 'SYNC-2301', 'SYNC-3201', 'block'],
  [1054, 'SYNC-2301', 'SYNC-3202', 'block'],
  [1264, 'SYNC-2199', 'SYNC-3302', 'block'],
  [1265, 'SYNC-2199', 'SYNC-3302', 'block'],
  [1292, 'SYNC-2199', 'SYNC-3302', 'block'],
  [1300, 'SYNC-2199', 'SYNC-3302', 'block'],
  [1366, 'SYNC-2199', 'SYNC-3302', 'block'],
  [1406, 'SYNC-2199', 'SYNC-3302', 'block'],
  [3140, 'SYNC-2199', 'SYNC-3302', 'block'],
  [3819, 'SYNC-2199', 'SYNC-3302', 'block'],
  [1118, 'SYNC-2199', 'SYNC-3303', 'block'],
  [1153, 'SYNC-2199', 'SYNC-3303', 'block'],
  [1064, 'SYNC-2199', 'SYNC-3199', 'block'],
  [60_000, 'SYNC-2199', 'SYNC-3199', 'block'],
]

describe('an answer of the server', () => {
  it.each(table)('%i', (errno, source, target, disposition) => {
    for (const [side, code] of [
      ['source', source],
      ['target', target],
    ] as const) {
      const error = classify(server(errno), side)
      expect(error.code).toBe(code)
      expect(error.disposition).toBe(disposition)
      expect(error.message).toContain(String(errno))
      expect(error.message).toContain('words of the server')
      expect(error.details).toEqual({ errno, sqlState: 'HY000', statement: 0 })
    }
  })

  it('is classified without its message', () => {
    for (const [errno, source] of table) expect(classify(server(errno, ''), 'source').code).toBe(source)
  })

  it('that the disk is full is told by the number of the operating system', () => {
    const full = [
      [1026, "Error writing file './binlog.000003' (OS errno 28 - No space left on device)"],
      [1026, 'Error writing file \'x\' (errno: 28 "No space left on device")'],
      [1030, 'Got error 28 from storage engine'],
      [1030, "Got error 28 - 'No space left on device' from storage engine"],
      [3, "Error writing file '/tmp/MYfd=31' (OS errno 28 - No space left on device)"],
    ] as const
    for (const [errno, words] of full) expect(classify(server(errno, words), 'target').code).toBe('SYNC-3105')
    expect(classify(server(1026, "Error writing file 'x' (OS errno 5 - I/O error)"), 'target').code).toBe(
      'SYNC-3199',
    )
    expect(classify(server(1030, 'Got error 168 from storage engine'), 'target').code).toBe('SYNC-3199')
  })

  it('1236 is told apart by the fixed texts of the sender', () => {
    const causes = [
      ['Cannot replicate because the source purged required binary logs. Replicate ...', 'SYNC-2204'],
      ['Could not find first log file name in binary log index file', 'SYNC-2204'],
      [
        'A replica with the same server_uuid/server_id as this replica has connected to the source',
        'SYNC-2105',
      ],
      ['something that nobody has seen', 'SYNC-2199'],
    ] as const
    for (const [words, code] of causes) expect(classify(server(1236, words), 'source').code).toBe(code)
  })

  it('about a privilege says what to grant', () => {
    const remedies = [
      [
        1142,
        "INSERT command denied to user 'u1'@'localhost' for table 'p'",
        "GRANT INSERT on table 'p' to the account that 'u1'@'localhost' logs in as",
      ],
      [
        1143,
        "UPDATE command denied to user 'u'@'h' for column 'c' in table 't'",
        "GRANT UPDATE on column 'c' in table 't' to",
      ],
      [
        1044,
        "Access denied for user 'u'@'h' to database 'shop'",
        "GRANT the privileges on database 'shop' to the account that 'u'@'h'",
      ],
      [
        1227,
        'Access denied; you need (at least one of) the SUPER, REPLICATION CLIENT privilege(s) for this operation',
        'GRANT REPLICATION CLIENT ON *.*',
      ],
    ] as const
    for (const [errno, words, remedy] of remedies)
      expect(classify(server(errno, words), 'target').remedy).toContain(remedy)
    expect(classify(server(1142, 'other words'), 'target').remedy).toBe('Grant it as shown, then resume.')
  })
})

describe('an error of the connection', () => {
  const withCode = (code: string): Error => Object.assign(new Error('words'), { code })
  const cases: readonly [string, string][] = [
    ...[
      'ECONNREFUSED',
      'ECONNRESET',
      'EPIPE',
      'ETIMEDOUT',
      'EHOSTUNREACH',
      'ENOTFOUND',
      'EAI_AGAIN',
      'PROTOCOL_CONNECTION_LOST',
      'ERR_STREAM_DESTROYED',
    ].map((code) => [code, 'SYNC-3101'] as [string, string]),
    ...[
      'HANDSHAKE_NO_SSL_SUPPORT',
      'HANDSHAKE_SSL_ERROR',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'CERT_HAS_EXPIRED',
    ].map((code) => [code, 'SYNC-3102'] as [string, string]),
  ]
  it.each(cases)('%s', (code, expected) => {
    expect(classify(withCode(code), 'target').code).toBe(expected)
  })

  it('by the driver with an errno of the server counts as its answer', () => {
    const refused = Object.assign(new Error('Access denied'), {
      code: 'ER_ACCESS_DENIED_ERROR',
      errno: 1045,
      sqlState: '28000',
    })
    expect(classify(refused, 'source').code).toBe('SYNC-2102')
  })

  it('bytes that do not follow the protocol mean that the connection is gone', () => {
    expect(classify(new ProtocolError('x'), 'source').code).toBe('SYNC-2101')
  })
})

it('a mistake of ours is a bug, and never retried', () => {
  for (const mistake of [
    new TypeError('x is undefined'),
    'text',
    undefined,
    Object.assign(new Error('x'), { code: 'ERR_INVALID_ARG_TYPE' }),
  ]) {
    const error = classify(mistake, 'source')
    expect([error.code, error.disposition]).toEqual(['SYNC-9001', 'bug'])
  }
})

it('an error that is classified already stays as it is', () => {
  const error = new SyncError('SYNC-4002', 'x')
  for (const side of ['source', 'target'] as Side[]) expect(classify(error, side)).toBe(error)
})
