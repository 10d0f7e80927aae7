/*
 * The shop: a source database for the demo and for tests, with every column type of MySQL 9.7 and every kind of key in use.
 *
 * Guarantees: `createShop` makes the same definitions on every server, whatever its own sql_mode and character set. Tables with a column
 * `version` take part in the check that no row goes back (test/support/versions-trigger.ts).
 * Assumes a user who may create tables in a database that exists and is empty. A crash half-way leaves some tables; drop the database.
 */
import type { Connection } from 'mysql2/promise'
import { businessTables } from './business-tables.ts'
import { hasVersion, identifier, type ShopTable } from './table.ts'
import { typeTables } from './type-tables.ts'

export const shopTables: readonly ShopTable[] = [...businessTables, ...typeTables]

export const versionedTables: readonly string[] = shopTables.filter(hasVersion).map((table) => table.name)

/** Neither strict nor rewriting: zero dates as defaults and values that strict mode refuses are part of the shop. */
export const permissiveSession =
  "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_UNSIGNED_SUBTRACTION', time_zone = '+00:00', foreign_key_checks = 0"

export function createTableSql(database: string, table: ShopTable): string {
  const columns = table.columns.map(({ name, definition }) => `${identifier(name)} ${definition}`)
  return `CREATE TABLE ${identifier(database)}.${identifier(table.name)} (
  ${[...columns, ...table.keys].join(',\n  ')}
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci`
}

/** Creates the shop's tables, all empty. The session's settings are changed. */
export async function createShop(connection: Connection, database: string): Promise<void> {
  await connection.query(permissiveSession)
  await connection.query('SET NAMES utf8mb4')
  await connection.query(`USE ${identifier(database)}`)
  for (const table of shopTables) await connection.query(createTableSql(database, table))
}
