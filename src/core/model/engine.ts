/**
 * The model's engine: the same steps as the streamer takes, as tasks that stop wherever the real one would wait for something. A scheduler
 * decides who goes on (run.ts), so that every interleaving can happen, and every engine can die or freeze at every step.
 *
 * The rules are the production's own (merge, plan, chunk window); the wiring between them is written down here a second time, from
 * DATA-PATH: consume, strike, hand out chunks and write them beside the batches, seal, write small or large, take over, form a broken batch
 * again.
 */
import type { ChunkWindow } from '../chunk-window.ts'
import type { Merge, NetChanges } from '../merge.ts'
import { type BatchPlan, type Destination, type LaneWork, planDigest } from '../plan.ts'
import { type LogCoordinate, type Position, samePosition } from '../position.ts'
import type { RowChange, TransactionSlice } from '../transaction.ts'
import { keyOf, type Row, type Value } from '../value.ts'
import { keepsUniqueKey, type Mutant, mergeOf, planOf, windowOf } from './mutants.ts'
import type { ModelSource } from './source.ts'
import { destinationOf, type ModelTable, tableNamed, tables } from './tables.ts'
import type {
  Body,
  Found,
  ModelHeader,
  ModelProgress,
  ModelTarget,
  ModelUnfinished,
  Request,
} from './target.ts'

export interface EngineSettings {
  readonly lanes: number
  readonly smallBatchRows: number
  readonly maxRows: number
  /** Row changes per slice of the log. */
  readonly sliceChanges: number
  readonly chunkRows: number
  readonly chunksInFlight: number
  /** Chunks are cut short at their first row. */
  readonly shortReads: boolean
  /** Knows the target's keys otherwise than engines before it, so that its plans differ. */
  readonly cautious: boolean
}

/** What a task waits for before it can go on; undefined: nothing. */
export type Wait = (() => boolean) | undefined
type Steps<T> = Generator<Wait, T, void>

export interface Task {
  readonly steps: Steps<void>
  wait: Wait
}

export interface ModelEngine {
  readonly epoch: number
  /** Empty once the engine is dead or fenced. */
  readonly tasks: readonly Task[]
  readonly requests: readonly Request[]
  isAlive(): boolean
  /** The load is done and everything in the log is confirmed. */
  isIdle(): boolean
  kill(): void
}

interface Ticket {
  readonly table: ModelTable
  window: ChunkWindow | null
  reached: { readonly after: Value; readonly done: boolean; readonly rows: readonly Row[] } | null
  state: 'waiting' | 'handed out' | 'written'
}

interface Sealed {
  readonly from: Position
  readonly to: Position
  readonly merge: Merge
  readonly load: readonly ModelProgress[]
  /** Chunks under way that the batch touches. */
  readonly behind: readonly Ticket[]
}

/** @param saw told of situations that the tests want to be sure of having met */
export function createModelEngine(
  source: ModelSource,
  target: ModelTarget,
  epoch: number,
  settings: EngineSettings,
  mutant: Mutant | null,
  saw: (situation: string) => void,
): ModelEngine {
  const destinations = new Map<string, Destination>(
    tables.map((table) => [
      table.shape.id.name,
      destinationOf(table, settings.cautious, (key) => keepsUniqueKey(mutant, key)),
    ]),
  )
  let tasks: Task[] = []
  const requests: Request[] = []
  const tickets = new Map<string, Ticket[]>()
  let alive = true
  let applying = false
  let loading = true
  let batch = 0
  let coordinate: LogCoordinate = source.endOf(0)
  let position: Position = { token: '0', ordinal: 0 }
  let from = position
  let merge = mergeOf(mutant)
  let load = new Map<string, ModelProgress>()
  let moved = false
  let behind = new Set<Ticket>()
  let sealed = 0
  let confirmed = 0
  const freeWriters = Array.from({ length: settings.chunksInFlight }, (_, i) => settings.lanes + 1 + i)

  function start(steps: Steps<void>): void {
    tasks.push({ steps, wait: undefined })
  }

  function stop(): void {
    alive = false
    tasks = []
  }

  // ---------------------------------------------------------------------------------------------------------- requests

  function post(body: Body): Request {
    const request = target.send(epoch, body)
    requests.push(request)
    return request
  }

  /** Waits for all answers; a fenced engine ends here, quietly. */
  function* answers(posted: readonly Request[]): Steps<void> {
    yield () => posted.every((request) => request.state === 'answered')
    if (posted.every((request) => request.answer !== 'fenced')) return
    saw('fenced')
    stop()
    yield () => false
  }

  function* send(body: Body): Steps<Request['answer']> {
    const request = post(body)
    yield* answers([request])
    return request.answer
  }

  // ---------------------------------------------------------------------------------------------------------- the log

  function route(into: Merge, { table, before, after }: RowChange): void {
    const { inScope } = tableNamed(table.id.name)
    const was = before !== null && inScope(before) ? before : null
    const is = after !== null && inScope(after) ? after : null
    if (was === null && is === null) return
    into.add({ destination: destinations.get(table.id.name) as Destination, before: was, after: is })
  }

  const after = (at: Position, slice: TransactionSlice): Position =>
    slice.last
      ? { token: String(Number(at.token) + 1), ordinal: 0 }
      : { token: at.token, ordinal: slice.firstOrdinal + slice.changes.length }

  function* consume(): Steps<void> {
    const canRead = (): boolean => source.logged > Number(position.token)
    // The server's heartbeat tells an idle reader where the log ends.
    const canBeat = (): boolean =>
      tickets.size > 0 &&
      position.ordinal === 0 &&
      coordinate.offset < source.endOf(Number(position.token)).offset
    for (;;) {
      yield () => merge.rows < settings.maxRows && (canRead() || canBeat())
      const slice = source.slice(position, settings.sliceChanges)
      if (slice === null) {
        coordinate = source.endOf(Number(position.token))
      } else {
        for (const change of slice.changes) {
          for (const ticket of tickets.get(change.table.id.name) ?? []) {
            if (ticket.window?.touch(change, slice.id) === true) behind.add(ticket)
          }
          route(merge, change)
        }
        position = after(position, slice)
        coordinate = slice.coordinate
        moved = true
      }
      handOut()
    }
  }

  // ----------------------------------------------------------------------------------------------------------- chunks

  /** Only where the open batch is without changes: what is handed out is written behind the batches sealed before it. */
  function handOut(): void {
    if (merge.changes > 0 && mutant !== 'handedOutAmongChanges') return
    for (const waiting of tickets.values()) {
      for (const ticket of waiting) {
        const { window, reached, state } = ticket
        if (window === null || reached === null || state !== 'waiting' || !window.reached(coordinate))
          continue
        ticket.state = 'handed out'
        start(
          writeChunk(
            ticket,
            window.take().map((ordinal) => reached.rows[ordinal] as Row),
            sealed,
          ),
        )
      }
    }
  }

  function* writeChunk(ticket: Ticket, rows: readonly Row[], goal: number): Steps<void> {
    const { name } = ticket.table.shape.id
    if (mutant === 'progressBeforeRows') {
      ticket.state = 'written'
      countWritten(name)
    }
    if (rows.length > 0) {
      yield () => (confirmed >= goal || mutant === 'chunkOvertakesBatch') && freeWriters.length > 0
      const slot = freeWriters.shift() as number
      const destination = destinations.get(name) as Destination
      yield* send({ kind: 'chunk', slot, work: { tables: [{ destination, removals: [], upserts: rows }] } })
      freeWriters.push(slot)
    }
    ticket.state = 'written'
    saw('chunk written')
    countWritten(name)
  }

  /** Chunks of one table are counted in key order, so that the table's progress is one key. */
  function countWritten(name: string): void {
    const waiting = tickets.get(name) ?? []
    for (let ticket = waiting[0]; ticket?.state === 'written'; ticket = waiting[0]) {
      const { after: last, done } = ticket.reached as NonNullable<Ticket['reached']>
      load.set(name, { table: name, after: last, done })
      moved = true
      waiting.shift()
    }
    if (waiting.length === 0) tickets.delete(name)
  }

  function open(table: ModelTable, behind: Ticket | null): Ticket {
    const { name } = table.shape.id
    const waiting = tickets.get(name) ?? []
    tickets.set(name, waiting)
    const ticket: Ticket = { table, window: null, reached: null, state: 'waiting' }
    waiting.splice(behind === null ? waiting.length : waiting.indexOf(behind) + 1, 0, ticket)
    return ticket
  }

  function* readChunk(first: Ticket, start: Value, upTo: Value): Steps<void> {
    const { table } = first
    let ticket = first
    let lower = start
    for (;;) {
      yield () => position.ordinal === 0 || mutant === 'windowInsideTransaction'
      const passed = position
      ticket.window = windowOf(mutant, table.shape, passed)
      yield () => source.executed >= Number(passed.token) || mutant === 'passedNotAwaited'
      const low = mutant === 'lowFromLogEnd' ? source.logged : source.executed
      yield undefined
      const found = rowsBetween(table, source.visible, lower, upTo)
      yield undefined
      const high = source.endOf(mutant === 'highFromExecuted' ? source.executed : source.logged)
      yield undefined
      const cut = settings.shortReads && found.length > 1
      const rows = cut ? found.slice(0, 1) : found
      const rest = cut ? open(table, ticket) : null
      const keys = rows.map((row) => keyOf(row, table.shape.primaryKey?.ordinals ?? []))
      ticket.window.arrive({ keys, isInLow: (id) => Number(id.slice(1)) < low, high })
      if (ticket.window.rows < rows.length) saw('row struck')
      const last = cut ? (rows[0] as Row)[0] : (upTo ?? rows.at(-1)?.[0] ?? lower)
      ticket.reached = { after: last as Value, done: rest === null && upTo === null, rows }
      handOut()
      if (rest === null) return
      ticket = rest
      lower = last as Value
    }
  }

  function rowsBetween(table: ModelTable, transactions: number, lower: Value, upper: Value): Row[] {
    const rows = source.stateAfter(transactions).get(table.shape.id.name) as ReadonlyMap<string, Row>
    const isInside = (key: string): boolean =>
      (lower === null || key > table.keyText(lower)) && (upper === null || key <= table.keyText(upper))
    return [...rows]
      .filter(([key, row]) => isInside(key) && table.inScope(row))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, row]) => row)
  }

  function* loadTables(stored: readonly ModelProgress[]): Steps<void> {
    const inFlight = (): number => [...tickets.values()].reduce((sum, waiting) => sum + waiting.length, 0)
    for (const table of tables) {
      const known = stored.find((entry) => entry.table === table.shape.id.name)
      if (known?.done === true) continue
      let lower = known?.after ?? null
      for (;;) {
        yield () => inFlight() < settings.chunksInFlight
        const upTo = rowsBetween(table, source.visible, lower, null)[settings.chunkRows - 1]?.[0] ?? null
        start(readChunk(open(table, null), lower, upTo))
        if (upTo === null) break
        lower = upTo
        yield undefined
      }
    }
    yield () => tickets.size === 0
    loading = false
  }

  // ---------------------------------------------------------------------------------------------------------- batches

  const digestOf = (net: NetChanges, { lanes, inOneLane }: BatchPlan): string =>
    planDigest(
      net.destinations.map((table) => table.destination),
      lanes,
      [],
      inOneLane,
    )

  function seal(): Sealed {
    const batch: Sealed = { from, to: position, merge, load: [...load.values()], behind: [...behind] }
    from = position
    merge = mergeOf(mutant)
    load = new Map()
    behind = new Set()
    moved = false
    sealed++
    handOut()
    return batch
  }

  function* apply(): Steps<void> {
    for (;;) {
      yield () => moved
      const next = seal()
      applying = true
      batch++
      const { behind: chunks } = next
      if (chunks.some(({ state }) => state !== 'written')) saw('batch waits for a chunk')
      yield () => chunks.every(({ state }) => state === 'written') || mutant === 'batchOvertakesChunk'
      yield* write(next)
      applying = false
      confirmed++
    }
  }

  function* write(batchToWrite: Sealed): Steps<void> {
    const net = batchToWrite.merge.net()
    const isSmall = batchToWrite.merge.rows <= settings.smallBatchRows
    const lanes = isSmall ? 1 : settings.lanes
    const plan = planOf(mutant, net, lanes, settings.smallBatchRows)
    const header: ModelHeader = {
      batch,
      from: batchToWrite.from,
      to: batchToWrite.to,
      lanes,
      phases: plan.phases,
      digest: digestOf(net, plan),
    }
    const whole = plan.work[0]?.[0] as LaneWork
    const { load: progress } = batchToWrite
    if (isSmall && mutant === 'positionBeforeData') {
      yield* send({ kind: 'bare-position', header })
      yield* send({ kind: 'bare-data', lane: 0, work: whole, load: progress })
      return
    }
    if (isSmall) {
      saw('small batch')
      yield* send({ kind: 'small', header, work: whole, load: progress })
      return
    }
    saw(plan.phases === 2 ? 'large batch of two phases' : 'large batch')
    if (plan.inOneLane.length > 0) saw('table in one lane of a large batch')
    if (mutant === 'noHeader') {
      for (const lanesOfPhase of plan.work) {
        const posted = lanesOfPhase.map((work, i) => post({ kind: 'bare-data', lane: i + 1, work, load: [] }))
        yield* answers(posted)
      }
      yield* send({ kind: 'bare-position', header })
    } else {
      yield* send({ kind: 'header', header })
      yield* runPhases(header, plan.work, [])
    }
    if (progress.length > 0) yield* send({ kind: 'load', load: progress })
  }

  function* runPhases(
    header: ModelHeader,
    work: readonly (readonly LaneWork[])[],
    confirmed: readonly number[],
  ): Steps<void> {
    for (let phase = 1; phase <= header.phases; phase++) {
      const posted: Request[] = []
      for (const [i, laneWork] of (work[phase - 1] ?? []).entries()) {
        if ((confirmed[i] ?? 0) >= phase) continue
        posted.push(post({ kind: 'lane', header, lane: i + 1, phase, work: laneWork }))
      }
      if (posted.length > 0) yield* answers(posted)
    }
  }

  // --------------------------------------------------------------------------------------------------------- recovery

  function* finish(unfinished: ModelUnfinished): Steps<void> {
    const formed = mergeOf(mutant)
    let at = unfinished.from
    while (!samePosition(at, unfinished.to)) {
      yield undefined
      const inThisTransaction = unfinished.to.token === at.token
      const most = inThisTransaction ? unfinished.to.ordinal - at.ordinal : Number.POSITIVE_INFINITY
      const slice = source.slice(at, Math.min(settings.sliceChanges, most)) as TransactionSlice
      for (const change of slice.changes) route(formed, change)
      at = after(at, slice)
    }
    const net = formed.net()
    const plan = planOf(mutant, net, unfinished.lanes, settings.smallBatchRows)
    const digest = digestOf(net, plan)
    const samePlan = digest === unfinished.digest && plan.phases === unfinished.phases
    saw(samePlan ? 'broken batch finished' : 'broken batch planned anew')
    const keepsNumber = samePlan || mutant === 'sameNumberForNewPlan' || mutant === 'oldLanesForNewPlan'
    batch = keepsNumber ? unfinished.batch : unfinished.batch + 1
    const { from: start, to, lanes } = unfinished
    const header: ModelHeader = { batch, from: start, to, lanes, phases: plan.phases, digest }
    if (!samePlan) yield* send({ kind: 'header', header })
    const skips = samePlan || mutant === 'oldLanesForNewPlan'
    yield* runPhases(
      header,
      plan.work,
      skips && mutant !== 'confirmationsIgnored' ? unfinished.confirmed : [],
    )
  }

  function* main(): Steps<void> {
    const found = (yield* send({
      kind: 'take-over',
      lanes: settings.lanes + settings.chunksInFlight,
    })) as Found
    batch = found.batch
    position = found.position ?? { token: String(source.executed), ordinal: 0 }
    if (found.position === null) yield* send({ kind: 'begin', position })
    if (found.unfinished !== null) yield* finish(found.unfinished)
    from = position
    start(consume())
    start(apply())
    start(loadTables(found.load))
  }

  start(main())

  return {
    epoch,
    get tasks() {
      return tasks
    },
    requests,
    isAlive: () => alive,
    isIdle: () =>
      alive &&
      !loading &&
      !moved &&
      !applying &&
      position.ordinal === 0 &&
      Number(position.token) === source.logged,
    kill: stop,
  }
}
