/**
 * What every document has: the version of the file's language, and a name.
 *
 * Names go into workflow ids, mark rows, URLs and metrics without escaping, so they are DNS labels (RFC 1123, 2.1).
 */
import { z } from 'zod'

export const apiVersion = z
  .literal('syncline/v1', { error: 'expected syncline/v1' })
  .meta({ description: 'Version of the file language.' })

export const resourceName = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
  error: 'expected 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit',
})

export const metadata = z
  .strictObject({
    name: resourceName.meta({ description: 'Unique name among resources of this kind.' }),
    labels: z
      .record(z.string().min(1).max(63), z.string().max(255))
      .default({})
      .meta({ description: 'Free words for people and for selecting.' }),
  })
  .meta({ description: 'Name and labels.' })
