/** Documents for tests of the store and of what stands on it. */
import { acceptDocument, checkEndpoint, checkPipeline } from '../../../src/config/document.ts'
import type { Endpoint } from '../../../src/config/endpoint.ts'
import type { Pipeline } from '../../../src/config/pipeline.ts'

export const endpoint = (name: string, spec: Record<string, unknown> = {}): Endpoint =>
  acceptDocument(
    checkEndpoint({
      apiVersion: 'syncline/v1',
      kind: 'Endpoint',
      metadata: { name },
      spec: { kind: 'mysql', host: `${name}.example`, user: 'syncline', password: '${env:PW}', ...spec },
    }),
  )

export const pipeline = (name: string, spec: Record<string, unknown> = {}): Pipeline =>
  acceptDocument(
    checkPipeline({
      apiVersion: 'syncline/v1',
      kind: 'Pipeline',
      metadata: { name },
      spec: { source: 'a', target: 'b', tables: [{ match: 'shop.*' }], ...spec },
    }),
  )
