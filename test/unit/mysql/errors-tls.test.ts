import { expect, it } from 'vitest'
import { classify } from '../../../src/connectors/mysql/errors.ts'

it.each([
  ['a link cut in the TLS negotiation', { syscall: 'read' }, 'SYNC-2101'],
  ['a peer that went away in it', { localAddress: '127.0.0.1' }, 'SYNC-2101'],
  ['a certificate that nobody vouches for', {}, 'SYNC-2102'],
])('%s', (_, fields, code) => {
  expect(
    classify(Object.assign(new Error('x'), { code: 'HANDSHAKE_SSL_ERROR', ...fields }), 'source').code,
  ).toBe(code)
})
