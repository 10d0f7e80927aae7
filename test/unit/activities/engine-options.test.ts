import { expect, it } from 'vitest'
import { toEngineOptions } from '../../../src/activities/engine-options.ts'
import { defaultPolicies } from '../../../src/core/schema-policy.ts'
import { endpoint, pipeline } from '../store/documents.ts'

it('maps every field of a pipeline', () => {
  const { spec } = pipeline('shop', {
    tables: [
      { match: 'shop.*', exclude: ['shop.tmp_*'], to: { schema: 'copy' }, where: 'a = 1' },
      { match: 'crm.x', columns: { exclude: ['c'], rename: { a: 'b' } } },
      { match: 'crm.y', columns: { include: ['a'] } },
    ],
    load: { mode: 'none', chunkRows: 500, chunksInFlight: 2 },
    stream: {
      order: 'global',
      lanes: 7,
      batch: { maxRows: 10, smallRows: 5, maxBytes: '1MiB', maxDelay: '0.5s' },
    },
    schemaChanges: { addColumn: 'ignore', dropTable: 'apply' },
  })
  const rule = { exclude: [], includeColumns: null, excludeColumns: [], renameColumns: {}, where: null }
  const sameNames = { toSchema: '{schema}', toTable: '{table}' }
  expect(toEngineOptions('shop', spec, endpoint('a', { site: 'dc-a' }))).toEqual({
    pipeline: 'shop',
    origin: 'dc-a',
    rules: [
      {
        ...rule,
        match: 'shop.*',
        exclude: ['shop.tmp_*'],
        toSchema: 'copy',
        toTable: '{table}',
        where: 'a = 1',
      },
      { ...rule, ...sameNames, match: 'crm.x', excludeColumns: ['c'], renameColumns: { a: 'b' } },
      { ...rule, ...sameNames, match: 'crm.y', includeColumns: ['a'] },
    ],
    order: 'global',
    lanes: 7,
    batch: { maxRows: 10, maxBytes: 1048576, maxDelayMs: 500 },
    smallBatchRows: 5,
    load: { enabled: false, chunkRows: 500, chunksInFlight: 2 },
    schemaChanges: { ...defaultPolicies, addColumn: 'ignore', dropTable: 'apply' },
  })
  expect(toEngineOptions('shop', spec, endpoint('a')).origin).toBe('a')
})
