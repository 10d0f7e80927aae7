/*
 * Fills the shop: INSERT ... SELECT from a counter, run by the server itself, several tables at once.
 *
 * Guarantees: the same seed and size give the same bytes. Every boundary value of table.ts's expressions is there at the smallest size.
 * Assumes empty tables from schema.ts. After a crash: drop the database and start over.
 */
import { type Connection, createConnection } from 'mysql2/promise'
import { permissiveSession, shopTables } from './schema.ts'
import { identifier, type ShopTable } from './table.ts'

export type ShopServer = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

/** Without what else the object may carry: the driver warns about options that it does not know. */
export const plainServer = ({ host, port, user, password }: ShopServer): ShopServer => ({
  host,
  port,
  user,
  password,
})

export type FillOptions = {
  readonly server: ShopServer
  readonly database: string
  /** Same seed, same rows. */
  readonly seed?: number
  /** 1 is half a million rows and more; 0 the smallest size that still has every boundary value. */
  readonly size?: number
  /** Connections that fill in parallel. */
  readonly connections?: number
  /** False keeps the rows out of the server's own log: for a data folder that is copied. Default true. */
  readonly logged?: boolean
  readonly onTable?: (table: string, rows: number) => void
}

/** Rows of one INSERT ... SELECT: large enough to be fast, small enough for one transaction in the log. */
const rowsPerStatement = 20_000

export const rowsAtSize = (table: ShopTable, size: number): number =>
  table.rows === 0 ? 0 : Math.max(table.leastRows, Math.round(table.rows * size))

export const shopRows = (size: number): number =>
  shopTables.reduce((sum, table) => sum + rowsAtSize(table, size), 0)

/** @returns the rows written */
export async function fillShop(options: FillOptions): Promise<number> {
  const size = options.size ?? 1
  // The largest first, so that no connection is left alone with it at the end.
  const work = shopTables
    .filter((table) => table.rows > 0)
    .toSorted((a, b) => rowsAtSize(b, size) * b.columns.length - rowsAtSize(a, size) * a.columns.length)
  let written = 0
  const fillNext = async (): Promise<void> => {
    const connection = await createConnection({ ...plainServer(options.server), database: options.database })
    try {
      await prepare(connection, options.seed ?? 1, size, options.logged ?? true)
      for (let table = work.shift(); table !== undefined; table = work.shift()) {
        const rows = rowsAtSize(table, size)
        await fillTable(connection, table, rows)
        written += rows
        options.onTable?.(table.name, rows)
      }
    } finally {
      connection.destroy()
    }
  }
  await Promise.all(Array.from({ length: options.connections ?? 2 }, fillNext))
  return written
}

async function prepare(connection: Connection, seed: number, size: number, logged: boolean): Promise<void> {
  await connection.query(permissiveSession)
  await connection.query('SET NAMES utf8mb4')
  await connection.query(`SET SESSION cte_max_recursion_depth = ${rowsPerStatement + 1}, @seed = ${seed}`)
  if (!logged) await connection.query('SET SESSION sql_log_bin = 0')
  for (const table of shopTables) {
    if (/^\w+$/.test(table.name)) {
      await connection.query(`SET @rows_${table.name} = ${rowsAtSize(table, size)}`)
    }
  }
}

async function fillTable(connection: Connection, table: ShopTable, rows: number): Promise<void> {
  const filled = table.columns.filter((column) => column.fill !== null)
  const names = filled.map((column) => identifier(column.name)).join(', ')
  const values = filled.map((column) => column.fill).join(', ')
  for (let from = 1; from <= rows; from += rowsPerStatement) {
    const to = Math.min(rows, from + rowsPerStatement - 1)
    await connection.query(
      `INSERT INTO ${identifier(table.name)} (${names})
       WITH RECURSIVE counter (n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM counter WHERE n < ${to})
       SELECT ${values} FROM counter`,
    )
  }
}
