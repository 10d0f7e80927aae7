/*
 * The demo as a person starts it, with fewer rows: its exit status tells whether the data is equal, and nothing stays behind.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createConnection as createSocket } from 'node:net'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { afterEach, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const withinMs = 280_000

type Demo = {
  readonly child: ChildProcess
  said(): string
  /** Waits until the demo has said something like this. */
  says(pattern: RegExp): Promise<RegExpExecArray>
  readonly ended: Promise<number | null>
}

let demo: Demo | undefined
afterEach(() => {
  // Killed, it takes its servers along.
  demo?.child.kill('SIGKILL')
})

function startDemo(...args: string[]): Demo {
  const child = spawn(process.execPath, [join(root, 'dev/demo.ts'), '--small', ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  return {
    child,
    said: () => said,
    ended,
    async says(pattern) {
      for (const deadline = Date.now() + withinMs; Date.now() < deadline; ) {
        const match = pattern.exec(said)
        if (match !== null) return match
        if (child.exitCode !== null) break
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error(`the demo never said ${pattern}; it said:\n${said}`)
    },
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

test('kills and proves, and ends with status 0', { timeout: withinMs }, async () => {
  demo = startDemo()
  const status = await demo.ended
  const said = demo.said()
  expect(status, said).toBe(0)
  expect(said).toMatch(/!! kill -9 +the engine .* of the load\n[^!]*ok It goes on +after [\d.]+ s/)
  expect(said).toMatch(/!! kill -9 +the stream worker .* of the load\n[^!]*ok It goes on +after [\d.]+ s/)
  expect(said).toMatch(/!! kill -9 +the engine .* while it streams\n[^!]*ok It goes on +after [\d.]+ s/)
  expect(said).toMatch(
    /!! kill -9 +the stream worker .* while it streams\n[^!]*ok It goes on +after [\d.]+ s/,
  )
  expect(said).toMatch(/ok Both are equal +[\d,]+ rows in 24 tables/)
  expect(said).toMatch(/API +http:\/\/127\.0\.0\.1:\d+/)
  expect(said).toMatch(/Temporal +http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/pipeline%2Fshop/)
  // No secret, no stack trace, nothing of the processes' own talk.
  expect(said).not.toMatch(/password|\n +at |"level"/i)
})

test('one changed value at the target is found: status 1, and the logs stay', {
  timeout: withinMs,
}, async () => {
  demo = startDemo()
  const [, port] = await demo.says(/(\d+) \(target\)/)
  await demo.says(/ok Loaded/)
  const target = await createConnection({ host: '127.0.0.1', port: Number(port), user: 'root' })
  await target.query("UPDATE shop.category SET title = CONCAT(title, ' ') WHERE code = 'Cat-5'")
  await target.end()
  const status = await demo.ended
  const said = demo.said()
  expect(status, said).toBe(1)
  expect(said).toMatch(/XX They differ/)
  expect(said).toMatch(/shop\.category \(code = 'Cat-5' [^)]*\) value title/)
  expect(said).toMatch(/SOURCE AND TARGET DIFFER/)
  const [, logs] = /logs of every process are in (\S+)/.exec(said) ?? []
  for (const name of [
    'api-server',
    'control-worker',
    'stream-worker',
    'mysql-source',
    'mysql-target',
    'temporal',
  ]) {
    expect(existsSync(join(logs ?? '', `${name}.log`)), name).toBe(true)
  }
  if (logs !== undefined) await rm(logs, { recursive: true })
})

test('Ctrl-C in the middle ends everything that was started', { timeout: withinMs }, async () => {
  demo = startDemo()
  const [, source, target] = await demo.says(/ports (\d+) \(source\) and (\d+) \(target\)/)
  const [, api] = await demo.says(/API on http:\/\/127\.0\.0\.1:(\d+)/)
  await demo.says(/of the load/)
  const ports = [source, target, api].map(Number)
  expect(await Promise.all(ports.map(answers))).toEqual([true, true, true])
  demo.child.kill('SIGINT')
  expect(await demo.ended).toBe(130)
  expect(demo.said()).not.toMatch(/Failed|logs of every process/)
  expect(await Promise.all(ports.map(answers))).toEqual([false, false, false])
})
