/*
 * Keeps what was fetched or compiled, outside the repository, under its exact version, for all later runs.
 * Guarantees: a version's folder is either complete or absent (it is built beside and renamed into place), and two
 * runs at once build it once. The lock is the kernel's (flock), held by a child that ends with this process, so a
 * crashed holder never blocks anyone; what it left half built is removed by the next holder.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

export type Say = (line: string) => void

export const sayOnStderr: Say = (line) => {
  process.stderr.write(`${line}\n`)
}

export function cacheRoot(): string {
  const { SYNCLINE_CACHE, XDG_CACHE_HOME } = process.env as Record<string, string | undefined>
  if (SYNCLINE_CACHE) return SYNCLINE_CACHE
  return join(XDG_CACHE_HOME ? XDG_CACHE_HOME : join(homedir(), '.cache'), 'syncline')
}

export type CacheEntry = {
  /** What is kept: one folder per kind, one folder per version in it. */
  readonly kind: string
  /** The exact version; absent means the newest that is there, and otherwise what the build finds. */
  readonly version?: string
  /** Fills an empty folder and returns the version that it holds. */
  readonly build: (folder: string) => Promise<string>
  readonly say: Say
}

export async function cached(entry: CacheEntry): Promise<string> {
  const kindFolder = join(cacheRoot(), entry.kind)
  const present = await find(kindFolder, entry.version)
  if (present !== undefined) return present
  await mkdir(kindFolder, { recursive: true })
  const unlock = await lock(join(kindFolder, '.lock'), () => {
    entry.say(`Waiting for another run that prepares ${entry.kind} ...`)
  })
  try {
    const madeMeanwhile = await find(kindFolder, entry.version)
    if (madeMeanwhile !== undefined) return madeMeanwhile
    for (const name of await readdir(kindFolder)) {
      if (name.startsWith('.building-')) await rm(join(kindFolder, name), { recursive: true, force: true })
    }
    const building = await mkdtemp(join(kindFolder, '.building-'))
    try {
      const target = join(kindFolder, await entry.build(building))
      await rename(building, target)
      return target
    } catch (error) {
      await rm(building, { recursive: true, force: true })
      throw error
    }
  } finally {
    await unlock()
  }
}

async function find(kindFolder: string, version: string | undefined): Promise<string | undefined> {
  if (version !== undefined) {
    const folder = join(kindFolder, version)
    const found = await stat(folder).catch(() => undefined)
    return found?.isDirectory() ? folder : undefined
  }
  const names = await readdir(kindFolder).catch(() => [])
  const versions = names.filter((name) => !name.startsWith('.'))
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  return newest === undefined ? undefined : join(kindFolder, newest)
}

async function lock(file: string, onWait: () => void): Promise<() => Promise<void>> {
  // `cat` ends when this process closes the pipe or dies, and the kernel then gives the lock back.
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting = setTimeout(onWait, 1500)
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', (error) =>
        reject(new Error(`The cache needs flock (util-linux): ${error.message}`)),
      )
      holder.once('exit', (code) => reject(new Error(`flock on ${file} ended with status ${code}.`)))
      holder.stdout.once('data', () => resolve())
    })
  } finally {
    clearTimeout(waiting)
  }
  return async () => {
    const ended = once(holder, 'exit')
    holder.stdin.end()
    await ended
  }
}
