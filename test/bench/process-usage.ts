/*
 * CPU time and memory of a process that is not this one, from the kernel (Linux). CPU comes in ticks of 10 ms: measure work of a second or more.
 */
import { readFile } from 'node:fs/promises'

const ticksPerSecond = 100

/** User and system time so far, of all threads, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name, in brackets, may hold anything; fields 14 and 15 of proc(5) are 12th and 13th after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** What it has resident now, in MB (10^6). */
export async function residentMegabytes(pid: number): Promise<number> {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return (Number(kibibytes) * 1024) / 1e6
}

/** The process and all that it has started, and what those have. */
export async function processTree(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const below = await Promise.all(children.split(' ').filter(Boolean).map(Number).map(processTree))
  return [pid, ...below.flat()]
}

/** CPU seconds that each named process uses while `work` runs, and the wall time. */
export async function measured(
  pids: Readonly<Record<string, number>>,
  work: () => Promise<void>,
): Promise<{ readonly seconds: number; readonly cpu: Record<string, number> }> {
  const names = Object.keys(pids)
  const read = (): Promise<number[]> => Promise.all(names.map((name) => cpuSeconds(pids[name] as number)))
  const before = await read()
  const startedAt = performance.now()
  await work()
  const seconds = (performance.now() - startedAt) / 1000
  const after = await read()
  const cpu = Object.fromEntries(
    names.map((name, i) => [name, Math.round(((after[i] ?? 0) - (before[i] ?? 0)) * 100) / 100]),
  )
  return { seconds, cpu }
}
