/**
 * Runs the guide of the first pipeline as it is written: its statements at two servers, its file, its commands, and what it says they show.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../dev/mysql.ts'
import { freePort } from '../../dev/ports.ts'
import { connect, sharedTemporal } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

const root = new URL('../..', import.meta.url).pathname

interface Block {
  readonly language: string
  /** What follows the language. */
  readonly note: string
  readonly text: string
}

let servers: Readonly<Record<'source' | 'target', MysqlServer>>
let connections: Readonly<Record<'source' | 'target', Connection>>
let dir: string
let background: ChildProcess | undefined
let log = ''
let environment: NodeJS.ProcessEnv
const exports: string[] = []

beforeAll(async () => {
  const { address, namespace } = await sharedTemporal()
  const [source, target] = await Promise.all([
    startMysql({ name: 'guide source', serverId: 131, durable: false }),
    startMysql({ name: 'guide target', serverId: 132, durable: false }),
  ])
  servers = { source, target }
  connections = { source: await connect(source), target: await connect(target) }
  await connections.source.query(
    `CREATE DATABASE shop; CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(40));
     CREATE TABLE shop.orders (id INT PRIMARY KEY, customer INT, state VARCHAR(10));
     INSERT INTO shop.customers VALUES (1, 'Ada'); INSERT INTO shop.orders VALUES (1, 1, 'new'), (2, 1, 'new')`,
  )
  dir = await mkdtemp(join(tmpdir(), 'syncline-guide-'))
  const listen = `127.0.0.1:${await freePort()}`
  environment = {
    ...process.env,
    SYNCLINE_LISTEN: listen,
    SYNCLINE_SERVER: `http://${listen}`,
    SYNCLINE_TEMPORAL: address,
    SYNCLINE_NAMESPACE: namespace,
    SYNCLINE_PREFIX: `guide-${listen}-`,
    NO_COLOR: '1',
  }
})

afterAll(async () => {
  if (background !== undefined && background.exitCode === null) {
    const ended = new Promise((resolve) => background?.once('exit', resolve))
    background.kill('SIGTERM')
    await ended
  }
  for (const connection of Object.values(connections)) connection.destroy()
  await Promise.all(Object.values(servers).map((server) => server.discard()))
  await rm(dir, { recursive: true, force: true })
})

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)].map(([, language, note, text]) => ({
    language: language ?? '',
    note: note ?? '',
    text: text ?? '',
  }))
}

/** Starts a shell with the command `syncline`. */
function shell(script: string): ChildProcess {
  const command = `syncline() { "${process.execPath}" "${join(root, 'bin/syncline.js')}" "$@"; }`
  return spawn('bash', ['-euo', 'pipefail', '-c', `${command}\n${exports.join('\n')}\n${script}`], {
    cwd: dir,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(script: string): Promise<string> {
  const child = shell(script)
  let output = ''
  let errors = ''
  child.stdout?.on('data', (data) => {
    output += data
  })
  child.stderr?.on('data', (data) => {
    errors += data
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000)
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  expect(code, `${script}\n${output}\n${errors}\n${log}`).toBe(0)
  return output
}

/** Each line that is shown stands in the output, in this order; … stands for anything. */
function expectShown(output: string, shown: string): void {
  const lines = output.split('\n')
  let at = 0
  for (const line of shown.trimEnd().split('\n')) {
    const pattern = new RegExp(
      `^${line
        .split('…')
        .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
        .join('.*')}\\s*$`,
    )
    const found = lines.findIndex((text, index) => index >= at && pattern.test(text))
    expect(found, `"${line}" is not shown by:\n${output}`).toBeGreaterThanOrEqual(0)
    at = found + 1
  }
}

it('the first pipeline', async () => {
  const guide = await readFile(join(root, 'docs/guides/first-pipeline.md'), 'utf8')
  const blocks = blocksOf(guide)
  let output = ''
  for (const { language, note, text } of blocks) {
    if (language === 'sql') {
      await connections[note as 'source' | 'target'].query(text)
    } else if (language === 'yaml') {
      const file = text
        .replace(
          'host: west.example.net\n  port: 3306',
          `host: ${servers.source.host}\n  port: ${servers.source.port}`,
        )
        .replace(
          'host: east.example.net\n  port: 3306',
          `host: ${servers.target.host}\n  port: ${servers.target.port}`,
        )
      expect(file).not.toContain('example')
      await writeFile(join(dir, note.replace('file=', '')), file)
    } else if (language === 'text') {
      expectShown(output, text)
    } else if (note === 'background') {
      background = shell(
        `exec "${process.execPath}" "${join(root, 'bin/syncline.js')}" ${text.trim().replace(/^syncline /, '')}`,
      )
      for (const stream of [background.stdout, background.stderr])
        stream?.on('data', (data) => {
          log = `${log}${data}`.slice(-8_000)
        })
      await waitFor(
        'the API',
        60_000,
        async () => (await fetch(`${environment['SYNCLINE_SERVER']}/readyz`)).ok,
      )
    } else if (text.startsWith('export ')) {
      exports.push(text)
    } else {
      output = await run(text)
    }
  }
  expect(blocks.filter(({ language }) => language === 'sh').length).toBeGreaterThan(8)
  const orders = 'SELECT * FROM shop.orders ORDER BY id'
  // The guide waits until the pipeline streams again, which it does once it has caught up with what was there.
  expect((await connections.target.query(orders))[0]).toEqual((await connections.source.query(orders))[0])
  expect((await connections.target.query(orders))[0]).toEqual([{ id: 9, customer: 1, state: 'new' }])
})
