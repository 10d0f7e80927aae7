/**
 * How an error is told on the command line: code, what is wrong and where, and what to do. One block for each mistake in a file.
 */
import { type ConfigIssue, pathText } from '../config/issue.ts'
import type { SyncError } from '../core/errors.ts'
import type { Terminal } from './terminal.ts'

export function tellError(terminal: Terminal, error: SyncError): void {
  const issues = error.details['issues'] as readonly ConfigIssue[] | undefined
  if (issues !== undefined && issues.length > 0) {
    for (const { code, file, line, column, path, message, remedy } of issues) {
      const where = file === undefined ? '' : `${file}:${line ?? 1}:${column ?? 1}`
      tell(terminal, code, [where, pathText(path)].filter((part) => part !== '').join('  '), message, remedy)
    }
    return
  }
  const errors = (error.details['errors'] ?? []) as readonly {
    path: string
    message: string
    remedy?: string
    code: string
  }[]
  const told = errors.filter(({ remedy }) => remedy !== undefined)
  for (const { code, path, message, remedy } of told)
    tell(terminal, code, path, message, remedy ?? error.remedy)
  if (told.length === 0) tell(terminal, error.code, '', error.message, error.remedy)
}

function tell(terminal: Terminal, code: string, where: string, message: string, remedy: string): void {
  const place = where === '' ? '' : `${where}: `
  terminal.say(`${terminal.style('red', code)} ${place}${message}`)
  terminal.say(`  ${terminal.style('cyan', 'remedy')} ${remedy}`)
}
