/**
 * What a pipeline carries and nothing else: renamed tables and columns, columns left out, row filters, types that differ, rules by column; between
 * MySQL, MariaDB and both.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type MysqlFacts,
  sharedMariadbSource,
  sharedMariadbTarget,
  sharedSource,
  sharedTarget,
} from '../../support/servers.ts'
import { type Ends, inShort, openEnds } from './support.ts'

const opened: Ends[] = []

const between = async (source: MysqlFacts, target: MysqlFacts, name: string): Promise<Ends> => {
  const ends = await openEnds(source, target, name)
  opened.push(ends)
  return ends
}

afterAll(() => Promise.all(opened.map((ends) => ends.close())))

describe('from MySQL to MySQL', () => {
  let ends: Ends
  beforeAll(async () => {
    ends = await between(await sharedSource(), await sharedTarget(), 'scope')
  })

  it('renamed, in part and filtered', async () => {
    await ends.at.source.query(
      `CREATE TABLE orders (id INT PRIMARY KEY, state ENUM('new','paid') NOT NULL, secret VARCHAR(20), total DECIMAL(10,2));
       INSERT INTO orders VALUES (1,'new','a',1), (2,'paid','b',2), (3,'paid','c',3), (4,'new','d',4), (5,'paid','e',5)`,
    )
    await ends.at.target.query(
      `CREATE TABLE bestellung (nr BIGINT PRIMARY KEY, stand ENUM('paid','new') NOT NULL, summe DECIMAL(14,4), eigenes INT DEFAULT 7);
       INSERT INTO bestellung (nr, stand, summe) VALUES (2,'paid',2), (3,'paid',33), (1,'new',1), (6,'paid',6)`,
    )
    const options = {
      targetTable: 'bestellung',
      columns: [
        { source: 'id', target: 'nr' },
        { source: 'state', target: 'stand' },
        { source: 'total', target: 'summe' },
      ],
      where: "state = 'paid'",
    }
    const { differences, tally } = await ends.compare('orders', options)
    expect(inShort(differences)).toEqual(['different 3 total', 'only-source 5', 'only-target 6'])
    expect(tally).toMatchObject({ rowsCompared: 4, equal: 1 })
    expect(differences.find(({ kind }) => kind === 'different')).toMatchObject({
      source: { id: '3', total: '3.00' },
      target: { id: '3', total: '33.0000' },
    })
    // A row that has left the scope and still stands at the target as it was.
    await ends.at.source.query(`UPDATE orders SET state = 'new' WHERE id = 2`)
    expect(inShort((await ends.compare('orders', options)).differences)).toContain('only-target 2')
  })

  it('a filter that the target cannot be asked is said', async () => {
    const { findings, pair } = await ends.plan('orders', {
      targetTable: 'bestellung',
      columns: [
        { source: 'id', target: 'nr' },
        { source: 'total', target: 'summe' },
      ],
      where: "state = 'paid'",
    })
    expect(findings).toMatchObject([{ severity: 'warning', code: 'SYNC-5101' }])
    expect(pair?.target.filter).toBeNull()
  })

  it('wider types, other character sets and padding hold the same values', async () => {
    await ends.at.source.query(
      `CREATE TABLE wide (id SMALLINT UNSIGNED PRIMARY KEY, l VARCHAR(20) CHARACTER SET latin1, c CHAR(10), b BINARY(6), d DECIMAL(8,2), t TIME, m TIMESTAMP, f FLOAT, z INT(8) ZEROFILL, y YEAR, s SET('a','b','c'), e ENUM('x','y'), bt BIT(5), j JSON);
       INSERT INTO wide VALUES (1,'äöü€','ab',x'0102','-12.50','-01:02:03','2020-02-02 02:02:02',0.1,42,1999,'a,c','y',b'10101','{"b": [1.5, 2], "a": "ä"}'),
         (2,'','','',0,'838:59:59','1970-01-01 00:00:01',-1e30,0,0,'','x',0,'null'), (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)`,
    )
    await ends.at.target.query(
      `SET time_zone = '+00:00';
       CREATE TABLE wide (id BIGINT PRIMARY KEY, l VARCHAR(40) CHARACTER SET utf8mb4, c VARCHAR(20), b VARBINARY(20), d DECIMAL(20,5), t TIME(3), m DATETIME(6), f DOUBLE, z BIGINT, y INT, s SET('c','b','a','n'), e VARCHAR(5), bt BIGINT UNSIGNED, j LONGTEXT);
       INSERT INTO wide VALUES (1,'äöü€','ab ',x'010200000000','-12.5','-01:02:03','2020-02-02 02:02:02',0.10000000149011612,42,1999,'a,c','y',21,'{"a":"\\\\u00e4","b":[15e-1,2.0]}'),
         (2,'',' ',x'','0','838:59:59','1970-01-01 00:00:01',-1.0000000150474662e30,0,0,'','x',0,' null '), (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)`,
    )
    await ends.at.source.query(
      `SET time_zone = '+00:00'; UPDATE wide SET m = IF(id = 1, '2020-02-02 02:02:02', '1970-01-01 00:00:01') WHERE id < 3`,
    )
    for (const mode of ['checksum', 'row'] as const) {
      expect((await ends.compare('wide', { mode })).differences).toEqual([])
    }
    await ends.at.target.query(
      `UPDATE wide SET l = 'äöü', c = 'ab x', b = x'0103', d = '-12.49999', t = '-01:02:03.001', m = '2020-02-02 02:02:02.000001', f = 0.1, z = 43, y = 2000, s = 'a,n', e = 'z', bt = 20, j = '{"a":"ä","b":[1.5,3]}' WHERE id = 1`,
    )
    const { differences } = await ends.compare('wide')
    expect(differences.map(({ columns }) => columns.join())).toEqual(['l,c,b,d,t,m,f,z,y,s,e,bt,j'])
    await ends.at.target.query('UPDATE wide SET l = NULL WHERE id = 2')
    expect((await ends.compare('wide')).differences.map(({ columns }) => columns.join())).toContain('l')
  })

  it('rules by column', async () => {
    const create = `CREATE TABLE ruled (id INT PRIMARY KEY, f DOUBLE, t VARCHAR(20) COLLATE utf8mb4_bin, p VARCHAR(20), j VARCHAR(50), d DATETIME(6), x INT)`
    await ends.both(create)
    await ends.at.source.query(
      `INSERT INTO ruled VALUES (1, 1.0000000001, 'Größe', 'a', '{"a":1,"b":2}', '2020-01-01 00:00:00.123456', 1), (2, 0, 'x', 'b', '[]', '2020-01-01', 1)`,
    )
    await ends.at.target.query(
      `INSERT INTO ruled VALUES (1, 1.0000000002, 'GRÖSSE', 'a  ', '{"b":2.0,"a":1}', '2020-01-01 00:00:00.123999', 2), (2, 0, 'x', 'b', '[]', '2020-01-01', 2)`,
    )
    expect((await ends.compare('ruled')).differences).toHaveLength(2)
    const rules = {
      f: { tolerance: 1e-9 },
      t: { collation: 'utf8mb4_0900_ai_ci' },
      p: { padding: 'ignore' },
      j: { json: 'meaning' },
      d: { fractionDigits: 3 },
      x: { ignore: true },
    } as const
    for (const mode of ['checksum', 'row'] as const) {
      const { differences, pair } = await ends.compare('ruled', { rules, mode })
      expect(differences).toEqual([])
      expect(pair.ignored).toEqual(['x'])
    }
    for (const [column, rule] of Object.entries(rules)) {
      const others = Object.fromEntries(Object.entries(rules).filter(([name]) => name !== column))
      const { differences } = await ends.compare('ruled', { rules: others })
      expect(differences[0]?.columns, `without ${JSON.stringify(rule)}`).toEqual([column])
    }
  })

  it('local times against instants', async () => {
    await ends.at.source.query(
      `SET time_zone = '+00:00'; CREATE TABLE local (id INT PRIMARY KEY, m TIMESTAMP NOT NULL); INSERT INTO local VALUES (1, '2024-06-01 10:00:00')`,
    )
    await ends.at.target.query(
      `CREATE TABLE local (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO local VALUES (1, '2024-06-01 12:00:00')`,
    )
    expect((await ends.compare('local')).differences).toHaveLength(1)
    expect((await ends.compare('local', { rules: { m: { timeZone: '+02:00' } } })).differences).toEqual([])
  })

  it('what cannot be compared is said with a remedy', async () => {
    await ends.at.source.query(
      `CREATE TABLE unlike (id INT PRIMARY KEY, f FLOAT, d DATE, g POINT, n VARCHAR(9), gone INT)`,
    )
    await ends.at.target.query(
      `CREATE TABLE unlike (id INT PRIMARY KEY, f DECIMAL(10,3), d VARCHAR(10), g JSON, n INT)`,
    )
    const { pair, findings } = await ends.plan('unlike', { rules: { id: { tolerance: 0.01 } } })
    expect(pair).toBeNull()
    expect(findings.map(({ column, severity }) => `${severity} ${column}`)).toEqual([
      'error id',
      'error f',
      'error d',
      'error g',
      'error n',
      'error gone',
    ])
    expect(findings.every(({ remedy }) => remedy.length > 10)).toBe(true)
  })
})

describe.each([
  ['MariaDB to MariaDB', sharedMariadbSource, sharedMariadbTarget],
  ['MySQL to MariaDB', sharedSource, sharedMariadbTarget],
  ['MariaDB to MySQL', sharedMariadbSource, sharedTarget],
] as const)('from %s', (name, source, target) => {
  let ends: Ends
  beforeAll(async () => {
    ends = await between(await source(), await target(), name.replaceAll(' ', '_'))
    await ends.both("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'")
  })

  const values = [
    "1, 'Größe €', 'x', -5, 18446744073709551615, 12345678901234567890.0123456789, 0.1, 1e-300, '2024-02-29', '-838:59:58.999999', '9999-12-31 23:59:59.999999', '2024-03-31 01:30:00.5', 2155, b'1010101', x'00ff00', x'0000', 'b', 'a,c', '{\"a\": [1, 2.5, \"ü\"]}', ST_GeomFromText('POINT(1 2)'), 'lang'",
    "2, '', '', 0, 0, 0, -0.0, 0, '0000-00-00', '00:00:00', '0000-00-00 00:00:00', '1970-01-01 00:00:01', 1901, 0, '', '', 'a', '', '[]', ST_GeomFromText('LINESTRING(0 0, 1 1)'), ''",
    '3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL',
  ]
  const names = 'id v c i u n f d dt t m ts y bt b bf e s j g tx'.split(' ')
  const create =
    "CREATE TABLE every (id INT PRIMARY KEY, v VARCHAR(50), c CHAR(9), i MEDIUMINT, u BIGINT UNSIGNED, n DECIMAL(40,10), f FLOAT, d DOUBLE, dt DATE, t TIME(6), m DATETIME(6), ts TIMESTAMP(3) NULL, y YEAR, bt BIT(7), b VARBINARY(9), bf BINARY(4), e ENUM('a','b'), s SET('a','b','c'), j JSON, g GEOMETRY, tx LONGTEXT) CHARSET utf8mb4 COLLATE utf8mb4_general_ci"

  it('every type, and one row changed in each column', async () => {
    await ends.both(`${create}; INSERT INTO every VALUES ${values.map((row) => `(${row})`).join(', ')}`)
    await ends.both('INSERT INTO every (id) VALUES ' + names.map((_, i) => `(${100 + i})`).join(', '))
    expect(inShort((await ends.compare('every')).differences)).toEqual([])
    expect(inShort((await ends.compare('every', { mode: 'row' })).differences)).toEqual([])
    for (const [i, column] of names.entries()) {
      if (i === 0) continue
      await ends.at.target.query(
        `UPDATE every AS t JOIN every AS o ON o.id = 1 SET t.${column} = o.${column} WHERE t.id = ${100 + i}`,
      )
    }
    expect(inShort((await ends.compare('every')).differences)).toEqual(
      names
        .slice(1)
        .map((column, i) => `different ${101 + i} ${column}`)
        .toSorted(),
    )
  })

  it('many rows, in several ranges', async () => {
    await ends.at.source.query(
      'CREATE TABLE many (k VARCHAR(30) COLLATE utf8mb4_general_ci, n INT, v DECIMAL(9,3), PRIMARY KEY (k, n))',
    )
    await ends.at.target.query(
      'CREATE TABLE many (k VARCHAR(30) COLLATE utf8mb4_general_ci, n INT, v DECIMAL(9,3), PRIMARY KEY (k, n))',
    )
    const rows = Array.from(
      { length: 6_000 },
      (_, n) => `('${n % 2 === 0 ? 'Ab' : 'äb'}${(n * 7919) % 1000}', ${n}, ${n / 8})`,
    )
    await ends.both(`INSERT INTO many VALUES ${rows.join(', ')}`)
    expect((await ends.compare('many')).tally).toMatchObject({ rowsCompared: 6_000, equal: 6_000 })
    await ends.at.target.query(
      'DELETE FROM many WHERE n IN (0, 17, 5999); UPDATE many SET v = v + 0.001 WHERE n = 3000',
    )
    await ends.at.source.query('DELETE FROM many WHERE n IN (1, 2)')
    const { tally } = await ends.compare('many', { rangeGoalMs: 1 })
    expect(tally).toMatchObject({ onlySource: 3, onlyTarget: 2, different: 1, equal: 5_994 })
  })
})
