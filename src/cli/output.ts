/**
 * Data for stdout: a table for people, or one JSON or YAML document for programs. Pure.
 */
import { stringify } from 'yaml'

export const outputFormats = ['table', 'json', 'yaml'] as const
export type OutputFormat = (typeof outputFormats)[number]

/** JSON and YAML of any value. */
export const encoded = (value: unknown, format: 'json' | 'yaml'): string =>
  format === 'json' ? JSON.stringify(value, null, 2) : stringify(value, { lineWidth: 0 }).trimEnd()

/** Several documents in one YAML stream, as `apply -f` takes them. */
export const yamlDocuments = (values: readonly unknown[]): string =>
  values.map((value) => encoded(value, 'yaml')).join('\n---\n')

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('   ')
        .trimEnd(),
    )
    .join('\n')
}

export function lagText(lagMs: number): string {
  if (lagMs < 1_000) return `${Math.max(0, Math.round(lagMs))} ms`
  return durationText(lagMs)
}

/** `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h` */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** 1234567 -> 1,234,567 */
export const countText = (count: number): string => Math.round(count).toLocaleString('en-US')
