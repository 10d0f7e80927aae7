/*
 * The process in which a benchmark's engine runs alone, so that its CPU time and memory are its own. Runs one engine after another, with the
 * settings that a pipeline file without any has. Tells its status when it changed, at most every 10 ms; ends when its parent does.
 */
import { toEngineOptions } from '../../../src/activities/engine-options.ts'
import { acceptDocument, checkEndpoint, checkPipeline } from '../../../src/config/document.ts'
import { mysqlEndpoint } from '../../../src/connectors/mysql/config.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { openMysqlTarget } from '../../../src/connectors/mysql/target.ts'
import { createEngine, type Engine } from '../../../src/streamer/engine.ts'
import type { EngineOptions } from '../../../src/streamer/options.ts'
import type { Reach } from '../servers.ts'
import type { EngineStart, FromEngine, ToEngine } from './messages.ts'

const reportEveryMs = 10

const say = (message: FromEngine): void => void process.send?.(message)

/** Without encryption, as MySQL's replica and the other peers connect here. */
const endpointOf = ({ host, port, user, password }: Reach) =>
  mysqlEndpoint.parse({ kind: 'mysql', host, port, user, password, tls: { mode: 'disabled' } })

function optionsOf(start: EngineStart): EngineOptions {
  const apiVersion = 'syncline/v1'
  const pipeline = acceptDocument(
    checkPipeline({
      apiVersion,
      kind: 'Pipeline',
      metadata: { name: start.pipeline },
      spec: {
        source: 'source',
        target: 'target',
        tables: start.schemas.map((schema) => ({ match: `${schema}.*` })),
        load: { mode: start.load },
        stream: {
          ...(start.lanes === undefined ? {} : { lanes: start.lanes }),
          ...(start.order === undefined ? {} : { order: start.order }),
        },
      },
    }),
  )
  const { host, port, user } = start.source
  const source = acceptDocument(
    checkEndpoint({
      apiVersion,
      kind: 'Endpoint',
      metadata: { name: 'source' },
      spec: { kind: 'mysql', host, port, user },
    }),
  )
  return toEngineOptions(start.pipeline, pipeline.spec, source)
}

let engine: Engine | null = null
let epoch = BigInt(Date.now())

async function run(start: EngineStart): Promise<void> {
  epoch += 100_000n
  const source = endpointOf(start.source)
  const target = endpointOf(start.target)
  const running = createEngine(
    {
      openSource: () => openMysqlSource(source),
      openTarget: () => openMysqlTarget(target),
      recheck: async () => {},
    },
    optionsOf(start),
    epoch,
    [],
  )
  engine = running
  let last = ''
  const timer = setInterval(() => {
    const status = running.status()
    const text = `${status.phase} ${status.batch} ${status.load.rows} ${status.position?.token} ${status.position?.ordinal}`
    if (text === last) return
    last = text
    say({ type: 'status', status })
  }, reportEveryMs)
  const outcome = await running.run()
  clearInterval(timer)
  engine = null
  say({ type: 'ended', outcome, statistics: running.takeStatistics(0)?.totals ?? null })
}

process.on('message', (message: ToEngine) => {
  if (message.type === 'drain') engine?.drain()
  else void run(message.start)
})
process.on('disconnect', () => process.exit(1))
say({ type: 'ready' })
