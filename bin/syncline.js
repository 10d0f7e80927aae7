#!/usr/bin/env node
/*
 * The command `syncline`: src/cli/main.ts in a clone of the repository (Node strips the types), dist/ where it is installed.
 * Needs Node 24; an older node starts the one that comes as a dependency.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const needed = 24
const here = fileURLToPath(import.meta.url)

if (Number(process.versions.node.split('.')[0]) < needed) {
  const node = bundledNode()
  if (node === undefined) {
    console.error(`syncline needs Node ${needed} or newer, and this is ${process.version}. Install it, or run npm ci.`)
    process.exit(1)
  }
  const child = spawn(node, [here, ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to both; a supervisor's signal reaches only this process.
  process.on('SIGINT', () => {})
  for (const name of ['SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name))
  child.on('error', (error) => {
    console.error(error.message)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
} else {
  const root = join(dirname(here), '..')
  const source = join(root, 'src/cli/main.ts')
  const entry = existsSync(source) ? source : join(root, 'dist/cli/main.js')
  const { main } = await import(pathToFileURL(entry).href)
  // Open handles of a command that has ended must not keep it alive; what was written is flushed by then.
  const status = await main(process.argv.slice(2))
  process.exitCode = status
  setImmediate(() => process.exit(status))
}

function bundledNode() {
  try {
    const node = join(dirname(createRequire(here).resolve('node/package.json')), 'bin/node')
    return existsSync(node) ? node : undefined
  } catch {
    return undefined
  }
}
