/**
 * The model's target: a server with tables, mark rows and load progress, and what it is asked to do. It also watches: whatever the data path
 * promises is checked here at every commit, and a broken promise throws a `Violation`.
 *
 * A request is sent, begins (its first statement takes the lock of its slot's mark row and looks at the epoch), and commits. Between
 * these steps anything may happen: its engine may die, another may take over. What a dead engine has sent may run later, or never.
 */
import type { LaneWork } from '../plan.ts'
import type { Position } from '../position.ts'
import { type Row, rowsEqual, type Value } from '../value.ts'
import { type Mutant, removalsFirst } from './mutants.ts'
import type { ModelSource } from './source.ts'
import { emptyState, type State, tableNamed, tables } from './tables.ts'

export class Violation extends Error {
  override readonly name = 'Violation'
}

export interface ModelHeader {
  readonly batch: number
  readonly from: Position
  readonly to: Position
  readonly lanes: number
  readonly phases: number
  readonly digest: string
}

export interface ModelProgress {
  readonly table: string
  readonly after: Value
  readonly done: boolean
}

export interface ModelUnfinished extends ModelHeader {
  readonly confirmed: readonly number[]
}

/** What a takeover finds. */
export interface Found {
  readonly position: Position | null
  readonly batch: number
  readonly unfinished: ModelUnfinished | null
  readonly load: readonly ModelProgress[]
}

export type Body =
  | { readonly kind: 'take-over'; readonly lanes: number }
  | { readonly kind: 'begin'; readonly position: Position }
  | {
      readonly kind: 'small'
      readonly header: ModelHeader
      readonly work: LaneWork
      readonly load: readonly ModelProgress[]
    }
  | { readonly kind: 'header'; readonly header: ModelHeader }
  | {
      readonly kind: 'lane'
      readonly header: ModelHeader
      readonly lane: number
      readonly phase: number
      readonly work: LaneWork
    }
  | { readonly kind: 'load'; readonly load: readonly ModelProgress[] }
  /** Rows of a chunk, in the slot of a writer behind those of the lanes. */
  | { readonly kind: 'chunk'; readonly slot: number; readonly work: LaneWork }
  /** Only mutants send these: data without a mark, and a position without data. */
  | {
      readonly kind: 'bare-data'
      readonly lane: number
      readonly work: LaneWork
      readonly load: readonly ModelProgress[]
    }
  | { readonly kind: 'bare-position'; readonly header: ModelHeader }

export interface Request {
  readonly epoch: number
  readonly body: Body
  state: 'sent' | 'begun' | 'answered' | 'gone'
  answer: 'done' | 'fenced' | Found | null
}

interface Mark {
  epoch: number
  batch: number
  part: number
}

export interface ModelTarget {
  send(epoch: number, body: Body): Request
  /** Requests that can move on by one step. */
  movable(): readonly Request[]
  move(request: Request): void
  /** The request never reaches the server, or is rolled back with its lost connection. */
  drop(request: Request): void
  /** Throws unless the tables hold exactly the source's rows in scope. */
  assertWhole(state: State): void
}

export function createModelTarget(source: ModelSource, mutant: Mutant | null): ModelTarget {
  const state = emptyState()
  const marks = new Map<number, Mark>()
  const load = new Map<string, ModelProgress>()
  let header: ModelHeader | null = null
  let requests: Request[] = []
  const locks = new Map<number, Request>()
  // What no server keeps: the watcher's own notes.
  const newestVersions = new Map<string, number>()
  const written = new Set<string>()
  let newestEpoch = 0

  const slotOf = (body: Body): number => {
    if (body.kind === 'chunk') return body.slot
    return body.kind === 'lane' || body.kind === 'bare-data' ? body.lane : 0
  }
  const markOf = (slot: number): Mark => {
    let mark = marks.get(slot)
    if (mark === undefined) {
      mark = { epoch: 0, batch: 0, part: 0 }
      marks.set(slot, mark)
    }
    return mark
  }

  function isComplete(of: ModelHeader): boolean {
    for (let lane = 1; lane <= of.lanes; lane++) {
      const mark = markOf(lane)
      if (mark.batch !== of.batch || mark.part !== of.phases) return false
    }
    return true
  }

  function takeOver(request: Request, lanes: number): void {
    for (let slot = 0; slot <= Math.max(lanes, header?.lanes ?? 0); slot++) markOf(slot)
    for (const mark of marks.values()) {
      if (mark.epoch > request.epoch) {
        answer(request, 'fenced')
        return
      }
    }
    if (mutant !== 'noFence') for (const mark of marks.values()) mark.epoch = request.epoch
    newestEpoch = Math.max(newestEpoch, request.epoch)
    const unfinished = header === null || isComplete(header) ? null : header
    answer(request, {
      position: header?.to ?? null,
      batch: header?.batch ?? 0,
      unfinished: unfinished === null ? null : { ...unfinished, confirmed: confirmedOf(unfinished) },
      load: [...load.values()],
    })
  }

  const confirmedOf = (of: ModelHeader): number[] =>
    Array.from({ length: of.lanes }, (_, i) => {
      const mark = markOf(i + 1)
      return mark.batch === of.batch ? mark.part : 0
    })

  function answer(request: Request, given: NonNullable<Request['answer']>): void {
    request.answer = given
    request.state = 'answered'
    requests = requests.filter((other) => other !== request)
  }

  /** The first statement: UPDATE of the slot's mark row under our epoch. */
  function begin(request: Request): void {
    const { body, epoch } = request
    if (body.kind === 'take-over') {
      takeOver(request, body.lanes)
      return
    }
    const slot = slotOf(body)
    const mark = markOf(slot)
    if (mutant !== 'noFence' && mark.epoch !== epoch) {
      answer(request, 'fenced')
      return
    }
    locks.set(slot, request)
    request.state = 'begun'
  }

  function commit(request: Request): void {
    const { body, epoch } = request
    // For the mutants without a fence the harm itself has to show, not only the breach.
    if (mutant === null && epoch < newestEpoch)
      throw new Violation(`epoch ${epoch} wrote after ${newestEpoch} had taken over`)
    const mark = markOf(slotOf(body))
    switch (body.kind) {
      case 'take-over':
        break
      case 'begin':
        header ??= { batch: 0, from: body.position, to: body.position, lanes: 0, phases: 0, digest: '' }
        break
      case 'small':
        once(`small ${body.header.batch}`)
        write(body.work)
        header = { ...body.header, lanes: 0 }
        store(body.load)
        break
      case 'header':
        header = body.header
        break
      case 'lane':
        once(`batch ${body.header.batch}, lane ${body.lane}, phase ${body.phase}`)
        write(body.work)
        mark.batch = body.header.batch
        mark.part = body.phase
        break
      case 'load':
        store(body.load)
        break
      case 'chunk':
        write(body.work)
        break
      case 'bare-data':
        write(body.work)
        store(body.load)
        break
      case 'bare-position':
        header = { ...body.header, lanes: 0 }
        break
    }
    locks.delete(slotOf(body))
    answer(request, 'done')
    if (header !== null && isComplete(header)) assertSubset(source.stateAt(header.to))
  }

  function once(what: string): void {
    if (written.has(what)) throw new Violation(`${what} was written twice`)
    written.add(what)
  }

  function store(progress: readonly ModelProgress[]): void {
    for (const entry of progress) load.set(entry.table, entry)
  }

  function write(work: LaneWork): void {
    const steps = [removeAll, upsertAll]
    if (!removalsFirst(mutant)) steps.reverse()
    for (const step of steps) step(work)
  }

  function removeAll({ tables: works }: LaneWork): void {
    for (const { destination, removals } of works) {
      const { keyText } = tableNamed(destination.id.name)
      for (const [key] of removals) state.get(destination.id.name)?.delete(keyText(key as Value))
    }
  }

  function upsertAll({ tables: works }: LaneWork): void {
    for (const { destination, upserts } of works) for (const row of upserts) upsert(destination.id.name, row)
  }

  function upsert(name: string, row: Row): void {
    const table = tableNamed(name)
    const rows = state.get(name) as Map<string, Row>
    const keyText = table.keyText(row[0] as Value)
    const uniqueTexts = table.uniqueTexts(row)
    for (const [present, other] of rows) {
      if (present === keyText) {
        if (other[0] !== row[0])
          throw new Violation(`${name}: ${shown(row)} was written over ${shown(other)}`)
        continue
      }
      const theirs = table.uniqueTexts(other)
      if (uniqueTexts.some((text, i) => text !== null && text === theirs[i])) {
        throw new Violation(`${name}: ${shown(row)} collides with ${shown(other)}`)
      }
    }
    if (table.version !== null) {
      const version = Number(row[table.version])
      const newest = newestVersions.get(`${name}/${keyText}`) ?? 0
      if (version < newest) throw new Violation(`${name}: ${shown(row)} was written after version ${newest}`)
      newestVersions.set(`${name}/${keyText}`, version)
    }
    rows.set(keyText, row)
  }

  /** Section 1 of the data path: every row equals the source's, and what the load claims to have brought is there. */
  function assertSubset(expected: State): void {
    for (const table of tables) {
      const { name } = table.shape.id
      const rows = state.get(name) as ReadonlyMap<string, Row>
      const wanted = expected.get(name) as ReadonlyMap<string, Row>
      for (const [key, row] of rows) {
        const theirs = wanted.get(key)
        if (theirs === undefined || !table.inScope(theirs) || !rowsEqual(row, theirs)) {
          throw new Violation(`${name}: has ${shown(row)}, the source has ${shown(theirs)}`)
        }
      }
      const progress = load.get(name)
      if (progress === undefined) continue
      const loadedTo = table.keyText(progress.after)
      for (const [key, row] of wanted) {
        if (!table.inScope(row) || rows.has(key)) continue
        if (progress.done || (progress.after !== null && key <= loadedTo)) {
          throw new Violation(`${name}: lacks ${shown(row)}, though loaded up to ${shown([progress.after])}`)
        }
      }
    }
  }

  return {
    send(epoch, body) {
      const request: Request = { epoch, body, state: 'sent', answer: null }
      requests.push(request)
      return request
    },
    movable: () =>
      requests.filter((request) => {
        if (request.state === 'begun') return true
        if (request.body.kind === 'take-over') return locks.size === 0 || mutant === 'takeoverDoesNotWait'
        return !locks.has(slotOf(request.body))
      }),
    move(request) {
      if (request.state === 'sent') begin(request)
      else commit(request)
    },
    drop(request) {
      if (request.state === 'begun') locks.delete(slotOf(request.body))
      request.state = 'gone'
      requests = requests.filter((other) => other !== request)
    },
    assertWhole(expected) {
      assertSubset(expected)
      for (const table of tables) {
        const { name } = table.shape.id
        for (const [key, row] of expected.get(name) ?? []) {
          if (table.inScope(row) && state.get(name)?.has(key) !== true) {
            throw new Violation(`${name}: lacks ${shown(row)} at the end`)
          }
        }
      }
    },
  }
}

const shown = (row: Row | undefined): string =>
  row === undefined ? 'no such row' : `(${row.map((value) => String(value)).join(', ')})`
