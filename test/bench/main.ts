/*
 * `npm run bench`: Syncline beside its peers, in one run on the same servers, with every result compared with the source. Prints a table,
 * writes JSON with `--json FILE`. Exit status 1 when a result is wrong or a benchmark cannot run to its end; a bar that is missed is a
 * finding, not a failure. Starts its own servers, one set at a time, and ends them.
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Bench, BenchContext } from './bench.ts'
import { catchupHot, catchupInsert, catchupOltp, globalOrder } from './benches/catchup.ts'
import { decode } from './benches/decode.ts'
import { idle } from './benches/idle.ts'
import { latency } from './benches/latency.ts'
import { load } from './benches/load.ts'
import { memory } from './benches/memory.ts'
import { scale } from './benches/scale.ts'
import { verify } from './benches/verify.ts'
import { wan } from './benches/wan.ts'
import { circumstances, figure, jsonText, tableText } from './report.ts'
import type { BenchResult } from './statistics.ts'

const benches: Readonly<Record<string, Bench>> = {
  decode,
  'catchup-oltp': catchupOltp,
  'catchup-hot': catchupHot,
  'catchup-insert': catchupInsert,
  'global-order': globalOrder,
  latency,
  memory,
  load,
  verify,
  scale,
  wan,
  idle,
}

const usage = `npm run bench -- [NAME ...] [options]
  NAME         ${Object.keys(benches).join(', ')} (default: all)
  --quick      small amounts and one round: under a minute each, the same checks
  --rounds N   rounds of each (3; with --quick 1)
  --json FILE  writes the results there`

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const unknown = positionals.filter((name) => !Object.hasOwn(benches, name))
const rounds = Number(given.rounds ?? (given.quick ? 1 : 3))
if (given.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  if (unknown.length > 0) console.error(`There is no benchmark named ${unknown.join(', ')}.`)
  console.log(usage)
  process.exit(given.help ? 0 : 2)
}

const names = positionals.length === 0 ? Object.keys(benches) : positionals
const skipped: string[] = []
const context: BenchContext = {
  quick: given.quick,
  rounds,
  say: (line) => console.error(line),
  skip: (name, why) => skipped.push(`${name}: ${why}`),
}
const around = await circumstances(given.quick)
const results: BenchResult[] = []
const failures: string[] = []
for (const name of names) {
  const startedAt = performance.now()
  try {
    const found = await (benches[name] as Bench)(context)
    results.push(...found)
  } catch (error) {
    failures.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
  context.say(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s in all`)
}

const { machine, versions } = around
console.log(
  `\n${machine.cores} cores (${machine.model}), ${machine.memoryGiB} GiB, load ${machine.loadAtStart} at the start; ${Object.entries(
    versions,
  )
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}${given.quick ? '; QUICK: small amounts, figures say little' : ''}\n`,
)
console.log(tableText(results))
for (const { name, details } of results) {
  const parts = Object.entries(details).map(
    ([what, value]) => `${what} ${typeof value === 'number' ? figure(value) : value}`,
  )
  if (parts.length > 0) console.log(`${name}: ${parts.join(', ')}`)
}
for (const line of skipped) console.log(`skipped ${line}`)
for (const line of failures) console.error(`FAILED ${line}`)
if (given.json !== undefined) await writeFile(given.json, jsonText(results, around))
process.exitCode = failures.length === 0 ? 0 : 1
