/*
 * The proof: the writes stop, the target's position covers everything that the source has committed, and both sides are equal in
 * every byte of every row.
 */
import { createConnection } from 'mysql2/promise'
import { compareDatabases, inWords } from '../../test/support/compare.ts'
import { executedSet, isConfirmed } from '../../test/support/confirmed-position.ts'
import { plainServer, type ShopServer } from '../shop/fill.ts'
import type { Writers } from '../shop/writer.ts'
import type { DemoRun } from './run.ts'
import { shopDatabase } from './source-data.ts'
import { pipelineName } from './stage.ts'
import type { Watch } from './watch.ts'

const coveredWithinMs = 300_000

/** @returns whether both sides are equal; the differences are shown */
export async function proveEqual(
  run: DemoRun,
  watch: Watch,
  source: ShopServer,
  target: ShopServer,
  writers: Writers,
): Promise<boolean> {
  const stats = await writers.stop()
  if (stats.unexpected.length > 0)
    throw new Error(`The writers met an error of their own: ${stats.unexpected[0]}`)
  const stoppedAtMs = performance.now()
  const position = await waitUntilCovered(watch, source, target)
  run.screen.done(
    'Writes stopped',
    `${stats.operations.toLocaleString('en-US')} operations; the target has all of them`,
    performance.now() - stoppedAtMs,
  )
  const comparedAtMs = performance.now()
  const { equal, rows, tables, differences } = await compareDatabases(source, target, {
    databases: [shopDatabase],
  })
  const words = `${rows.toLocaleString('en-US')} rows in ${tables} tables, every byte of every column`
  if (equal) run.screen.done('Both are equal', words, performance.now() - comparedAtMs)
  else {
    run.screen.failed('They differ', words)
    for (const difference of differences) run.screen.say(`       ${inWords(difference)}`)
  }
  run.screen.more(`position ${position}`)
  return equal
}

/** @returns the source's position that the target's mark row covers */
async function waitUntilCovered(watch: Watch, source: ShopServer, target: ShopServer): Promise<string> {
  const atSource = await createConnection(plainServer(source))
  const atTarget = await createConnection(plainServer(target))
  try {
    const position = await executedSet(atSource)
    await watch.until('everything at the target', coveredWithinMs, () =>
      isConfirmed(atSource, atTarget, pipelineName, position),
    )
    return position
  } finally {
    atSource.destroy()
    atTarget.destroy()
  }
}
