/*
 * The control activities on a real store: numbers only grow, an entry that is sent twice is recorded once, and errors cross with their code.
 */
import { ApplicationFailure } from '@temporalio/common'
import { expect, it } from 'vitest'
import { createControlActivities } from '../../../src/activities/control.ts'
import { SyncError } from '../../../src/core/errors.ts'
import { openStore } from '../../../src/store/store.ts'

it('claims numbers that only grow, for each pipeline', async () => {
  const control = createControlActivities({ store: openStore(':memory:') })
  const claims = [await control.claimGeneration('a'), await control.claimGeneration('a')]
  expect(claims[1]).toBeGreaterThan(claims[0] ?? Infinity)
  expect(await control.claimGeneration('b')).toBe(claims[0])
})

it('records a state once, however often Temporal sends it', async () => {
  const store = openStore(':memory:')
  const control = createControlActivities({ store })
  const entry = { pipeline: 'a', state: 'paused', detail: 'paused', actor: 'ann', key: 'run/7' }
  await control.recordState(entry)
  await control.recordState(entry)
  await control.recordState({ ...entry, state: 'stopped', key: 'run/8' })
  expect(
    store.audit.list().map(({ actor, action, name, detail }) => ({ actor, action, name, detail })),
  ).toEqual([
    { actor: 'ann', action: 'state', name: 'a', detail: { state: 'stopped', detail: 'paused' } },
    { actor: 'ann', action: 'state', name: 'a', detail: { state: 'paused', detail: 'paused' } },
  ])
})

it('fails with the code and the remedy, to be tried again, while the store is away', async () => {
  const broken = (): never => {
    throw new SyncError('SYNC-4004', 'the file is gone', { remedy: 'bring it back' })
  }
  const control = createControlActivities({
    store: { pipelines: { claimGeneration: broken }, audit: { append: broken } },
  })
  const failure: unknown = await control.claimGeneration('a').catch((error: unknown) => error)
  if (!(failure instanceof ApplicationFailure)) throw new Error(String(failure))
  expect(failure).toMatchObject({
    type: 'SYNC-4004',
    nonRetryable: false,
    details: [{ remedy: 'bring it back' }],
  })
})
