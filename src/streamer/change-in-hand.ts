/**
 * What the steps of passing one definition statement share: where it stands, what a person has decided, and what it does to the load.
 *
 * `progress` is only gathered here; it is stored with the position behind the statement, in one transaction, by whoever passes it
 * (definition-change.ts). After a crash before that, all of it is gathered again.
 */
import type { LoadProgress, Sink, Source, Target } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import type { Batcher } from './batcher.ts'
import type { EngineOptions } from './options.ts'
import type { MetTable, TargetChangeContext } from './target-change.ts'

export interface DefinitionContext {
  readonly source: Source
  readonly target: Target
  readonly options: EngineOptions
  readonly acknowledged: readonly string[]
  /** Definition changes that the target was seen to fit in this engine's life. */
  readonly fitted: Set<string>
  /** See scope-progress.ts. */
  readonly presumedRenamed: Set<string>
  /**
   * Looks whether the target fits the source's definitions as they are now.
   * @param about names of target tables; null: all, and what may be created is created
   * @param isAhead the stream may not have come to statements that explain what does not fit
   * @throws SyncError
   */
  readonly recheck: (about: readonly string[] | null, isAhead?: boolean) => Promise<void>
}

export type ChangingContext = DefinitionContext & { readonly sink: Sink }

/** One statement that is being passed. */
export interface Change extends TargetChangeContext, Pick<DefinitionContext, 'recheck' | 'presumedRenamed'> {
  readonly batcher: Batcher
  /** Where the load of tables stands after the statement, if it stands otherwise than before. */
  readonly progress: Map<string, LoadProgress>
  /** Tables whose load begins here: from now on their rows at the target are the pipeline's. */
  readonly begun: Set<string>
}

/** Are rows of it at the target, as far as the load goes? */
export const isBegun = (progress: LoadProgress | null): boolean =>
  progress !== null && (progress.done || progress.after !== null)

/** Its table is loaded from the start, behind the statement. */
export function forget({ progress }: Change, id: TableId): void {
  const table = tableName(id)
  progress.set(table, notBegun(table))
}

export const notBegun = (table: string): LoadProgress => ({ table, after: null, rows: 0, done: false })

/** The position right behind the statement. */
export function behind(source: Source, batcher: Batcher, event: SchemaChange): Position {
  const tracker = source.tracker(batcher.position())
  tracker.advance(event)
  return tracker.position()
}

/** @throws SyncError where nobody has acknowledged the statement */
export function askUnlessAcknowledged(
  { event, isAcknowledged }: Change,
  code: 'SYNC-2301' | 'SYNC-2302',
  message: string,
  remedy?: string,
): void {
  if (isAcknowledged) return
  throw new SyncError(code, message, {
    ...(remedy === undefined ? {} : { remedy }),
    details: { at: event.id },
  })
}

export const isThere = (table: MetTable | undefined): table is MetTable => (table?.target ?? null) !== null
