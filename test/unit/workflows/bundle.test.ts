/*
 * The determinism boundary: the workflows can be bundled (the bundler refuses Node's modules), and no driver or store slips in.
 */
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker'
import { expect, it } from 'vitest'

it('bundles the workflows, and nothing but them', async () => {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../../src/workflows/registry.ts', import.meta.url)),
    logger: new DefaultLogger('ERROR'),
  })
  expect(code).toContain('pipeline')
  expect(code).not.toContain('mysql2')
  expect(code).not.toContain('node:sqlite')
  // An empty workflow is 1.6 MB with its source map: anything much larger has pulled in what does not belong.
  const megabytes = code.length / 1e6
  expect(megabytes).toBeGreaterThan(1)
  expect(megabytes).toBeLessThan(2.2)
}, 60_000)
