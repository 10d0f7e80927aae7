/**
 * Where the command line reads and writes. stdout carries data alone; logs, progress and errors go to stderr.
 *
 * No colour and no redrawing where stderr is no terminal, or with NO_COLOR (no-color.org).
 */

import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'

export interface Terminal {
  /** One piece of data, with its line break added. */
  data(text: string): void
  /** A line for people. */
  say(text: string): void
  /** Replaces the lines that the last call drew; only on a terminal. */
  draw(lines: readonly string[]): void
  readonly isInteractive: boolean
  readonly columns: number
  style(format: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string): string
  stdin(): Promise<string>
  /** Asks yes or no. */
  confirm(question: string): Promise<boolean>
  /** Resolves when all that was written is taken, or nobody takes it any more. Never rejects. */
  flushed(): Promise<void>
}

export function createTerminal(env: NodeJS.ProcessEnv = process.env): Terminal {
  const isInteractive = process.stderr.isTTY === true && env['TERM'] !== 'dumb'
  const noColour = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== ''
  const hasColour = isInteractive && !noColour
  // `syncline get pipelines | head` closes the pipe early; that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  let drawn = 0
  const erase = (): void => {
    // CSI n A: up n lines; CSI J: erase to the end of the screen (ECMA-48).
    if (drawn > 0) process.stderr.write(`\u001b[${drawn}A\u001b[J`)
    drawn = 0
  }
  return {
    isInteractive: isInteractive && !noColour,
    get columns() {
      return process.stderr.columns ?? 100
    },
    data(line) {
      erase()
      process.stdout.write(`${line}\n`)
    },
    say(line) {
      erase()
      process.stderr.write(`${line}\n`)
    },
    draw(lines) {
      if (!isInteractive || noColour) return
      erase()
      for (const line of lines) process.stderr.write(`${line}\n`)
      drawn = lines.length
    },
    style: (format, line) => (hasColour ? styleText(format, line, { validateStream: false }) : line),
    stdin: () => text(process.stdin),
    async confirm(question) {
      const reader = createInterface({ input: process.stdin, output: process.stderr })
      try {
        return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim())
      } finally {
        reader.close()
      }
    },
    async flushed() {
      for (const stream of [process.stdout, process.stderr])
        await new Promise<void>((resolve) => {
          stream.write('', () => resolve())
        })
    },
  }
}
