/*
 * What the benchmark asks of a process that reads logs.
 */
import type { Log, Pass } from '../benches/decode.ts'
import type { Reach } from '../servers.ts'

export type Reader = 'syncline' | 'zongji'

export type ToReader = {
  readonly type: 'read' | 'digests'
  readonly reader: Reader
  readonly server: Reach
  readonly log: Log
}

export type FromReader =
  | { readonly type: 'ready' }
  | { readonly type: 'pass'; readonly pass: Pass }
  | { readonly type: 'digests'; readonly digests: Readonly<Record<string, string>> }
  | { readonly type: 'failed'; readonly message: string }
