/*
 * A reader of logs in a process of its own, so that its CPU time is its own. One question at a time.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { heapFlags } from '../../../src/config/heap-flags.ts'
import type { Log, Pass } from '../benches/decode.ts'
import type { Reach } from '../servers.ts'
import type { FromReader, Reader, ToReader } from './messages.ts'

export type DecodeProcess = {
  /** Reads the log from start to end. */
  read(log: Log): Promise<Pass>
  /** Folds the log's rows into tables, and gives a digest of each. */
  digests(log: Log): Promise<Readonly<Record<string, string>>>
  [Symbol.asyncDispose](): Promise<void>
}

const entry = fileURLToPath(new URL('./child.ts', import.meta.url))

export async function startDecodeProcess(reader: Reader, server: Reach): Promise<DecodeProcess> {
  const child = fork(entry, [], { execArgv: [...heapFlags(null)], stdio: ['ignore', 2, 2, 'ipc'] })
  const answer = async (): Promise<FromReader> => {
    const ended = new AbortController()
    try {
      return await Promise.race([
        once(child, 'message', { signal: ended.signal }).then(([message]) => message as FromReader),
        once(child, 'exit', { signal: ended.signal }).then(() => {
          throw new Error(`The reader ${reader} died.`)
        }),
      ])
    } finally {
      ended.abort()
    }
  }
  const { host, port, user, password } = server
  const ask = async (type: ToReader['type'], log: Log): Promise<FromReader> => {
    const question: ToReader = { type, reader, server: { host, port, user, password }, log }
    child.send(question)
    const said = await answer()
    if (said.type === 'failed') throw new Error(`${reader}: ${said.message}`)
    return said
  }
  const self: DecodeProcess = {
    async read(log) {
      const said = await ask('read', log)
      if (said.type !== 'pass') throw new Error(`${reader} answered ${said.type}.`)
      return said.pass
    },
    async digests(log) {
      const said = await ask('digests', log)
      if (said.type !== 'digests') throw new Error(`${reader} answered ${said.type}.`)
      return said.digests
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
  await answer()
  return self
}
