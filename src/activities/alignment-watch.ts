/**
 * Brings the words of verifications to the engines of this host, and theirs back: looks into the store again and again, as limits-watch.ts does, and
 * more often while an alignment is under way.
 *
 * Guarantees: an engine is never kept waiting for the store: it stands by its own limits of time, and goes on by itself where its words are not heard.
 * When an engine begins here, whatever the one before it had told is lost first. A crash of this host leaves rows behind that nobody
 * answers: the next engine of the pipeline says that they are lost, and so does the time limit of whoever asked.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { asSyncError } from '../core/errors.ts'
import {
  type AlignmentRecord,
  type AlignmentState,
  type AlignmentWords,
  type EngineMark,
  notOver,
} from '../store/alignments.ts'
import type { Relay } from '../store/store.ts'
import type { Alignment } from '../streamer/alignment.ts'
import type { Engine } from '../streamer/engine.ts'
import type { Log } from '../telemetry/log.ts'
import { createRepairWatch } from './repair-watch.ts'

const lookIntervalMs = 500
const busyLookIntervalMs = 20
/** Whoever aligns or repairs often does so again at once: rows are settled and repaired some at a time. */
const lingerMs = 2_000

export interface AlignmentWatch {
  /** Brings the engine what is asked of it, until the returned function is called. */
  follow(mark: EngineMark, engine: Pick<Engine, 'align' | 'repair'>): () => void
}

interface Follower {
  readonly mark: EngineMark
  readonly engine: Pick<Engine, 'align' | 'repair'>
}

/** An alignment of an engine of this host. */
interface UnderWay {
  readonly alignment: Alignment
  isRunning: boolean
  isReleasing: boolean
}

export function createAlignmentWatch(relay: Relay, log: Pick<Log, 'warn'>): AlignmentWatch {
  const followers = new Set<Follower>()
  const underWay = new Map<string, UnderWay>()
  /** Words that the store has not taken yet, in order. */
  const unsaid: (() => void)[] = []
  let seenVersion = -1
  let isAway = false
  let isLooking = false
  let wake = new AbortController()
  const repairs = createRepairWatch(relay.repairs, utter)

  function say(
    id: string,
    from: readonly AlignmentState[],
    to: AlignmentState,
    words?: AlignmentWords,
  ): void {
    utter(() => void relay.alignments.move(id, from, to, words))
  }

  function utter(word: () => void): void {
    unsaid.push(word)
    attempt(speak)
  }

  const engineOf = (mark: EngineMark): Follower['engine'] | undefined =>
    [...followers].find((follower) => isSame(follower.mark, mark))?.engine

  function speak(): void {
    for (let next = unsaid[0]; next !== undefined; next = unsaid[0]) {
      next()
      unsaid.shift()
    }
  }

  function attempt(work: () => void): void {
    try {
      work()
      isAway = false
    } catch (error) {
      if (!isAway) log.warn({ error }, 'the words between verifications and engines cannot be exchanged')
      isAway = true
    }
  }

  function take({ id, holdLimitMs }: AlignmentRecord, engine: Follower['engine']): void {
    let alignment: Alignment
    try {
      alignment = engine.align({ holdMs: holdLimitMs })
    } catch (error) {
      say(id, ['asked'], 'lost', { reason: asSyncError(error).message })
      return
    }
    underWay.set(id, { alignment, isRunning: false, isReleasing: false })
    say(id, ['asked'], 'taken')
    alignment.held.then(
      (held) => say(id, ['taken'], 'held', { held }),
      () => {},
    )
    void alignment.lost.then((error) => {
      if (underWay.delete(id)) say(id, notOver, 'lost', { reason: error.message })
    })
  }

  function goOn({ id, state, runTo }: AlignmentRecord, entry: UnderWay): void {
    const { alignment } = entry
    if (state === 'run-to' && runTo !== null && !entry.isRunning) {
      entry.isRunning = true
      alignment.runTo(runTo).then(
        (reached) => say(id, ['run-to'], 'reached', { reached }),
        () => {},
      )
    }
    if (state === 'releasing' && !entry.isReleasing) {
      entry.isReleasing = true
      alignment.release().then(
        () => {
          if (underWay.delete(id)) say(id, ['releasing'], 'released')
        },
        () => {},
      )
    }
  }

  function look(): void {
    speak()
    const version = relay.dataVersion()
    if (version === seenVersion) return
    repairs.look(engineOf)
    const open = relay.alignments.open()
    for (const record of open) {
      const entry = underWay.get(record.id)
      if (entry !== undefined) goOn(record, entry)
      else if (record.state === 'asked') {
        const engine = engineOf(record)
        if (engine !== undefined) take(record, engine)
      }
    }
    for (const [id, { alignment }] of underWay) {
      if (open.some((record) => record.id === id)) continue
      // Whoever asked has given it up.
      underWay.delete(id)
      alignment.release().catch(() => {})
    }
    seenVersion = version
  }

  async function lookOn(): Promise<void> {
    if (isLooking) return
    isLooking = true
    let lingersUntilMs = 0
    while (followers.size > 0) {
      attempt(look)
      const nowMs = performance.now()
      if (underWay.size > 0 || repairs.isBusy() || unsaid.length > 0) lingersUntilMs = nowMs + lingerMs
      const ms = nowMs < lingersUntilMs ? busyLookIntervalMs : lookIntervalMs
      await delay(ms, undefined, { ref: false, signal: wake.signal }).catch(() => {})
    }
    isLooking = false
  }

  return {
    follow(mark, engine) {
      attempt(() => {
        relay.alignments.loseTaken(mark, 'another engine of the pipeline has begun')
        repairs.begin(mark)
      })
      const follower = { mark, engine }
      followers.add(follower)
      // What was asked before is looked for, whether or not anything has changed since.
      seenVersion = -1
      void lookOn()
      return () => {
        followers.delete(follower)
        if (followers.size > 0) return
        attempt(speak)
        wake.abort()
        wake = new AbortController()
      }
    },
  }
}

const isSame = (a: EngineMark, b: EngineMark): boolean =>
  a.pipeline === b.pipeline && a.incarnation === b.incarnation && a.shard === b.shard
