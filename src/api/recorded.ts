/**
 * Every mutation leaves an entry in the audit log: what was done, and also what was refused or failed, and why.
 *
 * The entry of a change of the store is written in the same transaction as the change.
 */
import { asSyncError } from '../core/errors.ts'
import type { AuditEntry } from '../store/audit.ts'
import type { Store } from '../store/store.ts'
import type { Requester } from './context.ts'

/**
 * @param body calls `done` once what it records has happened, inside `store.write` where the store is changed
 * @throws what `body` throws, after recording it
 */
export async function recorded<T>(
  store: Store,
  requester: Requester,
  what: Pick<AuditEntry, 'action' | 'kind' | 'name'>,
  body: (done: (detail: unknown) => void) => Promise<T>,
): Promise<T> {
  try {
    return await body((detail) => {
      store.audit.append({ ...what, ...requester, outcome: 'done', detail })
    })
  } catch (thrown) {
    const error = asSyncError(thrown)
    store.audit.append({
      ...what,
      ...requester,
      outcome: error.disposition === 'reject' ? 'refused' : 'failed',
      code: error.code,
      detail: error.message,
    })
    throw error
  }
}
