/**
 * Another engine takes over while a definition statement of the first one waits at the target: the statement is ended before anything is read, so
 * that it cannot come late and take rows with it that were written since. The first engine lives on in this process, as one that was frozen would.
 */
import type { RowDataPacket } from 'mysql2'
import { afterEach, expect, it, vi } from 'vitest'
import { defaultPolicies } from '../../../src/core/schema-policy.ts'
import { createRig, dump, type Rig } from '../../support/engine-rig.ts'
import { connect, sharedSource, sharedTarget } from '../../support/servers.ts'

let rig: Rig
afterEach(async () => {
  await rig.close()
})

async function waiting(): Promise<readonly number[]> {
  const [rows] = await rig.target.query<RowDataPacket[]>(
    "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%' AND INFO LIKE ?",
    [`%/*syncline {"pipeline":"${rig.pipeline}"%`],
  )
  return rows.map((row) => Number(row['id']))
}

it.each([
  { statement: 'TRUNCATE TABLE t', row: "(1, 'new')" },
  { statement: 'ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7 AFTER id', row: "(9, 1, 'new')" },
])('$statement', async ({ statement, row }) => {
  const target = await sharedTarget()
  rig = await createRig(await sharedSource(), target, 'takeover')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}`)
    await connection.query('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))')
  }
  await rig.source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
  const schemaChanges = { ...defaultPolicies, truncateTable: 'apply' } as const
  const first = rig.start({ schemaChanges })
  await rig.settled(first)
  const holder = await connect(target, { database: rig.database })
  try {
    await holder.query('BEGIN')
    await holder.query('SELECT * FROM t')
    await rig.source.query(statement)
    await rig.source.query(`INSERT INTO t VALUES ${row}`)
    let old = 0
    await vi.waitFor(
      async () => {
        old = (await waiting())[0] ?? 0
        expect(old).toBeGreaterThan(0)
      },
      { timeout: 30_000, interval: 20 },
    )
    const second = rig.start({ schemaChanges })
    await vi.waitFor(
      async () => {
        const now = await waiting()
        expect(now).toHaveLength(1)
        // The first may have tried again on another connection before it was replaced.
        expect(await first.outcome).toMatchObject({ kind: 'fenced' })
        expect(now).not.toContain(old)
      },
      { timeout: 60_000, interval: 50 },
    )
    await holder.query('ROLLBACK')
    await rig.settled(second)
    await vi.waitFor(async () => expect(await dump(rig.target, 't')).toEqual(await dump(rig.source, 't')), {
      timeout: 30_000,
    })
  } finally {
    await holder.end()
  }
})
