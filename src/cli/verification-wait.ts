/**
 * Waits until a verification or a repair has ended, and shows how it gets there. It goes on by itself while the API is away, and without this command.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RepairAnswer, VerificationAnswer } from '../api/verification-wire.ts'
import { asSyncError } from '../core/errors.ts'
import type { ApiClient, Run } from './client.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { repairLine, verificationLine } from './verification-text.ts'

const intervalMs = 300
/** Off a terminal, a line for each change of state, and otherwise every so often. */
const quietMs = 10_000

const open: ReadonlySet<VerificationAnswer['state'] | RepairAnswer['state']> = new Set([
  'waiting',
  'running',
  'repairing',
  'verifying',
])

/** @returns how it stands: ended, or not within the time */
export const waitForVerification = (
  context: CommandContext,
  client: ApiClient,
  run: Run,
  timeoutMs: number,
): Promise<VerificationAnswer> =>
  waitFor(context, timeoutMs, async () => {
    const found = await client.verification(run)
    return { found, line: verificationLine(found), news: newsOf(found), isOpen: open.has(found.state) }
  })

/** Also ends where it waits for an approval. */
export const waitForRepair = (
  context: CommandContext,
  client: ApiClient,
  run: Run,
  timeoutMs: number,
): Promise<VerificationAnswer> =>
  waitFor(context, timeoutMs, async () => {
    const found = await client.verification(run)
    const { repair } = found
    if (repair === null) return { found, line: '', news: '', isOpen: false }
    return {
      found,
      line: repairLine(found.id, repair),
      news: newsOf(repair),
      isOpen: open.has(repair.state),
    }
  })

const newsOf = ({ state, trouble }: Pick<VerificationAnswer, 'state' | 'trouble'> | RepairAnswer): string =>
  `${state} ${trouble?.code ?? ''}`

interface Look<T> {
  readonly found: T
  readonly line: string
  readonly news: string
  readonly isOpen: boolean
}

async function waitFor<T>(
  { terminal, signal }: CommandContext,
  timeoutMs: number,
  look: () => Promise<Look<T>>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let said = { news: '', atMs: -Infinity }
  let isAway = false
  for (;;) {
    try {
      const { found, line, news, isOpen } = await look()
      if (isAway) terminal.say('the API is back')
      isAway = false
      const now = performance.now()
      if (terminal.isInteractive) terminal.draw(isOpen ? [line] : [])
      else if (isOpen && (said.news !== news || now - said.atMs >= quietMs)) {
        said = { news, atMs: now }
        terminal.say(line)
      }
      if (!isOpen || now > deadline) return found
    } catch (thrown) {
      signal.throwIfAborted()
      const error = asSyncError(thrown)
      if (error.disposition !== 'retry') throw error
      if (!isAway) terminal.say(`${error.code} ${error.message}; waiting for it`)
      isAway = true
      if (performance.now() > deadline) throw error
    }
    await sleep(intervalMs, undefined, { signal })
  }
}

/** What a script is told. */
export function exitOfVerification({ state, outcome }: VerificationAnswer): ExitCode {
  if (outcome === 'different') return exitCodes.differences
  if (state === 'waiting' || state === 'running') return exitCodes.waitTimeout
  return state === 'done' && outcome === 'equal' ? exitCodes.ok : exitCodes.failure
}

export function exitOfRepair(repair: RepairAnswer | null): ExitCode {
  if (repair === null) return exitCodes.failure
  const { state, rows } = repair
  if (state === 'awaiting-approval') return exitCodes.ok
  if (open.has(state)) return exitCodes.waitTimeout
  if (state !== 'done') return exitCodes.failure
  return rows.verifiedDifferent + rows.unsettled + rows.refused > 0 ? exitCodes.differences : exitCodes.ok
}
