/**
 * Secrets in documents are references, never values: `${env:NAME}` or `${file:/path}`.
 *
 * A document keeps its references everywhere: in the store, in answers, in logs, in plans. Only the process that opens a connection
 * resolves them, at that moment, so that a rotated secret is used from the next connection on. A missing one is SYNC-1005.
 */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { SyncError } from '../core/errors.ts'

// A POSIX environment name (IEEE 1003.1, 8.1), or an absolute path.
const envReference = /^\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}$/
const fileReference = /^\$\{file:(\/[^{}]+)\}$/

export const isReference = (text: string): boolean => envReference.test(text) || fileReference.test(text)

/** What a secret field says when it holds something else. The value itself is never repeated. */
export const literalSecret = 'a secret must not stand in the file'

/** A field that only takes a reference. `document.ts` tells a literal here (SYNC-1004) from other mistakes by this text. */
export const secretReference = z
  .string({ error: literalSecret })
  .refine(isReference, { error: literalSecret })

/** Certificates are public: the PEM text itself, or a reference to it. */
export const pemOrReference = z
  .string()
  .refine((text) => isReference(text) || text.startsWith('-----BEGIN CERTIFICATE-----'), {
    error: 'expected ${file:/path}, ${env:NAME}, or a certificate in PEM form',
  })

/** Replaces every reference inside a spec by its value; names every one that is missing. */
export async function resolveSecrets<T>(
  spec: T,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<T> {
  const missing: string[] = []
  const resolved = await resolveIn(spec, env, missing)
  if (missing.length > 0) {
    throw new SyncError('SYNC-1005', `cannot resolve ${missing.join('; ')}`, { details: { missing } })
  }
  return resolved as T
}

async function resolveIn(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  missing: string[],
): Promise<unknown> {
  if (typeof value === 'string') {
    const name = envReference.exec(value)?.[1]
    if (name !== undefined) {
      const found = env[name]
      if (found === undefined) missing.push(`${value}: the variable is not set`)
      return found
    }
    const path = fileReference.exec(value)?.[1]
    if (path === undefined) return value
    try {
      // Files written by editors and secret mounts end in a line break that is not part of the secret.
      return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    } catch (error) {
      missing.push(`${value}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be read'}`)
      return undefined
    }
  }
  if (Array.isArray(value)) return Promise.all(value.map((item) => resolveIn(item, env, missing)))
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).map(
      async ([key, inner]) => [key, await resolveIn(inner, env, missing)] as const,
    )
    return Object.fromEntries(await Promise.all(entries))
  }
  return value
}

const secretField = /^(password|passphrase|secret|token|key|authorization)$/i

/** A copy that may be logged: secret fields that hold anything but a reference are masked. */
export function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      secretField.test(key) && typeof inner === 'string' && !isReference(inner) ? '***' : redact(inner),
    ]),
  )
}
