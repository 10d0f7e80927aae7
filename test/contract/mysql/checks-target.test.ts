/**
 * Every finding about a target, each by a real mismatch of real servers; each remedy that is one statement is run and mends it.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import type { Finding, MappedTable, PipelineScope } from '../../../src/connectors/contract.ts'
import { checkMysqlTarget } from '../../../src/connectors/mysql/check-target.ts'
import { createStatements } from '../../../src/connectors/mysql/sink/mark-table.ts'
import { tableName } from '../../../src/core/schema.ts'
import { connect, freshDatabase } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let sourceServer: MysqlServer
let targetServer: MysqlServer
let source: Connection
let target: Connection
let database: string
let tables = 0

beforeAll(async () => {
  ;[sourceServer, targetServer] = await Promise.all([
    startMysql({ durable: false }),
    startMysql({ durable: false }),
  ])
  source = await connect(sourceServer)
  target = await connect(targetServer)
  database = await freshDatabase(source, 'check_target')
  await target.query(`CREATE DATABASE ${database}`)
  for (const connection of [source, target]) {
    await connection.query(`USE ${database}; SET sql_mode = ''`)
  }
})
afterAll(async () => {
  await source?.end()
  await target?.end()
  await sourceServer?.discard()
  await targetServer?.discard()
})

const scopeOf = (mappings: readonly MappedTable[], more: Partial<PipelineScope> = {}): PipelineScope => ({
  pipeline: 'p',
  source: { ...endpointOf(sourceServer) },
  target: { ...endpointOf(targetServer) },
  mappings,
  loads: true,
  onMissingTable: 'refuse',
  onExistingRows: 'refuse',
  ...more,
})

const mapped = (table: string, columns: MappedTable['columns'] = null): MappedTable => ({
  source: { schema: database, name: table },
  target: { schema: database, name: table },
  columns,
})

const check = (
  mappings: readonly MappedTable[],
  more: Partial<PipelineScope> = {},
  endpoint = endpointOf(targetServer),
): Promise<readonly Finding[]> => checkMysqlTarget(endpoint, scopeOf(mappings, more))

const brief = (findings: readonly Finding[]) => findings.map(({ code, severity }) => `${code} ${severity}`)

/** Two tables of one new name; the definition of each side stands in parentheses. */
async function pair(atSource: string, atTarget = atSource): Promise<string> {
  const name = `t${++tables}`
  await source.query(`CREATE TABLE ${name} (${atSource})`)
  await target.query(`CREATE TABLE ${name} (${atTarget})`)
  return name
}

const firstStatement = (remedy: string): string => remedy.split(';')[0] as string

it('has nothing to say about equal tables', async () => {
  const name = await pair(
    "id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) NOT NULL UNIQUE, b ENUM('x','y'), c DECIMAL(10,2), d JSON, e DECIMAL(10,2) GENERATED ALWAYS AS (c + 1) VIRTUAL, f POINT SRID 4326, CHECK (c > 0), g BINARY(4), h TIMESTAMP(3) NULL, k CHAR(3), l VECTOR(4)",
  )
  expect(await check([mapped(name)])).toEqual([])
})

describe('columns that cannot hold the values', () => {
  it.each([
    ['INT', 'SMALLINT', 'narrower'],
    ['INT UNSIGNED', 'INT', 'narrower'],
    ['INT', 'INT UNSIGNED', 'negative'],
    ['BIGINT', 'INT', 'narrower'],
    ['DECIMAL(10,2)', 'DECIMAL(10,1)', 'digits after the point'],
    ['DECIMAL(10,2)', 'DECIMAL(10,3)', 'narrower'],
    ['DECIMAL(10,2)', 'DECIMAL(10,2) UNSIGNED', 'negative'],
    ['DOUBLE', 'FLOAT', 'is float'],
    ['DOUBLE', 'DOUBLE(10,2)', 'rounds'],
    ['VARCHAR(20)', 'VARCHAR(19)', 'narrower'],
    ['VARCHAR(20)', 'CHAR(20)', 'loses spaces'],
    ['VARCHAR(20)', 'VARCHAR(20) CHARACTER SET latin1', 'does not have every character'],
    ['VARCHAR(20)', 'VARCHAR(20) CHARACTER SET utf8mb3', 'does not have every character'],
    ['VARCHAR(20) CHARACTER SET latin1', 'VARCHAR(20) CHARACTER SET latin2', 'does not have every character'],
    ['VARCHAR(20)', 'VARBINARY(200)', 'is varbinary'],
    ['TEXT', 'TINYTEXT', 'narrower'],
    ['TEXT', 'VARCHAR(200)', 'narrower'],
    ['VARCHAR(300)', 'TINYTEXT', 'may be too narrow'],
    ['BINARY(4)', 'BINARY(5)', 'pads'],
    ['VARBINARY(4)', 'BINARY(4)', 'pads'],
    ['VARBINARY(4)', 'VARBINARY(3)', 'narrower'],
    ['BLOB', 'TINYBLOB', 'narrower'],
    ['DATETIME(6)', 'DATETIME(3)', 'digits of a second'],
    ['TIME(1)', 'TIME', 'digits of a second'],
    ['TIMESTAMP NULL', 'DATETIME NULL', 'is datetime'],
    ['BIT(9)', 'BIT(8)', 'narrower'],
    ["ENUM('a','b')", "ENUM('b')", "lacks the label 'a'"],
    ["SET('a','b')", "SET('b','c')", "lacks the label 'a'"],
    ['GEOMETRY', 'POINT', 'takes point only'],
    ['POINT', 'POINT SRID 4326', 'SRID 4326 only'],
    ['VECTOR(4)', 'VECTOR(3)', 'narrower'],
    ['JSON', 'LONGTEXT', 'is longtext'],
    ['INT NULL', 'INT NOT NULL', 'does not take NULL'],
    ['INT', 'INT GENERATED ALWAYS AS (id + 1) VIRTUAL', 'computed at the target'],
  ])('%s into %s', async (atSource, atTarget, reason) => {
    const name = await pair(`id INT PRIMARY KEY, v ${atSource}`, `id INT PRIMARY KEY, v ${atTarget}`)
    const findings = await check([mapped(name)])
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ code: 'SYNC-3203', table: `${database}.${name}`, column: 'v' })
    expect(findings[0]?.message).toContain(reason)
    expect(findings[0]?.severity).toBe(reason.startsWith('may') ? 'warning' : 'error')
    if (!atTarget.includes('GENERATED') && !/GEOMETRY|POINT|VECTOR/.test(atSource)) {
      await target.query(firstStatement(findings[0]?.remedy ?? ''))
      expect(await check([mapped(name)])).toEqual([])
    }
  })

  it.each([
    ['TINYINT', 'BIGINT'],
    ['INT UNSIGNED', 'BIGINT'],
    ['FLOAT', 'DOUBLE'],
    ['DECIMAL(10,2)', 'DECIMAL(12,4)'],
    ['CHAR(5)', 'VARCHAR(5)'],
    ['VARCHAR(20) CHARACTER SET latin1', 'VARCHAR(20) CHARACTER SET utf8mb4'],
    ['VARCHAR(63)', 'TINYTEXT'],
    ['BINARY(4)', 'VARBINARY(4)'],
    ["ENUM('a','b')", "ENUM('b','x','a')"],
    ['POINT', 'GEOMETRY'],
    ['INT NOT NULL', 'INT NULL'],
    ['INT GENERATED ALWAYS AS (id + 1) VIRTUAL', 'INT'],
  ])('%s goes into %s', async (atSource, atTarget) => {
    const name = await pair(`id INT PRIMARY KEY, v ${atSource}`, `id INT PRIMARY KEY, v ${atTarget}`)
    expect(await check([mapped(name)])).toEqual([])
  })
})

describe('tables and columns', () => {
  it('a missing table', async () => {
    await source.query('CREATE TABLE lonely (id INT PRIMARY KEY)')
    expect(brief(await check([mapped('lonely')]))).toEqual(['SYNC-3201 error'])
    expect(await check([mapped('lonely')], { onMissingTable: 'create' })).toEqual([])
  })

  it('a missing column, unless it is not carried or mapped to another', async () => {
    const name = await pair(
      'id INT PRIMARY KEY, a INT, b VARCHAR(5) NOT NULL',
      'id INT PRIMARY KEY, a INT, c VARCHAR(5) NOT NULL',
    )
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3202 error', 'SYNC-3203 error'])
    expect(findings[0]).toMatchObject({ column: 'b' })
    expect(findings[1]).toMatchObject({ column: 'c' })
    expect(findings[1]?.message).toContain('exists only at the target')
    const all = ['id', 'a'].map((column) => ({ source: column, target: column }))
    expect(await check([mapped(name, [...all, { source: 'b', target: 'c' }])])).toEqual([])
    for (const { remedy } of findings) await target.query(firstStatement(remedy))
    expect(await check([mapped(name)])).toEqual([])
  })

  it('another engine', async () => {
    const name = await pair('id INT PRIMARY KEY')
    await target.query(`ALTER TABLE ${name} ENGINE=MyISAM`)
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3207 error'])
    await target.query(firstStatement(findings[0]?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
  })

  it('rows that are there already, until the table has joined', async () => {
    const name = await pair('id INT PRIMARY KEY')
    await target.query(`INSERT INTO ${name} VALUES (1)`)
    expect(brief(await check([mapped(name)]))).toEqual(['SYNC-3204 error'])
    for (const onExistingRows of ['empty', 'keep'] as const) {
      expect(await check([mapped(name)], { onExistingRows })).toEqual([])
    }
    expect(await check([mapped(name)], { loads: false })).toEqual([])
    for (const statement of createStatements) await target.query(statement)
    await target.query(
      "INSERT INTO syncline.load_progress (pipeline, table_name, rows_loaded, done) VALUES ('joined', ?, 0, 0), ('other', ?, 0, 0)",
      [tableName(mapped(name).source), `${tableName(mapped(name).source)}x`],
    )
    expect(await check([mapped(name)], { pipeline: 'joined' })).toEqual([])
    expect(brief(await check([mapped(name)], { pipeline: 'other' }))).toEqual(['SYNC-3204 error'])
    await target.query('DROP DATABASE syncline')
  })
})

it('marks of the pipeline under another number of shards', async () => {
  const name = await pair('id INT PRIMARY KEY')
  for (const statement of createStatements) await target.query(statement)
  const marksOf = (own: readonly string[]) => ({ marks: { own, family: ['p', 'p#%'] } })
  const four = marksOf(['p#1/4', 'p#2/4', 'p#3/4', 'p#4/4'])
  // One that has not written, and one of a pipeline that is called almost so.
  await target.query(
    "INSERT INTO syncline.apply_mark (pipeline, slot, epoch, to_position) VALUES ('p#2/4', 0, 1, '{}'), ('p#1/2', 0, 1, NULL), ('pp', 0, 1, '{}')",
  )
  expect(await check([mapped(name)], four)).toEqual([])
  for (const own of [['p'], ['p#1/2', 'p#2/2']]) {
    const findings = await check([mapped(name)], marksOf(own))
    expect(brief(findings)).toEqual(['SYNC-4005 error'])
    expect(findings[0]?.message).toContain('p#2/4')
  }
  // What any shard has written is the pipeline's own.
  await target.query(`INSERT INTO ${name} VALUES (1)`)
  await target.query(
    `INSERT INTO syncline.load_progress (pipeline, table_name, rows_loaded, done) VALUES ('p#3/4', '${database}.${name}', 0, 0)`,
  )
  expect(await check([mapped(name)], four)).toEqual([])
  await target.query('DROP DATABASE syncline')
})

describe('keys', () => {
  it('that differ', async () => {
    const name = await pair('a INT, b INT, PRIMARY KEY (a, b)', 'a INT, b INT, PRIMARY KEY (a)')
    const findings = await check([mapped(name)])
    expect(brief(findings)).toContain('SYNC-3205 error')
    const error = findings.find(({ severity }) => severity === 'error')
    await target.query(firstStatement(error?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
  })

  it('that are not there, or not carried', async () => {
    const name = await pair('id INT PRIMARY KEY, v INT', 'id INT NOT NULL, v INT')
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3205 error'])
    await target.query(firstStatement(findings[0]?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
    const without = await check([mapped(name, [{ source: 'v', target: 'v' }])])
    expect(brief(without)).toContain('SYNC-3205 error')
  })

  it('that take two values for one', async () => {
    const name = await pair(
      'k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY',
      'k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PRIMARY KEY',
    )
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3205 error'])
    expect(findings[0]?.message).toContain('utf8mb4_0900_ai_ci')
    await target.query(firstStatement(findings[0]?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
    const finer = await pair(
      'k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY',
      'k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY',
    )
    expect(await check([mapped(finer)])).toEqual([])
  })

  it('that only the target has', async () => {
    const name = await pair('id INT PRIMARY KEY, v INT', 'id INT PRIMARY KEY, v INT, UNIQUE KEY uv (v)')
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3205 warning'])
    await target.query(firstStatement(findings[0]?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
  })
})

describe('rules of the target', () => {
  it('a trigger', async () => {
    const name = await pair('id INT PRIMARY KEY')
    await target.query(`CREATE TRIGGER tr_${name} BEFORE INSERT ON ${name} FOR EACH ROW SET @x = 1`)
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3206 error'])
    await target.query(firstStatement(findings[0]?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
  })

  it('a check that the source does not have', async () => {
    const name = await pair(
      'id INT PRIMARY KEY, v INT',
      'id INT PRIMARY KEY, v INT, CONSTRAINT positive CHECK (v > 0)',
    )
    const findings = await check([mapped(name)])
    expect(brief(findings)).toEqual(['SYNC-3209 warning'])
    await target.query(firstStatement(findings[0]?.remedy ?? ''))
    expect(await check([mapped(name)])).toEqual([])
  })

  it('foreign keys say nothing: the writing sessions have their checks off', async () => {
    const parent = await pair('id INT PRIMARY KEY')
    const child = await pair(
      `id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES ${parent} (id) ON DELETE CASCADE`,
    )
    expect(await check([mapped(parent), mapped(child)])).toEqual([])
  })
})

describe('the server', () => {
  it('that is read-only is reported alone', async () => {
    const name = await pair('id INT PRIMARY KEY', 'other INT')
    await target.query('SET GLOBAL super_read_only = ON')
    const findings = await check([mapped(name)])
    await target.query('SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF')
    expect(brief(findings)).toEqual(['SYNC-3106 error'])
  })

  it('that takes smaller packets than the source', async () => {
    await target.query('SET GLOBAL max_allowed_packet = 1048576')
    const findings = await check([])
    await target.query('SET GLOBAL max_allowed_packet = 67108864')
    expect(brief(findings)).toEqual(['SYNC-3303 warning'])
  })

  it('that takes no LOAD DATA LOCAL, as long as there is a table to load', async () => {
    const [name, other] = [await pair('id INT PRIMARY KEY'), await pair('id INT PRIMARY KEY')]
    const both = [mapped(name), mapped(other)]
    expect(await check(both)).toEqual([])
    await target.query('SET GLOBAL local_infile = OFF')
    try {
      const [found, ...more] = await check(both)
      expect([found?.code, found?.severity, more]).toEqual(['SYNC-3216', 'warning', []])
      expect(found?.message).toContain('2 tables')
      expect(await check(both, { loads: false })).toEqual([])
      expect(await check([])).toEqual([])
      for (const statement of createStatements) await target.query(statement)
      await target.query(
        "INSERT INTO syncline.load_progress (pipeline, table_name, rows_loaded, done) VALUES ('p', ?, 5, 1), ('p', ?, 5, 0)",
        [name, other].map((table) => `${database}.${table}`),
      )
      expect((await check(both))[0]?.message).toContain('one table')
      await target.query('UPDATE syncline.load_progress SET done = 1')
      expect(await check(both)).toEqual([])
      await target.query('DROP DATABASE syncline')
      await target.query(firstStatement(found?.remedy ?? ''))
      expect(await check(both)).toEqual([])
    } finally {
      await target.query('SET GLOBAL local_infile = ON; RESET PERSIST IF EXISTS local_infile')
    }
  })

  it('that is the source: a table may not be written onto itself', async () => {
    const name = await pair('id INT PRIMARY KEY')
    const itself = { ...scopeOf([mapped(name)]), target: { ...endpointOf(sourceServer) } }
    expect(brief(await checkMysqlTarget(endpointOf(sourceServer), itself))).toEqual(['SYNC-3208 error'])
    await source.query(`CREATE TABLE ${name}_copy (id INT PRIMARY KEY)`)
    const copy = { ...mapped(name), target: { schema: database, name: `${name}_copy` } }
    expect(await checkMysqlTarget(endpointOf(sourceServer), { ...itself, mappings: [copy] })).toEqual([])
  })

  it('that refuses the login, or cannot be reached', async () => {
    const wrong = endpointOf(targetServer, { user: 'root', password: 'wrong' })
    expect(brief(await check([], {}, wrong))).toEqual(['SYNC-3102 error'])
    await expect(check([], {}, endpointOf(targetServer, { port: 1 }))).rejects.toMatchObject({
      code: 'SYNC-3101',
    })
  })

  it('that gives too few privileges: each with the GRANT that mends it', async () => {
    const name = await pair('id INT PRIMARY KEY, v INT')
    await target.query("CREATE USER 'poor'@'localhost' IDENTIFIED BY 'p'")
    await target.query(`GRANT SELECT (id, v) ON ${database}.${name} TO 'poor'@'localhost'`)
    const poor = endpointOf(targetServer, { user: 'poor', password: 'p' })
    const granted: string[] = []
    for (let round = 0; round < 5; round++) {
      const findings = await check([mapped(name)], { onMissingTable: 'create' }, poor)
      if (findings.length === 0) break
      expect(findings.every(({ code }) => code === 'SYNC-3103' || code === 'SYNC-3206')).toBe(true)
      granted.push(...findings.map(({ remedy }) => remedy))
      for (const { remedy } of findings) await target.query(remedy)
    }
    const shown = granted.map((remedy) => remedy.replace(/^GRANT (.*) TO .*$/, '$1')).toSorted()
    expect(shown).toEqual(
      [
        `CREATE, SELECT ON \`syncline\`.*`,
        `DELETE ON \`${database}\`.*`,
        `DELETE ON \`syncline\`.*`,
        `INSERT ON \`${database}\`.*`,
        `INSERT ON \`syncline\`.*`,
        `SELECT ON \`syncline\`.*`,
        `TRIGGER ON \`${database}\`.*`,
        `UPDATE ON \`${database}\`.*`,
        `UPDATE ON \`syncline\`.*`,
      ].toSorted(),
    )
    expect(await check([mapped(name)], {}, poor)).toEqual([])
    // Creating a table asks for more.
    await source.query('CREATE TABLE created_later (id INT PRIMARY KEY)')
    const creation = await check([mapped('created_later')], { onMissingTable: 'create' }, poor)
    expect(creation.map(({ code, remedy }) => `${code} ${remedy}`)).toEqual([
      `SYNC-3103 GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON \`${database}\`.* TO 'poor'@'localhost';`,
    ])
  })

  it('that does not tell names apart by case', async () => {
    await using folding = await startMysql({ durable: false, initArgs: ['--lower-case-table-names=1'] })
    const connection = await connect(folding)
    await connection.query(`CREATE DATABASE ${database}; CREATE TABLE ${database}.Mixed (id INT PRIMARY KEY)`)
    await connection.end()
    await source.query('CREATE TABLE Mixed (id INT PRIMARY KEY); CREATE TABLE MIXED (id INT PRIMARY KEY)')
    const scope = scopeOf([mapped('Mixed')])
    expect(await checkMysqlTarget(endpointOf(folding), scope)).toEqual([])
    const both = { ...scope, mappings: [mapped('Mixed'), mapped('MIXED')] }
    expect(brief(await checkMysqlTarget(endpointOf(folding), both))).toEqual(['SYNC-3201 error'])
  })
})
