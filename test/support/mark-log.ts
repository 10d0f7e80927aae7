/**
 * Notes every write under a pipeline's mark rows, by trigger: who wrote, under which epoch, and what. `assertFenced` then proves that no owner
 * wrote in any slot after a newer one had, and that nobody wrote a part of a batch that had been written.
 *
 * The notes live in the writing transaction, and those of one slot have ids in the order of its commits, because each holds the slot's row.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'

export interface MarkNote {
  readonly id: number
  readonly slot: number
  readonly epoch: bigint
  readonly batch: number
  readonly part: number
}

const table = 'syncline_mark_notes.note'

export async function installMarkLog(target: Connection): Promise<void> {
  await target.query('CREATE DATABASE IF NOT EXISTS syncline_mark_notes')
  await target.query(`CREATE TABLE IF NOT EXISTS ${table} (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, pipeline VARCHAR(64) NOT NULL, slot SMALLINT UNSIGNED NOT NULL,
    epoch BIGINT UNSIGNED NOT NULL, batch BIGINT UNSIGNED NOT NULL, part SMALLINT UNSIGNED NOT NULL, connection_id BIGINT UNSIGNED NOT NULL)`)
  await target.query('DROP TRIGGER IF EXISTS syncline.syncline_mark_note')
  await target.query(`CREATE TRIGGER syncline.syncline_mark_note AFTER UPDATE ON syncline.apply_mark FOR EACH ROW
    INSERT INTO ${table} (pipeline, slot, epoch, batch, part, connection_id)
    VALUES (NEW.pipeline, NEW.slot, NEW.epoch, NEW.batch, NEW.part, CONNECTION_ID())`)
}

export async function removeMarkLog(target: Connection): Promise<void> {
  await target.query('DROP TRIGGER IF EXISTS syncline.syncline_mark_note')
  await target.query('DROP DATABASE IF EXISTS syncline_mark_notes')
}

/** @returns how many notes and owners there were */
export async function assertFenced(
  target: Connection,
  pipeline: string,
): Promise<{ readonly notes: number; readonly epochs: number }> {
  const [rows] = await target.query<RowDataPacket[]>(
    `SELECT id, slot, epoch, batch, part FROM ${table} WHERE pipeline = ? ORDER BY slot, id`,
    [pipeline],
  )
  const notes = rows.map(
    (row): MarkNote => ({
      id: Number(row['id']),
      slot: Number(row['slot']),
      epoch: BigInt(row['epoch'] as string),
      batch: Number(row['batch']),
      part: Number(row['part']),
    }),
  )
  let before: MarkNote | undefined
  for (const note of notes) {
    if (before !== undefined && before.slot === note.slot) {
      if (note.epoch < before.epoch)
        throw new Error(`An old owner wrote: ${told(note)} after ${told(before)}`)
      // A takeover and load progress leave batch and part as they are.
      const isBack = note.batch < before.batch || (note.batch === before.batch && note.part < before.part)
      if (isBack) throw new Error(`A batch went back: ${told(note)} after ${told(before)}`)
    }
    before = note
  }
  return { notes: notes.length, epochs: new Set(notes.map((note) => note.epoch)).size }
}

const told = (note: MarkNote): string =>
  `note ${note.id}, slot ${note.slot}, epoch ${note.epoch}, batch ${note.batch}, part ${note.part}`
