/**
 * The command line's side of the API. An answer that is a problem becomes the SyncError it tells of; no answer is SYNC-1107.
 */
import type {
  ComparedTableAnswer,
  DifferenceAnswer,
  RepairAnswer,
  RepairAsked,
  RepairedRowAnswer,
  RepairStatementAnswer,
  VerificationAnswer,
  VerificationAsked,
} from '../api/verification-wire.ts'
import type {
  AppliedEndpoint,
  AppliedPipeline,
  EndpointResource,
  LimitsChange,
  ParkedTableAnswer,
  PipelineResource,
  PipelineStatusAnswer,
  Problem,
  StatisticsAnswer,
} from '../api/wire.ts'
import type { Document } from '../config/document.ts'
import { catalogue, type ErrorCode, SyncError } from '../core/errors.ts'

export type Kind = 'endpoint' | 'pipeline'
export type Action = 'pause' | 'resume' | 'stop'

export interface ApiClient {
  readonly server: string
  endpoints(): Promise<EndpointResource[]>
  endpoint(name: string): Promise<EndpointResource>
  pipelines(): Promise<PipelineResource[]>
  pipeline(name: string): Promise<PipelineResource>
  status(name: string): Promise<PipelineStatusAnswer>
  /** One page of tables; without a token the first. */
  statistics(
    name: string,
    query: { pageSize?: number; sort?: 'rows' | 'name'; pageToken?: string },
  ): Promise<StatisticsAnswer>
  apply(
    document: Document,
    dryRun: boolean,
  ): Promise<AppliedEndpoint & Partial<Pick<AppliedPipeline, 'workflow'>>>
  setLimits(name: string, change: LimitsChange): Promise<AppliedPipeline>
  parkedTables(name: string): Promise<ParkedTableAnswer[]>
  rejoin(name: string, table: string): Promise<PipelineStatusAnswer>
  addTables(name: string, tables: readonly (string | object)[]): Promise<AppliedPipeline>
  removeTables(name: string, tables: readonly string[]): Promise<AppliedPipeline>
  act(name: string, action: Action): Promise<PipelineStatusAnswer>
  delete(kind: Kind, name: string, force: boolean): Promise<void>
  verify(name: string, asked: VerificationAsked): Promise<VerificationAnswer>
  verifications(name: string, most: number): Promise<VerificationAnswer[]>
  verification(run: Run): Promise<VerificationAnswer>
  comparedTables(run: Run): Promise<ComparedTableAnswer[]>
  differences(run: Run, query: { table?: string }, most: number): Promise<DifferenceAnswer[]>
  cancelVerification(run: Run): Promise<VerificationAnswer>
  repairStatements(run: Run, most: number): Promise<RepairStatementAnswer[]>
  repair(run: Run, asked: RepairAsked): Promise<RepairAnswer>
  approveRepair(run: Run): Promise<RepairAnswer>
  repairedRows(run: Run, repair: number, most: number): Promise<RepairedRowAnswer[]>
}

/** A verification. */
export interface Run {
  readonly pipeline: string
  readonly number: number
}

/** The longest an answer may take: an action waits up to 10 s for its effect, a deletion 30 s for the drain. */
const answerWithinMs = 60_000
const pageSize = 500
const mostTables = 100_000

export function createApiClient(server: string, actor: string, signal: AbortSignal): ApiClient {
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    let answer: Response
    let text: string
    try {
      answer = await fetch(new URL(path, server), {
        method,
        headers: { 'content-type': 'application/json', 'x-syncline-actor': actor },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
      })
      text = await answer.text()
    } catch (cause) {
      signal.throwIfAborted()
      throw new SyncError('SYNC-1107', `${server}: ${reasonOf(cause)}`, { cause })
    }
    const json = parsed(text)
    if (answer.ok) return json as T
    throw errorOf(answer.status, json, server)
  }
  const of = (kind: Kind, name = ''): string =>
    `/v1/${kind}s${name === '' ? '' : `/${encodeURIComponent(name)}`}`
  const runOf = ({ pipeline, number }: Run): string => `${of('pipeline', pipeline)}/verifications/${number}`
  /** Pages until `most` are there, or no more. */
  const pages = async <T>(path: string, most: number, query: Record<string, string> = {}): Promise<T[]> => {
    const items: T[] = []
    let token: string | null = null
    do {
      const given = new URLSearchParams({
        ...query,
        pageSize: String(Math.min(pageSize, most - items.length)),
        ...(token === null ? {} : { pageToken: token }),
      })
      const page: { items: T[]; nextPageToken: string | null } = await ask(
        'GET',
        `${path}?${given.toString()}`,
      )
      items.push(...page.items)
      token = page.nextPageToken
    } while (token !== null && items.length < most)
    return items
  }
  return {
    server,
    verify: (name, asked) => ask('POST', `${of('pipeline', name)}/verifications`, asked),
    verifications: (name, most) => pages(`${of('pipeline', name)}/verifications`, most),
    verification: (run) => ask('GET', runOf(run)),
    comparedTables: (run) => pages(`${runOf(run)}/tables`, mostTables),
    differences: (run, query, most) => pages(`${runOf(run)}/differences`, most, query),
    cancelVerification: (run) => ask('POST', `${runOf(run)}/cancel`),
    repairStatements: (run, most) => pages(`${runOf(run)}/repair-statements`, most),
    repair: (run, asked) => ask('POST', `${runOf(run)}/repairs`, asked),
    approveRepair: (run) => ask('POST', `${runOf(run)}/approve`),
    repairedRows: (run, repair, most) => pages(`${runOf(run)}/repairs/${repair}/rows`, most),
    endpoints: async () => (await ask<{ items: EndpointResource[] }>('GET', of('endpoint'))).items,
    endpoint: (name) => ask('GET', of('endpoint', name)),
    pipelines: async () => (await ask<{ items: PipelineResource[] }>('GET', of('pipeline'))).items,
    pipeline: (name) => ask('GET', of('pipeline', name)),
    status: (name) => ask('GET', `${of('pipeline', name)}/status`),
    statistics(name, query) {
      const given = Object.entries(query).map(([key, value]): [string, string] => [key, String(value)])
      return ask('GET', `${of('pipeline', name)}/statistics?${new URLSearchParams(given).toString()}`)
    },
    apply(document, dryRun) {
      const kind: Kind = document.kind === 'Endpoint' ? 'endpoint' : 'pipeline'
      return ask('PUT', `${of(kind, document.metadata.name)}${dryRun ? '?dryRun=true' : ''}`, document)
    },
    parkedTables: async (name) =>
      (await ask<{ items: ParkedTableAnswer[] }>('GET', `${of('pipeline', name)}/quarantine`)).items,
    rejoin: (name, table) => ask('POST', `${of('pipeline', name)}/quarantine/rejoin`, { table }),
    addTables: (name, tables) => ask('POST', `${of('pipeline', name)}/add-tables`, { tables }),
    removeTables: (name, tables) => ask('POST', `${of('pipeline', name)}/remove-tables`, { tables }),
    setLimits: (name, change) => ask('POST', `${of('pipeline', name)}/limits`, change),
    act: (name, action) => ask('POST', `${of('pipeline', name)}/${action}`),
    delete: (kind, name, force) => ask('DELETE', `${of(kind, name)}${force ? '?force=true' : ''}`),
  }
}

function parsed(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

function errorOf(status: number, body: unknown, server: string): SyncError {
  const problem = body as Partial<Problem> | null
  const code = problem?.code
  if (code === undefined || !(code in catalogue)) {
    return new SyncError('SYNC-1107', `${server} answers ${status}, and not as Syncline does`, {
      remedy: 'Check --server: something else may listen there.',
    })
  }
  return new SyncError(code as ErrorCode, problem?.detail ?? '', {
    ...(problem?.remedy === undefined ? {} : { remedy: problem.remedy }),
    details: { errors: problem?.errors ?? [] },
  })
}

function reasonOf(cause: unknown): string {
  const inner = (cause as { cause?: { code?: string; message?: string } }).cause
  return inner?.code ?? inner?.message ?? (cause as Error).message
}
