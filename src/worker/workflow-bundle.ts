/**
 * The bundled workflow code, made once for each state of the sources and kept in the data folder.
 *
 * Bundling costs 2 to 3 s and 200 MB in the process that does it; reading the kept file costs nothing. The file's name is a hash of everything
 * that goes in, so a stale bundle cannot be served; it is written beside and renamed, so a half-written one cannot be either.
 * The SDK demands that bundle and worker are of the same version: it is part of the hash.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker'

const sourceRoot = fileURLToPath(new URL('..', import.meta.url))
/** What workflows may import (the lint rule holds it), so all that can be in the bundle. */
const ingredients = ['workflows', 'core', 'activities']
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** @returns the path of the bundle, for `workflowBundle: { codePath }` */
export const ensureWorkflowBundle = async (dataDir: string): Promise<string> => {
  const folder = join(dataDir, 'workflow-bundles')
  const file = join(folder, `${await hashOfSources()}.js`)
  if (await isFile(file)) return file
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(sourceRoot, `workflows/registry${extension}`),
    logger: new DefaultLogger('ERROR'),
  })
  await mkdir(folder, { recursive: true })
  const unfinished = `${file}.${process.pid}`
  await writeFile(unfinished, code)
  await rename(unfinished, file)
  return file
}

const hashOfSources = async (): Promise<string> => {
  const hash = createHash('sha256')
  const sdk = createRequire(import.meta.url)('@temporalio/workflow/package.json') as { version: string }
  hash.update(`sdk ${sdk.version}\n`)
  for (const room of ingredients) {
    const names = (await readdir(join(sourceRoot, room))).filter((name) => name.endsWith(extension)).sort()
    for (const name of names) {
      const text = await readFile(join(sourceRoot, room, name))
      hash.update(`${room}/${name} ${text.length}\n`).update(text)
    }
  }
  return hash.digest('hex').slice(0, 32)
}

const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() ?? false
