/*
 * Records the scenarios' histories from real runs into test/replay/histories/, one file for each run of a chain.
 *
 *   node test/replay/record.ts RELEASE [SCENARIO ...]       for example: node test/replay/record.ts 0.1 shards
 *
 * Run it once for each release whose workflows went to users, and keep the files of all former ones: a pipeline that was started under them may
 * run for years. A change that cannot replay them needs `patched` in the workflow, not a new recording.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { WorkflowHandle } from '@temporalio/client'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { startTemporal } from '../../dev/temporal.ts'
import { startScriptedVerifier } from '../contract/temporal/scripted-verifier.ts'
import { startScriptedWorker } from '../contract/temporal/scripted-worker.ts'
import { scenarios } from './scenarios.ts'
import { verificationScenarios } from './verification-scenarios.ts'

const [release, ...only] = process.argv.slice(2)
if (release === undefined)
  throw new Error('which release is recorded? node test/replay/record.ts RELEASE [SCENARIO ...]')

const folder = fileURLToPath(new URL(`./histories/${release}/`, import.meta.url))
await mkdir(folder, { recursive: true })
const temporal = await startTemporal({ ui: false })
const worker = await startScriptedWorker(temporal)
const verifier = await startScriptedVerifier(temporal)
await verifier.startWorker()
type Live = () => Promise<{ readonly handle: WorkflowHandle }>
const lives: readonly (readonly [string, Live])[] = [
  ...Object.entries(scenarios).map(([name, live]) => [name, () => live(worker)] as const),
  ...Object.entries(verificationScenarios).map(([name, live]) => [name, () => live(verifier)] as const),
]
try {
  for (const [name, live] of lives) {
    if (only.length > 0 && !only.includes(name)) continue
    const pipeline = await live()
    await pipeline.handle.result()
    const { workflowId } = pipeline.handle
    // Oldest run first; each tells the next one that it continued as.
    let runId: string | undefined =
      (await pipeline.handle.describe()).raw.workflowExecutionInfo?.firstRunId ?? undefined
    for (let run = 1; runId !== undefined; run++) {
      const history = await worker.client.workflow.getHandle(workflowId, runId).fetchHistory()
      const file = `${name}-${run}.json`
      // One event per line, so that people can read it and version control can show it.
      const { events } = JSON.parse(historyToJSON(history)) as { events: unknown[] }
      const lines = events.map((event) => JSON.stringify(event)).join(',\n')
      await writeFile(`${folder}${file}`, `{"events":[\n${lines}\n]}\n`)
      process.stdout.write(`${file}: ${history.events?.length ?? 0} events\n`)
      const last = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes
      runId = last?.newExecutionRunId ?? undefined
    }
  }
} finally {
  await verifier.stop()
  await worker.stop()
  await temporal.discard()
}
