/**
 * Waits until pipelines stream, and shows how they get there.
 *
 * Goes on waiting while the API or Temporal is away: the pipelines do. Ends early when one is blocked, paused or stopped, since nothing but
 * a person changes that.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { PipelineStatusAnswer } from '../api/wire.ts'
import { asSyncError } from '../core/errors.ts'
import { tellHeldBack } from './change-text.ts'
import type { ApiClient } from './client.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { progressLine } from './progress.ts'

const intervalMs = 500
/** Off a terminal, a line for each change of state, and otherwise every so often. */
const quietMs = 10_000

export async function waitForStreaming(
  { terminal, signal }: CommandContext,
  client: ApiClient,
  names: readonly string[],
  timeoutMs: number,
): Promise<ExitCode> {
  const deadline = performance.now() + timeoutMs
  const said = new Map<string, { news: string; atMs: number }>()
  const last = new Map<string, PipelineStatusAnswer>()
  let away = false
  for (;;) {
    try {
      for (const name of names) last.set(name, await client.status(name))
      if (away) terminal.say('the API is back')
      away = false
    } catch (thrown) {
      signal.throwIfAborted()
      const error = asSyncError(thrown)
      if (error.disposition !== 'retry') throw error
      if (!away) terminal.say(`${error.code} ${error.message}; waiting for it`)
      away = true
    }
    const statuses = [...last.values()]
    if (terminal.isInteractive) terminal.draw(statuses.map((status) => progressLine(status, true)))
    else for (const status of statuses) sayAtTimes((line) => terminal.say(line), status, said)
    if (!away) {
      const heldBack = statuses.find(({ pendingChange }) => (pendingChange?.refused ?? null) !== null)
      if (heldBack !== undefined) {
        tellHeldBack(terminal, heldBack)
        return exitCodes.failure
      }
      const resting = statuses.find(
        ({ state, wanted }) => state === 'blocked' || state === 'paused' || wanted === 'stop',
      )
      if (resting !== undefined) return tellResting(terminal, resting)
      if (statuses.every(isThere)) {
        for (const status of statuses) terminal.say(progressLine(status, false))
        return exitCodes.ok
      }
    }
    if (performance.now() > deadline) {
      const missing = statuses
        .filter((status) => !isThere(status))
        .map(({ name, state }) => `${name} is ${state}`)
      terminal.say(
        `not within ${Math.round(timeoutMs / 1000)} s: ${missing.join(', ') || 'no answer from the API'}`,
      )
      terminal.say('  remedy it goes on without this command; see it with `syncline get pipelines`')
      return exitCodes.waitTimeout
    }
    await sleep(intervalMs, undefined, { signal })
  }
}

/** Between two phases there is a moment without an engine; what is waited for is one that streams. */
const isThere = ({ state, wanted, engine, pendingChange }: PipelineStatusAnswer): boolean =>
  state === 'streaming' && wanted === 'run' && engine !== null && (pendingChange ?? null) === null

function sayAtTimes(
  say: (line: string) => void,
  status: PipelineStatusAnswer,
  said: Map<string, { news: string; atMs: number }>,
): void {
  const before = said.get(status.name)
  const now = performance.now()
  // A warning counts as news, its growing number of seconds does not.
  const news = `${status.state} ${status.warnings.length}`
  if (before?.news === news && now - before.atMs < quietMs) return
  said.set(status.name, { news, atMs: now })
  say(progressLine(status, false))
}

function tellResting(terminal: CommandContext['terminal'], status: PipelineStatusAnswer): ExitCode {
  const { name, state, blocked } = status
  if (blocked === null) {
    terminal.say(`${name} is ${state}: \`syncline resume ${name}\` lets it go on`)
    return exitCodes.conflict
  }
  const { code, message, remedy, findings } = blocked
  terminal.say(`${terminal.style('red', code)} ${name}: ${message}`)
  for (const finding of findings) {
    terminal.say(`  ${finding.severity} ${finding.code} ${finding.message}`)
    terminal.say(`    ${terminal.style('cyan', 'remedy')} ${finding.remedy}`)
  }
  terminal.say(`  ${terminal.style('cyan', 'remedy')} ${remedy}`)
  return exitCodes.failure
}
