import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkRooms, importsOf } from '../../../dev/check-rooms.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'syncline-rooms-'))
})
afterEach(() => rm(root, { recursive: true }))

const plant = async (files: Record<string, string>): Promise<string[]> => {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, 'src', name)), { recursive: true })
    await writeFile(join(root, 'src', name), text)
  }
  return (await checkRooms(root)).map(({ file, line, message }) => `${file}:${line} ${message}`)
}

describe('checkRooms', () => {
  it.each([
    ['core using node', 'core/a.ts', "import { x } from 'node:fs'", 'may not import node:fs'],
    ['core using a package', 'core/a.ts', "import { z } from 'zod'", 'may not import zod'],
    [
      'core using another room',
      'core/a.ts',
      "import type { x } from '../config/b.ts'",
      'core may not import config',
    ],
    [
      'the streamer using a connector',
      'streamer/a.ts',
      "import { x } from '../connectors/mysql/sink.ts'",
      'streamer may not import connectors',
    ],
    [
      'activities using the inside of a connector',
      'activities/a.ts',
      "import { x } from '../connectors/mysql/sink.ts'",
      "connectors' own business",
    ],
    [
      'one connector using another',
      'connectors/redis/a.ts',
      "import { x } from '../mysql/sink.ts'",
      'the inside of another connector',
    ],
    [
      'the API using activities',
      'api/a.ts',
      "import { x } from '../activities/a.ts'",
      'api may not import activities',
    ],
    [
      'workflows using an activity',
      'workflows/a.ts',
      "import type { x } from '../activities/control.ts'",
      'workflows may not import activities',
    ],
    [
      'workflows using the contract as a value',
      'workflows/a.ts',
      "import { x } from '../activities/contract.ts'",
      'as types only',
    ],
    [
      'workflows using node',
      'workflows/a.ts',
      "import { x } from 'node:crypto'",
      'may not import node:crypto',
    ],
    [
      'workflows using the client',
      'workflows/a.ts',
      "import { x } from '@temporalio/client'",
      'may not import @temporalio/client',
    ],
    [
      'the command line using a route',
      'cli/a.ts',
      "import type { x } from '../api/app.ts'",
      'cli may not import api',
    ],
    [
      'a dynamic import',
      'store/a.ts',
      "export const x = () => import('../api/app.ts')",
      'store may not import api',
    ],
    [
      'an export from',
      'store/a.ts',
      "export { x } from '../api/app.ts'\nexport const y = 1",
      'store may not import api',
    ],
    ['a file outside', 'api/a.ts', "import { x } from '../../dev/temporal.ts'", 'outside src'],
    ['an unknown room', 'stuff/a.ts', 'export const x = 1', 'stuff is no room'],
    [
      'a barrel',
      'api/index.ts',
      "/** All of it. */\nexport { a } from './a.ts'\nexport type { b } from './b.ts'\n",
      'only passes on',
    ],
    [
      'a barrel by way of imports',
      'api/index.ts',
      "import { a } from './a.ts'\nexport { b } from './b.ts'\nexport { a }\n",
      'only passes on',
    ],
  ])('finds %s', async (_, file, text, message) => {
    const found = await plant({ [file]: text })
    expect(found).toEqual([expect.stringContaining(message)])
    expect(found[0]).toContain(`src/${file}:1 `)
  })

  it('finds an import over several lines, at its line', async () => {
    const text =
      "import { z } from 'zod'\nimport {\n  a,\n  type b,\n} from '../store/store.ts'\nexport const x = 1"
    expect(await plant({ 'config/a.ts': text })).toEqual([
      expect.stringMatching(/^src\/config\/a\.ts:2 config may not import store/),
    ])
  })

  it('finds a cycle of rooms', async () => {
    const found = await plant({
      'store/a.ts': "import { b } from '../config/b.ts'",
      'config/b.ts': "import { c } from '../store/c.ts'",
    })
    expect(found).toContainEqual(expect.stringContaining('closes a cycle of rooms'))
  })

  it('lets through what is allowed', async () => {
    const found = await plant({
      'core/a.ts': "import { b } from './b.ts'\nexport const a = b",
      'core/b.ts': 'export const b = 1\nexport { c } from "./c.ts"',
      'workflows/a.ts':
        "import type { x } from '../activities/contract.ts'\nimport { sleep } from '@temporalio/workflow'\nimport { b } from '../core/b.ts'",
      'workflows/b.ts': "import { type x, type y } from '../activities/contract.ts'",
      'workflows/registry.ts': "export { pipeline } from './pipeline.ts'",
      'activities/a.ts':
        "import { open } from '../connectors/registry.ts'\nimport { store } from '../store/store.ts'",
      'connectors/registry.ts': "import { mysql } from './mysql/connector.ts'",
      'connectors/mysql/binlog/a.ts':
        "import { b } from '../b.ts'\nimport { kit } from '../../kit/kit.ts'\nimport { c } from '../../contract.ts'",
      'cli/a.ts': "import type { x } from '../api/wire.ts'\nexport const run = () => import('../server.ts')",
      'server.ts': "import { createApp } from './api/app.ts'",
    })
    expect(found).toEqual([])
  })

  it('finds the real house in order', async () => {
    expect(await checkRooms(join(import.meta.dirname, '../../..'))).toEqual([])
  })
})

it('importsOf tells types from values', () => {
  const text =
    "import a, { type b } from './a.ts'\nimport './b.ts'\nimport * as c from './c.ts'\nimport type d from './d.ts'\n"
  expect(importsOf(text).map(({ specifier, isType }) => [specifier, isType])).toEqual([
    ['./a.ts', false],
    ['./b.ts', false],
    ['./c.ts', false],
    ['./d.ts', true],
  ])
})
