/*
 * The accounts of the demo have what a pipeline needs and nothing else: with all of it a pipeline runs from the creation of its tables to a
 * streamed delete, and without any one privilege it does not, and says which it lacks.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sourceGrants, targetGrants } from '../../dev/demo/accounts.ts'
import { type MysqlServer, startMysql } from '../../dev/mysql.ts'
import type { EndpointConfig, PipelineScope } from '../../src/connectors/contract.ts'
import { mysqlConnector } from '../../src/connectors/mysql/connector.ts'
import { createEngine } from '../../src/streamer/engine.ts'
import { connect } from '../support/servers.ts'

const database = 'shop'
const tables = ['customer', 'order']
const user = 'limited'

let servers: MysqlServer[] = []
let source: Connection
let target: Connection
let lastEpoch = BigInt(Date.now())

beforeAll(async () => {
  // Of their own: the schema of Syncline's own tables is dropped again and again.
  servers = await Promise.all([
    startMysql({ name: 'source', durable: false }),
    startMysql({ name: 'target', durable: false }),
  ])
  source = await connect(servers[0] as MysqlServer)
  target = await connect(servers[1] as MysqlServer)
  await source.query(`CREATE DATABASE ${database}; USE ${database};
    CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(20));
    CREATE TABLE \`order\` (id INT PRIMARY KEY, customer_id INT, FOREIGN KEY (customer_id) REFERENCES customer (id));
    INSERT INTO customer VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO \`order\` VALUES (1, 1)`)
})
afterAll(async () => {
  source.destroy()
  target.destroy()
  await Promise.all(servers.map((server) => server.discard()))
})

/** One privilege each. */
const single = (grants: readonly string[]): string[] =>
  grants.flatMap((grant) => {
    const [privileges = '', on = ''] = grant.split(' ON ')
    return privileges.split(', ').map((privilege) => `${privilege} ON ${on}`)
  })
const ofSource = single(sourceGrants(database))
const ofTarget = single(targetGrants(database))

async function endpoint(
  server: MysqlServer,
  connection: Connection,
  grants: readonly string[],
): Promise<EndpointConfig> {
  await connection.query(`DROP USER IF EXISTS ${user}@'%'; CREATE USER ${user}@'%' IDENTIFIED BY 'limited'`)
  for (const grant of grants) await connection.query(`GRANT ${grant} TO ${user}@'%'`)
  return mysqlConnector.config.parse({
    kind: 'mysql',
    host: server.host,
    port: server.port,
    user,
    password: 'limited',
  })
}

/** @returns null when a whole life of a pipeline went well, or what it said first */
async function problemWith(
  sourceAccount: readonly string[],
  targetAccount: readonly string[],
): Promise<string | null> {
  await target.query(`DROP DATABASE IF EXISTS ${database}; DROP DATABASE IF EXISTS syncline`)
  const config = {
    source: await endpoint(servers[0] as MysqlServer, source, sourceAccount),
    target: await endpoint(servers[1] as MysqlServer, target, targetAccount),
  }
  const scope: PipelineScope = {
    pipeline: 'accounts',
    ...config,
    loads: true,
    onMissingTable: 'create',
    onExistingRows: 'refuse',
    mappings: tables.map((name) => ({
      source: { schema: database, name },
      target: { schema: database, name },
      columns: null,
    })),
  }
  const findings = [
    ...(await mysqlConnector.checkSource(scope)),
    ...(await mysqlConnector.checkTarget(scope)),
  ]
  const error = findings.find(({ severity }) => severity === 'error')
  if (error !== undefined) return `${error.code} ${error.message}`
  try {
    await mysqlConnector.prepareTarget(scope)
  } catch (thrown) {
    return (thrown as Error).message
  }
  lastEpoch += 1_000_000n
  const engine = createEngine(
    {
      openSource: () => mysqlConnector.openSource(config.source),
      openTarget: () => mysqlConnector.openTarget(config.target),
      recheck: async () => {},
    },
    {
      pipeline: 'accounts',
      origin: 'test',
      rules: [
        {
          match: `${database}.*`,
          exclude: [],
          toSchema: '{schema}',
          toTable: '{table}',
          includeColumns: null,
          excludeColumns: [],
          renameColumns: {},
          where: null,
        },
      ],
      order: 'merged',
      lanes: 2,
      batch: { maxRows: 1000, maxBytes: 1 << 20, maxDelayMs: 0 },
      smallBatchRows: 100,
      load: { enabled: true, chunkRows: 1000, chunksInFlight: 2 },
    },
    lastEpoch,
    [],
  )
  let problem: string | null = null
  let ended = false
  const run = engine.run().then((outcome) => {
    ended = true
    if (outcome.kind === 'blocked') problem = `${outcome.code} ${outcome.message}`
  })
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    for (const deadline = Date.now() + 30_000; !ended && Date.now() < deadline; ) {
      if (await condition()) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    if (!ended) throw new Error(`not within 30 s: ${JSON.stringify(engine.status())}`)
  }
  const rowsAre = (sql: string, expected: number) => async (): Promise<boolean> => {
    const [rows] = await target.query(`SELECT COUNT(*) AS n FROM ${database}.${sql}`)
    return Number((rows as { n: number }[])[0]?.n) === expected
  }
  try {
    await until(async () => engine.status().phase === 'streaming')
    await source.query("UPDATE customer SET name = 'streamed' WHERE id = 3")
    await until(rowsAre("customer WHERE name = 'streamed'", 1))
    await source.query('DELETE FROM customer WHERE id = 3')
    await until(rowsAre('customer', 2))
  } finally {
    engine.drain()
    await run
    await source.query("REPLACE INTO customer VALUES (3, 'c')")
  }
  return problem
}

test('all of them together are enough', async () => {
  expect(await problemWith(ofSource, ofTarget)).toBeNull()
})

test.each(ofSource)('the source needs %s', async (grant) => {
  const problem = await problemWith(
    ofSource.filter((other) => other !== grant),
    ofTarget,
  )
  expect(problem).toMatch(/^SYNC-2103 |denied/)
})

test.each(ofTarget)('the target needs %s', async (grant) => {
  const problem = await problemWith(
    ofSource,
    ofTarget.filter((other) => other !== grant),
  )
  expect(problem).toMatch(/^SYNC-3103 |denied/)
})
