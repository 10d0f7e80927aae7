/**
 * Times of a schedule as people write them: the five fields of cron, or a word. Pure; Temporal reads the same text by the same rules.
 */

const words = new Set(['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually'])
const everyText = /^@every (\d+)(s|m|h|d)$/
const secondsOf = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

interface Field {
  readonly name: string
  readonly least: number
  readonly most: number
  readonly names: readonly string[]
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const fields: readonly Field[] = [
  { name: 'minute', least: 0, most: 59, names: [] },
  { name: 'hour', least: 0, most: 23, names: [] },
  { name: 'day of month', least: 1, most: 31, names: [] },
  { name: 'month', least: 1, most: 12, names: ['', ...months] },
  { name: 'day of week', least: 0, most: 7, names: days },
]

/** What is wrong with it, or null. */
export function cronMistake(text: string): string | null {
  if (words.has(text)) return null
  if (text.startsWith('@')) {
    const [, amount, unit] = everyText.exec(text) ?? []
    if (amount === undefined || unit === undefined)
      return 'expected @hourly, @daily, @weekly, @monthly or @every with a duration, as @every 6h'
    const seconds = Number(amount) * secondsOf[unit as keyof typeof secondsOf]
    return seconds >= 10 && seconds <= 366 * 86_400 ? null : 'must be between 10s and 366d'
  }
  const parts = text.trim().split(/\s+/)
  if (parts.length !== fields.length)
    return 'expected five fields: minute, hour, day of month, month, day of week'
  for (const [index, part] of parts.entries()) {
    const field = fields[index] as Field
    if (!part.split(',').every((item) => fits(item, field)))
      return `${part} is no ${field.name} of cron: ${field.least} to ${field.most}, *, a-b, */n and lists of them`
  }
  return null
}

function fits(item: string, field: Field): boolean {
  const [range = '', step, ...more] = item.split('/')
  if (more.length > 0 || (step !== undefined && !(/^\d{1,2}$/.test(step) && Number(step) > 0))) return false
  if (range === '*') return true
  const [from = '', to, ...rest] = range.split('-')
  const first = numberOf(from, field)
  const last = to === undefined ? first : numberOf(to, field)
  return rest.length === 0 && first !== null && last !== null && first <= last
}

function numberOf(text: string, { least, most, names }: Field): number | null {
  const named = text === '' ? -1 : names.indexOf(text.toLowerCase())
  const number = named >= 0 ? named : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN
  return number >= least && number <= most ? number : null
}
