/* docs/reference/config.md from the JSON Schema of the files. */
import { generatedNote, markdownTable } from './markdown.ts'

type Schema = {
  readonly title?: string
  readonly description?: string
  readonly type?: string
  readonly const?: string
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly oneOf?: readonly Schema[]
  readonly additionalProperties?: boolean | Schema
}

/** Shown in the reference; a test holds that it is right. */
export const example = `apiVersion: syncline/v1
kind: Endpoint
metadata: { name: source-db }
spec:
  kind: mysql
  host: db1.example.net
  user: syncline
  password: \${env:SOURCE_PASSWORD}
  tls: { mode: verify-full, ca: "\${file:/etc/syncline/ca.pem}" }
  site: dc-a
---
apiVersion: syncline/v1
kind: Pipeline
metadata: { name: shop, labels: { team: orders } }
spec:
  source: source-db
  target: target-db
  tables:
    - match: shop.*
      exclude: [shop.tmp_*]
      to: { schema: shop_copy }
  onMissingTable: create
  stream: { lanes: 8 }
`

export function configReference(schema: Record<string, unknown>): string {
  const kinds = (schema as Schema).oneOf ?? []
  const parts = [
    generatedNote,
    '# Files',
    '',
    'A file holds one or more YAML documents, separated by `---`. Every mistake is told with file, line, column, code and remedy, and',
    'nothing is used before all of it is right: `syncline validate -f FILE`. Editors that read JSON Schema complete and check the files',
    'with `schema/syncline.json`; for the YAML language server, put this line first:',
    '',
    '```yaml',
    '# yaml-language-server: $schema=./schema/syncline.json',
    '```',
    '',
    'Secrets are references: `${env:NAME}` is a variable in the environment of the worker, `${file:/path}` a file on its host. Inside `{ }` and',
    '`[ ]` a reference needs quotes. Durations are written `20ms`, `5s`, `10m`, `1h`; sizes `512KiB`, `8MiB`, `1GiB`.',
    '',
    '```yaml',
    example.trimEnd(),
    '```',
  ]
  for (const kind of kinds) {
    const rows: string[][] = []
    collect(kind, '', rows)
    parts.push('', `## ${kind.title}`, '', kind.description ?? '', '')
    parts.push(markdownTable(['Field', 'Type', 'Default', 'Meaning'], rows))
  }
  return `${parts.join('\n')}\n`
}

function collect(schema: Schema, path: string, rows: string[][]): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const here = path === '' ? name : `${path}.${name}`
    const fallback = schema.required?.includes(name) === true ? 'required' : defaultOf(field)
    rows.push([`\`${here}\``, typeOf(field), fallback, field.description ?? ''])
    for (const member of field.oneOf ?? []) collect(member, here, rows)
    collect(field, here, rows)
    if (field.items !== undefined) collect(field.items, `${here}[]`, rows)
  }
}

function defaultOf({ default: value }: Schema): string {
  if (value === undefined) return ''
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0
  return isEmpty ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function typeOf(field: Schema): string {
  if (field.const !== undefined) return `\`${field.const}\``
  if (field.enum !== undefined) return field.enum.map((value) => `\`${value}\``).join(', ')
  if (field.type === 'array') return `list of ${field.items === undefined ? 'anything' : typeOf(field.items)}`
  if (field.type === 'integer') {
    return field.minimum === undefined ? 'integer' : `integer, ${field.minimum} to ${field.maximum}`
  }
  if (field.type === 'object' && typeof field.additionalProperties === 'object')
    return 'map of names to texts'
  return field.type ?? (field.oneOf === undefined ? 'any' : 'object')
}
