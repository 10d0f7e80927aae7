/*
 * The full load of ten tables: Syncline, mydumper + myloader with 4 threads each, and mysqldump piped to mysql, one after the other into the
 * same empty target. The clock runs until the last row is committed; creating the tables is part of it where the tool does that itself
 * (for Syncline they are there, as a pipeline's preparation makes them). A dump goes to a file system as people dump: the peers' own way.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createScratch } from '../../../dev/scratch.ts'
import { peakMegabytes } from '../../support/peak-memory.ts'
import { type Bench, inTurn } from '../bench.ts'
import { startEngineProcess } from '../engine/process.ts'
import { ensureMydumper, type Mydumper } from '../peers/mydumper.ts'
import { pipeMysqldump } from '../peers/mysqldump.ts'
import { measured } from '../process-usage.ts'
import { assertEqual, type BenchServers, connect, database, startServers } from '../servers.ts'
import { mediansOf, type Round, resultOf } from '../statistics.ts'
import { oltp } from '../work/backlogs.ts'
import { fill } from '../work/workload.ts'

const threads = 4

export const load: Bench = async (context) => {
  await using servers = await startServers({ replica: false })
  await using engine = await startEngineProcess()
  const workload = oltp({ tables: 10, rowsPerTable: context.quick ? 2_000 : 200_000 })
  await fill(servers, workload)
  let mydumper: Mydumper | undefined
  try {
    mydumper = await ensureMydumper()
  } catch (error) {
    context.skip(
      'load/mydumper',
      `mydumper cannot be had here: ${error instanceof Error ? error.message : String(error)}`,
    )
  }

  const sides = new Map<string, () => Promise<void>>()
  sides.set('syncline', async () => {
    engine.start({
      pipeline: 'bench',
      source: servers.source,
      target: servers.target,
      schemas: [database],
      load: 'once',
    })
    await engine.until(({ phase }) => phase === 'catching-up' || phase === 'streaming')
  })
  if (mydumper !== undefined) {
    const tool = mydumper
    sides.set('mydumper', () => dumpAndLoad(tool, servers))
  }
  sides.set('mysqldump', () => pipeMysqldump(servers.source, servers.target, database))

  const seen: Record<string, number>[] = []
  let rows = 0
  for (let round = 0; round < context.rounds; round++) {
    const seconds: Record<string, number> = {}
    await inTurn(
      round,
      [...sides].map(([name, work]) => async () => {
        await emptyTarget(servers, name === 'syncline' ? workload.tables : [])
        const pids = { engine: engine.pid, source: servers.source.pid, target: servers.target.pid }
        const used = await measured(pids, work)
        seconds[name] = used.seconds
        seconds[`target CPU s of ${name}`] = used.cpu['target'] ?? 0
        seconds[`source CPU s of ${name}`] = used.cpu['source'] ?? 0
        if (name === 'syncline') {
          seconds['engine CPU s'] = used.cpu['engine'] ?? 0
          await engine.drain()
        }
        rows = await assertEqual(servers.source, servers.target, `What ${name} loaded`)
      }),
    )
    seen.push(seconds)
    context.say(
      `load round ${round + 1}: ${rows} rows; ${[...sides.keys()].map((name) => `${name} ${seconds[name]?.toFixed(2)} s`).join(', ')}`,
    )
  }
  const figures = mediansOf(seen)
  for (const name of sides.keys()) delete figures[name]
  const details = { ...figures, rows, 'engine peak MB': Math.round(await peakMegabytes(engine.pid)) }
  const against = (peer: string): Round[] =>
    seen.map((seconds) => ({ syncline: seconds['syncline'] ?? 0, peer: seconds[peer] ?? 0 }))
  return [...sides.keys()]
    .filter((name) => name !== 'syncline')
    .map((peer) =>
      resultOf({
        name: `load/${peer}`,
        unit: 's',
        rounds: against(peer),
        bar: peer === 'mydumper' ? 1.5 : null,
        rule: 'less is better',
        details: {
          ...details,
          ...(peer === 'mydumper' ? { 'mydumper version': mydumper?.version ?? '' } : {}),
        },
      }),
    )
}

async function emptyTarget(servers: BenchServers, tables: readonly string[]): Promise<void> {
  const target = await connect(servers.target)
  await target.query(
    `DROP DATABASE IF EXISTS ${database}; DROP DATABASE IF EXISTS syncline; CREATE DATABASE ${database}; USE ${database}; ${tables.join('; ')}`,
  )
  await target.end()
}

async function dumpAndLoad(tool: Mydumper, { source, target }: BenchServers): Promise<void> {
  const scratch = await createScratch('dump')
  const folder = join(scratch.path, 'dump')
  try {
    await mkdir(folder)
    const at = (server: { port: number }): string[] => [
      '--host=127.0.0.1',
      `--port=${server.port}`,
      '--user=root',
      `--threads=${threads}`,
    ]
    await tool.run('mydumper', [
      ...at(source),
      `--database=${database}`,
      `--outputdir=${folder}`,
      '--no-locks',
    ])
    // myloader writes no binlog unless told to; every other side writes one.
    await tool.run('myloader', [
      ...at(target),
      `--directory=${folder}`,
      '--enable-binlog',
      '--overwrite-tables',
    ])
  } finally {
    await scratch.remove()
  }
}
