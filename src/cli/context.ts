/**
 * What every command has at hand: the terminal, the options, and the signal that Ctrl-C gives.
 */
import { hostname } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { durationMs } from '../config/quantity.ts'
import { type ApiClient, createApiClient } from './client.ts'
import type { ExitCode } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import type { Terminal } from './terminal.ts'

export interface CommandContext {
  readonly terminal: Terminal
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Sets the exit status; without it a command that ends is `ok`. */
  exit(code: ExitCode): void
}

export interface GlobalOptions {
  readonly server: string
  readonly as?: string
  readonly output: OutputFormat
  readonly temporal: string
  readonly namespace: string
  readonly store: string
  readonly dataDir: string
  readonly prefix?: string
}

export const optionsOf = <T extends object>(command: Command): T & GlobalOptions =>
  command.optsWithGlobals<T & GlobalOptions>()

export function clientOf(context: CommandContext, command: Command): ApiClient {
  const { server, as } = optionsOf(command)
  return createApiClient(server, as ?? `anonymous@${hostname()}`, context.signal)
}

/** A duration option, in milliseconds. */
export function parseDuration(text: string): number {
  try {
    return durationMs(text)
  } catch {
    throw new InvalidArgumentError('Expected a duration with a unit, like 500ms, 30s or 10m.')
  }
}
