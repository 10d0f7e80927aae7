/**
 * When has a session caught up, and may it say that something does not fit?
 *
 * The catalogue is ahead of the stream: a statement that explains what is seen there may be in the log to come. So nothing is an error before the
 * stream has passed the log's end of the moment after the look; and where a statement was passed meanwhile, the session ends and the next one
 * looks. Changes nothing.
 */
import type { Source } from '../connectors/contract.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import { compareCoordinates } from '../core/position.ts'
import type { Batcher } from './batcher.ts'
import { assertRoutable, type Definitions } from './definitions.ts'
import type { Pump } from './pump.ts'
import type { StatusBoard } from './status-board.ts'

export interface CatchUpContext {
  readonly source: Pick<Source, 'head' | 'definitions'>
  readonly board: Pick<StatusBoard, 'phase'>
  /** The whole pre-check, once in an engine's life: what a start had to leave open, because the log might have explained it. */
  readonly lookOnce: () => Promise<void>
}

/** A goal reached within this time means that the stream keeps up. */
const caughtUpWithinMs = 3_000
const pollMs = 20

/** @returns whether the stream has passed all that is visible now, and the session goes on */
async function passesHead(
  { source }: Pick<CatchUpContext, 'source'>,
  batcher: Batcher,
  signal: AbortSignal,
): Promise<boolean> {
  const goal = await source.head()
  return passes(() => batcher.covers(goal), batcher, signal)
}

/**
 * A statement is visible before it counts as executed, which is what the head tells of. So where something is to be held against the source, it is the
 * log's end that has to be reached; on an idle source a heartbeat tells of that.
 */
async function passesEnd(
  context: Pick<CatchUpContext, 'source'>,
  batcher: Batcher,
  signal: AbortSignal,
): Promise<boolean> {
  const end = await context.source.definitions?.logEnd()
  if (!(await passesHead(context, batcher, signal))) return false
  return (
    end === undefined || passes(() => compareCoordinates(batcher.coordinate(), end) >= 0, batcher, signal)
  )
}

async function passes(isPassed: () => boolean, batcher: Batcher, signal: AbortSignal): Promise<boolean> {
  while (!isPassed()) {
    await new Promise((resolve) => setTimeout(resolve, pollMs))
    if (signal.aborted) return false
  }
  return !batcher.isClosing()
}

/**
 * A table or column that the source does not have any more while it is loaded: the statement is in the log, and ends this session when the
 * stream comes to it. @throws the error itself, where it does not
 */
export async function explainedByLog(
  context: Pick<CatchUpContext, 'source'>,
  error: unknown,
  batcher: Batcher,
  signal: AbortSignal,
): Promise<void> {
  if (!(error instanceof SyncError) || error.code !== 'SYNC-2301') throw error
  if (await passesEnd(context, batcher, signal)) throw error
}

/** Moves to phase `streaming` once the log's head of a moment ago was reached within a short time. @throws SyncError where a table does not fit */
export async function catchUp(
  context: CatchUpContext,
  definitions: Definitions,
  batcher: Batcher,
  pump: Pump,
  signal: AbortSignal,
): Promise<void> {
  context.board.phase('catching-up')
  const isOver = (): boolean => signal.aborted || batcher.isClosing()
  for (;;) {
    const startedAtMs = performance.now()
    if (!(await passesHead(context, batcher, signal))) return
    await pump.flush()
    if (isOver()) return
    try {
      assertRoutable(definitions)
    } catch (error) {
      // The stream passes all that the catalogue showed, and no statement explains what does not fit.
      if (await passesEnd(context, batcher, signal)) throw error
      return
    }
    const isCaughtUp = performance.now() - startedAtMs < caughtUpWithinMs
    try {
      await context.lookOnce()
    } catch (error) {
      if (asSyncError(error).disposition !== 'block') throw error
      // The look was at the catalogue of now, too: what it saw may be a statement of this very moment.
      if (!(await passesEnd(context, batcher, signal))) return
      await context.lookOnce()
    }
    if (isOver()) return
    if (isCaughtUp) break
  }
  context.board.phase('streaming')
}
