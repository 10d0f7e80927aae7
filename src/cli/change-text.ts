/** What became of a change of a pipeline, for people. */
import type { PipelineStatusAnswer } from '../api/wire.ts'
import type { Terminal } from './terminal.ts'

/** Follows `pipeline/NAME changed`. */
export function outcomeText(name: string, workflow: string | null | undefined): string {
  switch (workflow) {
    case 'started':
      return ', started'
    case 'not-wanted':
      return `, stopped: \`syncline resume\` starts it`
    case 'checking':
      return `, being checked beside the stream: see \`syncline describe pipeline ${name}\``
    case 'held-back':
      return ', held back: what streams goes on without it'
    default:
      return ''
  }
}

/** What the checks have found in a change that is held back, on stderr. */
export function tellHeldBack(terminal: Terminal, status: PipelineStatusAnswer): void {
  const refused = status.pendingChange?.refused ?? null
  if (refused === null) return
  terminal.say(`${terminal.style('red', refused.code)} ${status.name}: ${refused.message}`)
  for (const { severity, code, message, remedy } of refused.findings) {
    terminal.say(`  ${severity} ${code} ${message}`)
    terminal.say(`    ${terminal.style('cyan', 'remedy')} ${remedy}`)
  }
  const then = `then \`syncline resume ${status.name}\`; or take the change back with \`syncline tables remove\``
  terminal.say(`  ${terminal.style('cyan', 'remedy')} ${refused.remedy} ${then}`)
}
