/**
 * Reads one end of pairs on one connection, in a transaction that is open or in none (contract.ts, `ComparisonReader`).
 *
 * Every call is one round trip between a savepoint and a return to it: that gives back the table's metadata lock, so that an ALTER TABLE waits for
 * one call and not for the whole snapshot, and nobody waits behind it (mysqldump --single-transaction does the same). Such an ALTER, or a DROP,
 * shows at the next call as SYNC-5103. MariaDB with a log does not give the lock back so (tried on 10.11); there every call looks whether somebody waits for
 * a table that was read, and ends with SYNC-5106 (without the privilege PROCESS it sees nobody). Assumes a session of role `read`. Nothing is written and no row
 * is locked.
 */
import type { ComparedColumn, ComparedEnd } from '../../../core/comparison-plan.ts'
import { SyncError } from '../../../core/errors.ts'
import { tableName } from '../../../core/schema.ts'
import type { Row, Value } from '../../../core/value.ts'
import type { KeyRange } from '../../../core/verification.ts'
import type { ComparedRow, ComparisonReader, RangeDigest, RowDigest } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import type { Side } from '../errors.ts'
import { productOf } from '../flavour.ts'
import { textLiteral } from '../sql-text.ts'
import type { CellDecoder, QueryResult } from '../text-protocol.ts'
import { createBoundGuesser } from './guessed-bound.ts'
import { type TableSql, tableSql } from './table-sql.ts'

/** Keys that go into one statement. */
const keysPerStatement = 200

/** What the server says of a table that is not what it was when the snapshot was opened. */
const changedTable: ReadonlySet<unknown> = new Set([
  1412, // ER_TABLE_DEF_CHANGED
  1146, // ER_NO_SUCH_TABLE
  1049, // ER_BAD_DB_ERROR
  1054, // ER_BAD_FIELD_ERROR
  1176, // ER_KEY_DOES_NOT_EXITS
])

interface Statement {
  readonly sql: string
  readonly decoders?: readonly CellDecoder[]
}

/** @param isSnapshot false: outside of a transaction, every call sees what is committed then */
export function createReader(connection: Connection, side: Side, isSnapshot: boolean): ComparisonReader {
  const compiled = new WeakMap<ComparedEnd, TableSql>()
  const guesser = createBoundGuesser()

  /** Made once for each end. */
  const sqlOf = (end: ComparedEnd): TableSql => {
    let sql = compiled.get(end)
    if (sql === undefined) {
      sql = tableSql(end, productOf(connection.version))
      compiled.set(end, sql)
    }
    return sql
  }

  const waiters = isSnapshot && productOf(connection.version) === 'mariadb' ? createWaiterWatch() : null

  async function ask(end: ComparedEnd, statements: readonly Statement[]): Promise<readonly QueryResult[]> {
    if (statements.length === 0) return []
    const before = isSnapshot ? ['SAVEPOINT syncline'] : []
    const behind =
      waiters !== null ? [waiters.sql(end)] : isSnapshot ? ['ROLLBACK TO SAVEPOINT syncline'] : []
    const decoders = [...before.map(() => null), ...statements.map((statement) => statement.decoders ?? null)]
    let answers: readonly QueryResult[]
    try {
      answers = await connection.queryAll(
        [...before, ...statements.map((statement) => statement.sql), ...behind].join('; '),
        { decoders: [...decoders, ...behind.map(() => null)] },
      )
    } catch (error) {
      // A statement that fails keeps its metadata lock to the transaction's end (MySQL manual, "Metadata Locking"): the next ALTER would wait for that.
      if (isSnapshot) await connection.query('ROLLBACK TO SAVEPOINT syncline').catch(() => {})
      throw asChanged(error, end, side)
    }
    if (waiters !== null && answers.at(-1)?.rows[0]?.[0] !== '0') {
      throw new SyncError(
        'SYNC-5106',
        `A statement at the ${side} waits for ${tableName(end.table)}, or for a table compared before it`,
      )
    }
    return answers.slice(before.length, before.length + statements.length)
  }

  /** `rows` gives count and digest. A row that could not be hashed is not in the digest, and has left a warning. */
  const digestOf = (row: Row | undefined): RangeDigest => ({
    rows: Number(row?.[0] ?? 0),
    digest: row?.[0] === '0' ? '' : String(row?.[1]),
  })
  const refused = (end: ComparedEnd): SyncError =>
    new SyncError(
      'SYNC-5105',
      `The ${side} cannot join the values of a row of ${tableName(end.table)}: together they are longer than its max_allowed_packet`,
    )
  const assertHashed = async (end: ComparedEnd, where: string): Promise<void> => {
    const sql = sqlOf(end)
    const [answer] = await ask(end, [
      {
        sql: `SELECT 1 FROM ${sql.from}${where}${where === '' ? ' WHERE' : ' AND'} ${sql.rowHash} IS NULL LIMIT 1`,
      },
    ])
    if (answer?.rows.length === 1) throw refused(end)
  }

  const rowDigestsOf = async (end: ComparedEnd, where: string): Promise<RowDigest[]> => {
    const sql = sqlOf(end)
    const [answer] = await ask(end, [
      {
        sql: `SELECT ${sql.identity}, ${sql.rowHash}, ${sql.keyColumns} FROM ${sql.from}${where}`,
        decoders: ['bytes', 'bytes', ...sql.keyDecoders],
      },
    ])
    return (answer?.rows ?? []).map(([identity, digest, ...key], i) => {
      if (digest === null) throw refused(end)
      const values = sql.keyValues(key)
      return { identity: identityOf(identity, values, i), digest: String(digest), key: values }
    })
  }

  const cellsOf = async (
    end: ComparedEnd,
    wheres: readonly string[],
    cells: string,
    shown: string | null,
  ): Promise<ComparedRow[]> => {
    const sql = sqlOf(end)
    const count = end.columns.length
    const columns = `${sql.identity}, ${sql.keyColumns}, ${cells}${shown === null ? '' : `, ${shown}`}`
    const texts = Array.from({ length: shown === null ? count : 2 * count }, (): CellDecoder => 'bytes')
    const answers = await ask(
      end,
      wheres.map((where) => ({
        sql: `SELECT ${columns} FROM ${sql.from}${where}`,
        decoders: ['bytes', ...sql.keyDecoders, ...texts],
      })),
    )
    const keyCount = sql.keyDecoders.length
    return answers.flatMap((answer, part) =>
      answer.rows.map((row, i) => {
        const key = sql.keyValues(row.slice(1, 1 + keyCount))
        const values = row.slice(1 + keyCount) as (string | null)[]
        return {
          identity: identityOf(row[0], key, part * 1e6 + i),
          key,
          cells: values.slice(0, count),
          shown: values.slice(count),
        }
      }),
    )
  }

  return {
    async bounds(end, range, step, count) {
      const sql = sqlOf(end)
      const nullable = end.key
        .map((ordinal) => end.columns[ordinal] as ComparedColumn)
        .some(({ nullable }) => nullable)
      if (nullable && (await hasNullKey(end))) return []
      if (count === 1) {
        const guessed = await guessedBound(end, range, step)
        if (guessed !== null) return guessed
      }
      const answer = await ask(end, [
        count === 1
          ? {
              sql: `SELECT ${sql.keyColumns} FROM ${sql.from}${sql.inRange(range)} ORDER BY ${sql.orderBy} LIMIT 1 OFFSET ${step - 1}`,
              decoders: sql.keyDecoders,
            }
          : // One pass for all of them: an OFFSET for each would read the range's beginning again every time.
            {
              sql: `SELECT ${sql.keyNames} FROM (SELECT ${sql.numberedKey}, ROW_NUMBER() OVER (ORDER BY ${sql.orderBy}) AS n FROM ${sql.from}${sql.inRange(range)}) AS numbered WHERE n % ${step} = 0 ORDER BY n LIMIT ${count}`,
              decoders: sql.keyDecoders,
            },
      ])
      return (answer[0]?.rows ?? []).map((row) => sql.keyValues(row))
    },

    async digests(end, ranges) {
      const sql = sqlOf(end)
      const wheres = ranges.map((range) => sql.inRange(range))
      const answers = await ask(
        end,
        wheres.map((where) => ({ sql: `SELECT COUNT(*), ${sql.rangeHash} FROM ${sql.from}${where}` })),
      )
      for (const [i, answer] of answers.entries()) {
        if (answer.warnings > 0) await assertHashed(end, wheres[i] as string)
      }
      const digests = answers.map((answer) => digestOf(answer.rows[0]))
      for (const [i, range] of ranges.entries()) guesser.learn(end, range, digests[i]?.rows ?? 0)
      return digests
    },

    async counts(end, ranges) {
      const sql = sqlOf(end)
      const answers = await ask(
        end,
        ranges.map((range) => ({ sql: `SELECT COUNT(*) FROM ${sql.from}${sql.inRange(range)}` })),
      )
      return answers.map((answer) => Number(answer.rows[0]?.[0] ?? 0))
    },

    rowDigests: (end, range) => rowDigestsOf(end, sqlOf(end).inRange(range)),

    rows: (end, range) => cellsOf(end, [sqlOf(end).inRange(range)], sqlOf(end).cells, null),

    rowsByKey(end, keys) {
      const sql = sqlOf(end)
      const wheres: string[] = []
      for (let at = 0; at < keys.length; at += keysPerStatement) {
        wheres.push(sql.ofKeys(keys.slice(at, at + keysPerStatement), side === 'source'))
      }
      return cellsOf(end, wheres, sql.wholeCells, sql.shown)
    },

    async buckets(end, of) {
      const sql = sqlOf(end)
      const [answer] = await ask(end, [
        {
          sql: `SELECT ${sql.identityHash} % ${of} AS b, COUNT(*), ${sql.rangeHash} FROM ${sql.from}${sql.everything} GROUP BY b`,
        },
      ])
      if ((answer?.warnings ?? 0) > 0) await assertHashed(end, sql.everything)
      return new Map((answer?.rows ?? []).map(([bucket, ...rest]) => [Number(bucket), digestOf(rest)]))
    },

    bucketRowDigests(end, of, buckets) {
      const sql = sqlOf(end)
      const chosen = `${sql.identityHash} % ${of} IN (${buckets.join(', ')})`
      return rowDigestsOf(end, sql.everything === '' ? ` WHERE ${chosen}` : `${sql.everything} AND ${chosen}`)
    },

    async estimateRows(end) {
      const { schema, name } = end.table
      const fresh =
        productOf(connection.version) === 'mysql' ? 'information_schema_stats_expiry = 0' : 'autocommit = 1'
      const answers = await connection.queryAll(
        `SET SESSION ${fresh}; SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${textLiteral(schema)} AND TABLE_NAME = ${textLiteral(name)}`,
      )
      return Number(answers[1]?.rows[0]?.[0] ?? 0)
    },
  }

  /** One bound, or none where the table ends before it; null: it must be found exactly. */
  async function guessedBound(
    end: ComparedEnd,
    range: KeyRange,
    step: number,
  ): Promise<readonly (readonly Value[])[] | null> {
    const guess = guesser.guess(end, range, step)
    if (guess === null) return null
    const sql = sqlOf(end)
    const upTo = sql.inRange({ after: range.after, upTo: guess })
    const [plan, beyond] = await ask(end, [
      { sql: `EXPLAIN FORMAT=TRADITIONAL SELECT COUNT(*) FROM ${sql.from}${upTo}` },
      { sql: `SELECT 1 FROM ${sql.from}${sql.inRange({ after: guess, upTo: range.upTo })} LIMIT 1` },
    ])
    const estimate = Number(plan?.rows[0]?.[plan.columns.indexOf('rows')] ?? Number.NaN)
    // What is not a number is not near either.
    if (!guesser.isNear(estimate, step)) return null
    return beyond?.rows.length === 0 ? [] : [guess]
  }

  /** Rows whose key is NULL come before every bound; then the range is not divided. */
  async function hasNullKey(end: ComparedEnd): Promise<boolean> {
    const sql = sqlOf(end)
    const names = sql.orderBy.split(', ').map((name) => `${name} IS NULL`)
    const [answer] = await ask(end, [
      { sql: `SELECT 1 FROM ${sql.from} WHERE ${names.join(' OR ')} LIMIT 1` },
    ])
    return (answer?.rows.length ?? 0) > 0
  }
}

/** Rows whose key is NULL are not one row, however many there are. */
const identityOf = (identity: Value | undefined, key: readonly Value[], ordinal: number): string =>
  key.includes(null) ? `~${ordinal}` : String(identity)

/** Looks whether a statement that names a table which this snapshot has read waits for a metadata lock. */
function createWaiterWatch(): { sql(end: ComparedEnd): string } {
  const names = new Set<string>()
  return {
    sql(end) {
      names.add(end.table.name)
      const named = [...names].map((name) => `LOCATE(${textLiteral(name)}, INFO) > 0`).join(' OR ')
      return `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock' AND (${named})`
    },
  }
}

function asChanged(error: unknown, end: ComparedEnd, side: Side): unknown {
  if (!(error instanceof SyncError) || !changedTable.has(error.details['errno'])) return error
  return new SyncError(
    'SYNC-5103',
    `Table ${tableName(end.table)} was dropped or altered at the ${side} while it was compared`,
    { details: { ...error.details, table: tableName(end.table), side }, cause: error },
  )
}
