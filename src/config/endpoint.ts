/**
 * `kind: Endpoint`: a store that pipelines read from or write to, and how to reach it.
 *
 * Secrets are references (secret.ts); the rest is literal. The types of the whole program are inferred from here.
 */
import { z } from 'zod'
import { apiVersion, metadata, resourceName } from './metadata.ts'
import { pemOrReference, resolveSecrets, secretReference } from './secret.ts'

const literalText = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !text.includes('${'), { error: 'references work in secret fields only' })

const tls = z
  .strictObject({
    mode: z
      .enum(['disabled', 'preferred', 'required', 'verify-ca', 'verify-full'])
      .default('preferred')
      .meta({
        description:
          'disabled: never; preferred: if the server offers it; required: or fail; verify-ca: check the authority; verify-full: check the host name too.',
      }),
    ca: pemOrReference
      .optional()
      .meta({ description: 'Certificate of the authority, for verify-ca and verify-full.' }),
    cert: pemOrReference.optional().meta({ description: 'Client certificate.' }),
    key: secretReference
      .optional()
      .meta({ description: 'Private key of the client certificate, as a reference.' }),
  })
  .meta({ description: 'Transport encryption.' })

export const mysqlEndpointSpec = z
  .strictObject({
    kind: z.literal('mysql').meta({ description: 'MySQL 8.0 and later, and MariaDB 10.11 and later.' }),
    host: literalText.meta({ description: 'Host name or address.' }),
    port: z.int().min(1).max(65535).default(3306).meta({ description: 'TCP port.' }),
    user: literalText.meta({ description: 'Login name.' }),
    password: secretReference.optional().meta({
      description:
        'Password as a reference: ${env:NAME} or ${file:/path}, resolved where the connection is opened; left out: none.',
    }),
    tls: tls.prefault({}),
    site: resourceName
      .optional()
      .meta({ description: 'The data centre this store is in; default: the name of the endpoint.' }),
  })
  .meta({ description: 'How to reach a MySQL server.' })

/** One member for each kind of store. */
export const endpointSpec = z
  .discriminatedUnion('kind', [mysqlEndpointSpec])
  .meta({ description: 'How to reach the store.' })

export const endpoint = z
  .strictObject({
    apiVersion,
    kind: z.literal('Endpoint').meta({ description: 'A store that pipelines read from or write to.' }),
    metadata,
    spec: endpointSpec,
  })
  .meta({ title: 'Endpoint', description: 'A store that pipelines read from or write to.' })

export type EndpointSpec = z.output<typeof endpointSpec>
export type Endpoint = z.output<typeof endpoint>

/** The data centre of an endpoint: the origin of changes made there. */
export const siteOf = (document: Endpoint): string => document.spec.site ?? document.metadata.name

/**
 * What a connector takes to connect: the spec with its secrets resolved, without what only the pipeline needs to know.
 * @throws SyncError SYNC-1005 that names every reference that is missing
 */
export async function connectionOf(document: Endpoint): Promise<Omit<EndpointSpec, 'site'>> {
  const { site: _, ...connection } = document.spec
  return resolveSecrets(connection)
}
