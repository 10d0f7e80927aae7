/**
 * Verifications and a repair in the middle of which a process or a server dies: the verify worker (killed, frozen), the engine while it stands for
 * the snapshots, either server, the worker during a repair. Each time the report is the one that it would have been: all that was planted, nothing
 * else, under writes, and no range of keys is compared twice.
 *
 * A long way to the target makes a comparison last, and the wait for snapshots too.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { MysqlServer } from '../../dev/mysql.ts'
import { isAlive, proxyTo, startOwnMysql } from '../support/chaos-rig.ts'
import { createCase, type PipelineCase } from '../support/pipeline-case.ts'
import {
  expectPlanted,
  fillBig,
  type Planted,
  plant,
  plantedTables,
  startPlantedWrites,
} from '../support/planted.ts'
import type { Proxy } from '../support/proxy.ts'
import { sharedTemporal } from '../support/servers.ts'
import { type Proc, type Stack, startStack, waitFor } from '../support/stack.ts'
import { createVerifying, type Verifying } from '../support/verifying.ts'

const rows = 120_000
const name = 'verify-chaos'

let stack: Stack
let source: MysqlServer
let target: MysqlServer
let sourceLink: Proxy
let targetLink: Proxy
let pipeline: PipelineCase
let verifying: Verifying
let planted: Planted
let stopWrites: () => Promise<void> = async () => {}
let workers: Proc[] = []

beforeAll(async () => {
  const temporal = await sharedTemporal()
  ;[source, target, stack] = await Promise.all([
    startOwnMysql('verified source', { durable: true }),
    startOwnMysql('verified target', { durable: true }),
    startStack(temporal),
  ])
  ;[sourceLink, targetLink] = await Promise.all([proxyTo(source), proxyTo(target)])
  await stack.startWorker('control')
  await stack.startWorker('stream')
  workers = [await stack.startWorker('verify'), await stack.startWorker('verify')]
  const named = {
    source: { host: sourceLink.host, port: sourceLink.port },
    target: { host: targetLink.host, port: targetLink.port },
  }
  pipeline = await createCase(stack, { source, target, named }, name)
  verifying = await createVerifying(stack, temporal)
  await pipeline.both(...plantedTables)
  await fillBig(pipeline.source, rows)
  await pipeline.apply({ verify: { repair: { approval: 'none' }, maxDifferences: 10_000 } })
  await pipeline.reaches('streaming', 180_000)
  await pipeline.settled()
  planted = await plant(pipeline.target, rows, 12_000)
})
beforeEach(() => {
  stopWrites = startPlantedWrites(source, pipeline, rows)
})
afterEach(async (context) => {
  await stopWrites()
  sourceLink.setLatency({ upMs: 0, downMs: 0 })
  targetLink.setLatency({ upMs: 0, downMs: 0 })
  if (context.task.result?.state === 'fail') console.error(await stack.logs())
})
afterAll(async () => {
  await pipeline?.close()
  await verifying?.close()
  await stack?.stop()
  await Promise.all([sourceLink?.close(), targetLink?.close()])
  await Promise.all([source?.discard(), target?.discard()])
})

const far = (link: Proxy, ms: number): void => link.setLatency({ upMs: ms, downMs: ms })

const workflowOf = (id: string): string => `verification/${name}/${id.slice(id.lastIndexOf('-') + 1)}`

/** Compares row by row over a long way, and is somewhere in the large table. */
async function inTheMiddle(
  mode: 'row' | 'checksum',
): Promise<{ readonly id: string; readonly worker: Proc }> {
  far(targetLink, mode === 'row' ? 20 : 100)
  const id = await verifying.start([name, '--mode', mode])
  await verifying.reaches(id, rows / 6)
  const worker = await verifying.holder(workflowOf(id), workers)
  return { id, worker }
}

it('its worker is killed: another one goes on by key', { timeout: 240_000 }, async () => {
  const { id, worker } = await inTheMiddle('row')
  worker.kill('SIGKILL')
  await worker.ended()
  const before = await verifying.rowsCompared(id)
  expect(before).toBeLessThan(rows)
  far(targetLink, 0)
  workers = [...workers.filter((other) => other !== worker), await stack.startWorker('verify')]
  const shown = await verifying.ends(id)
  expectPlanted(shown, rows, planted)
  expect(shown.verification.passes).toBe(2)
})

it('its worker is frozen for 20 s and wakes up: it is not heard any more', { timeout: 240_000 }, async () => {
  const { id, worker } = await inTheMiddle('row')
  worker.kill('SIGSTOP')
  try {
    far(targetLink, 150)
    const frozenAt = performance.now()
    // What it has open at the target is its snapshots: without them it has something to tell when it wakes up.
    const [open] = await pipeline.target.query(
      'SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_is_read_only = 1',
    )
    for (const { id: thread } of open as { id: number }[])
      await pipeline.target.query(`KILL ${thread}`).catch(() => {})
    await waitFor('another worker', 60_000, async () => {
      const other = await verifying.holder(
        workflowOf(id),
        workers.filter((one) => one !== worker),
      )
      return other !== worker
    })
    const before = await verifying.rowsCompared(id)
    await waitFor(
      'progress of the other worker',
      60_000,
      async () => (await verifying.rowsCompared(id)) > before,
    )
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 20_000 - (performance.now() - frozenAt))))
  } finally {
    worker.kill('SIGCONT')
  }
  // Long enough that it would have said what it had to say.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  far(targetLink, 0)
  const shown = await verifying.ends(id)
  expectPlanted(shown, rows, planted)
  expect(shown.verification.passes).toBe(2)
})

for (const [state, link] of [
  ['held', () => sourceLink],
  ['reached', () => targetLink],
] as const) {
  it(`the engine is killed while it stands (${state}): both ends are aligned anew`, {
    timeout: 240_000,
  }, async () => {
    far(link(), 300)
    const id = await verifying.start([name])
    await verifying.alignmentIs(name, [state])
    const engine = Number((await pipeline.status()).engine?.hostPid)
    process.kill(engine, 'SIGKILL')
    far(link(), 0)
    const shown = await verifying.ends(id)
    expect(isAlive(engine)).toBe(false)
    expectPlanted(shown, rows, planted)
    // The one that was cut off is not told of as one.
    expect(shown.verification.passes).toBe(1)
  })
}

for (const side of ['source', 'target'] as const) {
  it(`the ${side} is killed and comes back: it goes on by key with new snapshots`, {
    timeout: 240_000,
  }, async () => {
    const { id } = await inTheMiddle(side === 'source' ? 'checksum' : 'row')
    const server = side === 'source' ? source : target
    await server.kill()
    const before = await verifying.rowsCompared(id)
    expect(before).toBeLessThan(rows)
    await waitFor('a word of what it waits for', 60_000, async () => {
      const { verification } = await verifying.show(id)
      return verification.state === 'waiting' && verification.trouble !== null
    })
    far(targetLink, 0)
    await server.restart()
    const shown = await verifying.ends(id)
    expectPlanted(shown, rows, planted)
    expect(shown.verification.passes).toBe(2)
    await pipeline.reconnect()
  })
}

it('the worker is killed in the middle of a repair: every row is right and on record', {
  timeout: 240_000,
}, async () => {
  const broken = await pipeline.target.query("UPDATE big SET note = 'broken too' WHERE id % 100 = 94")
  const more = (broken[0] as { changedRows: number }).changedRows
  const id = await verifying.start([name])
  const { verification, differences = [] } = await verifying.ends(id)
  const due = more + planted.different.length + planted.missing.length + planted.extra.length
  expect(verification.tally.different).toBe(more + planted.different.length)
  expect(differences).toHaveLength(due)

  const asked = await stack.cli(['verify', 'repair', id, '--no-wait', '--max-rows-per-second', '10000'])
  expect(asked, asked.stderr).toMatchObject({ code: 0 })
  await waitFor('the middle of the repair', 60_000, async () => {
    const done = (await verifying.repairOf(id))?.rows
    return done !== undefined && done.written > due / 4
  })
  const number = id.slice(id.lastIndexOf('-') + 1)
  const worker = await verifying.holder(`repair/${name}/${number}/1`, workers)
  worker.kill('SIGKILL')
  await worker.ended()
  const killedAt = await verifying.repairOf(id)
  expect(killedAt).toMatchObject({ state: 'repairing' })
  expect(killedAt?.rows.pending).toBeGreaterThan(0)

  const repair = await verifying.repairEnds(id)
  expect(repair, JSON.stringify(repair)).toMatchObject({ state: 'done' })
  expect(repair.rows).toMatchObject({
    total: due,
    pending: 0,
    removed: planted.extra.length,
    written: due - planted.extra.length,
    verifiedEqual: due,
  })
  const { repairedRows = [] } = await verifying.show(id, '--repaired', '--limit', '10000')
  expect(repairedRows).toHaveLength(due)
  for (const row of repairedRows) {
    expect(row).toMatchObject({ verified: 'equal', targetAfter: row.sourceAfter })
    expect(row.sourceBefore === null, JSON.stringify(row)).toBe(row.kind === 'only-target')
    expect(row.targetBefore === null, JSON.stringify(row)).toBe(row.kind === 'only-source')
    expect(row.targetBefore, JSON.stringify(row)).not.toEqual(row.targetAfter)
  }
  const again = await verifying.ends(await verifying.start([name]))
  expect(again.verification).toMatchObject({ state: 'done', outcome: 'equal' })
  await stopWrites()
  await pipeline.expectEqual()
})
