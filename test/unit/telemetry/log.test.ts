/*
 * A log line is one JSON object; secrets are masked where our own objects have them; errors keep their code and cause.
 */
import { expect, it } from 'vitest'
import { SyncError } from '../../../src/core/errors.ts'
import { createLog } from '../../../src/telemetry/log.ts'

const lines = (write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] => {
  const written: string[] = []
  write(createLog('test', 'info', { write: (line) => written.push(line) }))
  return written.map((line) => JSON.parse(line) as Record<string, unknown>)
}

it('masks secrets at every depth that endpoints have', () => {
  const [line] = lines((log) =>
    log.info(
      {
        password: 'p1',
        endpoint: { spec: { user: 'u', password: 'p2', tls: { passphrase: 'p3' } } },
        token: 'p4',
      },
      'connecting',
    ),
  )
  expect(JSON.stringify(line)).not.toMatch(/p\d/)
  expect(line).toMatchObject({ component: 'test', level: 'info', message: 'connecting' })
  expect(line?.['endpoint']).toMatchObject({ spec: { user: 'u', password: '***' } })
})

it('writes errors with code, remedy and cause', () => {
  const error = new SyncError('SYNC-2101', 'gone', { cause: new Error('ECONNRESET') })
  const [line] = lines((log) => log.warn({ error }, 'retrying'))
  expect(line?.['error']).toMatchObject({
    code: 'SYNC-2101',
    message: 'gone',
    cause: { message: 'ECONNRESET' },
  })
})
