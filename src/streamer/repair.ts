/**
 * Makes named rows at the target what they are at the source, beside the running stream (docs/adr/0008).
 *
 * The keys are read like a chunk of a load: the window opens between two transactions, `low`, SELECT, `high`; what the log touches meanwhile
 * is struck, because the log brings it; what is left is handed out where the log has reached `high`, written behind the batches before it, and a batch that
 * touches it waits (docs/adr/0007). A key that the source does not have, or that the row filter leaves out, is removed by the same rule.
 * Why a removal may go by a key's bytes, and must: a row with these bytes did not come to be at the source between `low` and the first change
 * that is seen to touch it. One that a collation calls equal may have, and the log has brought it: so at the target the bytes are compared too.
 * A repair can neither overtake the stream nor be overtaken by it. On a crash the rows are written or not; either way they are as the source had them.
 * A row that the target refuses is told of with its reason, and nothing of it was written; all others are. Rows that hold each other's unique values
 * are removed first and written again in one transaction, where no column of the target is lost by that. What is refused for another reason than
 * a row of its own ends the repair; the session goes on in any case.
 */
import type { ChunkWork, SnapshotReader } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import { keyFormError } from '../core/key-form.ts'
import { type RefusedRow, refusalOf } from '../core/quarantine.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import { keyOf, type Row, type Value } from '../core/value.ts'
import type { Held, Refusal, RepairedRow } from '../core/verification.ts'
import type { Batcher } from './batcher.ts'
import type { ChunkWriter } from './chunk-writer.ts'
import type { Route, Router } from './router.ts'

export interface RepairRequest {
  /** `schema.table` at the source. */
  readonly table: string
  /** Primary key values as the source writes them; at most `maxRepairedKeys`. */
  readonly keys: readonly (readonly Value[])[]
}

export const maxRepairedKeys = 1_000

/** Bytes of rows in memory; more keys than fit are read in parts. */
const maxBytes = 16 * 1024 * 1024

/** Refused rows that are found in one try. */
const refusedAtOnce = 100

/** What a session lends. */
export interface RepairContext {
  readonly snapshot: Pick<SnapshotReader, 'readKeys'>
  readonly batcher: Pick<Batcher, 'placeKeys' | 'position'>
  readonly writer: Pick<ChunkWriter, 'tryToWrite'>
  readonly router: Pick<Router, 'route' | 'filterSql' | 'sourceOf'>
  /** Source tables that take part. */
  readonly shapes: readonly TableShape[]
  readonly incomplete: () => Held['incomplete']
  /** Aborted when the session is over. */
  readonly signal: AbortSignal
}

type Run = (request: RepairRequest) => Promise<readonly RepairedRow[]>

/** Repairs of an engine, whichever session it has. */
export interface Repairs {
  repair: Run
  enter(run: Run): void
  leave(): void
}

export function createRepairs(): Repairs {
  let session: Run | null = null
  return {
    async repair(request) {
      if (session === null) throw new SyncError('SYNC-5124', 'The engine has no connections at the moment')
      return await session(request)
    },
    enter(run) {
      session = run
    },
    leave() {
      session = null
    },
  }
}

/** @throws SYNC-5102, 5123, 5124, or what the target refuses of any row */
export async function repairKeys(
  context: RepairContext,
  { table, keys }: RepairRequest,
): Promise<readonly RepairedRow[]> {
  const { shape, route } = tableOf(context, table)
  const unique = new Map<string, readonly Value[]>()
  if (keys.length > maxRepairedKeys)
    throw new SyncError('SYNC-5102', `${keys.length} keys at once; ${maxRepairedKeys} are allowed`)
  for (const key of keys) {
    const wrong = keyFormError(shape, key)
    if (wrong !== null) throw new SyncError('SYNC-5102', `A key of ${table} cannot be used: ${wrong}`)
    unique.set(keyOf(key, [...key.keys()]), key)
  }
  const repaired: RepairedRow[] = []
  const parts = [[...unique.values()]]
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (part.length === 0) continue
    const rows = await repairPart(context, shape, route, part)
    if (rows !== null) repaired.push(...rows)
    // Larger than memory should hold: in halves.
    else parts.push(part.slice(part.length >>> 1), part.slice(0, part.length >>> 1))
  }
  return repaired
}

function tableOf(
  { shapes, router, incomplete }: RepairContext,
  table: string,
): { readonly shape: TableShape; readonly route: Route } {
  const why = incomplete().find((entry) => entry.table === table)?.why
  if (why !== undefined) throw new SyncError('SYNC-5123', `Table ${table} is ${why}`)
  const shape = shapes.find(({ id }) => tableName(id) === table)
  const route = shape === undefined ? null : router.route(shape)
  if (shape === undefined || route === null)
    throw new SyncError('SYNC-5123', `Table ${table} takes no part in this engine's work`)
  return { shape, route }
}

/** @returns null: the rows are too large to be read at once */
async function repairPart(
  { snapshot, batcher, writer, router, signal }: RepairContext,
  shape: TableShape,
  route: Route,
  keys: readonly (readonly Value[])[],
): Promise<readonly RepairedRow[] | null> {
  const table = tableName(shape.id)
  const named = keys.map((key) => ({ key, text: keyOf(key, [...key.keys()]) }))
  let found: readonly Row[] = []
  let missing: typeof named = []
  let taken: ReadonlySet<string> = new Set()
  let failure: SyncError | null = null
  const refusals = new Map<string, Refusal>()
  let windowKeys: readonly string[] = []

  const ticket = batcher.placeKeys(shape, async (ordinals) => {
    taken = new Set(ordinals.map((ordinal) => windowKeys[ordinal] as string))
    const rows = ordinals
      .filter((ordinal) => ordinal < found.length)
      .map((ordinal) => ({ text: windowKeys[ordinal] as string, row: route.map(found[ordinal] as Row) }))
    const removals = missing
      .filter(({ text }) => taken.has(text))
      .map(({ key }) => keyAtTarget(shape, route, key))
    if (rows.length + removals.length === 0) return
    const at = batcher.position()
    await writer.tryToWrite(
      async (write) => {
        // Where nothing was written, batches that touch the rows need not wait any longer.
        failure = await writeTaken(route, rows, removals, refusals, write)
      },
      (error) =>
        refusalOf(error, (name) => router.sourceOf(name), { destinations: [] }, { from: at, to: at }),
    )
  })
  try {
    const passed = await orCutOff(ticket.open(), signal)
    const read = await orCutOff(
      snapshot.readKeys(shape, keys, passed, router.filterSql(shape), maxBytes),
      signal,
    )
    if (!read.complete && keys.length > 1) return null
    found = read.rows
    const present = new Set(read.keys)
    missing = named.filter(({ text }) => !present.has(text))
    windowKeys = [...read.keys, ...missing.map(({ text }) => text)]
    ticket.deliver({ keys: windowKeys, isInLow: (id) => read.isInLow(id), high: read.high })
    await orCutOff(ticket.written, signal)
    if (failure !== null) throw failure
    return named.map(({ key, text }) => {
      if (!taken.has(text)) return { table, key, outcome: 'overtaken' }
      const refusal = refusals.get(text)
      if (refusal !== undefined) return { table, key, outcome: 'refused', refusal }
      return { table, key, outcome: present.has(text) ? 'written' : 'removed' }
    })
  } finally {
    ticket.cancel()
  }
}

interface TakenRow {
  readonly text: string
  readonly row: Row
}

/**
 * Writes what was taken but the rows that the target refuses, which are noted, in one transaction.
 * @returns what is refused of all of them; then nothing was written
 * @throws what ends the session
 */
async function writeTaken(
  { destination }: Route,
  rows: readonly TakenRow[],
  removals: readonly Row[],
  refusals: Map<string, Refusal>,
  write: (work: ChunkWork) => Promise<void>,
): Promise<SyncError | null> {
  const { ordinals } = destination.key
  let left = rows
  let isAnew = false
  while (left.length + removals.length > 0) {
    const first = isAnew ? left.map(({ row }) => ordinals.map((ordinal) => row[ordinal] as Value)) : []
    try {
      await write({
        destination,
        rows: left.map(({ row }) => row),
        text: null,
        removals: [...removals, ...first],
        refusedRows: refusedAtOnce,
      })
      return null
    } catch (error) {
      if (!(error instanceof SyncError) || (error.disposition !== 'block' && error.disposition !== 'reject'))
        throw error
      if (error.code === 'SYNC-3301' && !isAnew && destination.isWhole === true) {
        isAnew = true
        continue
      }
      const named = (error.details['refused'] ?? []) as readonly RefusedRow[]
      const why = new Map(named.map((refused) => [keyOf(refused.row, ordinals), refused]))
      const before = left.length
      left = left.filter(({ text, row }) => {
        const refused = why.get(keyOf(row, ordinals))
        if (refused === undefined) return true
        const { code, message } = refused
        refusals.set(text, { code, message, remedy: remedyOf(code) })
        return false
      })
      if (left.length === before) return error
    }
  }
  return null
}

const remedyOf = (code: string): string =>
  code === 'SYNC-3301'
    ? 'Give the row that has the value at the target another one, or remove it there; then repair again.'
    : 'Let the target take what the message names; then repair again.'

/** The key's values in the order of the destination's key. */
function keyAtTarget(shape: TableShape, route: Route, key: readonly Value[]): Row {
  const row: Value[] = shape.columns.map(() => null)
  shape.primaryKey?.ordinals.forEach((ordinal, part) => {
    row[ordinal] = key[part] as Value
  })
  const mapped = route.map(row)
  return route.destination.key.ordinals.map((ordinal) => mapped[ordinal] as Value)
}

const orCutOff = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new SyncError('SYNC-5124', "The engine's session ended"))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
