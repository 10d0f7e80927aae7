/**
 * Names the order in which a table's rows are loaded: its primary key's columns, their types and collations. Pure.
 *
 * The progress of a load is one key: all rows up to it are there. That says nothing any more once the table has another key, or another
 * collation orders the same one; a load that goes on from such a key would leave rows out. Equal texts mean the same order.
 */
import { textDigest } from './hash.ts'
import type { Column, TableShape } from './schema.ts'

export const keyOrder = ({ primaryKey, columns }: TableShape): string =>
  textDigest(
    JSON.stringify(
      (primaryKey?.ordinals ?? []).map((ordinal) => {
        const { name, type } = columns[ordinal] as Column
        return [name, type.sql, type.collation ?? '']
      }),
    ),
  )
