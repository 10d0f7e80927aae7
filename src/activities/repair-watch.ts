/**
 * Brings the engines of this host what they are asked to repair, and the answers back. Looked at by alignment-watch.ts, in its rhythm.
 *
 * Guarantees: a request is taken by one engine, once. After a crash it stays taken until the next engine of the pipeline says that it was cut off, or
 * whoever asked has waited long enough: then it is asked again, which does no harm.
 */
import { asSyncError, SyncError } from '../core/errors.ts'
import type { EngineMark } from '../store/alignments.ts'
import type { RepairRecord, RepairStore } from '../store/repairs.ts'
import type { Engine } from '../streamer/engine.ts'

type Repairing = Pick<Engine, 'repair'>

export interface RepairWatch {
  /** Throws where the store does. */
  look(engineOf: (mark: EngineMark) => Repairing | undefined): void
  /** A new engine begins. */
  begin(mark: EngineMark): void
  isBusy(): boolean
}

/** @param say does what it is given, again and again until the store takes it */
export function createRepairWatch(repairs: RepairStore, say: (word: () => void) => void): RepairWatch {
  const running = new Set<string>()

  async function run({ id, table, keys }: RepairRecord, engine: Repairing): Promise<void> {
    running.add(id)
    try {
      const repaired = await engine.repair({ table, keys })
      say(() => repairs.finish(id, repaired))
    } catch (error) {
      say(() => repairs.fail(id, wordsOf(asSyncError(error))))
    } finally {
      running.delete(id)
    }
  }

  return {
    look(engineOf) {
      for (const record of repairs.asked()) {
        const engine = engineOf(record)
        if (engine !== undefined && repairs.take(record.id)) void run(record, engine)
      }
    },
    begin: (mark) =>
      repairs.failTaken(
        mark,
        wordsOf(new SyncError('SYNC-5124', 'Another engine of the pipeline has begun')),
      ),
    isBusy: () => running.size > 0,
  }
}

const wordsOf = ({ code, message, remedy }: SyncError): NonNullable<RepairRecord['error']> => ({
  code,
  message,
  remedy,
})
