/*
 * CPU time for reading a log from start to end, over a connection: Syncline's reader, @vlasky/zongji and mysqlbinlog -v (which prints every
 * row). The two of Node run in a process of their own each and have read every log once before, because an engine lives long;
 * mysqlbinlog is compiled already. Before anything is measured, the rows that Syncline reads are folded into tables and compared with the server's.
 */
import type { Connection } from 'mysql2/promise'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { type Bench, type BenchContext, inTurn } from '../bench.ts'
import { type DecodeProcess, startDecodeProcess } from '../decode/process.ts'
import { countWithMysqlbinlog, readWithMysqlbinlog } from '../peers/mysqlbinlog.ts'
import { connect, database, executedGtids, fillQuickly, oneValue } from '../servers.ts'
import { type BenchResult, resultOf } from '../statistics.ts'
import { decodeLogs, digestOfTable, type LogScript, prepareDecode } from '../work/decode-logs.ts'

export type Log = {
  readonly name: string
  readonly file: string
  /** GTID set when the tables were empty; before the log's first transaction; and after its last. */
  readonly emptyAt: string
  readonly from: string
  readonly to: string
  readonly changes: number
  readonly megabytes: number
  /** Digest of the tables' rows after the log, by table. */
  readonly digests: Readonly<Record<string, string>>
}

export type Pass = { readonly changes: number; readonly wallSeconds: number; readonly cpuSeconds: number }

export const decode: Bench = async (context) => {
  await using server = await startMysql({
    name: 'source',
    durable: true,
    extraArgs: ['--innodb-buffer-pool-size=256M'],
  })
  const admin = await connect(server)
  const results: BenchResult[] = []
  try {
    const changes = context.quick ? 20_000 : 300_000
    await fillQuickly(admin, () => prepareDecode(admin, changes))
    for (const [name, script] of Object.entries(decodeLogs(changes))) {
      let log: Log | undefined
      await fillQuickly(admin, async () => {
        log = await record(admin, name, script)
      })
      if (log !== undefined) results.push(...(await decodeLog(context, server, log)))
    }
  } finally {
    admin.destroy()
  }
  return results
}

/** Every log has a file of its own. */
async function record(admin: Connection, name: string, script: LogScript): Promise<Log> {
  await admin.query(`TRUNCATE TABLE ${database}.a; TRUNCATE TABLE ${database}.b`)
  const emptyAt = await executedGtids(admin)
  for (const statement of script.before) await admin.query(statement)
  await admin.query('FLUSH BINARY LOGS')
  const from = await executedGtids(admin)
  const before = await rowsChanged(admin)
  for (const statement of script.log) await admin.query(statement)
  const [status] = await admin.query('SHOW BINARY LOG STATUS')
  const { File: file, Position: bytes } = (status as { File: string; Position: number }[])[0] as {
    File: string
    Position: number
  }
  await admin.query('FLUSH BINARY LOGS')
  return {
    name,
    emptyAt,
    from,
    to: await executedGtids(admin),
    file,
    changes: (await rowsChanged(admin)) - before,
    megabytes: Number(bytes) / 1e6,
    digests: { a: await digestOfTable(admin, 'a'), b: await digestOfTable(admin, 'b') },
  }
}

/** Rows inserted, updated and deleted by the storage engine's own count. */
const rowsChanged = async (admin: Connection): Promise<number> =>
  Number(
    await oneValue(
      admin,
      `SELECT SUM(COUNT_INSERT + COUNT_UPDATE + COUNT_DELETE) FROM performance_schema.table_io_waits_summary_by_table
       WHERE OBJECT_SCHEMA = '${database}' AND OBJECT_NAME IN ('a', 'b')`,
    ),
  )

async function decodeLog(context: BenchContext, server: MysqlServer, log: Log): Promise<BenchResult[]> {
  // zongji does not know compressed transactions: it goes silent.
  const withZongji = log.name !== 'compressed'
  await using ours = await startDecodeProcess('syncline', server)
  await using theirs = withZongji ? await startDecodeProcess('zongji', server) : undefined
  const digests = await ours.digests(log)
  for (const table of ['a', 'b']) {
    if (digests[table] !== log.digests[table])
      throw new Error(`decode/${log.name}: table ${table} read from the log is not the server's.`)
  }
  const printed = await countWithMysqlbinlog(server, log.file)
  if (printed !== log.changes)
    throw new Error(`decode/${log.name}: mysqlbinlog prints ${printed} rows, not ${log.changes}.`)
  const warm = async (process: DecodeProcess | undefined): Promise<void> => {
    if (process !== undefined) assertAll(log, await process.read(log))
  }
  await warm(ours)
  await warm(theirs)

  const rounds: { syncline: number; zongji: number; mysqlbinlog: number; wall: number }[] = []
  for (let round = 0; round < context.rounds; round++) {
    const cpu = { syncline: 0, zongji: 0, mysqlbinlog: 0, wall: 0 }
    await inTurn(round, [
      async () => {
        const pass = assertAll(log, await ours.read(log))
        cpu.syncline = pass.cpuSeconds
        cpu.wall = pass.wallSeconds
      },
      async () => {
        if (theirs !== undefined) cpu.zongji = assertAll(log, await theirs.read(log)).cpuSeconds
      },
      async () => {
        cpu.mysqlbinlog = (await readWithMysqlbinlog(server, log.file)).cpuSeconds
      },
    ])
    rounds.push(cpu)
  }
  const against = (peer: 'zongji' | 'mysqlbinlog', bar: number): BenchResult => {
    const measured = resultOf({
      name: `decode/${log.name}/${peer}`,
      unit: 'CPU s',
      rounds: rounds.map((cpu) => ({ syncline: cpu.syncline, peer: cpu[peer] })),
      bar,
      rule: 'less is better',
    })
    return {
      ...measured,
      details: {
        changes: log.changes,
        'log MB': log.megabytes,
        'million changes per CPU s': log.changes / measured.syncline / 1e6,
      },
    }
  }
  context.say(
    `decode ${log.name}: ${log.changes} changes, ${log.megabytes.toFixed(1)} MB; ${rounds.map((cpu) => `syncline ${cpu.syncline.toFixed(2)}, zongji ${withZongji ? cpu.zongji.toFixed(2) : '-'}, mysqlbinlog ${cpu.mysqlbinlog.toFixed(2)} CPU s`).join('; ')}`,
  )
  return [...(withZongji ? [against('zongji', 4)] : []), against('mysqlbinlog', 1)]
}

function assertAll(log: Log, pass: Pass): Pass {
  if (pass.changes !== log.changes)
    throw new Error(`decode/${log.name}: ${pass.changes} changes were read, not ${log.changes}.`)
  return pass
}
