/*
 * The logs that the decoders read: bulk (one large transaction), mixed (five changes in two tables each), single (one row each), compressed
 * (bulk and mixed with binlog_transaction_compression). All values are within ASCII, so that text and bytes are the same.
 */
import type { Connection } from 'mysql2/promise'
import { database } from '../servers.ts'
import { digestOfRows, textOfRow, type Value } from './row-digest.ts'

const columns = `id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, status TINYINT NOT NULL, amount DECIMAL(12,2) NOT NULL,
  created DATETIME(3) NOT NULL, changed TIMESTAMP NOT NULL, name VARCHAR(60) NOT NULL, note VARCHAR(200), score DOUBLE`
const names = '(customer, status, amount, created, changed, name, note, score)'

export async function prepareDecode(admin: Connection, changes: number): Promise<void> {
  await admin.query(`CREATE DATABASE ${database}; USE ${database}; SET SESSION time_zone = '+00:00'`)
  await admin.query(`CREATE TABLE a (${columns}); CREATE TABLE b (${columns}); CREATE TABLE seq (seq INT PRIMARY KEY);
    SET SESSION cte_max_recursion_depth = 1000000000;
    INSERT INTO seq WITH RECURSIVE s AS (SELECT 1 AS seq UNION ALL SELECT seq + 1 FROM s WHERE seq < ${changes}) SELECT seq FROM s;
    CREATE PROCEDURE mixed(n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO SET i = i + 1; START TRANSACTION;
      INSERT INTO b ${names} VALUES (i, 1, i / 3, NOW(3), NOW(), CONCAT('mixed ', i), REPEAT('x', i % 100), i);
      UPDATE a SET status = status + 1 - 2 * (status > 100), amount = amount + 1 WHERE id IN (i, i + 1, i + 2);
      DELETE FROM b WHERE id = i - 100; COMMIT; END WHILE; END;
    CREATE PROCEDURE single(n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO SET i = i + 1;
      INSERT INTO b ${names} VALUES (i, 1, i / 3, NOW(3), NOW(), CONCAT('single ', i), REPEAT('x', i % 50), i); END WHILE; END`)
}

export type LogScript = {
  /** Fills tables that the log then changes; not part of the log. */
  readonly before: readonly string[]
  readonly log: readonly string[]
}

/** By the log's name. */
export function decodeLogs(changes: number): Readonly<Record<string, LogScript>> {
  const bulk = (rows: number): string =>
    `INSERT INTO a ${names} SELECT seq % 97, seq % 5, seq / 7, '2026-01-02 03:04:05.678' + INTERVAL seq SECOND,
     '2026-01-02 03:04:05' + INTERVAL seq SECOND, CONCAT('customer number ', seq), REPEAT('note ', seq % 20), seq / 3 FROM seq WHERE seq <= ${rows}`
  const mixed = (transactions: number): LogScript => ({
    before: [bulk(transactions + 2)],
    log: [`CALL mixed(${transactions})`],
  })
  return {
    bulk: { before: [], log: [bulk(changes)] },
    mixed: mixed(Math.floor(changes / 5)),
    single: { before: [], log: [`CALL single(${Math.floor(changes / 2)})`] },
    compressed: {
      before: [],
      log: [
        'SET SESSION binlog_transaction_compression = ON',
        bulk(Math.floor(changes / 2)),
        `CALL mixed(${Math.floor(changes / 10)})`,
        'SET SESSION binlog_transaction_compression = OFF',
      ],
    },
  }
}

/** Of the rows as they are at the server now, from its text of them. */
export async function digestOfTable(admin: Connection, table: string): Promise<string> {
  const [rows] = await admin.query({ sql: `SELECT * FROM ${database}.${table}`, rowsAsArray: true })
  return digestOfRows((rows as unknown as Value[][]).map(textOfRow))
}
