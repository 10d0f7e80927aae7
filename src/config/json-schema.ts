/**
 * The schema of the files as JSON Schema 2020-12, for editors and for the reference. Generated, never written by hand.
 */
import { z } from 'zod'
import { documentSchema } from './document.ts'

export function jsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(documentSchema, { io: 'input', target: 'draft-2020-12' })
  return {
    $schema,
    title: 'Syncline documents',
    description: 'One Endpoint or Pipeline. A file may hold several, separated by ---.',
    ...schema,
  }
}
