/**
 * MariaDB's catalogue while a definition is being changed: its lists miss the table now and then. What is known to be there is never missing, and
 * never without its columns or its key.
 */
import { expect, it } from 'vitest'
import { readTables, readTablesByName } from '../../../src/connectors/mysql/catalogue.ts'
import { connect as connectOwn } from '../../../src/connectors/mysql/connection.ts'
import { connect, freshDatabase, sharedMariadbSource } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

it('a table that is altered without a pause is whole at every look', async () => {
  const server = await sharedMariadbSource()
  const client = await connect(server)
  const schema = await freshDatabase(client, 'altered')
  await client.query(`USE ${schema}`)
  await client.query('CREATE TABLE other (id INT PRIMARY KEY)')
  await client.query('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(30), n INT, UNIQUE KEY (n))')
  await client.query('CREATE VIEW shown AS SELECT id FROM t')
  const connection = await connectOwn(endpointOf(server), 'read')
  let looks = 0
  let isOver = false
  const looking = (async () => {
    const id = { schema, name: 't' }
    for (; !isOver; looks++) {
      const listed = await readTables(connection, [schema], [id])
      const named = await readTablesByName(connection, [id])
      expect(listed.map(({ shape }) => shape.id.name)).toEqual(['other', 't'])
      for (const table of [listed[1], named.get(`${schema}.t`)]) {
        expect(table?.shape.columns).toHaveLength(3)
        expect(table?.shape.primaryKey?.ordinals).toEqual([0])
        expect(table?.shape.uniqueKeys).toHaveLength(1)
      }
    }
  })()
  const looked = looking.then(
    () => null,
    (error: unknown) => error,
  )
  let failed: unknown = null
  void looked.then((error) => {
    failed = error
  })
  try {
    for (let i = 0; i < 300 && failed === null; i++) {
      const [v, n] = i % 2 === 0 ? [300, 'BIGINT'] : [30, 'INT']
      await client.query(`ALTER TABLE t MODIFY v VARCHAR(${v}), MODIFY n ${n}`)
    }
  } finally {
    isOver = true
    failed = await looked
    await client.query(`DROP DATABASE ${schema}`)
    await client.end()
    await connection.close()
  }
  if (failed !== null) throw failed
  expect(looks).toBeGreaterThan(10)
})
