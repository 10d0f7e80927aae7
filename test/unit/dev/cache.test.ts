import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { cached } from '../../../dev/cache.ts'

const cacheModule = new URL('../../../dev/cache.ts', import.meta.url).href
let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'syncline-cache-test-'))
  vi.stubEnv('SYNCLINE_CACHE', root)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(root, { recursive: true, force: true })
})

const quiet = (): void => {}

test('builds a version once and finds it afterwards', async () => {
  let builds = 0
  const entry = {
    kind: 'thing',
    version: '1.0',
    say: quiet,
    build: async (folder: string) => {
      builds++
      await writeFile(join(folder, 'file'), 'content')
      return '1.0'
    },
  }
  const folder = await cached(entry)
  expect(folder).toBe(join(root, 'thing', '1.0'))
  expect(await cached(entry)).toBe(folder)
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('content')
  expect(builds).toBe(1)
})

test('without an exact version the newest one present is taken, by number and not by letter', async () => {
  for (const version of ['9.7.4-2', '9.7.10-1', '9.10.0-1'])
    await mkdir(join(root, 'thing', version), { recursive: true })
  const build = () => Promise.reject(new Error('nothing to build'))
  expect(await cached({ kind: 'thing', say: quiet, build })).toBe(join(root, 'thing', '9.10.0-1'))
})

test('a failed build publishes nothing, leaves nothing, and the next try builds', async () => {
  const failing = async (folder: string): Promise<string> => {
    await writeFile(join(folder, 'half'), '')
    throw new Error('no network')
  }
  const entry = { kind: 'thing', version: '1', say: quiet }
  await expect(cached({ ...entry, build: failing })).rejects.toThrow('no network')
  expect((await readdir(join(root, 'thing'))).filter((name) => name !== '.lock')).toEqual([])
  await cached({ ...entry, build: async () => '1' })
  expect(await readdir(join(root, 'thing'))).toContain('1')
})

/** A process that builds slowly, and says when it has begun. */
function builder(): ReturnType<typeof spawn> {
  const script = `
    import { appendFileSync } from 'node:fs'
    const { cached } = await import(${JSON.stringify(cacheModule)})
    const folder = await cached({ kind: 'thing', version: '1', say: () => {}, build: async (folder) => {
      appendFileSync(${JSON.stringify(join(root, 'builds'))}, folder + '\\n')
      process.stdout.write('building\\n')
      await new Promise((resolve) => setTimeout(resolve, Number(process.env.BUILD_MS)))
      return '1'
    } })
    process.stdout.write(folder)`
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, SYNCLINE_CACHE: root, BUILD_MS: '300' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

test('two processes at once build once', async () => {
  const processes = [builder(), builder(), builder()]
  const codes = await Promise.all(processes.map((each) => once(each, 'exit')))
  expect(codes.map(([code]) => code as number)).toEqual([0, 0, 0])
  const builds = (await readFile(join(root, 'builds'), 'utf8')).trim().split('\n')
  expect(builds).toHaveLength(1)
})

test('a killed builder blocks nobody, and its half is cleared away', async () => {
  const first = builder()
  if (first.stdout === null) throw new Error('no output')
  await once(first.stdout, 'data')
  first.kill('SIGKILL')
  await once(first, 'exit')
  const folder = await cached({ kind: 'thing', version: '1', say: quiet, build: async () => '1' })
  expect(folder).toBe(join(root, 'thing', '1'))
  expect((await readdir(join(root, 'thing'))).sort()).toEqual(['.lock', '1'])
})
