import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePorts } from '../../../dev/ports.ts'
import {
  ProcessFailed,
  type ProcessOptions,
  runCommand,
  startProcess,
  streamCommand,
} from '../../../dev/proc.ts'

const procModule = new URL('../../../dev/proc.ts', import.meta.url).href
const scratchModule = new URL('../../../dev/scratch.ts', import.meta.url).href
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'syncline-proc-test-'))
})

afterEach(() => rm(dir, { recursive: true, force: true }))

function shell(script: string, more: Partial<ProcessOptions> = {}): ProcessOptions {
  return {
    name: 'Thing',
    command: 'sh',
    args: ['-c', script],
    logFile: join(dir, 'log'),
    ready: async () => (await readFile(join(dir, 'log'), 'utf8')).includes('ready'),
    readyTimeoutMs: 10_000,
    ...more,
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function state(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2)[0] ?? ''
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not come true within 10 s')
    await sleep(20)
  }
}

test('waits until ready, stops in order, and says how it ended', async () => {
  const thing = await startProcess(
    shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"),
  )
  expect(alive(thing.pid)).toBe(true)
  expect(await thing.stop()).toEqual({ code: 7, signal: null })
  expect(thing.isRunning()).toBe(false)
  expect(await readFile(join(dir, 'log'), 'utf8')).toBe('ready\nbye\n')
})

test('one that ignores the request is killed after the grace, even while suspended', async () => {
  const thing = await startProcess(shell("trap '' TERM; echo ready; while :; do sleep 0.05; done"))
  thing.suspend()
  await until(async () => (await state(thing.pid)) === 'T')
  expect((await thing.stop(200)).signal).toBe('SIGKILL')
})

test('suspend and continue', async () => {
  const thing = await startProcess(shell('echo ready; while :; do sleep 0.05; done'))
  thing.suspend()
  await until(async () => (await state(thing.pid)) === 'T')
  thing.continue()
  await until(async () => (await state(thing.pid)) !== 'T')
  await thing.kill()
})

test('one that ends before it is ready fails with the tail of this start, not of an earlier one', async () => {
  await writeFile(join(dir, 'log'), 'old words\n')
  const failure = await startProcess(shell('echo no such disk >&2; exit 3')).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(ProcessFailed)
  expect((failure as Error).message).toBe('Thing ended with status 3 before it was ready.\nno such disk')
})

test('one that never gets ready is killed and named with the last problem', async () => {
  let pid = 0
  const options = shell(`echo $$ > ${join(dir, 'pid')}; while :; do sleep 0.05; done`, {
    readyTimeoutMs: 300,
    ready: async () => {
      pid = Number(await readFile(join(dir, 'pid'), 'utf8'))
      throw new Error('connection refused')
    },
  })
  await expect(startProcess(options)).rejects.toThrow(
    /^Thing was not ready after 300 ms \(connection refused\)\./,
  )
  expect(alive(pid)).toBe(false)
})

test('a command that does not exist fails by name', async () => {
  await expect(startProcess(shell('', { command: 'no-such-command' }))).rejects.toThrow(
    /cannot run no-such-command/,
  )
  await expect(runCommand('no-such-command', [])).rejects.toThrow(/no-such-command/)
})

test('commands: output, input, lines while it runs, and error output on failure', async () => {
  expect(await runCommand('cat', [], { input: 'in' })).toBe('in')
  await expect(runCommand('sh', ['-c', 'echo why >&2; exit 4'])).rejects.toThrow(/4\nwhy/)
  const lines: string[] = []
  await streamCommand('sh', ['-c', 'echo a; echo b'], { onLine: (line) => lines.push(line) })
  expect(lines).toEqual(['a', 'b'])
  await expect(streamCommand('sh', ['-c', 'echo c; exit 5'], { onLine: () => {} })).rejects.toThrow(/5\nc/)
})

test('when the starter is killed, its servers and throw-away folders go too', async () => {
  const script = `
    const { startProcess } = await import(${JSON.stringify(procModule)})
    const { createScratch } = await import(${JSON.stringify(scratchModule)})
    const scratch = await createScratch('proc-test')
    const start = (name) => startProcess({ name, command: 'sleep', args: ['1000'], logFile: scratch.path + '/log',
      ready: async () => true, readyTimeoutMs: 5000 })
    const running = await start('running')
    const suspended = await start('suspended')
    suspended.suspend()
    process.stdout.write(JSON.stringify({ pids: [running.pid, suspended.pid], folder: scratch.path }))
    setInterval(() => {}, 1000)`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output] = (await once(starter.stdout, 'data')) as [Buffer]
  const { pids, folder } = JSON.parse(output.toString()) as { pids: number[]; folder: string }
  expect(pids.map(alive)).toEqual([true, true])
  starter.kill('SIGKILL')
  await until(() => !pids.some(alive))
  const gone = (path: string): Promise<boolean> =>
    access(path).then(
      () => false,
      () => true,
    )
  await until(() => gone(folder))
})

test('free ports are distinct, below the range of outgoing connections, and can be bound', async () => {
  const ports = await freePorts(20)
  expect(new Set(ports).size).toBe(20)
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  for (const port of ports) {
    expect(port).toBeLessThan(Number.parseInt(range, 10))
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    server.close()
  }
})
