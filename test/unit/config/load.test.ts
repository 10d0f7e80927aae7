import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigIssue } from '../../../src/config/issue.ts'
import { loadFiles, parseDocuments } from '../../../src/config/load.ts'
import type { SyncError } from '../../../src/core/errors.ts'

const good = `# comment
apiVersion: syncline/v1
kind: Endpoint
metadata: { name: source-db }
spec:
  kind: mysql
  host: 127.0.0.1
  user: syncline
  password: \${env:SOURCE_PASSWORD}
---
apiVersion: syncline/v1
kind: Pipeline
metadata:
  name: shop
spec:
  source: source-db
  target: target-db
  tables:
    - match: shop.*
`
const places = (text: string) =>
  parseDocuments(text, 'f.yaml').issues.map((found) => [found.code, found.line, found.column])

describe('parseDocuments', () => {
  it('reads several documents', () => {
    const { documents, issues } = parseDocuments(good, 'f.yaml')
    expect(issues).toEqual([])
    expect(documents.map(({ document, line }) => [document.kind, document.metadata.name, line])).toEqual([
      ['Endpoint', 'source-db', 2],
      ['Pipeline', 'shop', 11],
    ])
  })

  it('says line and column of an unknown key, in the second document too', () => {
    expect(places(good.replace('  target:', '  tarjet:'))).toEqual([
      ['SYNC-1002', 15, 1],
      ['SYNC-1002', 17, 3],
    ])
  })

  it('says line and column of a wrong value inside a list', () => {
    expect(places(good.replace('shop.*', 'shop'))).toEqual([['SYNC-1002', 19, 7]])
  })

  it('says line and column of a literal password and does not repeat it', () => {
    const { issues } = parseDocuments(good.replace('${env:SOURCE_PASSWORD}', 'hunter2'), 'f.yaml')
    expect(issues[0]).toMatchObject({ code: 'SYNC-1004', line: 9, column: 3 })
    expect(JSON.stringify(issues)).not.toContain('hunter2')
  })

  it.each([
    ['bad indentation', 'a:\n  b: 1\n c: 2\n', 3],
    ['a tab', 'a:\n\tb: 1\n', 2],
    ['a key twice', 'a: 1\na: 2\n', 2],
    ['an open list', 'a: [1, 2\n', 2],
  ])('refuses %s as not YAML', (_, text, line) => {
    const { issues } = parseDocuments(text, 'f.yaml')
    expect(issues[0]).toMatchObject({ code: 'SYNC-1001', line, file: 'f.yaml' })
  })

  it('explains a bare reference inside braces', () => {
    const { issues } = parseDocuments('spec: { user: x, password: ${env:A} }\n', 'f.yaml')
    expect(issues[0]).toMatchObject({
      code: 'SYNC-1001',
      remedy: 'Put quotes around the reference: "${env:NAME}".',
    })
  })

  it('does not expand aliases without bound', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [name, before] of ['ba', 'cb', 'dc', 'ed', 'fe']) {
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(', ')}]`)
    }
    expect(parseDocuments(bomb.join('\n'), 'f.yaml').issues[0]).toMatchObject({ code: 'SYNC-1001' })
  })
})

describe('loadFiles', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'syncline-load-'))
    await writeFile(join(folder, 'a.yaml'), good)
    await writeFile(join(folder, 'notes.txt'), 'not a document')
  })
  afterAll(() => rm(folder, { recursive: true }))

  const issuesOf = async (paths: string[]): Promise<[SyncError, ConfigIssue[]]> => {
    const error = await loadFiles(paths).then(
      () => expect.unreachable('must be refused'),
      (thrown: SyncError) => thrown,
    )
    return [error, (error.details['issues'] ?? []) as ConfigIssue[]]
  }

  it('loads files and folders', async () => {
    expect(await loadFiles([folder])).toHaveLength(2)
    expect(await loadFiles([join(folder, 'a.yaml')])).toHaveLength(2)
    expect(await loadFiles(['-'], async () => good)).toHaveLength(2)
  })

  it('refuses the same resource twice', async () => {
    const [error, issues] = await issuesOf([folder, join(folder, 'a.yaml')])
    expect(error.code).toBe('SYNC-1003')
    expect(issues.map(({ message }) => message)).toEqual([
      expect.stringContaining('a.yaml:2 already'),
      expect.stringContaining('a.yaml:11 already'),
    ])
  })

  it('refuses a missing file and an empty one', async () => {
    expect((await issuesOf([join(folder, 'none.yaml')]))[0].code).toBe('SYNC-1001')
    await writeFile(join(folder, 'empty.yaml'), '# nothing\n')
    expect((await issuesOf([join(folder, 'empty.yaml')]))[0].code).toBe('SYNC-1002')
  })
})
