/* docs/reference/cli.md from the commands themselves. */
import type { Command, Option } from 'commander'
import { exitCodes, exitMeanings } from '../../src/cli/exit-codes.ts'
import { generatedNote, markdownTable } from './markdown.ts'

export function cliReference(program: Command): string {
  const parts = [
    generatedNote,
    '# Command line',
    '',
    'stdout carries data alone; progress, logs and errors go to stderr. Bars and colours appear on a terminal only, and not with `NO_COLOR`.',
    'Every error tells its code, what is wrong and where, and a remedy. An option given counts more than its environment variable.',
    '',
    '## Options of every command',
    '',
    optionTable(program),
  ]
  for (const command of program.commands) {
    const usage = `syncline ${command.name()} ${command.usage()}`
      .replace('[options]', '')
      .replaceAll(/ +/g, ' ')
      .trim()
    parts.push('', `## ${command.name()}`, '', '```', usage, '```', '', command.description())
    const given = command.registeredArguments.map((argument) => [
      `\`${argument.name()}\``,
      `${argument.description}${argument.argChoices === undefined ? '' : `: ${argument.argChoices.join(', ')}`}`,
    ])
    if (given.length > 0) parts.push('', markdownTable(['Argument', 'Meaning'], given))
    if (command.options.length > 0) parts.push('', optionTable(command))
  }
  const statuses = (Object.keys(exitCodes) as (keyof typeof exitCodes)[]).map((name) => [
    String(exitCodes[name]),
    exitMeanings[name],
  ])
  parts.push('', '## Exit status', '', markdownTable(['Status', 'Meaning'], statuses))
  return `${parts.join('\n')}\n`
}

const optionTable = (command: Command): string =>
  markdownTable(
    ['Option', 'Meaning', 'Default', 'Environment'],
    command.options.map((option) => [
      `\`${option.flags}\``,
      `${option.description}${option.argChoices === undefined ? '' : ` (${option.argChoices.join(', ')})`}`,
      defaultOf(option),
      option.envVar === undefined ? '' : `\`${option.envVar}\``,
    ]),
  )

function defaultOf({ defaultValue, defaultValueDescription, mandatory }: Option): string {
  if (mandatory && defaultValue === undefined) return 'required'
  if (defaultValue === undefined) return ''
  return `\`${defaultValueDescription ?? String(defaultValue)}\``
}
