/*
 * The bundle is made once and found again; the file's name changes with the sources, so it is never stale.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ensureWorkflowBundle } from '../../../src/worker/workflow-bundle.ts'

it('is made once for each state of the sources', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-bundle-'))
  try {
    const file = await ensureWorkflowBundle(folder)
    const { mtimeMs, size } = await stat(file)
    expect(size).toBeGreaterThan(1e6)
    expect(await ensureWorkflowBundle(folder)).toBe(file)
    expect((await stat(file)).mtimeMs).toBe(mtimeMs)
    expect(await readdir(join(folder, 'workflow-bundles'))).toHaveLength(1)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 60_000)
