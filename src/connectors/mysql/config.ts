/**
 * What a MySQL endpoint is made of. The file format wraps this schema (src/config/): there, secrets are references, and here they are
 * resolved. Pure.
 */
import { z } from 'zod'

/** How a connection is encrypted; the words and their meaning are those of MySQL's own clients. */
export const tlsModes = ['disabled', 'preferred', 'required', 'verify-ca', 'verify-full'] as const

export const mysqlTls = z.strictObject({
  mode: z.enum(tlsModes).default('preferred').meta({
    description:
      'disabled: plain text. preferred: encrypted where the server offers it. required: encrypted or not at all. verify-ca: and the certificate is signed by `ca`. verify-full: and it names the host.',
  }),
  ca: z
    .string()
    .optional()
    .meta({ description: 'PEM text of the certificate authorities; without it, those that Node.js knows.' }),
  cert: z.string().optional().meta({ description: 'PEM text of the client certificate.' }),
  key: z.string().optional().meta({ description: 'PEM text of the key of the client certificate.' }),
})

export const mysqlEndpoint = z.strictObject({
  kind: z
    .literal('mysql')
    .meta({ description: 'A MySQL server, 8.0 or newer, or a MariaDB server, 10.11 or newer.' }),
  host: z
    .string()
    .min(1)
    .meta({ description: 'Host name or address.', examples: ['db1.example.net'] }),
  port: z.int().min(1).max(65_535).default(3306).meta({ description: 'TCP port.' }),
  user: z
    .string()
    .min(1)
    .meta({ description: 'Account name.', examples: ['syncline'] }),
  password: z.string().default('').meta({ description: 'Password of the account; may be empty.' }),
  tls: mysqlTls.default({ mode: 'preferred' }).meta({ description: 'Encryption of the connection.' }),
  connectTimeoutMs: z
    .int()
    .min(100)
    .max(120_000)
    .default(5000)
    .meta({ description: 'Longest time until a connection stands and is authenticated, in milliseconds.' }),
})

/** As written by people: defaults may be left out. */
export type MysqlEndpointInput = z.input<typeof mysqlEndpoint>

/** With every default filled in. */
export type MysqlEndpoint = z.output<typeof mysqlEndpoint>
