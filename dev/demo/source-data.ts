/*
 * A data folder of a MySQL server with a filled shop, made once for each state of the shop's definition and kept in the cache, so that the
 * next demo copies it instead of filling it again. A crash while it is made leaves nothing behind (dev/cache.ts).
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { cached, type Say } from '../cache.ts'
import { startMysql } from '../mysql.ts'
import { ensureMysql } from '../mysql-install.ts'
import { runCommand } from '../proc.ts'
import { fillShop, plainServer } from '../shop/fill.ts'
import { createShop } from '../shop/schema.ts'

export const shopDatabase = 'shop'
const keptDays = 14

/**
 * Puts the data folder of a filled shop into `serverDir`, for `startMysql({ dir: serverDir })`.
 * @returns whether it had to be made
 */
export async function placeShopData(
  serverDir: string,
  size: number,
  say: Say,
): Promise<{ readonly made: boolean }> {
  let made = false
  const mysql = await ensureMysql(say)
  const folder = await cached({
    kind: 'demo-shop',
    version: `${mysql.version}-${await shopHash()}-${size}`,
    say,
    build: async (building) => {
      made = true
      await dropOldVersions(dirname(building))
      await makeShopData(building, size)
      return `${mysql.version}-${await shopHash()}-${size}`
    },
  })
  await mkdir(serverDir, { recursive: true })
  await runCommand('cp', [
    '-a',
    '--reflink=auto',
    '--sparse=always',
    join(folder, 'data'),
    join(serverDir, 'data'),
  ])
  return { made }
}

async function makeShopData(dir: string, size: number): Promise<void> {
  // A small redo log keeps the folder small; nothing here has to survive a crash.
  const server = await startMysql({
    dir,
    name: 'MySQL that fills the shop',
    durable: false,
    extraArgs: [
      '--innodb-redo-log-capacity=64M',
      '--innodb-buffer-pool-size=512M',
      '--disable-log-bin',
      '--gtid-mode=OFF',
      '--enforce-gtid-consistency=OFF',
    ],
  })
  try {
    const connection = await createConnection(plainServer(server))
    await connection.query(`CREATE DATABASE ${shopDatabase}`)
    await createShop(connection, shopDatabase)
    await fillShop({ server, database: shopDatabase, size })
    await connection.end()
  } finally {
    await server.stop()
  }
  // The server that starts from a copy makes a name of its own.
  for (const name of await readdir(dir)) if (name !== 'data') await rm(join(dir, name), { force: true })
  await rm(join(dir, 'data', 'auto.cnf'), { force: true })
}

/** Of everything that decides what the shop holds. */
async function shopHash(): Promise<string> {
  const folder = join(import.meta.dirname, '../shop')
  const hash = createHash('sha256')
  const names = (await readdir(folder)).filter((name) => /(-tables|table|schema|fill)\.ts$/.test(name)).sort()
  for (const file of [...names.map((name) => join(folder, name)), import.meta.filename]) {
    hash.update(await readFile(file))
  }
  return hash.digest('hex').slice(0, 12)
}

async function dropOldVersions(kindFolder: string): Promise<void> {
  for (const name of await readdir(kindFolder)) {
    if (name.startsWith('.')) continue
    const path = join(kindFolder, name)
    const { mtimeMs } = await stat(path)
    if (Date.now() - mtimeMs > keptDays * 24 * 3600_000) await rm(path, { recursive: true, force: true })
  }
}
