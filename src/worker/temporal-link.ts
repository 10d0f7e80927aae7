/**
 * A worker's connection to Temporal: made with patience, prepared once, and watched.
 *
 * Temporal may be away at the start, restart, and come back at any time. Each change is logged once, in plain words. The search attributes that
 * workflows set are registered when they are missing: without them the server refuses those workflows' tasks for ever.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import proto from '@temporalio/proto'
import { NativeConnection } from '@temporalio/worker'
import { searchAttributeNames } from '../core/pipeline-control.ts'
import type { Log } from '../telemetry/log.ts'
import { installTemporalRuntime } from '../telemetry/temporal-log.ts'

export interface TemporalLinkOptions {
  /** host:port */
  readonly address: string
  readonly namespace: string
}

export interface TemporalLink {
  /** Tries until Temporal answers and has the namespace; rejects only when `signal` aborts. */
  connect(signal: AbortSignal): Promise<NativeConnection>
  isReachable(): Promise<boolean>
  /** Closes the connection and stops watching. */
  close(): Promise<void>
}

const firstDelayMs = 200
const maxDelayMs = 5_000
const watchMs = 2_000
const probeMs = 1_500

export const createTemporalLink = (options: TemporalLinkOptions, log: Log): TemporalLink => {
  const { address, namespace } = options
  let connection: NativeConnection | null = null
  let wasReachable = true
  let watch: NodeJS.Timeout | undefined

  const isReachable = async (): Promise<boolean> => {
    const current = connection
    if (current === null) return false
    try {
      await current.withDeadline(Date.now() + probeMs, () => current.workflowService.getSystemInfo({}))
      return true
    } catch {
      return false
    }
  }
  const startWatching = (): void => {
    wasReachable = true
    clearInterval(watch)
    watch = setInterval(() => {
      void isReachable().then((isThere) => {
        if (isThere === wasReachable) return
        wasReachable = isThere
        if (isThere) log.info(`Temporal at ${address} is back`)
        else log.warn(`Temporal at ${address} cannot be reached; running streams go on, decisions wait`)
      })
    }, watchMs)
    watch.unref()
  }
  const closeConnection = async (): Promise<void> => {
    clearInterval(watch)
    const closing = connection
    connection = null
    await closing?.close().catch((error: unknown) => log.debug({ error }, 'closing the connection failed'))
  }

  return {
    isReachable,
    close: closeConnection,
    async connect(signal) {
      await closeConnection()
      for (let delayMs = firstDelayMs; ; delayMs = Math.min(maxDelayMs, delayMs * 2)) {
        signal.throwIfAborted()
        installTemporalRuntime(log)
        try {
          const made = await NativeConnection.connect({ address })
          connection = made
          await made.withDeadline(Date.now() + 5_000, () =>
            made.workflowService.describeNamespace({ namespace }),
          )
          await registerSearchAttributes(made, namespace, log)
          startWatching()
          log.info(`connected to Temporal at ${address}, namespace ${namespace}`)
          return made
        } catch (error) {
          await closeConnection()
          log.warn(`${reasonOf(error, options)}; next try in ${delayMs} ms`)
          await sleep(delayMs, undefined, { signal })
        }
      }
    },
  }
}

const reasonOf = (error: unknown, { address, namespace }: TemporalLinkOptions): string => {
  const message = error instanceof Error ? error.message : String(error)
  const isMissing = /namespace.*not found/i.test(message)
  return isMissing
    ? `Temporal at ${address} has no namespace ${namespace}`
    : `Temporal at ${address} cannot be reached (${message.split('\n')[0]})`
}

const registerSearchAttributes = async (
  connection: NativeConnection,
  namespace: string,
  log: Log,
): Promise<void> => {
  const names = Object.values(searchAttributeNames)
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace })
    const missing = names.filter((name) => !Object.hasOwn(customAttributes ?? {}, name))
    if (missing.length === 0) return
    const keyword = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
    })
    log.info({ missing }, 'search attributes registered')
  } catch (error) {
    // Two workers at once, or a server that allows this to administrators only (Temporal Cloud).
    log.warn(
      { error },
      `cannot register search attributes; where they are missing, run: temporal operator search-attribute create ${names
        .map((name) => `--name ${name} --type Keyword`)
        .join(' ')}`,
    )
  }
}
