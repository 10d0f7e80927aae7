/**
 * A table whose rows the target refuses, in a running installation: parked under writes and kills of the engine, the others stay equal; after the
 * cause is mended it rejoins by the guide's own commands and is equal, with what was deleted meanwhile.
 */
import { readFile } from 'node:fs/promises'
import { afterEach, expect, it } from 'vitest'
import { createCase, type PipelineCase } from '../support/pipeline-case.ts'
import { sharedSource, sharedTarget, sharedTemporal } from '../support/servers.ts'
import { type Stack, startStack, waitFor } from '../support/stack.ts'

let stack: Stack | undefined
let pipeline: PipelineCase | undefined

afterEach(async (context) => {
  if (context.task.result?.state === 'fail' && stack !== undefined) console.error(await stack.logs())
  await pipeline?.close()
  await stack?.stop()
})

/** Arguments of the guide's commands, in its order; TABLE and NAME are the reader's own. */
async function guideCommands(name: string, table: string): Promise<string[][]> {
  const guide = await readFile(new URL('../../docs/guides/quarantine.md', import.meta.url), 'utf8')
  const blocks = [...guide.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)
  return blocks.flatMap((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => {
        const [program, ...words] = line.replace(/ +#.*/, '').split(' ')
        expect(program).toBe('syncline')
        return words.map((word) => ({ NAME: name, TABLE: table })[word] ?? word)
      }),
  )
}

const tables = ['t1', 't2', 't3', 't4', 't5']

it('is parked, and rejoins', { timeout: 600_000 }, async () => {
  const [source, target] = [await sharedSource(), await sharedTarget()]
  stack = await startStack(await sharedTemporal())
  await stack.startWorker('control')
  await stack.startWorker('stream')
  const c = await createCase(stack, { source, target }, 'parked-tables')
  pipeline = c
  for (const table of tables)
    await c.both(`CREATE TABLE ${table} (id INT PRIMARY KEY, code VARCHAR(20) UNIQUE, v VARCHAR(40))`)
  for (const table of tables)
    for (let id = 1; id <= 20; id++)
      await c.source.query(`INSERT INTO ${table} VALUES (${id}, 'c${id}', 'v')`)
  await c.apply({ onRefusedRow: 'quarantine' })
  await c.reaches('streaming', 120_000)
  await c.target.query('ALTER TABLE t3 MODIFY v VARCHAR(3)')
  const list = async () =>
    JSON.parse((await (stack as Stack).cli(['quarantine', 'list', c.name, '-o', 'json'])).stdout) as {
      table: string
      state: string
      code: string
    }[]

  let writes = 0
  const write = async (): Promise<void> => {
    writes++
    for (const table of tables) {
      await c.source.query(`UPDATE ${table} SET v = 'wider ${writes}' WHERE id = ${1 + (writes % 20)}`)
      await c.source.query(`DELETE FROM ${table} WHERE id = ${5 + (writes % 7)}`)
      await c.source.query(`REPLACE INTO ${table} VALUES (${100 + writes}, 'n${writes}', 'new')`)
    }
  }
  for (let kill = 0; kill < 3; kill++) {
    for (let i = 0; i < 4; i++) await write()
    // The process that is told of may be the one that was killed before.
    await waitFor('an engine to kill', 120_000, async () => {
      const pid = Number((await c.status()).engine?.hostPid ?? 0)
      try {
        return pid > 0 && process.kill(pid, 'SIGKILL')
      } catch {
        return false
      }
    })
  }
  await waitFor('a parked table', 120_000, async () => (await list()).length === 1)
  for (let i = 0; i < 4; i++) await write()
  await c.reaches('streaming', 120_000)
  await c.settled(120_000)
  const others = tables.filter((table) => table !== 't3')
  const rowsOf = async (end: 'source' | 'target', table: string) =>
    (await c[end].query(`SELECT * FROM ${table} ORDER BY id`))[0]
  for (const table of others) expect(await rowsOf('target', table)).toEqual(await rowsOf('source', table))
  expect(await list()).toMatchObject([{ table: `${c.database}.t3`, state: 'parked', code: 'SYNC-3302' }])
  const described = await stack.cli(['describe', 'pipeline', c.name])
  expect(described.stdout).toContain(`Parked, and not kept in step: ${c.database}.t3`)

  const wrong = await stack.cli(['quarantine', 'rejoin', c.name, `${c.database}.t1`])
  expect(wrong.stderr).toContain('SYNC-3305')
  await c.target.query('ALTER TABLE t3 MODIFY v VARCHAR(40)')
  const commands = await guideCommands(c.name, `${c.database}.t3`)
  expect(commands.map(([, command]) => command)).toEqual(['list', 'show', 'rejoin'])
  for (const command of commands) {
    const result = await stack.cli(command)
    expect(result, result.stderr).toMatchObject({ code: 0 })
    expect(result.stdout).toContain(`${c.database}.t3`)
  }
  await write()
  await waitFor('the table back', 120_000, async () => (await list()).length === 0)
  await waitFor('its rows', 120_000, async () => {
    const [here, there] = [await rowsOf('source', 't3'), await rowsOf('target', 't3')]
    return JSON.stringify(here) === JSON.stringify(there)
  })
  await c.expectEqual()
})
