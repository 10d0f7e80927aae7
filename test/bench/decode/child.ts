/*
 * Reads a log as Syncline or as zongji does, and says how much CPU that took. Ends when its parent does.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import ZongJi from '@vlasky/zongji'
import { followBinlog } from '../../../src/connectors/mysql/binlog/stream.ts'
import { mysqlEndpoint } from '../../../src/connectors/mysql/config.ts'
import { connect } from '../../../src/connectors/mysql/connection.ts'
import type { RowChange } from '../../../src/core/transaction.ts'
import type { Log, Pass } from '../benches/decode.ts'
import type { Reach } from '../servers.ts'
import { digestOfRows, textOfRow } from '../work/row-digest.ts'
import type { FromReader, ToReader } from './messages.ts'

const say = (message: FromReader): void => void process.send?.(message)

async function timed(work: () => Promise<number>): Promise<Pass> {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const changes = await work()
  const used = process.cpuUsage(cpu)
  return {
    changes,
    wallSeconds: (performance.now() - startedAt) / 1000,
    cpuSeconds: (used.user + used.system) / 1e6,
  }
}

async function readAsSyncline(
  server: Reach,
  log: Log,
  onChanges: ((changes: readonly RowChange[]) => void) | null,
): Promise<number> {
  const { host, port, user, password } = server
  const endpoint = mysqlEndpoint.parse({
    kind: 'mysql',
    host,
    port,
    user,
    password,
    tls: { mode: 'disabled' },
  })
  const last = log.to.replace(/^.*[-:]/, '')
  const stream = followBinlog({
    connect: () => connect(endpoint, 'binlog'),
    serverId: 7001,
    from: { token: log.from, ordinal: 0 },
  })
  let count = 0
  for await (const events of stream) {
    for (const event of events) {
      if (event.kind !== 'slice') continue
      count += event.changes.length
      onChanges?.(event.changes)
      if (event.last && event.id.endsWith(`:${last}`)) {
        await stream.close()
        return count
      }
    }
  }
  return count
}

async function readAsZongji(server: Reach, log: Log): Promise<number> {
  const { host, port, user, password } = server
  const zongji = new ZongJi({ host, port, user, password, dateStrings: true } as never)
  let count = 0
  await new Promise<void>((resolve, reject) => {
    zongji.on('error', reject)
    zongji.on('binlog', (event) => {
      count += (event as { rows?: unknown[] }).rows?.length ?? 0
      if (count >= log.changes) resolve()
    })
    zongji.start({
      serverId: 7002,
      gtidSet: log.from,
      includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
    } as never)
  })
  zongji.stop()
  return count
}

async function digests(server: Reach, log: Log): Promise<Record<string, string>> {
  const tables = new Map<string, Map<string, string>>([
    ['a', new Map()],
    ['b', new Map()],
  ])
  await readAsSyncline(server, { ...log, from: log.emptyAt }, (changes) => {
    for (const { table, before, after } of changes) {
      const rows = tables.get(table.id.name)
      if (rows === undefined) continue
      if (before !== null) rows.delete(String(before[0]))
      if (after !== null) rows.set(String(after[0]), textOfRow(after))
    }
  })
  return Object.fromEntries([...tables].map(([name, rows]) => [name, digestOfRows(rows.values())]))
}

async function answer({ type, reader, server, log }: ToReader): Promise<void> {
  if (type === 'digests') return say({ type: 'digests', digests: await digests(server, log) })
  const pass = await timed(() =>
    reader === 'syncline' ? readAsSyncline(server, log, null) : readAsZongji(server, log),
  )
  // zongji ends its connections on its own time; that must not fall into the next pass.
  await sleep(100)
  say({ type: 'pass', pass })
}

process.on('message', (message: ToReader) => {
  answer(message).catch((error: unknown) => {
    say({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
process.on('disconnect', () => process.exit(1))
say({ type: 'ready' })
