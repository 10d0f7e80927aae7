/**
 * Takes a pipeline's mark rows for a new owner, and reads where the last one stood (DATA-PATH 5).
 *
 * One transaction locks all of them, which waits for every write in flight; after it no write of an earlier owner can succeed, and what is
 * read inside is final. A predecessor that holds a row for long (frozen, cut off) has its connections killed; those named in the rows,
 * of our own account and younger than the server's start only. A newer owner is never disturbed: SYNC-4002. A crash at any point leaves the
 * rows with the old owner or the new one, and either can be taken over again.
 */
import { SyncError } from '../../../core/errors.ts'
import { positionOf, storedKeyOf } from '../../../core/exact-json.ts'
import type { Row } from '../../../core/value.ts'
import type { LoadProgress, Resume, UnfinishedBatch } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { textLiteral } from '../sql-text.ts'
import { endDefinitionRun } from './definition-runner.ts'
import {
  changeTable,
  connectionIds,
  createStatements,
  loadTable,
  markTable,
  type Ownership,
} from './mark-table.ts'
import { deleteParked, parkedOf, probeParked, quarantineTables, selectParked } from './quarantine-table.ts'

export interface TakeoverDeps {
  /** Of slot 0. */
  readonly connection: Connection
  /** Gives the connections by slot: that of slot 0, and of the others those that are open. They connect when there is work for them. */
  readonly openSlots: () => Promise<readonly (Connection | undefined)[]>
  readonly lanes: number
  /** Slots behind those of the lanes; connected later, when there is something to load. */
  readonly loadWriters: number
  readonly origin: string
}

const lockWaitSeconds = 2
const maxLockWaits = 6

/** @throws SyncError: 4002 when somebody newer is there, 3104 when the rows stay locked, 3101, 3103 */
export async function takeMarks(deps: TakeoverDeps, ownership: Ownership): Promise<Resume> {
  const { connection } = deps
  await createTables(connection)
  const seen = await readMarks(connection, ownership, '')
  assertNobodyNewer(seen, ownership)
  await addSlots(deps, ownership, seen)
  try {
    return await lockAndTake(deps, ownership)
  } catch (error) {
    // Whatever is open or half set up goes with the connection; a takeover begins with a fresh one.
    connection.destroy()
    throw classify(error, 'target')
  }
}

async function createTables(connection: Connection): Promise<void> {
  try {
    await connection.queryAll(
      `SELECT 1 FROM ${markTable} LIMIT 0; SELECT 1 FROM ${loadTable} LIMIT 0; SELECT 1 FROM ${changeTable} LIMIT 0; ${probeParked}`,
    )
  } catch (error) {
    if (classify(error, 'target').code !== 'SYNC-3201') throw error
    for (const statement of [...createStatements, ...quarantineTables]) await connection.query(statement)
  }
}

export interface Mark {
  readonly slot: number
  readonly epoch: bigint
  readonly batch: number
  readonly part: number
  readonly from: string | null
  readonly to: string | null
  readonly lanes: number
  readonly phases: number
  readonly planDigest: string
  readonly connectionId: number | null
  readonly ageSeconds: number
  /** Another one after every takeover. */
  readonly owner: string
}

/** @param before statements in the same packet */
export async function readMarks(
  connection: Connection,
  { pipeline }: Pick<Ownership, 'pipeline'>,
  locking: '' | 'FOR UPDATE',
  before = '',
): Promise<readonly Mark[]> {
  const { rows } = await connection.query(
    `${before}SELECT slot, epoch, batch, part, from_position, to_position, lanes, phases, plan_digest, connection_id, ` +
      `TIMESTAMPDIFF(SECOND, updated_at, CURRENT_TIMESTAMP), owner FROM ${markTable} ` +
      `WHERE pipeline = ${textLiteral(pipeline)} ORDER BY slot ${locking}`,
  )
  return rows.map((row) => ({
    slot: Number(row[0]),
    epoch: BigInt(row[1] as string),
    batch: Number(row[2]),
    part: Number(row[3]),
    from: row[4] as string | null,
    to: row[5] as string | null,
    lanes: Number(row[6]),
    phases: Number(row[7]),
    planDigest: row[8] as string,
    connectionId: row[9] === null ? null : Number(row[9]),
    ageSeconds: Number(row[10]),
    owner: row[11] as string,
  }))
}

/** The same epoch is ourselves, on connections that we have lost since: the owner drawn anew fences what they may still hold. */
function assertNobodyNewer(marks: readonly Mark[], { pipeline, epoch }: Ownership): void {
  const newer = marks.find((mark) => mark.epoch > epoch)
  if (newer === undefined) return
  throw new SyncError('SYNC-4002', `pipeline ${pipeline}: epoch ${newer.epoch} is newer than ${epoch}`)
}

/** How many lanes need a slot: ours, and those of a batch that may have to be finished. */
const lanesNeeded = (deps: TakeoverDeps, marks: readonly Mark[]): number =>
  Math.max(deps.lanes, marks.find((mark) => mark.slot === 0)?.lanes ?? 0)

/** The last slot that has a mark row: a load's writers stand behind the lanes. */
const lastSlot = (deps: TakeoverDeps, marks: readonly Mark[]): number =>
  Math.max(deps.lanes + deps.loadWriters, lanesNeeded(deps, marks))

/** A statement of its own, and only for slots that are missing: inserting over a row in use would wait, and two of those could deadlock. */
async function addSlots(deps: TakeoverDeps, { pipeline }: Ownership, marks: readonly Mark[]): Promise<void> {
  const present = new Set(marks.map((mark) => mark.slot))
  const missing: number[] = []
  for (let slot = 0; slot <= lastSlot(deps, marks); slot++) if (!present.has(slot)) missing.push(slot)
  if (missing.length === 0) return
  if (marks.length > 0 && missing.includes(0)) {
    // Without it, the pipeline would look as if it had never written, and load its tables again from another position.
    throw new SyncError('SYNC-9001', `the header row of pipeline ${pipeline} was removed from ${markTable}`)
  }
  const rows = missing.map((slot) => `(${textLiteral(pipeline)}, ${slot}, 0)`)
  await deps.connection.query(
    // Not IGNORE: that would also cut a name that is too long.
    `INSERT INTO ${markTable} (pipeline, slot, epoch) VALUES ${rows.join(', ')} ON DUPLICATE KEY UPDATE slot = slot`,
  )
}

async function lockAndTake(deps: TakeoverDeps, ownership: Ownership): Promise<Resume> {
  const { connection, origin } = deps
  const marks = await lockMarks(deps, ownership)
  assertNobodyNewer(marks, ownership)
  for (let slot = 0; slot <= lastSlot(deps, marks); slot++) {
    if (marks[slot]?.slot !== slot) {
      throw new SyncError(
        'SYNC-9001',
        `pipeline ${ownership.pipeline}: the mark row of slot ${slot} is missing`,
      )
    }
  }
  const { pipeline, epoch, owner } = ownership
  const mine = `pipeline = ${textLiteral(pipeline)}`
  const stands = standing(marks)
  await endDefinitionRun(connection, pipeline)
  // Notes of an earlier life, whose mark rows are gone, say nothing about this one.
  if (stands.position === null) await connection.query(`DELETE FROM ${changeTable} WHERE ${mine}`)
  const connections = await deps.openSlots()
  // Progress of an earlier life, whose mark rows are gone, says nothing about this one.
  const loadSql = stands.position === null ? `DELETE FROM ${loadTable} WHERE ${mine}` : selectLoad(pipeline)
  const parkedSql = stands.position === null ? deleteParked(pipeline) : selectParked(pipeline)
  const results = await connection.queryAll(
    `UPDATE ${markTable} SET epoch = ${epoch}, owner = '${owner}', writes = writes + 1, updated_at = CURRENT_TIMESTAMP(6), ` +
      `origin = ${textLiteral(origin)}, chain = ${textLiteral(JSON.stringify([origin]))}, ` +
      `connection_id = ${connectionIds(connections)} WHERE ${mine}; ` +
      `${loadSql}; ${parkedSql}; COMMIT; SET SESSION innodb_lock_wait_timeout = @syncline_wait`,
  )
  const [updated, load, parked] = results
  if (updated?.affectedRows !== marks.length) {
    throw new SyncError('SYNC-9001', `pipeline ${pipeline}: mark rows appeared while all of them were locked`)
  }
  return {
    ...stands,
    load: (load?.rows ?? []).map(loadOf),
    parked: stands.position === null ? [] : (parked?.rows ?? []).map(parkedOf),
  }
}

export const selectLoad = (pipeline: string): string =>
  `SELECT table_name, after_key, rows_loaded, done FROM ${loadTable} WHERE pipeline = ${textLiteral(pipeline)}`

/** @param row of `selectLoad` */
export const loadOf = ([table, after, rows, done]: Row): LoadProgress => ({
  table: Buffer.from(table as string, 'latin1').toString('utf8'),
  ...afterOf(after as string | null),
  rows: Number(rows),
  done: done === '1',
})

function afterOf(text: string | null): Pick<LoadProgress, 'after' | 'keyOrder'> {
  if (text === null) return { after: null }
  const { values, order } = storedKeyOf(text)
  return order === undefined ? { after: values } : { after: values, keyOrder: order }
}

/** Locks every row, in the order of slots, so that two takeovers wait for each other and never deadlock. */
async function lockMarks(deps: TakeoverDeps, ownership: Ownership): Promise<readonly Mark[]> {
  const { connection } = deps
  // A variable that is not set is a text to MariaDB, and so would be the first of these that is.
  const begin =
    `SET @syncline_wait = CAST(COALESCE(@syncline_wait, @@SESSION.innodb_lock_wait_timeout) AS UNSIGNED), ` +
    `SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}; BEGIN; `
  for (let wait = 1; ; wait++) {
    try {
      return await readMarks(connection, ownership, 'FOR UPDATE', begin)
    } catch (error) {
      const failure = classify(error, 'target')
      if (failure.code !== 'SYNC-3104') throw failure
      await connection.query('ROLLBACK')
      if (wait === maxLockWaits) {
        throw new SyncError(
          'SYNC-3104',
          'another transaction at the target holds the mark rows of this pipeline',
          {
            cause: failure,
          },
        )
      }
      const marks = await readMarks(connection, ownership, '')
      assertNobodyNewer(marks, ownership)
      await killPredecessors(deps, marks)
    }
  }
}

/**
 * Connection numbers begin again when a server restarts, so a row older than the server names nobody. Our own account's connections can
 * be seen and killed without any privilege.
 */
async function killPredecessors(deps: TakeoverDeps, marks: readonly Mark[]): Promise<void> {
  const { connection } = deps
  const own = new Set((await deps.openSlots()).map((opened) => opened?.threadId))
  const [uptime, list] = await connection.queryAll("SHOW GLOBAL STATUS LIKE 'Uptime'; SHOW PROCESSLIST")
  const uptimeSeconds = Number(uptime?.rows[0]?.[1] ?? 0)
  const users = new Map((list?.rows ?? []).map((row) => [Number(row[0]), row[1]]))
  const user = users.get(connection.threadId)
  for (const { connectionId, ageSeconds } of marks) {
    if (connectionId === null || own.has(connectionId) || ageSeconds >= uptimeSeconds) continue
    if (user === undefined || users.get(connectionId) !== user) continue
    // Gone meanwhile, or not ours to kill: the wait goes on, bounded by the caller.
    await connection.query(`KILL ${connectionId}`).catch(() => undefined)
  }
}

export function standing(marks: readonly Mark[]): Omit<Resume, 'load' | 'parked'> {
  const header = marks.find((mark) => mark.slot === 0)
  if (header === undefined || header.to === null) return { position: null, batch: 0, unfinished: null }
  return { position: positionOf(header.to), batch: header.batch, unfinished: unfinishedBatch(header, marks) }
}

function unfinishedBatch(header: Mark, marks: readonly Mark[]): UnfinishedBatch | null {
  const { batch, lanes, phases } = header
  const confirmed: number[] = []
  for (let lane = 1; lane <= lanes; lane++) {
    const mark = marks.find(({ slot }) => slot === lane)
    confirmed.push(mark?.batch === batch ? mark.part : 0)
  }
  if (confirmed.every((part) => part === phases)) return null
  return {
    batch,
    from: positionOf(header.from ?? ''),
    to: positionOf(header.to ?? ''),
    lanes,
    phases,
    planDigest: header.planDigest,
    confirmed,
  }
}
