/**
 * One write transaction whose rows are lines of LOAD DATA LOCAL (load-lines.ts): mark row, lines, commit.
 *
 * LOAD DATA LOCAL never fails for a row: what does not fit is made to fit, a row whose unique value is taken is left out, and the server counts it.
 * So the commit is sent only when every line became a row and nothing was counted; otherwise the transaction is rolled back and the
 * caller writes the rows by statements, which say what is wrong. The server may ask for one file, the one that was offered, whose bytes
 * are those of the chunk (session.ts). Deadlocks, lost connections and fencing are as in write-transaction.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Destination } from '../../../core/plan.ts'
import type { Row } from '../../../core/value.ts'
import type { ChunkWork, SinkCounters } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { rowOfLine } from '../load-lines.ts'
import { isWhole, lineFileName, loadStatement } from './load-statement.ts'
import type { Ownership } from './mark-table.ts'
import { assertOwned, isAtMark, mayTryAgain, rollBack, statementsOfHead } from './write-transaction.ts'

export type ChunkText = NonNullable<ChunkWork['text']>

export interface LoadTransaction {
  readonly connection: Connection
  readonly ownership: Ownership
  readonly slot: number
  /** See beginWithMark. */
  readonly head: string
  readonly destination: Destination
  readonly text: ChunkText
  readonly counters: SinkCounters
}

/**
 * @returns true when all rows are committed; false when nothing was written, because the server would not take a line as it is
 * @throws SyncError: 3101 lost (committed or not), 4002 fenced, 3104 busy for long
 */
export async function loadText(transaction: LoadTransaction): Promise<boolean> {
  const { connection, ownership, slot, destination, text, counters } = transaction
  const sql = `${transaction.head}; ${loadStatement(destination)}`
  const startedAtMs = performance.now()
  for (let attempt = 1; ; attempt++) {
    try {
      const pieces = takenPieces(text)
      const results = await connection.queryAll(sql, {
        file: { statement: statementsOfHead, name: lineFileName, pieces },
      })
      if (isWhole(results.at(-1), text.taken.length)) {
        for (const piece of pieces) counters.bytes += piece.length
        const loadedAtMs = performance.now()
        await connection.query('COMMIT')
        counters.commitMs += performance.now() - loadedAtMs
        return true
      }
      await connection.query('ROLLBACK')
      return false
    } catch (error) {
      const failure = classify(error, 'target')
      await rollBack(connection, failure)
      if (mayTryAgain(failure, attempt, startedAtMs)) {
        await sleep(attempt * (2 + Math.random() * 8))
        continue
      }
      await assertOwned(
        connection,
        ownership,
        slot,
        isAtMark({ failure, packet: { sql, isFirst: true, isLast: true, statements: [] } }),
      )
      return false
    }
  }
}

/** The lines of the rows that are to be written: rows behind each other are one piece. */
function takenPieces({ bytes, ends, taken }: ChunkText): Buffer[] {
  const pieces: Buffer[] = []
  let from = 0
  let to = 0
  for (const ordinal of taken) {
    const begin = ordinal === 0 ? 0 : (ends[ordinal - 1] as number)
    if (begin !== to) {
      if (to > from) pieces.push(bytes.subarray(from, to))
      from = begin
    }
    to = ends[ordinal] as number
  }
  if (to > from) pieces.push(bytes.subarray(from, to))
  return pieces
}

/** The rows that the lines stand for. */
export function rowsOfText({ bytes, ends, taken }: ChunkText, destination: Destination): Row[] {
  return taken.map((ordinal) =>
    rowOfLine(
      bytes.subarray(ordinal === 0 ? 0 : (ends[ordinal - 1] as number), ends[ordinal] as number),
      destination.valueTypes,
    ),
  )
}
