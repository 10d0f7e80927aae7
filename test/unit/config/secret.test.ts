import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { redact, resolveSecrets } from '../../../src/config/secret.ts'
import type { SyncError } from '../../../src/core/errors.ts'

describe('resolveSecrets', () => {
  it('replaces references from the environment and from files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-secret-'))
    await writeFile(join(folder, 'ca.pem'), 'line 1\nline 2\n')
    const spec = {
      password: '${env:PW}',
      port: 1,
      tls: { ca: `\${file:${folder}/ca.pem}` },
      list: ['${env:PW}'],
    }
    expect(await resolveSecrets(spec, { PW: ' x${env:PW} ' })).toEqual({
      password: ' x${env:PW} ',
      port: 1,
      tls: { ca: 'line 1\nline 2' },
      list: [' x${env:PW} '],
    })
    await rm(folder, { recursive: true })
  })

  it('names everything that is missing', async () => {
    const error = await resolveSecrets({ a: '${env:NOT_SET}', b: '${file:/not/there}' }, {}).then(
      () => expect.unreachable(),
      (thrown: SyncError) => thrown,
    )
    expect(error.code).toBe('SYNC-1005')
    expect(error.message).toContain('${env:NOT_SET}: the variable is not set')
    expect(error.message).toContain('${file:/not/there}: ENOENT')
  })
})

it('redact masks secrets that are not references, at any depth', () => {
  expect(
    redact([{ user: 'a', password: 'pw', tls: { key: 'k', ca: 'c' } }, { password: '${env:A}' }]),
  ).toEqual([{ user: 'a', password: '***', tls: { key: '***', ca: 'c' } }, { password: '${env:A}' }])
})
