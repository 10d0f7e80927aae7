/*
 * The three backlogs of the catch-up: small mixed transactions on sysbench's tables, a few rows changed over and over, and inserts.
 */
import { numbers, ownId, type Workload, writers } from './workload.ts'

const sysbenchTable = (name: string): string =>
  `CREATE TABLE ${name} (id INT NOT NULL PRIMARY KEY, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k))`

const sysbenchRows = (name: string, rows: number): string =>
  `INSERT INTO ${name} (id, k, c, pad) ${numbers(rows)}
   SELECT i, CRC32(i) MOD ${rows}, CONCAT(SHA2(i, 256), LEFT(SHA2(i + 1, 256), 55)), LEFT(SHA2(i + 2, 256), 59) FROM n`

/**
 * Fourteen changes in a transaction, as sysbench's oltp_write_only with 5 updates of an indexed column, 5 of another one, and two
 * rows that are deleted and inserted again.
 */
export function oltp(shape: { readonly tables: number; readonly rowsPerTable: number }): Workload {
  const names = Array.from({ length: shape.tables }, (_, i) => `sbtest${i + 1}`)
  return {
    tables: names.map(sysbenchTable),
    rows: names.map((name) => sysbenchRows(name, shape.rowsPerTable)),
    changesPerTransaction: 14,
    transaction(random, writer) {
      const table = (): string => names[random.below(names.length)] as string
      const id = (): number => ownId(random, writer, shape.rowsPerTable)
      const statements: string[] = []
      for (let i = 0; i < 5; i++) statements.push(`UPDATE ${table()} SET k = k + 1 WHERE id = ${id()}`)
      for (let i = 0; i < 5; i++)
        statements.push(`UPDATE ${table()} SET c = '${random.digits(10)}' WHERE id = ${id()}`)
      for (let i = 0; i < 2; i++) {
        const [name, key] = [table(), id()]
        statements.push(
          `DELETE FROM ${name} WHERE id = ${key}`,
          `INSERT INTO ${name} (id, k, c, pad) VALUES (${key}, ${random.below(shape.rowsPerTable)}, '${random.digits(10)}', '${random.digits(5)}')`,
        )
      }
      return statements.join('; ')
    },
  }
}

/** Fourteen updates in a transaction, all on the same `hotRows` rows. */
export function hot(shape: { readonly rows: number; readonly hotRows: number }): Workload {
  return {
    tables: [sysbenchTable('hot')],
    rows: [sysbenchRows('hot', shape.rows)],
    changesPerTransaction: 14,
    transaction: (random, writer) =>
      Array.from(
        { length: 14 },
        () =>
          `UPDATE hot SET k = k + 1, c = '${random.digits(10)}' WHERE id = ${ownId(random, writer, shape.hotRows)}`,
      ).join('; '),
  }
}

/** Ten inserts in a transaction, one row each, into four tables with two secondary indexes. */
export const inserts: Workload = {
  tables: [1, 2, 3, 4].map(
    (i) =>
      `CREATE TABLE orders${i} (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, customer INT NOT NULL, created DATETIME(3) NOT NULL, amount DECIMAL(12,2) NOT NULL, name VARCHAR(60) NOT NULL, note VARCHAR(200), KEY by_customer (customer), KEY by_name (name))`,
  ),
  rows: [],
  changesPerTransaction: 10,
  transaction: (random, writer, ordinal) =>
    Array.from({ length: 10 }, (_, i) => {
      const id = (ordinal * 10 + i) * writers + writer
      const created = `2026-01-02 03:04:05.678' + INTERVAL ${random.below(1e7)} SECOND`
      return `INSERT INTO orders${1 + random.below(4)} VALUES (${id}, ${random.below(100_000)}, '${created}, ${random.below(1e6)} / 100, '${random.digits(3)}', '${random.digits(8)}')`
    }).join('; '),
}
