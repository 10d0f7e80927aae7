import { expect, it } from 'vitest'
import { example } from '../../../dev/reference/config.ts'
import { parseDocuments } from '../../../src/config/load.ts'

it('the example in the reference is right', () => {
  const { documents, issues } = parseDocuments(example, 'example.yaml')
  expect(issues).toEqual([])
  expect(documents.map(({ document }) => document.kind)).toEqual(['Endpoint', 'Pipeline'])
})
