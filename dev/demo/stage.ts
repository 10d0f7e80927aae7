/*
 * Sets the stage: two MySQL servers (the source filled), Temporal, Syncline's processes, and the pipeline, applied by the command line.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMap, parseAllDocuments } from 'yaml'
import { type MysqlServer, startMysql } from '../mysql.ts'
import { freePort } from '../ports.ts'
import { createScratch } from '../scratch.ts'
import { startTemporal, type TemporalServer } from '../temporal.ts'
import { siteServerIds } from '../versions.ts'
import { createAccount, sourceGrants, targetGrants } from './accounts.ts'
import type { DemoRun } from './run.ts'
import { runSyncline, type Service, startService, syncline } from './services.ts'
import { placeShopData, shopDatabase } from './source-data.ts'

export const pipelineName = 'shop'
const pipelinePath = 'dev/demo/pipeline.yaml'

export type Servers = {
  readonly source: MysqlServer
  readonly target: MysqlServer
  readonly temporal: TemporalServer
}

export async function startServers(run: DemoRun): Promise<Servers> {
  const { screen } = run
  const startedAtMs = performance.now()
  const scratch = await createScratch('demo')
  run.atEnd(() => scratch.remove())
  const say = (text: string): void => screen.live(text.trim())
  const dir = (name: string): string => join(scratch.path, name)
  screen.live('preparing the servers ...')
  const { made } = await placeShopData(dir('source'), run.size, say)
  screen.live('starting two MySQL servers and Temporal ...')
  const mysql = async (site: 'source' | 'target'): Promise<MysqlServer> => {
    const server = await startMysql({
      dir: dir(site),
      name: `MySQL ${site}`,
      serverId: siteServerIds[site],
      say,
    })
    run.atEnd(() => run.keepLog(server.logFile, `mysql-${site}`).then(() => server.kill()))
    return server
  }
  const temporalServer = async (): Promise<TemporalServer> => {
    const server = await startTemporal({ dir: dir('temporal'), say })
    run.atEnd(() => run.keepLog(server.logFile, 'temporal').then(() => server.kill()))
    return server
  }
  const [source, target, temporal] = await Promise.all([mysql('source'), mysql('target'), temporalServer()])
  screen.live('')
  screen.done(
    'Servers',
    `MySQL ${source.version} on ports ${source.port} (source) and ${target.port} (target), Temporal on ${temporal.address}`,
    performance.now() - startedAtMs,
  )
  run.screen.more(
    made
      ? 'the source was filled now; the next start copies it'
      : 'the source is a copy of the one that an earlier start filled',
  )
  return { source, target, temporal }
}

export type Syncline = {
  /** URL. */
  readonly api: string
  readonly streamWorker: Service
  /** Runs a command of `syncline` to its end, whatever its exit status is. */
  readonly cli: (args: readonly string[]) => ReturnType<typeof runSyncline>
}

/** Starts the API server and the workers, and applies the pipeline. */
export async function startSyncline(run: DemoRun, { source, target, temporal }: Servers): Promise<Syncline> {
  const startedAtMs = performance.now()
  const home = await createScratch('demo-home')
  run.atEnd(() => home.remove())
  const port = await freePort()
  const api = `http://127.0.0.1:${port}`
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SYNCLINE_SERVER: api,
    SYNCLINE_ACTOR: 'demo',
    SYNCLINE_TEMPORAL: temporal.address,
    SYNCLINE_NAMESPACE: temporal.namespace,
    SYNCLINE_STORE: join(home.path, 'store.db'),
    SYNCLINE_DATA_DIR: home.path,
  }
  // Only stream and verify workers open connections to the databases, so only they are given the passwords.
  const withPasswords: NodeJS.ProcessEnv = {
    ...env,
    SHOP_SOURCE_PASSWORD: await createAccount(source, sourceGrants(shopDatabase)),
    SHOP_TARGET_PASSWORD: await createAccount(target, targetGrants(shopDatabase)),
  }
  const start = async (options: Omit<Parameters<typeof startService>[0], 'logDir'>): Promise<Service> => {
    const service = await startService({ ...options, logDir: run.logDir })
    run.atEnd(() => service.stop())
    return service
  }
  const [streamWorker] = await Promise.all([
    start({ name: 'stream-worker', args: ['worker', '--role', 'stream'], env: withPasswords }),
    start({ name: 'control-worker', args: ['worker', '--role', 'control'], env }),
    start({ name: 'verify-worker', args: ['worker', '--role', 'verify'], env: withPasswords }),
    start({
      name: 'api-server',
      args: ['server', '--listen', `127.0.0.1:${port}`],
      env,
      ready: async () => (await fetch(`${api}/readyz`)).ok,
    }),
  ])
  run.screen.done(
    'Syncline',
    `API on ${api}, a control worker, a stream worker, a verify worker`,
    performance.now() - startedAtMs,
  )

  const appliedAtMs = performance.now()
  const said = await syncline(['apply', '-f', await pipelineFile(run, home.path, source, target)], env)
  run.screen.done('syncline apply', `-f ${pipelinePath}`, performance.now() - appliedAtMs)
  for (const line of said.trim().split('\n')) run.screen.more(line)
  return { api, streamWorker, cli: (args) => runSyncline(args, env) }
}

/** The file of the repository, with the ports that are free on this machine today. */
async function pipelineFile(
  run: DemoRun,
  dir: string,
  source: MysqlServer,
  target: MysqlServer,
): Promise<string> {
  const documents = parseAllDocuments(await readFile(join(import.meta.dirname, 'pipeline.yaml'), 'utf8'))
  if ('empty' in documents) throw new Error(`${pipelinePath} is empty`)
  for (const document of documents) {
    if (!isMap(document.contents)) throw new Error(`${pipelinePath} holds something else than documents`)
    const name = document.getIn(['metadata', 'name'])
    if (name === 'shop-source') document.setIn(['spec', 'port'], source.port)
    if (name === 'shop-target') document.setIn(['spec', 'port'], target.port)
    if (name === pipelineName && run.isSmall) {
      // Small chunks, one at a time: even a small load lasts long enough to be killed in the middle.
      document.setIn(['spec', 'load', 'chunkRows'], 200)
      document.setIn(['spec', 'load', 'chunksInFlight'], 1)
    }
  }
  const file = join(dir, 'pipeline.yaml')
  await writeFile(file, documents.map(String).join(''))
  return file
}
