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
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { startTemporal } from '../../dev/temporal.ts'
import { startScriptedWorker } from '../contract/temporal/scripted-worker.ts'
import { scenarios } from './scenarios.ts'

const [release, ...only] = process.argv.slice(2)
if (release === undefined)
  throw new Error('which release is recorded? node test/replay/record.ts RELEASE [SCENARIO ...]')

const folder = fileURLToPath(new URL(`./histories/${release}/`, import.meta.url))
await mkdir(folder, { recursive: true })
const temporal = await startTemporal({ ui: false })
const worker = await startScriptedWorker(temporal)
try {
  for (const [name, live] of Object.entries(scenarios)) {
    if (only.length > 0 && !only.includes(name)) continue
    const pipeline = await live(worker)
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
  await worker.stop()
  await temporal.discard()
}
