/**
 * Files that are wrong and servers that are away, at the command line: code, place, what is wrong and what to do on stderr, the stated exit
 * status, and nothing changed.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { freePort } from '../../dev/ports.ts'
import { useInstallation } from '../support/installation.ts'
import { startStack, waitFor } from '../support/stack.ts'

const here = useInstallation({ streamWorkers: 0 })
let files = 0

async function fileOf(text: string): Promise<string> {
  const file = join(here.stack.dir, `bad-${++files}.yaml`)
  await writeFile(file, text)
  return file
}

const endpoint = (
  name: string,
  spec = '  kind: mysql\n  host: 127.0.0.1\n  user: root',
) => `apiVersion: syncline/v1
kind: Endpoint
metadata:
  name: ${name}
spec:
${spec}
`
const pipeline = (spec: string) => `apiVersion: syncline/v1
kind: Pipeline
metadata:
  name: bad
spec:
  source: bad-a
  target: bad-b
${spec}
`

it.each([
  {
    what: 'not YAML',
    text: 'kind: Pipeline\nmetadata: [unclosed\nspec: {\n',
    code: 'SYNC-1001',
    at: /:\d+:\d+/,
    says: /remedy Mend the file at the line and column shown/,
  },
  {
    what: 'tabs instead of spaces',
    text: 'kind: Endpoint\nmetadata:\n\tname: x\n',
    code: 'SYNC-1001',
    at: /:3:1/,
    says: /tab/i,
  },
  {
    what: 'an unknown key',
    text: pipeline('  tables: [{ match: a.* }]\n  strem: {}'),
    code: 'SYNC-1002',
    at: /:9:3 {2}spec\.strem/,
    says: /Did you mean `stream`\?/,
  },
  {
    what: 'a wrong type',
    text: pipeline('  tables: [{ match: a.* }]\n  stream: { lanes: many }'),
    code: 'SYNC-1002',
    at: /:9:13 {2}spec\.stream\.lanes/,
    says: /expected number/,
  },
  {
    what: 'a number out of bounds',
    text: pipeline('  tables: [{ match: a.* }]\n  stream: { lanes: 0 }'),
    code: 'SYNC-1002',
    at: /:9:13/,
    says: />=1/,
  },
  {
    what: 'a quantity without a unit',
    text: pipeline('  tables: [{ match: a.* }]\n  stream: { batch: { maxBytes: 8000000 } }'),
    code: 'SYNC-1002',
    at: /spec\.stream\.batch\.maxBytes/,
    says: /a size with a unit/,
  },
  {
    what: 'a missing field',
    text: pipeline('  onMissingTable: create'),
    code: 'SYNC-1002',
    at: /spec\.tables/,
    says: /`tables` is missing/,
  },
  {
    what: 'an impossible combination',
    text: pipeline('  tables: [{ match: a.* }]\n  onExistingRows: empty\n  load: { mode: none }'),
    code: 'SYNC-1003',
    at: /:9:3 {2}spec\.onExistingRows/,
    says: /Set onExistingRows: keep, or load\.mode: once/,
  },
  {
    what: 'tables that would meet in one',
    text: pipeline('  tables: [{ match: a.*, to: { table: all } }]'),
    code: 'SYNC-1003',
    at: /spec\.tables\[0\]\.to\.table/,
    says: /all of them would be written to/,
  },
  {
    what: 'a row filter that is none',
    text: pipeline('  tables: [{ match: a.b, where: "id = (SELECT 1)" }]'),
    code: 'SYNC-1006',
    at: /spec\.tables\[0\]\.where/,
    says: /Use comparisons of columns with literals/,
  },
  {
    what: 'an endpoint that is not there',
    text: pipeline('  tables: [{ match: a.* }]'),
    code: 'SYNC-1003',
    at: /spec\.source/,
    says: /there is no endpoint bad-a/,
  },
])('$what', async ({ text, code, at, says }) => {
  const file = await fileOf(text)
  const result = await here.stack.cli(['apply', '-f', file])
  expect(result).toMatchObject({ code: 3, stdout: '' })
  expect(result.stderr).toContain(code)
  expect(result.stderr).toMatch(at)
  expect(result.stderr).toMatch(says)
  expect(result.stderr).toContain('remedy')
  if (code !== 'SYNC-1003' || !says.source.includes('endpoint')) {
    expect(result.stderr).toContain(file)
    // The same without a server.
    expect(await here.stack.cli(['validate', '-f', file])).toEqual(result)
  }
  expect((await here.stack.cli(['get', 'pipelines', '-o', 'json'])).stdout.trim()).toBe('[]')
})

it('a password in the file', async () => {
  const file = await fileOf(
    endpoint('literal', '  kind: mysql\n  host: 127.0.0.1\n  user: root\n  password: hunter2-in-clear'),
  )
  const result = await here.stack.cli(['apply', '-f', file])
  expect(result).toMatchObject({ code: 3, stdout: '' })
  expect(result.stderr).toMatch(/SYNC-1004 .*bad-\d+\.yaml:9:3 {2}spec\.password/)
  expect(result.stderr).toContain('${env:NAME}')
  expect(result.stderr).not.toContain('hunter2')
  // Past the command line's own check, the API refuses it as well, and forgets it.
  const answer = await fetch(`${here.stack.url}/v1/endpoints/literal`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'syncline/v1',
      kind: 'Endpoint',
      metadata: { name: 'literal' },
      spec: { kind: 'mysql', host: 'localhost', user: 'root', password: 'hunter2-in-clear' },
    }),
  })
  expect(answer.status).toBe(422)
  const text = await answer.text()
  expect(JSON.parse(text)).toMatchObject({ errors: [{ code: 'SYNC-1004' }] })
  const audit = await (await fetch(`${here.stack.url}/v1/audit`)).text()
  expect(audit).toContain('literal')
  expect(text + audit).not.toContain('hunter2')
})

it('every mistake of a file is told at once, and nothing of it is applied', async () => {
  const file = await fileOf(
    `${endpoint('fine')}---\n${endpoint('bad-port', '  kind: mysql\n  host: h\n  user: u\n  port: 99999')}---\n${pipeline('  tables: []\n  lanes: 3')}`,
  )
  const { code, stderr } = await here.stack.cli(['apply', '-f', file])
  expect(code).toBe(3)
  expect(stderr).toMatch(/spec\.port[\s\S]*spec\.tables[\s\S]*spec\.lanes/)
  expect((await here.stack.cli(['get', 'endpoints', 'fine'])).code).toBe(4)
})

it('a file that is not there', async () => {
  const result = await here.stack.cli(['apply', '-f', join(here.stack.dir, 'absent.yaml')])
  expect(result).toMatchObject({ code: 3, stdout: '' })
  expect(result.stderr).toMatch(/SYNC-1001 .*absent\.yaml: there is no such file\n {2}remedy Check the path/)
})

it('words that are no command', async () => {
  for (const args of [
    ['frobnicate'],
    ['apply'],
    ['get', 'things'],
    ['describe', 'pipeline'],
    ['lag', 'x', '--interval', 'soon'],
  ]) {
    const result = await here.stack.cli(args)
    expect(result, args.join(' ')).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain('--help')
  }
})

it('what is not there', async () => {
  for (const args of [
    ['describe', 'pipeline', 'nobody'],
    ['pause', 'nobody'],
    ['lag', 'nobody'],
    ['delete', 'nobody', '--yes'],
  ]) {
    const result = await here.stack.cli(args)
    expect(result, args.join(' ')).toMatchObject({ code: 4, stdout: '' })
    expect(result.stderr).toMatch(/SYNC-1101 there is no pipeline nobody\n {2}remedy /)
  }
})

it('the API is away', async () => {
  const server = `http://127.0.0.1:${await freePort()}`
  const file = await fileOf(endpoint('fine'))
  for (const args of [
    ['get', 'pipelines'],
    ['apply', '-f', file],
    ['pause', 'x'],
  ]) {
    const result = await here.stack.cli([...args, '--server', server])
    expect(result, args.join(' ')).toMatchObject({ code: 9, stdout: '' })
    expect(result.stderr).toMatch(/SYNC-1107 http:\S+ ECONNREFUSED\n {2}remedy Start `syncline server`/)
  }
})

it('Temporal is away', async () => {
  const away = await startStack({ address: `127.0.0.1:${await freePort()}`, namespace: 'default' })
  try {
    const file = join(away.dir, 'pipeline.yaml')
    await writeFile(
      file,
      `${endpoint('bad-a')}---\n${endpoint('bad-b', '  kind: mysql\n  host: other\n  user: root')}---\n${pipeline('  tables: [{ match: a.* }]')}`,
    )
    const result = await away.cli(['apply', '-f', file])
    expect(result.code).toBe(9)
    expect(result.stderr).toMatch(/SYNC-1106 [\s\S]*remedy Start Temporal/)
    expect((await away.cli(['get', 'pipelines', '-o', 'json'])).stdout.trim(), 'nothing half-applied').toBe(
      '[]',
    )
    expect(await (await fetch(`${away.url}/readyz`)).json()).toMatchObject({
      ready: false,
      temporal: { code: 'SYNC-1106' },
    })
  } finally {
    await away.stop()
  }
})

it('no stream worker is there', async () => {
  const name = 'unserved'
  const made = await here.createCase(name)
  await made.apply()
  expect(await made.status()).toMatchObject({ state: 'checking' })
  await waitFor('it is told', 30_000, async () => {
    const { code, stdout } = await here.stack.cli(['describe', 'pipeline', name])
    return code === 0 && /Warning .*No stream worker .*`syncline worker --role stream`/.test(stdout)
  })
  // A waiting apply tells it as well, and gives up when its time is over.
  const waited = await here.stack.cli(['apply', '-f', await made.file(), '--wait', '--timeout', '2s'])
  expect(waited.code).toBe(8)
  expect(waited.stderr).toContain('No stream worker')
  await here.stack.startWorker('stream')
  await made.reaches('streaming')
  expect((await here.stack.cli(['describe', 'pipeline', name])).stdout).not.toContain('No stream worker')
})
