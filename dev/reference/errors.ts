/* docs/reference/errors.md from the catalogue in src/core/errors.ts. */
import { statusOf } from '../../src/api/problem.ts'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { catalogue, type Disposition, type ErrorCode, type ErrorScope } from '../../src/core/errors.ts'
import { generatedNote } from './markdown.ts'

const dispositions: Record<Disposition, string> = {
  retry: 'tried again by itself, without end',
  block: 'the pipeline waits for a person; `syncline resume NAME` lets it go on',
  reject: 'refused, nothing was changed',
  fenced: 'a newer owner is there; this one ends quietly',
  bug: 'a mistake of Syncline; the pipeline stands still, nothing was skipped',
}

const scopes: Record<ErrorScope, string> = {
  config: 'Files and documents',
  api: 'Requests',
  source: 'Source',
  target: 'Target',
  runtime: 'Ownership and running',
}

export function errorReference(): string {
  const parts = [
    generatedNote,
    '# Errors',
    '',
    'Every error has a code that never changes its meaning, and a remedy. What happens next is its disposition:',
    '',
    ...Object.entries(dispositions).map(([name, text]) => `- **${name}**: ${text}.`),
  ]
  for (const [scope, heading] of Object.entries(scopes)) {
    parts.push('', `## ${heading}`)
    for (const [code, spec] of Object.entries(catalogue)) {
      if (spec.scope !== scope) continue
      parts.push('', `### ${code}`, '', `**${spec.title}.** ${spec.remedy}`, '', factsOf(code as ErrorCode))
    }
  }
  return `${parts.join('\n')}\n`
}

function factsOf(code: ErrorCode): string {
  const { disposition, scope } = catalogue[code]
  const facts = [`Disposition: ${disposition}.`]
  if (scope === 'api' || scope === 'config') {
    facts.push(`HTTP status ${statusOf(code)}, exit status ${exitCodeOf(code)}.`)
  }
  return facts.join(' ')
}
