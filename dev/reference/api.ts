/* docs/reference/api.md from the OpenAPI document that the API serves. */
import { generatedNote, markdownTable } from './markdown.ts'

type Operation = {
  readonly operationId: string
  readonly summary: string
  readonly tags: readonly string[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly description?: string
    readonly schema: {
      readonly description?: string
      readonly enum?: readonly string[]
      readonly type?: string
    }
  }[]
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>
  }
  readonly responses: Readonly<Record<string, { readonly description: string }>>
}

export type OpenApi = {
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export function apiReference(document: OpenApi): string {
  const parts = [
    generatedNote,
    '# HTTP API',
    '',
    'The server tells all of it as OpenAPI 3.1 at `/v1/openapi.json`. It listens on this host alone unless told otherwise: it knows no users yet.',
    '',
    '- **Who asks**: `X-Syncline-Actor`, else `anonymous@<address>`. Every change, and every refused one, is in the audit log.',
    '- **Request id**: `X-Request-Id`, given or made, comes back and is in the audit log.',
    '- **ETag**: the generation. `If-Match` refuses a change of what has changed meanwhile (412), `If-None-Match: *` one of what exists.',
    '- **Errors**: `application/problem+json` with `code`, `detail`, `remedy` and, for documents, `errors` with the path of every mistake.',
  ]
  for (const { name, description } of document.tags) {
    parts.push('', `## ${name}`, '', description)
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (operation.tags.includes(name)) parts.push(...operationLines(method, path, operation))
      }
    }
  }
  return `${parts.join('\n')}\n`
}

function operationLines(method: string, path: string, operation: Operation): string[] {
  const lines = [
    '',
    `### ${method.toUpperCase()} ${path}`,
    '',
    `${operation.summary}. (\`${operation.operationId}\`)`,
  ]
  const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
  if (parameters.length > 0) {
    const rows = parameters.map(({ name, description, schema }) => [
      `\`${name}\``,
      schema.enum?.join(', ') ?? schema.type ?? '',
      description ?? schema.description ?? '',
    ])
    lines.push('', markdownTable(['Query', 'Values', 'Meaning'], rows))
  }
  const body = operation.requestBody?.content['application/json']?.schema.$ref.split('/').at(-1)
  if (body !== undefined) lines.push('', `Body: a document of kind ${body}, see [Files](config.md).`)
  const rows = Object.entries(operation.responses).map(([status, { description }]) => [status, description])
  lines.push('', markdownTable(['Status', 'Meaning'], rows))
  return lines
}
