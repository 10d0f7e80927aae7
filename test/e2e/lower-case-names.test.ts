/**
 * A source that stores the names of tables in lower case (lower_case_table_names=1): its log has them so in row events, and as their writers
 * like in statements.
 */
import { expect, it } from 'vitest'
import { startMysql } from '../../dev/mysql.ts'
import { createRig, dump } from '../support/engine-rig.ts'
import { sharedTarget } from '../support/servers.ts'

it('knows a table by whatever name a statement gives it', async () => {
  const lower = ['--lower-case-table-names=1']
  await using server = await startMysql({ durable: false, initArgs: lower, extraArgs: lower })
  const rig = await createRig(server, await sharedTarget(), 'lower')
  try {
    for (const connection of [rig.source, rig.target]) {
      await connection.query(`USE ${rig.database}`)
      await connection.query('CREATE TABLE orders (id INT PRIMARY KEY)')
    }
    await rig.source.query('INSERT INTO orders VALUES (1), (2)')
    const run = rig.start()
    await rig.settled(run)
    await rig.target.query('ALTER TABLE orders ADD COLUMN n INT')
    await rig.source.query('ALTER TABLE Orders ADD COLUMN n INT; INSERT INTO ORDERS VALUES (3, 3)')
    await rig.settled(run)
    expect(await dump(rig.target, 'orders')).toEqual(await dump(rig.source, 'orders'))
    await rig.source.query(
      `TRUNCATE TABLE ${rig.database.toUpperCase()}.Orders; INSERT INTO orders VALUES (4, 4)`,
    )
    expect(await run.outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-2302' })
  } finally {
    await rig.close()
  }
})
