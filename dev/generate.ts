/*
 * `npm run generate`: writes what is made from the code, so that no reference can say anything else than the code does:
 * schema/syncline.json and docs/reference/. With --check nothing is written, and a difference is a failure.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { createApp, openApiDocument } from '../src/api/app.ts'
import { createPipelineWorkflows } from '../src/api/pipeline-workflows.ts'
import { createProgram } from '../src/cli/program.ts'
import { jsonSchema } from '../src/config/json-schema.ts'
import { openStore } from '../src/store/store.ts'
import { apiReference } from './reference/api.ts'
import { cliReference } from './reference/cli.ts'
import { configReference } from './reference/config.ts'
import { errorReference } from './reference/errors.ts'

const root = resolve(import.meta.dirname, '..')
const schema = jsonSchema()

// The routes need something to stand on; nothing of it is used.
const store = openStore(':memory:')
const workflows = createPipelineWorkflows({ address: '127.0.0.1:1', namespace: 'default' })
const api = JSON.parse(JSON.stringify(openApiDocument(createApp({ store, workflows }))))
await workflows.close()
store.close()

const unused = (): never => {
  throw new Error('the reference runs no command')
}
const program = createProgram({
  terminal: unused as never,
  signal: new AbortController().signal,
  exit: unused,
})

const files: Readonly<Record<string, string>> = {
  'schema/syncline.json': `${JSON.stringify(schema, null, 2)}\n`,
  'docs/reference/errors.md': errorReference(),
  'docs/reference/config.md': configReference(schema),
  'docs/reference/cli.md': cliReference(program),
  'docs/reference/api.md': apiReference(api),
}

const check = process.argv.includes('--check')
let stale = 0
for (const [name, text] of Object.entries(files)) {
  const path = join(root, name)
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before === text) continue
  stale++
  if (check) console.error(`${name} does not say what the code says: run npm run generate`)
  else {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
    console.log(`${name} written`)
  }
}
process.exit(check && stale > 0 ? 1 : 0)
