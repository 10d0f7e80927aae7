/*
 * How much memory a process ever had resident (Linux, proc(5)).
 */
import { readFile } from 'node:fs/promises'

/** In MB (10^6). */
export async function peakMegabytes(pid: number): Promise<number> {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return (Number(kibibytes) * 1024) / 1e6
}
