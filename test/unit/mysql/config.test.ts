import { expect, it } from 'vitest'
import { mysqlEndpoint } from '../../../src/connectors/mysql/config.ts'
import { connectorOf } from '../../../src/connectors/registry.ts'

it('an endpoint needs a host and a user; the rest has defaults', () => {
  expect(mysqlEndpoint.parse({ kind: 'mysql', host: 'h', user: 'u' })).toEqual({
    kind: 'mysql',
    host: 'h',
    port: 3306,
    user: 'u',
    password: '',
    tls: { mode: 'preferred' },
    connectTimeoutMs: 5000,
  })
})

it.each([
  { kind: 'mysql', host: 'h' },
  { kind: 'mysql', host: '', user: 'u' },
  { kind: 'mysql', host: 'h', user: 'u', port: 70_000 },
  { kind: 'mysql', host: 'h', user: 'u', passwort: 'x' },
  { kind: 'mysql', host: 'h', user: 'u', tls: { mode: 'sometimes' } },
  { kind: 'oracle', host: 'h', user: 'u' },
])('refuses %j', (input) => {
  expect(mysqlEndpoint.safeParse(input).success).toBe(false)
})

it('the registry knows its kinds and nothing else', () => {
  expect(connectorOf('mysql').kind).toBe('mysql')
  for (const kind of ['oracle', 'toString', '__proto__', '']) {
    expect(() => connectorOf(kind)).toThrow(expect.objectContaining({ code: 'SYNC-1002' }))
  }
})
