import { describe, expect, it } from 'vitest'
import { checkDocument } from '../../../src/config/document.ts'
import { issueText } from '../../../src/config/issue.ts'
import { jsonSchema } from '../../../src/config/json-schema.ts'

export const endpointInput = (over: Record<string, unknown> = {}) => ({
  apiVersion: 'syncline/v1',
  kind: 'Endpoint',
  metadata: { name: 'source-db' },
  spec: { kind: 'mysql', host: '127.0.0.1', user: 'syncline', password: '${env:SOURCE_PASSWORD}', ...over },
})

const pipelineInput = (over: Record<string, unknown> = {}) => ({
  apiVersion: 'syncline/v1',
  kind: 'Pipeline',
  metadata: { name: 'shop' },
  spec: { source: 'source-db', target: 'target-db', tables: [{ match: 'shop.*' }], ...over },
})

const said = (input: unknown) =>
  checkDocument(input).issues.map((found) => `${issueText(found)} | ${found.remedy}`)

describe('checkDocument', () => {
  it('fills in every default', () => {
    const { document, issues } = checkDocument(pipelineInput())
    expect(issues).toEqual([])
    expect(document?.spec).toEqual({
      source: 'source-db',
      target: 'target-db',
      tables: [
        {
          match: 'shop.*',
          exclude: [],
          to: { schema: '{schema}', table: '{table}' },
          columns: { rename: {} },
        },
      ],
      onMissingTable: 'refuse',
      onExistingRows: 'refuse',
      onRefusedRow: 'block',
      quarantine: { maxTables: 10, maxDeadLetters: 100 },
      shards: 1,
      load: { mode: 'once', chunkRows: 20000, chunksInFlight: 4 },
      stream: {
        order: 'merged',
        lanes: 4,
        batch: { maxRows: 200000, smallRows: 500, maxBytes: '24MiB', maxDelay: '0ms' },
      },
      schemaChanges: {
        addColumn: 'apply',
        widenColumn: 'apply',
        narrowColumn: 'block',
        renameColumn: 'block',
        dropColumn: 'block',
        addIndex: 'apply',
        dropIndex: 'ignore',
        createTable: 'apply',
        renameTable: 'block',
        dropTable: 'block',
        truncateTable: 'block',
        dropPartition: 'block',
      },
    })
    expect(checkDocument(endpointInput()).document?.spec).toMatchObject({
      port: 3306,
      tls: { mode: 'preferred' },
    })
  })

  it('reads what it returns to the same document', () => {
    const { document } = checkDocument(pipelineInput({ stream: { batch: { maxBytes: '1MiB' } } }))
    expect(checkDocument(document).document).toEqual(document)
  })

  it.each([
    ['a list', [], ['expected a document']],
    ['no kind', { apiVersion: 'syncline/v1' }, ['`kind` is missing']],
    ['a mistyped kind', { kind: 'Pipelin' }, ['kind: "Pipelin" is not a kind | Did you mean Pipeline?']],
    ['another version', { ...pipelineInput(), apiVersion: 'syncline/v2' }, ['SYNC-1002 apiVersion']],
    [
      'a mistyped field',
      pipelineInput({ straem: {} }),
      ['SYNC-1002 spec.straem: `straem` is not a field here | Did you mean `stream`?'],
    ],
    [
      'a mistyped field deep inside',
      pipelineInput({ stream: { batch: { maxrow: 1 } } }),
      ['spec.stream.batch.maxrow: `maxrow` is not a field here | Did you mean `maxRows`?'],
    ],
    [
      'dropped partitions applied',
      pipelineInput({ schemaChanges: { dropPartition: 'apply' } }),
      ['spec.schemaChanges.dropPartition: "apply" is not'],
    ],
    ['an unrelated field', pipelineInput({ zzzzzz: 1 }), ['Allowed here: source, target, tables']],
    [
      'a missing field',
      pipelineInput({ source: undefined }),
      ['spec.source: `source` is missing | Add `source`.'],
    ],
    ['a bad name', pipelineInput({ source: 'Source_DB' }), ['spec.source: expected 1 to 63 of a-z']],
    [
      'a wrong type',
      pipelineInput({ stream: { lanes: 'four' } }),
      ['spec.stream.lanes: expected number, received string'],
    ],
    ['too many lanes', pipelineInput({ stream: { lanes: 65 } }), ['spec.stream.lanes: ']],
    [
      'a size without unit',
      pipelineInput({ stream: { batch: { maxBytes: 8 } } }),
      ['expected a size with a unit'],
    ],
    [
      'a size too large',
      pipelineInput({ stream: { batch: { maxBytes: '1GiB' } } }),
      ['must be between 64KiB and 256MiB'],
    ],
    [
      'a delay in bytes',
      pipelineInput({ stream: { batch: { maxDelay: '5MiB' } } }),
      ['expected a duration with a unit'],
    ],
    [
      'a pattern without schema',
      pipelineInput({ tables: [{ match: 'orders' }] }),
      ['spec.tables[0].match: expected schema.table'],
    ],
    ['no tables', pipelineInput({ tables: [] }), ['spec.tables: ']],
    [
      'a mistyped choice',
      pipelineInput({ onMissingTable: 'creat' }),
      ['is not one of refuse, create | Did you mean `create`?'],
    ],
    [
      'an unknown store',
      endpointInput({ kind: 'mysqll' }),
      ['spec.kind: "mysqll" is not one of mysql | Did you mean `mysql`?'],
    ],
    ['a port beyond 65535', endpointInput({ port: 70000 }), ['spec.port: ']],
    [
      'a reference in a plain field',
      endpointInput({ host: '${env:HOST}' }),
      ['spec.host: references work in secret fields only'],
    ],
  ])('refuses %s', (_, input, expected) => {
    const issues = said(input)
    expect(issues).toHaveLength(expected.length)
    expected.forEach((text, index) => expect(issues[index]).toContain(text))
  })

  it('says every mistake at once', () => {
    expect(said(pipelineInput({ source: 1, target: 2, tabels: [] }))).toHaveLength(3)
  })

  it.each([['hunter2'], [12345], ['${env:1BAD}'], ['x${env:A}']])(
    'refuses a literal password, and does not repeat it',
    (password) => {
      const issues = said(endpointInput({ password }))
      expect(issues).toEqual([
        'SYNC-1004 spec.password: a secret must not stand in the file | Put a reference there: ${env:NAME} or ${file:/path}.',
      ])
    },
  )

  it('refuses a private key in the file, and takes a public certificate', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'
    expect(said(endpointInput({ tls: { mode: 'verify-ca', ca: pem } }))).toEqual([])
    expect(said(endpointInput({ tls: { cert: pem, key: 'secret' } }))).toEqual([
      expect.stringContaining('SYNC-1004 spec.tls.key'),
    ])
    expect(said(endpointInput({ tls: { cert: pem } }))).toEqual([
      expect.stringContaining('SYNC-1003 spec.tls'),
    ])
    expect(said(endpointInput({ tls: { mode: 'disabled', ca: pem } }))).toEqual([
      expect.stringContaining('SYNC-1003 spec.tls.mode'),
    ])
  })
})

const never = (first: string, exclude: string[], second: string) => ({
  tables: [
    { match: first, exclude },
    { match: second, to: { schema: 'x' } },
  ],
})

describe('combinations', () => {
  it('says why a rule never holds, and what to do', () => {
    const [problem] = said(pipelineInput(never('a.*', ['a.t'], 'a.t')))
    expect(problem).toContain('rule 0 (a.*) comes first and decides for a.t, also where it leaves tables out')
  })

  it.each([
    ['shards in global order', { shards: 2, stream: { order: 'global' } }, 'spec.shards'],
    [
      'include with exclude',
      { tables: [{ match: 'a.b', columns: { include: ['x'], exclude: ['y'] } }] },
      'columns.exclude',
    ],
    [
      'a rename of an excluded column',
      { tables: [{ match: 'a.b', columns: { exclude: ['y'], rename: { y: 'z' } } }] },
      'columns.rename.y',
    ],
    [
      'a rename of a column not included',
      { tables: [{ match: 'a.b', columns: { include: ['x'], rename: { y: 'z' } } }] },
      'columns.rename.y',
    ],
    [
      'two columns of one name',
      { tables: [{ match: 'a.b', columns: { rename: { x: 'z', y: 'z' } } }] },
      'columns.rename.y',
    ],
    [
      'a rename onto an included column',
      { tables: [{ match: 'a.b', columns: { include: ['x', 'y'], rename: { x: 'y' } } }] },
      'columns.rename.x',
    ],
    ['many tables into one', { tables: [{ match: 'a.t_*', to: { table: 'all' } }] }, 'to.table'],
    ['many schemas into one', { tables: [{ match: 'a*.t', to: { schema: 'all' } }] }, 'to.schema'],
    [
      'two tables into one',
      { tables: [{ match: 'a.t' }, { match: 'b.t', to: { schema: 'a' } }] },
      'spec.tables[1].to',
    ],
    ['a rule that never holds', { tables: [{ match: 'a.*' }, { match: 'a.t' }] }, 'spec.tables[1].match'],
    ['a rule that never holds, for what is left out', never('a.*', ['a.t'], 'a.t'), 'spec.tables[1].match'],
    ['a rule that never holds, partly left out', never('a.*', ['a.t1'], 'a.t*'), 'spec.tables[1].match'],
    [
      'a rule that never holds, left out by a pattern',
      never('a.*', ['*.t*'], 'a.t1'),
      'spec.tables[1].match',
    ],
    ['the same pattern twice, one with less', never('a.t*', ['a.t1'], 'a.t*'), 'spec.tables[1].match'],
    ['the same pattern twice', { tables: [{ match: 'a.t*' }, { match: 'a.t*' }] }, 'spec.tables[1].match'],
    ['a copy of a table into itself', { target: 'source-db' }, 'spec.tables[0]'],
    ...((
      [
        ['never loaded', { load: { mode: 'none' } }],
        ['to keep rows', { onExistingRows: 'keep' }],
        ['in global order', { stream: { order: 'global' } }],
      ] as const
    ).map(([what, spec]) => [
      `parking what is ${what}`,
      { onRefusedRow: 'quarantine', ...spec },
      'spec.onRefusedRow',
    ]) as [string, Record<string, unknown>, string][]),
    [
      'emptying what is never loaded',
      { load: { mode: 'none' }, onExistingRows: 'empty' },
      'spec.onExistingRows',
    ],
  ])('refuses %s', (_, over, path) => {
    const issues = said(pipelineInput(over))
    expect(issues).toHaveLength(1)
    expect(issues[0]).toContain('SYNC-1003')
    expect(issues[0]).toContain(path)
  })

  it.each([
    ['a swap of names', { tables: [{ match: 'a.b', columns: { rename: { x: 'y', y: 'x' } } }] }],
    ['shards with parked tables', { shards: 2, onRefusedRow: 'quarantine' }],
    ['an exception first', { tables: [{ match: 'a.t', to: { schema: 'x' } }, { match: 'a.*' }] }],
    [
      'an exception first that is left out, too',
      {
        tables: [
          { match: 'a.t', to: { schema: 'x' } },
          { match: 'a.*', exclude: ['a.t'] },
        ],
      },
    ],
    [
      'a wider rule behind what is left out',
      {
        tables: [
          { match: 'a.t*', exclude: ['a.t1'] },
          { match: 'a.*', to: { schema: 'x' } },
        ],
      },
    ],
    [
      'one endpoint, other names',
      { target: 'source-db', tables: [{ match: 'a.*', to: { schema: 'a_copy' } }] },
    ],
    ['both names in one', { tables: [{ match: '*.*', to: { schema: 'all', table: '{schema}_{table}' } }] }],
  ])('takes %s', (_, over) => {
    expect(said(pipelineInput(over))).toEqual([])
  })
})

it('refuses a row filter that cannot be understood', () => {
  expect(said(pipelineInput({ tables: [{ match: 'a.b', where: 'a = 1 AND b IN (2, 3)' }] }))).toEqual([])
  expect(said(pipelineInput({ tables: [{ match: 'a.b', where: 'a = now()' }] }))).toEqual([
    expect.stringContaining('SYNC-1006 spec.tables[0].where'),
  ])
})

describe('jsonSchema', () => {
  it('describes every field', () => {
    const bare: string[] = []
    const walk = (node: unknown, path: string): void => {
      if (node === null || typeof node !== 'object') return
      const { properties } = node as { properties?: Record<string, { description?: string }> }
      for (const [name, field] of Object.entries(properties ?? {})) {
        if (field.description === undefined) bare.push(`${path}.${name}`)
      }
      for (const [name, inner] of Object.entries(node)) walk(inner, `${path}.${name}`)
    }
    walk(jsonSchema(), '')
    expect(bare).toEqual([])
  })
})
