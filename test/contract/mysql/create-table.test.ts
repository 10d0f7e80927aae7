/**
 * Preparation of real targets: what is missing is created as at the source, what is full is emptied, and a pipeline's own rows are never touched.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MappedTable, PipelineScope } from '../../../src/connectors/contract.ts'
import { createStatements } from '../../../src/connectors/mysql/sink/mark-table.ts'
import { preCheck, prepare } from '../../../src/connectors/registry.ts'
import { connect, freshDatabase, type MysqlFacts, sharedSource, sharedTarget } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let sourceServer: MysqlFacts
let targetServer: MysqlFacts
let source: Connection
let target: Connection
let database: string
let copy: string

beforeAll(async () => {
  sourceServer = await sharedSource()
  targetServer = await sharedTarget()
  source = await connect(sourceServer, { charset: 'utf8mb4' })
  target = await connect(targetServer, { charset: 'utf8mb4' })
  database = await freshDatabase(source, 'create')
  copy = `${database}_copy`
  await source.query(`USE ${database}; SET sql_mode = 'ALLOW_INVALID_DATES', foreign_key_checks = 0`)
  await source.query(`ALTER DATABASE ${database} DEFAULT CHARACTER SET latin1 COLLATE latin1_german1_ci`)
})
afterAll(async () => {
  await source?.end()
  await target?.end()
})

const mapped = (name: string, to = name, columns: MappedTable['columns'] = null): MappedTable => ({
  source: { schema: database, name },
  target: { schema: copy, name: to },
  columns,
})

const scopeOf = (mappings: readonly MappedTable[], more: Partial<PipelineScope> = {}): PipelineScope => ({
  pipeline: database,
  source: { ...endpointOf(sourceServer) },
  target: { ...endpointOf(targetServer) },
  mappings,
  loads: true,
  onMissingTable: 'create',
  onExistingRows: 'refuse',
  ...more,
})

const definition = async (connection: Connection, table: string): Promise<string> => {
  const [rows] = await connection.query(`SHOW CREATE TABLE ${table}`)
  return String((rows as Record<string, string>[])[0]?.['Create Table'])
}

const count = async (table: string): Promise<number> => {
  const [rows] = await target.query(`SELECT COUNT(*) AS n FROM ${copy}.${table}`)
  return Number((rows as { n: number }[])[0]?.n)
}

describe('missing tables', () => {
  const definitions: Readonly<Record<string, string>> = {
    everything: `(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'it''s \\\\ \\n \u00e4', a ENUM('\u00e4','it''s','a,b') CHARACTER SET latin1 DEFAULT 'it''s', b SET('x','y') DEFAULT 'x', c DECIMAL(10,2) UNSIGNED ZEROFILL, d TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), e DATETIME DEFAULT '0000-00-00 00:00:00', f JSON DEFAULT (JSON_OBJECT('a', 1)), g POINT NOT NULL SRID 4326, h VECTOR(3), i VARCHAR(50) CHARACTER SET gbk COLLATE gbk_bin DEFAULT '\u4f60', j INT GENERATED ALWAYS AS (LENGTH(i) + 1) VIRTUAL, k INT GENERATED ALWAYS AS (LENGTH(i) + 2) STORED, l INT INVISIBLE DEFAULT 5, m TEXT, n BIT(3) DEFAULT b'101', o BINARY(4), p YEAR, PRIMARY KEY (id), UNIQUE KEY (i(5), l DESC), KEY fx ((LOWER(i))), FULLTEXT KEY (m), SPATIAL KEY (g), KEY inv (l) INVISIBLE, CONSTRAINT ck CHECK (l > 0), CONSTRAINT ck2 CHECK (c > 1) NOT ENFORCED) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb3 COMMENT='table \u00e4 '' )'`,
    parts:
      '(id INT NOT NULL, d DATE NOT NULL, PRIMARY KEY (id, d)) PARTITION BY RANGE (YEAR(d)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE)',
    child:
      '(id INT PRIMARY KEY, p INT, self INT, CONSTRAINT fk_parent FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL, CONSTRAINT fk_self FOREIGN KEY (self) REFERENCES child (id))',
    parent: '(id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8',
    '`odd ``名`': '(`a``b` INT PRIMARY KEY, `名` INT)',
  }

  it('are created as they are at the source, in any order, with foreign keys that come along', async () => {
    for (const [name, text] of Object.entries(definitions)) await source.query(`CREATE TABLE ${name} ${text}`)
    await source.query("INSERT INTO everything (id, g) VALUES (76, ST_GeomFromText('POINT(1 1)', 4326))")
    const names = ['child', 'everything', 'parts', 'parent', 'odd `名']
    const scope = scopeOf(names.map((name) => mapped(name)))
    expect(await preCheck(scope)).toEqual([])
    await prepare(scope)
    for (const name of Object.keys(definitions)) {
      const bare = (text: string): string => text.replaceAll(`\`${copy}\`.`, '')
      expect(bare(await definition(target, `${copy}.${name}`))).toBe(
        await definition(source, `${database}.${name}`),
      )
    }
    const [schema] = await target.query(`SHOW CREATE DATABASE ${copy}`)
    expect(JSON.stringify(schema)).toContain('latin1_german1_ci')
    // Again, and the check finds that everything fits.
    await prepare(scope)
    expect(await preCheck(scope)).toEqual([])
  })

  it('take other names and fewer columns', async () => {
    await source.query(
      'CREATE TABLE wide (id INT PRIMARY KEY AUTO_INCREMENT, secret VARCHAR(9), title VARCHAR(30) NOT NULL, low VARCHAR(30) GENERATED ALWAYS AS (LOWER(title)) VIRTUAL, hidden INT GENERATED ALWAYS AS (LENGTH(secret)) STORED, UNIQUE KEY (title), KEY (secret), CHECK (LENGTH(secret) > 1)) AUTO_INCREMENT=9',
    )
    const pick = (names: Record<string, string>) =>
      Object.entries(names).map(([from, to]) => ({ source: from, target: to }))
    const scope = scopeOf([
      mapped('wide', 'narrow', pick({ id: 'no', title: 'name', low: 'lower_name', hidden: 'hidden' })),
    ])
    const findings = await preCheck(scope)
    expect(findings.map(({ severity, message }) => `${severity} ${message}`)).toEqual([
      `warning ${copy}.narrow is created without KEY \`secret\`: column secret is not carried`,
      `warning ${copy}.narrow is created without CONSTRAINT \`wide_chk_1\` CHECK: column secret is not carried`,
    ])
    await prepare(scope)
    const made = await definition(target, `${copy}.narrow`)
    expect(made).toContain('`no` int NOT NULL AUTO_INCREMENT')
    expect(made).toContain('GENERATED ALWAYS AS (lower(`name`)) VIRTUAL')
    expect(made).toContain('`hidden` int DEFAULT NULL')
    expect(made).toContain('UNIQUE KEY `title` (`name`)')
    expect(made).not.toContain('secret')
    expect((await preCheck(scope)).filter(({ severity }) => severity === 'error')).toEqual([])
  })

  it('lose a foreign key to a table that stays behind, and it is said', async () => {
    await source.query(
      'CREATE TABLE orphan (id INT PRIMARY KEY, p INT, CONSTRAINT fk_behind FOREIGN KEY (p) REFERENCES stays (id)); CREATE TABLE stays (id INT PRIMARY KEY)',
    )
    const scope = scopeOf([mapped('orphan')])
    const findings = await preCheck(scope)
    expect(findings.map(({ code, severity }) => [code, severity])).toEqual([['SYNC-3201', 'warning']])
    expect(findings[0]?.message).toContain('fk_behind')
    await prepare(scope)
    expect(await definition(target, `${copy}.orphan`)).not.toContain('CONSTRAINT')
  })

  it('are not created when the policy says no', async () => {
    await source.query('CREATE TABLE unwanted (id INT PRIMARY KEY)')
    const scope = scopeOf([mapped('unwanted')], { onMissingTable: 'refuse' })
    await prepare(scope)
    await expect(target.query(`SELECT 1 FROM ${copy}.unwanted`)).rejects.toMatchObject({ errno: 1146 })
  })
})

describe('rows that are there', () => {
  it('are removed by `empty`, kept otherwise, and never once the table has joined', async () => {
    await source.query(
      'CREATE TABLE mother (id INT PRIMARY KEY); CREATE TABLE daughter (id INT PRIMARY KEY AUTO_INCREMENT, m INT, FOREIGN KEY (m) REFERENCES mother (id))',
    )
    const mappings = [mapped('mother'), mapped('daughter')]
    await prepare(scopeOf(mappings))
    const fill = async () => {
      await target.query(
        `INSERT IGNORE INTO ${copy}.mother VALUES (1), (2); INSERT IGNORE INTO ${copy}.daughter VALUES (1, 1)`,
      )
    }
    await fill()
    await prepare(scopeOf(mappings, { onExistingRows: 'keep' }))
    await prepare(scopeOf(mappings, { onExistingRows: 'refuse' }))
    await prepare(scopeOf(mappings, { onExistingRows: 'empty', loads: false }))
    expect([await count('mother'), await count('daughter')]).toEqual([2, 1])
    await prepare(scopeOf(mappings, { onExistingRows: 'empty' }))
    expect([await count('mother'), await count('daughter')]).toEqual([0, 0])
    await fill()
    for (const statement of createStatements) await target.query(statement)
    await target.query(
      'INSERT INTO syncline.load_progress (pipeline, table_name, rows_loaded, done) VALUES (?, ?, 0, 0)',
      [database, `${database}.mother`],
    )
    await prepare(scopeOf(mappings, { onExistingRows: 'empty' }))
    expect([await count('mother'), await count('daughter')], 'a table that joins later').toEqual([2, 0])
  })

  it('are removed under any name', async () => {
    const name = "größe `x` 'y'"
    const quoted = `\`${name.replaceAll('`', '``')}\``
    await source.query(`CREATE TABLE ${quoted} (id INT PRIMARY KEY)`)
    await prepare(scopeOf([mapped(name)]))
    await target.query(`INSERT INTO ${copy}.${quoted} VALUES (1)`)
    for (const statement of createStatements) await target.query(statement)
    await prepare(scopeOf([mapped(name)], { onExistingRows: 'empty' }))
    const [rows] = await target.query(`SELECT * FROM ${copy}.${quoted}`)
    expect(rows).toEqual([])
  })
})

it('a table that was loaded and is gone is not created anew, for it would lack the rows', async () => {
  await source.query('CREATE TABLE loaded (id INT PRIMARY KEY); CREATE TABLE fresh (id INT PRIMARY KEY)')
  const pipeline = `${database}_lost`
  for (const statement of createStatements) await target.query(statement)
  await target.query(
    'INSERT INTO syncline.load_progress (pipeline, table_name, rows_loaded, done) VALUES (?, ?, 5, 1)',
    [pipeline, `${database}.loaded`],
  )
  const lost = scopeOf([mapped('loaded'), mapped('fresh')], { pipeline })
  const findings = await preCheck(lost)
  expect(findings.map(({ code, severity, table }) => [code, severity, table])).toEqual([
    ['SYNC-3201', 'error', `${copy}.loaded`],
  ])
  await expect(prepare(lost)).rejects.toMatchObject({ code: 'SYNC-3201', disposition: 'block' })
  // A table whose load has not begun may be created while the others stream.
  await prepare(scopeOf([mapped('fresh')], { pipeline }))
  expect(await count('fresh')).toBe(0)
})
