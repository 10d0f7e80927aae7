/**
 * How the products differ in the statements of the sink. Pure.
 *
 * MySQL names the row that an upsert brings by an alias (VALUES() is deprecated there), MariaDB knows VALUES() alone. MySQL takes optimizer hints in
 * comments, which MariaDB 10.11 passes over; it reads a table whole for a list of one row constructor, and by its key for
 * conditions joined by OR (EXPLAIN on 10.11.18).
 */
import type { Product } from '../flavour.ts'

export interface WriteDialect {
  /** May chunks be written by LOAD DATA LOCAL? Tried with MySQL alone. */
  readonly takesFiles: boolean
  /** Of every connection that writes. */
  readonly slotSettings: string
  /** Between the rows of an upsert and ON DUPLICATE KEY UPDATE. */
  upsertAlias(alias: string): string
  /** A column of the row that an upsert brings. */
  incoming(alias: string, column: string): string
  /** A hint to find rows by an index. */
  indexHint(table: string, index: string): string
  /** Keys of several columns in a condition. */
  readonly compositeKeys: 'row-constructors' | 'disjunction'
  /** An UPDATE (what follows that word) under another sql_mode. */
  updateUnder(sqlMode: string, update: string): string
}

export const writeDialects: Readonly<Record<Product, WriteDialect>> = {
  mysql: {
    takesFiles: true,
    // Removals by many keys must not fall back to a scan for want of optimizer memory; definitions that are being changed at the target are waited
    // for as briefly as row locks, so that the status can tell.
    slotSettings: 'SET SESSION range_optimizer_max_mem_size = 0, lock_wait_timeout = 5',
    upsertAlias: (alias) => ` AS ${alias}`,
    incoming: (alias, column) => `${alias}.${column}`,
    indexHint: (table, index) => `/*+ INDEX(${table} ${index}) */ `,
    compositeKeys: 'row-constructors',
    updateUnder: (sqlMode, update) => `UPDATE /*+ SET_VAR(sql_mode='${sqlMode}') */ ${update}`,
  },
  mariadb: {
    takesFiles: false,
    slotSettings: 'SET SESSION optimizer_max_sel_arg_weight = 0, lock_wait_timeout = 5',
    upsertAlias: () => '',
    incoming: (_, column) => `VALUES(${column})`,
    indexHint: () => '',
    compositeKeys: 'disjunction',
    updateUnder: (sqlMode, update) => `SET STATEMENT sql_mode='${sqlMode}' FOR UPDATE ${update}`,
  },
}
