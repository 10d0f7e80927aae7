/** Small tables for the tests of the core: an integer key `id`, then columns as named. */
import type { Destination } from '../../../src/core/plan.ts'
import type { Column, ColumnType, TableShape, UniqueKey } from '../../../src/core/schema.ts'

export const intType: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
export const textType: ColumnType = { kind: 'text', charset: 'utf8mb4', sql: 'varchar(50)' }

export const column = (name: string, type: ColumnType = intType, nullable = true): Column => ({
  name,
  type,
  nullable,
  generated: false,
})

export const uniqueKey = (name: string, ordinals: readonly number[], comparesBytes = true): UniqueKey => ({
  name,
  ordinals,
  comparesBytes,
})

/** A destination of integer columns; the key is the first one unless given. */
export const destination = (
  name: string,
  columns: readonly string[],
  uniqueKeys: readonly UniqueKey[] = [],
  key: UniqueKey = uniqueKey('PRIMARY', [0]),
): Destination => ({
  id: { schema: 'd', name },
  columns: columns.map((c) => column(c)),
  valueTypes: columns.map(() => intType),
  key,
  uniqueKeys,
})

export const shape = (
  name: string,
  columns: readonly Column[],
  keyOrdinals: readonly number[] = [0],
): TableShape => ({
  id: { schema: 's', name },
  columns,
  primaryKey: uniqueKey('PRIMARY', keyOrdinals),
  uniqueKeys: [],
})
