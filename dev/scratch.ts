/*
 * A throw-away folder under the system's temporary folder, private to one run. It is removed by `remove()`, and by
 * a watcher when this process dies without calling it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardFolder } from './guard.ts'

export type Scratch = { readonly path: string; remove(): Promise<void> }

export async function createScratch(label: string): Promise<Scratch> {
  const path = await mkdtemp(join(tmpdir(), `syncline-${label}-`))
  const guard = guardFolder(path)
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
      guard.release()
    },
  }
}
