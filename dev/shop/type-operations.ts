/*
 * Changes of the tables that hold every column type: values travel from row to row, and whole rows come and go, so that every boundary
 * value of the fill is seen in inserts, updates and deletes. Now and then a value of a few megabytes.
 */
import { hasVersion, identifier, type ShopTable } from './table.ts'
import { newVersion, type Operation, type Turn, transaction } from './turn.ts'
import { typeTables } from './type-tables.ts'

/** Key values of a row that only its writer makes: SQL by column, for a number that belongs to the writer. */
const ownKeys: Readonly<Record<string, (own: number) => Readonly<Record<string, string>>>> = {
  reading: (own) => ({ id: `${1_000_000_000_000 + own}` }),
  switch_board: (own) => ({ board: `${2000 + own}` }),
  translation: (own) => ({ id: `${1_000_000 + own}` }),
  article: (own) => ({ language: "'ww'", id: `${own}` }),
  moment: (own) => ({ at: `'3000-01-01 00:00:00.5' + INTERVAL ${own} MINUTE` }),
  document: (own) => ({ digest: `CONCAT('own', ${own}, X'00')`, part: `${own % 100}` }),
  place: (own) => ({ id: `${100_000_000 + own}` }),
  wide_report: (own) => ({ id: `${-1 - own}` }),
}

/** The condition that finds a row of the fill: the key's own expressions for its number. */
function filledRow(table: ShopTable, n: number): string {
  const key = Object.keys(ownKeys[table.name]?.(0) ?? {})
  const names = key.map(identifier).join(', ')
  const values = key.map((name) => table.columns.find((column) => column.name === name)?.fill).join(', ')
  return `(${names}) = (SELECT ${values} FROM (SELECT ${n} AS n) AS counter)`
}

const anyTable = (turn: Turn): ShopTable => typeTables[turn.int(typeTables.length)] as ShopTable
const anyFilledRow = (turn: Turn, table: ShopTable): string =>
  filledRow(table, 1 + turn.int(turn.filled(table.name)))

export const typeOperations: readonly Operation[] = [
  {
    name: 'copy and delete rows of every type',
    weight: 6,
    work: (turn) =>
      transaction(turn, async () => {
        const table = anyTable(turn)
        const key = ownKeys[table.name]?.(turn.own(200)) ?? {}
        const where = Object.entries(key).map(([name, value]) => `${identifier(name)} = ${value}`)
        await turn.run(`DELETE FROM ${identifier(table.name)} WHERE ${where.join(' AND ')}`)
        if (turn.chance(0.25)) return
        const columns = table.columns.filter((column) => column.fill !== null)
        const values = columns.map(({ name }) =>
          name === 'version' ? newVersion : (key[name] ?? identifier(name)),
        )
        await turn.run(
          `INSERT INTO ${identifier(table.name)} (${columns.map(({ name }) => identifier(name)).join(', ')})
           SELECT ${values.join(', ')} FROM ${identifier(table.name)} WHERE ${anyFilledRow(turn, table)}`,
        )
      }),
  },
  {
    name: 'carry values of every type from row to row',
    weight: 8,
    work: async (turn) => {
      const table = anyTable(turn)
      const key = ownKeys[table.name]?.(0) ?? {}
      const columns = table.columns.filter(
        ({ name, fill }) => fill !== null && name !== 'version' && !(name in key) && turn.chance(0.3),
      )
      if (columns.length === 0 || !hasVersion(table)) return
      const set = columns.map(({ name }) => `a.${identifier(name)} = b.${identifier(name)}`)
      const names = columns.map(({ name }) => identifier(name)).join(', ')
      await turn.run(
        `UPDATE ${identifier(table.name)} AS a, (SELECT ${names} FROM ${identifier(table.name)} WHERE ${anyFilledRow(turn, table)}) AS b
         SET ${set.join(', ')}, a.version = ${newVersion}
         WHERE ${anyFilledRow(turn, table).replace('(', '(a.').replaceAll(', `', ', a.`')}`,
      )
    },
  },
  {
    name: 'write megabytes',
    weight: 0.3,
    work: async (turn) => {
      const row = anyFilledRow(turn, typeTables.find((table) => table.name === 'document') as ShopTable)
      const bytes = turn.chance(0.1) ? 4_000_000 : 100_000 + turn.int(800_000)
      await turn.run(
        `UPDATE document SET longblob_v = REPEAT(RANDOM_BYTES(1000), ${Math.floor(bytes / 1000)}), version = ${newVersion} WHERE ${row}`,
      )
    },
  },
]
