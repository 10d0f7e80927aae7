/*
 * A runtime for engine hosts whose engines do what a test commands, and whose target is a SQLite file with a real fence: an engine writes a
 * row every few milliseconds in a transaction that first compares its epoch, exactly as the real ones do. The same file carries the
 * commands, since the engines live in other processes.
 */
import { DatabaseSync } from 'node:sqlite'
import type { CreateRuntime } from '../../../src/activities/pipeline-runtime.ts'
import { SyncError } from '../../../src/core/errors.ts'
import { noRates } from '../../../src/core/limits.ts'
import type { Engine } from '../../../src/streamer/engine.ts'
import type { EngineOutcome, EnginePhase, EngineStatus } from '../../../src/streamer/status.ts'

/** What an engine can be told while it runs; `start` commands hold for every engine that starts. */
export type EngineCommand =
  | 'crash' // the host process kills itself
  | 'busy' // the host's event loop is blocked
  | 'block'
  | 'stuck' // no sign of life, no writes
  | 'retrying'
  | 'recover'
  | 'deaf' // ignores a drain
  | 'slow' // stays in the load until told to recover

export const openScriptedTarget = (path: string): DatabaseSync => {
  const target = new DatabaseSync(path, { timeout: 5_000 })
  target.exec(`PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS mark (pipeline TEXT PRIMARY KEY, epoch TEXT NOT NULL, n INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS writes (id INTEGER PRIMARY KEY, pipeline TEXT, epoch TEXT, n INTEGER, pid INTEGER, at REAL);
    CREATE TABLE IF NOT EXISTS commands (id INTEGER PRIMARY KEY, pipeline TEXT, command TEXT);
    CREATE TABLE IF NOT EXISTS checks (pipeline TEXT PRIMARY KEY, answer TEXT)`)
  return target
}

const writeMs = 10

const createScriptedEngine = (
  target: DatabaseSync,
  pipeline: string,
  epoch: bigint,
  isClosed: () => boolean,
): Engine => {
  let phase = 'starting' as EnginePhase
  let before = phase
  let isDraining = false
  let isDeaf = false
  let isStuck = false
  let isSlow = false
  let rows = 0
  let aliveAtMs = performance.now()
  let seen = Number(target.prepare('SELECT coalesce(max(id), 0) AS id FROM commands').get()?.['id'])
  const status = (): EngineStatus => ({
    phase,
    epoch: epoch.toString(),
    position: { token: `n-${rows}`, ordinal: 0 },
    batch: rows,
    lagMs: 0,
    rowsApplied: rows,
    rowsPerSecond: 0,
    limits: { load: noRates, stream: noRates },
    throttled: { load: null, stream: null },
    load: { tables: 1, tablesDone: phase === 'streaming' ? 1 : 0, rows, rowsEstimated: rows, etaMs: null },
    retrying: phase === 'retrying' ? { code: 'SYNC-2101', message: 'the source is away', attempt: 1 } : null,
  })
  const inTransaction = <T>(work: () => T): T => {
    target.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      target.exec('COMMIT')
      return result
    } catch (error) {
      target.exec('ROLLBACK')
      throw error
    }
  }
  const takeOver = (): boolean =>
    inTransaction(() => {
      const mark = target.prepare('SELECT epoch, n FROM mark WHERE pipeline = ?').get(pipeline)
      if (mark !== undefined && BigInt(String(mark['epoch'])) >= epoch) return false
      rows = Number(mark?.['n'] ?? 0)
      target
        .prepare(
          'INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT (pipeline) DO UPDATE SET epoch = excluded.epoch',
        )
        .run(pipeline, epoch.toString(), rows)
      return true
    })
  const write = (): boolean =>
    inTransaction(() => {
      const { changes } = target
        .prepare('UPDATE mark SET n = ? WHERE pipeline = ? AND epoch = ?')
        .run(rows + 1, pipeline, epoch.toString())
      if (Number(changes) !== 1) return false
      rows++
      target
        .prepare('INSERT INTO writes (pipeline, epoch, n, pid, at) VALUES (?, ?, ?, ?, ?)')
        .run(pipeline, epoch.toString(), rows, process.pid, Date.now())
      return true
    })
  const obey = (): EngineOutcome | null => {
    const commands = target
      .prepare('SELECT id, command FROM commands WHERE pipeline = ? AND id > ? ORDER BY id')
      .all(pipeline, seen)
    for (const { id, command } of commands) {
      seen = Number(id)
      switch (command as EngineCommand) {
        case 'crash':
          process.kill(process.pid, 'SIGKILL')
          break
        case 'busy':
          for (;;);
        case 'block':
          return { kind: 'blocked', code: 'SYNC-2301', message: 'told to', remedy: 'mend it', at: 'uuid:9' }
        case 'stuck':
          isStuck = true
          break
        case 'retrying':
          if (status().phase !== 'retrying') before = phase
          phase = 'retrying'
          break
        case 'recover':
          if (phase === 'retrying') phase = before
          isSlow = false
          break
        case 'deaf':
          isDeaf = true
          break
        case 'slow':
          isSlow = true
      }
    }
    return null
  }
  return {
    async run() {
      if (!takeOver()) return { kind: 'fenced' }
      phase = 'loading'
      const startedAtMs = performance.now()
      for (;;) {
        if (isClosed()) return { kind: 'fenced' }
        const end = obey()
        if (end !== null) return end
        if (!isStuck) {
          aliveAtMs = performance.now()
          if (isDraining && !isDeaf) return { kind: 'drained', position: status().position }
          if (status().phase !== 'retrying') {
            if (!write()) return { kind: 'fenced' }
            const elapsedMs = performance.now() - startedAtMs
            if (!isSlow) phase = elapsedMs > 100 ? 'streaming' : elapsedMs > 50 ? 'catching-up' : 'loading'
          }
        }
        await new Promise((resolve) => setTimeout(resolve, writeMs))
      }
    },
    drain() {
      isDraining = true
    },
    status,
    takeStatistics: () => null,
    setLimits: () => {},
    repair: async () => {
      throw new Error('not scripted')
    },
    align: () => {
      throw new Error('not scripted')
    },
    aliveAtMs: () => aliveAtMs,
  }
}

export const createRuntime: CreateRuntime = async ({ storePath }) => {
  const target = openScriptedTarget(storePath)
  return {
    async check({ pipeline }) {
      const row = target.prepare('SELECT answer FROM checks WHERE pipeline = ?').get(pipeline)
      const answer = String(row?.['answer'] ?? 'ok')
      if (answer === 'passing') throw new SyncError('SYNC-2101', 'the source is away')
      if (answer === 'final') throw new SyncError('SYNC-2102', 'wrong password')
      if (answer === 'hang') await new Promise(() => {})
      if (answer === 'crash') process.kill(process.pid, 'SIGKILL')
      return answer === 'ok'
        ? null
        : { code: 'SYNC-4003', message: answer, remedy: 'mend', at: null, findings: [] }
    },
    async open({ pipeline, epoch }) {
      let isClosed = false
      return {
        engine: createScriptedEngine(target, pipeline, BigInt(epoch), () => isClosed),
        async kill() {
          isClosed = true
        },
      }
    },
  }
}
