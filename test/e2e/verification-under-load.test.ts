/*
 * Twenty verifications, one behind the other, of a shop with columns of every kind while it is written to as hard as it goes: not one row is
 * reported that does not differ. At the end the writers stop, and both sides are compared by other means.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChaosRig, startChaos } from '../support/chaos-rig.ts'
import { sharedTemporal } from '../support/servers.ts'
import { createVerifying, type Verifying } from '../support/verifying.ts'

const runs = 20
const name = 'verify-load'

let rig: ChaosRig
let verifying: Verifying
let failed = true

beforeAll(async () => {
  rig = await startChaos({
    name,
    // About 200,000 rows.
    size: 0.42,
    ratePerSecond: 300,
    watched: false,
    spec: { load: { chunkRows: 10_000, chunksInFlight: 4 }, stream: {} },
  })
  await rig.stack.startWorker('verify')
  verifying = await createVerifying(rig.stack, await sharedTemporal())
  await rig.shop.waitForState('streaming', 240_000)
})
afterAll(async () => {
  await verifying?.close()
  await rig?.close(failed)
})

it(`${runs} verifications under heavy writes report no false difference`, { timeout: 600_000 }, async () => {
  const others: Readonly<Record<number, string>> = { 6: 'count', 13: 'row' }
  let passes = 0
  for (let run = 0; run < runs; run++) {
    const { verification, tables } = await verifying.run([name, '--mode', others[run] ?? 'checksum'])
    expect(verification, JSON.stringify(tables)).toMatchObject({
      state: 'done',
      outcome: 'equal',
      tally: { different: 0, onlySource: 0, onlyTarget: 0, unsettled: 0 },
      tables: { notCompared: 0 },
    })
    expect(verification.tally.rowsCompared).toBeGreaterThan(200_000)
    passes += verification.passes
  }
  expect(passes).toBeGreaterThanOrEqual(runs)
  await rig.finish()
  failed = false
})
