/**
 * The API server: the routes of src/api on a socket, over the store and Temporal.
 *
 * Starts whether or not Temporal is there (/readyz tells), and ends once the requests in hand are answered. Nobody proves who he is yet, so
 * it listens on this host alone unless it is told otherwise in so many words.
 */
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { createApp } from './api/app.ts'
import { createPipelineWorkflows } from './api/pipeline-workflows.ts'
import { SyncError } from './core/errors.ts'
import { openStore } from './store/store.ts'
import { createLog, type Log } from './telemetry/log.ts'

export interface RunServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Listen on an address that others can reach. */
  readonly allowRemote?: boolean
  readonly temporalAddress: string
  readonly namespace: string
  readonly storePath: string
  readonly taskQueuePrefix?: string
  /** Aborted: answer what is in hand, then end. */
  readonly signal: AbortSignal
  readonly log?: Log
  /** Told once it listens. */
  readonly onListening?: (url: string) => void
}

/** How long a request in hand may keep the server from ending. */
const closeWithinMs = 5_000

/** Resolves when the server has ended after `signal`. @throws SyncError SYNC-1102 for an address it must not or cannot listen on, SYNC-4004 */
export async function runServer(options: RunServerOptions): Promise<void> {
  const { host, port, signal } = options
  const log = options.log ?? createLog('api')
  if (!isLoopback(host) && options.allowRemote !== true) {
    throw new SyncError('SYNC-1102', `${host} can be reached from outside, and the API knows no users yet`, {
      remedy: 'Listen on 127.0.0.1, or add --allow-remote where only trusted programs reach it.',
    })
  }
  const store = openStore(options.storePath)
  const workflows = createPipelineWorkflows({
    address: options.temporalAddress,
    namespace: options.namespace,
    ...(options.taskQueuePrefix === undefined ? {} : { taskQueuePrefix: options.taskQueuePrefix }),
  })
  const app = createApp({
    store,
    workflows,
    onFailure: (error, requestId) => {
      const { code, message } = error
      if (error.disposition === 'bug') log.error({ error, requestId }, message)
      else log.warn({ code, requestId }, message)
    },
  })
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
  const server = serve({ fetch: app.fetch, hostname: host, port }, (address: AddressInfo) => {
    const url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
    log.info({ url }, 'the API listens')
    options.onListening?.(url)
  })
  server.on('error', (cause) => {
    reject(
      new SyncError('SYNC-1102', `cannot listen on ${host}:${port}: ${cause.message}`, {
        cause,
        remedy: 'Choose another --listen.',
      }),
    )
  })
  const close = (): void => {
    server.close(() => resolve())
    setTimeout(() => resolve(), closeWithinMs).unref()
  }
  if (signal.aborted) close()
  else signal.addEventListener('abort', close, { once: true })
  try {
    await ended
  } finally {
    await workflows.close()
    store.close()
    log.info('the API has ended')
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)
