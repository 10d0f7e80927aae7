/**
 * Gathers what an engine tells about itself (status.ts). Counting only: nothing here decides anything. Lost in a crash, on purpose: the
 * mark row is the truth.
 */
import type { ChangeStream } from '../connectors/contract.ts'
import type { SyncError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import type { Gates } from './gates.ts'
import type { LoadCounters } from './loader.ts'
import { createMeter, type Meter } from './meter.ts'
import type { Pump } from './pump.ts'
import type { EnginePhase, EngineStatus } from './status.ts'

interface LoadTotals extends LoadCounters {
  readonly tables: number
  readonly rowsEstimated: number
}

export interface StatusBoard {
  /** Figures of all sessions. */
  readonly meter: Meter
  phase(phase: EnginePhase): void
  epoch(epoch: bigint): void
  tookOver(position: Position, batch: number): void
  follow(stream: ChangeStream): void
  pump(pump: Pump): void
  /** Commit time of a transaction that was read and waits for its turn; 0: none does. */
  held(commitTimeUs: number): void
  loading(totals: LoadTotals): LoadCounters
  confirmed(batch: { position: Position; rows: number; batch: number }): void
  /** Rows of a chunk are at the target. */
  chunkWritten(rows: number): void
  retrying(error: SyncError, attempt: number): void
  status(): EngineStatus
  /** performance.now of the last sign of life: bytes from the source, a confirmed batch, a phase. */
  aliveAtMs(): number
  /** Batches and chunks confirmed so far; a session that confirmed any has made progress. */
  batches(): number
}

/** Rates are over this window. */
const rateWindowMs = 5_000

export function createStatusBoard(gates: Gates): StatusBoard {
  let phase: EnginePhase = 'starting'
  let epoch = 0n
  let position: Position | null = null
  let batch = 0
  let rowsApplied = 0
  let batches = 0
  let stream: ChangeStream | null = null
  let pump: Pump | null = null
  let heldUs = 0
  let retrying: EngineStatus['retrying'] = null
  let touchedAtMs = performance.now()
  let load: LoadTotals = { tables: 0, tablesDone: 0, rows: 0, rowsEstimated: 0 }
  let loadStartedAtMs = 0
  let loadStartedRows = 0
  const samples: { atMs: number; rows: number }[] = []

  function rowsPerSecond(): number {
    const now = performance.now()
    while (samples.length > 1 && (samples[0] as { atMs: number }).atMs < now - rateWindowMs) samples.shift()
    const first = samples[0]
    if (first === undefined || now - first.atMs < 100) return 0
    return Math.round(((rowsApplied - first.rows) * 1000) / (now - first.atMs))
  }

  function etaMs(): number | null {
    if (phase !== 'loading') return null
    const rows = load.rows - loadStartedRows
    if (rows === 0) return null
    return Math.max(
      0,
      Math.round(((load.rowsEstimated - load.rows) * (performance.now() - loadStartedAtMs)) / rows),
    )
  }

  return {
    meter: createMeter(),
    phase(next) {
      phase = next
      touchedAtMs = performance.now()
    },
    epoch(next) {
      epoch = next
    },
    tookOver(at, lastBatch) {
      position = at
      batch = lastBatch
      retrying = null
      touchedAtMs = performance.now()
    },
    follow(next) {
      stream = next
    },
    pump(next) {
      pump = next
      heldUs = 0
    },
    held(commitTimeUs) {
      heldUs = commitTimeUs
    },
    loading(totals) {
      load = { ...totals }
      loadStartedAtMs = performance.now()
      loadStartedRows = totals.rows
      phase = 'loading'
      return load
    },
    confirmed(next) {
      samples.push({ atMs: performance.now(), rows: rowsApplied })
      position = next.position
      batch = next.batch
      rowsApplied += next.rows
      batches++
      touchedAtMs = performance.now()
    },
    chunkWritten(rows) {
      samples.push({ atMs: performance.now(), rows: rowsApplied })
      rowsApplied += rows
      batches++
      touchedAtMs = performance.now()
    },
    retrying(error, attempt) {
      phase = 'retrying'
      retrying = { code: error.code, message: error.message, attempt }
      touchedAtMs = performance.now()
    },
    status() {
      const pendingUs = pump?.oldestPendingUs() || heldUs
      return {
        phase,
        epoch: epoch.toString(),
        position,
        batch,
        lagMs: pendingUs === 0 ? 0 : Math.max(0, Math.round(Date.now() - pendingUs / 1000)),
        rowsApplied,
        rowsPerSecond: rowsPerSecond(),
        load: {
          tables: load.tables,
          tablesDone: load.tablesDone,
          rows: load.rows,
          rowsEstimated: Math.max(load.rowsEstimated, load.rows),
          etaMs: etaMs(),
        },
        limits: { load: gates.load.limits(), stream: gates.stream.limits() },
        throttled: { load: gates.load.heldBackBy(), stream: gates.stream.heldBackBy() },
        retrying,
      }
    },
    // A stream that waits on purpose reads nothing from its source.
    aliveAtMs: () =>
      gates.stream.heldBackBy() === null
        ? Math.max(touchedAtMs, stream?.lastSeenAtMs() ?? 0)
        : performance.now(),
    batches: () => batches,
  }
}
