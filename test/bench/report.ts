/*
 * The results as a table for people and as JSON for programs: one array, each entry with all that is needed to judge it alone.
 */
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { ensureMysql } from '../../dev/mysql-install.ts'
import type { BenchResult } from './statistics.ts'

export type Circumstances = {
  readonly versions: Readonly<Record<string, string>>
  readonly machine: {
    readonly cores: number
    readonly model: string
    readonly memoryGiB: number
    readonly kernel: string
    /** Load average over one minute when the run began: above 0.5 the machine was not quiet. */
    readonly loadAtStart: number
  }
  readonly quick: boolean
  readonly at: string
}

export async function circumstances(quick: boolean): Promise<Circumstances> {
  const packageOf = async (path: string): Promise<string> =>
    (
      JSON.parse(await readFile(new URL(`../../${path}package.json`, import.meta.url), 'utf8')) as {
        version: string
      }
    ).version
  const mysql = await ensureMysql()
  return {
    versions: {
      syncline: await packageOf(''),
      node: process.version,
      mysql: mysql.version,
      zongji: await packageOf('node_modules/@vlasky/zongji/'),
    },
    machine: {
      cores: availableParallelism(),
      model: cpus()[0]?.model.trim() ?? 'unknown',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      loadAtStart: round(loadavg()[0] ?? 0),
    },
    quick,
    at: new Date().toISOString(),
  }
}

export const jsonText = (results: readonly BenchResult[], around: Circumstances): string =>
  `${JSON.stringify(
    results.map((result) => ({ ...result, ...around })),
    null,
    1,
  )}\n`

const headings = ['name', 'syncline', 'peer', 'unit', 'ratio', 'bar', ''] as const

export function tableText(results: readonly BenchResult[]): string {
  const lines = results.map((result) => [
    result.name,
    withSpread(result.syncline, result.spread.syncline, result.rounds.length),
    result.peer === null || result.spread.peer === null
      ? '-'
      : withSpread(result.peer, result.spread.peer, result.rounds.length),
    result.unit,
    result.peer === null ? '-' : figure(result.ratio),
    result.bar === null ? '-' : `${result.want === 'at least' ? '>=' : '<='} ${figure(result.bar)}`,
    result.holds === null ? '' : result.holds ? 'holds' : 'MISSED',
  ])
  const all = [[...headings], ...lines]
  const widths = headings.map((_, column) => Math.max(...all.map((line) => (line[column] ?? '').length)))
  return all
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const withSpread = (value: number, { min, max }: { min: number; max: number }, rounds: number): string =>
  rounds === 1 ? figure(value) : `${figure(value)} (${figure(min)} to ${figure(max)})`

/** Three digits that count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 4))
}

const round = (value: number): number => Math.round(value * 100) / 100
