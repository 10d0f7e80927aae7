/*
 * Decoded values against the server's own text of them: many values of every type, made from fixed seeds, in all character sets.
 * The odd single values of each type are in snapshot-and-log.test.ts; here it is the quantity that finds what nobody thought of.
 */
import ZongJi from '@vlasky/zongji'
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogScope } from '../../../src/connectors/contract.ts'
import type { Position } from '../../../src/core/position.ts'
import { PackedChange, type RowChange } from '../../../src/core/transaction.ts'
import { keyOf, type Row, type Value } from '../../../src/core/value.ts'
import {
  connect,
  freshDatabase,
  type MysqlFacts,
  sharedMariadbSource,
  sharedSource,
} from '../../support/servers.ts'
import { changesOf, follow, headOf, logOf, readUntil } from './binlog-support.ts'

const scopeOf = (form: 'values' | 'packed' | 'none'): LogScope => ({
  takesTable: () => true,
  takesSchema: () => true,
  rowsOf: () => form,
})

const products = [
  { product: 'MySQL', start: sharedSource, isMysql: true },
  { product: 'MariaDB', start: sharedMariadbSource, isMysql: false },
]

describe.each(products)('$product', ({ start, isMysql }) => {
  let server: MysqlFacts
  let connection: Connection
  let database: string
  beforeAll(async () => {
    server = await start()
    connection = await connect(server, { charset: 'utf8mb4' })
    database = await freshDatabase(connection, 'binlogtypes')
    await connection.query(
      `USE ${database}; SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'`,
    )
  })
  afterAll(() => connection?.end())

  /** Numbers that are the same in every run, so that a failure can be seen again. */
  function generator(seed: number): (below: number) => number {
    let state = seed
    return (below) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return (state >>> 8) % below
    }
  }
  const digits = (next: (below: number) => number, count: number): string =>
    Array.from({ length: count }, () => next(10)).join('')

  /** What the server shows of a column, in hex, so that no character set comes between. */
  type Shown = (column: string) => string
  const asText: Shown = (column) => `HEX(CAST(${column} AS CHAR))`
  const asBytes: Shown = (column) => `HEX(${column})`
  const hexOf = (value: Value): string | null =>
    value === null ? null : Buffer.from(String(value), 'latin1').toString('hex').toUpperCase()

  /** The same log once more, with rows that are read when they are asked for. */
  const packedSince = async (from: Position): Promise<RowChange[]> => {
    const stream = follow(server, from, { scope: scopeOf('packed') })
    const changes = changesOf(await readUntil(stream, from, await headOf(connection)), database)
    expect(changes.every((change) => change instanceof PackedChange)).toBe(true)
    return changes
  }

  it('rows that are kept packed, or not at all, tell the same of keys, images and counts', async () => {
    const names = Array.from({ length: 130 }, (_, i) => `c${i}`)
    const types = [
      'INT',
      'VARCHAR(20)',
      'DATETIME(3)',
      'DECIMAL(12,4)',
      'BLOB',
      'BIGINT UNSIGNED',
      'JSON',
      'BIT(9)',
    ]
    const columns = names.map((name, i) => `${name} ${types[i % 8] as string}`).join(', ')
    await connection.query(`CREATE TABLE keyed (${columns}, PRIMARY KEY (c128, c1, c72))`)
    const from = await headOf(connection)
    await connection.query(
      `INSERT INTO keyed (c128, c1, c72, c3, c14, c129) VALUES (1, 'a', 2, 3.5, '{"a":1}', 'z'), (2, '', 3, NULL, NULL, 'y'), (3, 'ü', -4, 0, '[]', '')`,
    )
    await connection.query(
      "UPDATE keyed SET c1 = 'b', c129 = NULL WHERE c128 < 3; DELETE FROM keyed WHERE c72 = 2",
    )
    const end = await headOf(connection)
    const inForm = async (form: 'values' | 'packed' | 'none') =>
      changesOf(await readUntil(follow(server, from, { scope: scopeOf(form) }), from, end), database)
    const [values, packed, none] = [await inForm('values'), await inForm('packed'), await inForm('none')]
    expect(values).toHaveLength(6)
    expect(packed.map(({ before, after }) => [before, after])).toEqual(
      values.map(({ before, after }) => [before, after]),
    )
    const key = [128, 1, 72]
    expect(packed.map((change) => [change.packed?.before?.key, change.packed?.after?.key])).toEqual(
      values.map(({ before, after }) =>
        [before && keyOf(before, key), after && keyOf(after, key)].map((text) => text ?? undefined),
      ),
    )
    expect(none.map(({ table, before, after }) => [table.id.name, before, after])).toEqual(
      values.map(({ table }) => [table.id.name, null, null]),
    )
  })

  /** Inserts the literals in a table of one column, reads them from the log, and compares with what the server shows. */
  async function compare(
    name: string,
    type: string,
    literals: readonly string[],
    shown: Shown,
    textOf: (value: Value) => string | null = hexOf,
  ): Promise<void> {
    await connection.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, v ${type})`)
    const before = await headOf(connection)
    const events = await logOf(server, connection, async () => {
      for (let at = 0; at < literals.length; at += 500) {
        const rows = literals.slice(at, at + 500).map((literal, i) => `(${at + i}, ${literal})`)
        await connection.query(`INSERT INTO ${name} VALUES ${rows.join(', ')}`)
      }
    })
    const rows = changesOf(events, database, name).map((change) => change.after as Row)
    const packed = await packedSince(before)
    expect(packed.map((change) => change.after)).toEqual(rows)
    const [answer] = await connection.query({
      sql: `SELECT id, ${shown('v')} FROM ${name} ORDER BY id`,
      rowsAsArray: true,
    })
    const expected = answer as [number, string | null][]
    expect(rows.length).toBe(literals.length)
    for (const [i, row] of rows.entries()) {
      const [id, text] = expected[i] as [number, string | null]
      if (row[0] !== id || textOf(row[1] as Value) !== text) {
        expect({ type, literal: literals[i], id: row[0], text: textOf(row[1] as Value) }).toEqual({
          type,
          literal: literals[i],
          id,
          text,
        })
      }
    }
  }

  describe('DECIMAL', () => {
    const shapes = [
      [1, 0],
      [1, 1],
      [4, 4],
      [5, 2],
      [9, 0],
      [9, 9],
      [10, 1],
      [10, 10],
      [12, 2],
      [17, 8],
      [18, 9],
      [19, 10],
      [27, 13],
      [30, 30],
      [38, 29],
      [45, 9],
      [64, 30],
      [65, 0],
      [65, 30],
    ] as const
    it.each(shapes)('(%d, %d)', async (precision, scale) => {
      const next = generator(precision * 100 + scale)
      const literals = Array.from({ length: 200 }, (_, i) => {
        const whole = digits(next, next(precision - scale + 1))
        const fraction = digits(next, next(scale + 1))
        const edge = i === 0 ? '9'.repeat(precision - scale) : i === 1 ? '' : whole
        return `'${next(2) === 0 ? '-' : ''}${edge || '0'}${scale === 0 ? '' : `.${i === 0 ? '9'.repeat(scale) : fraction || '0'}`}'`
      })
      await compare(
        `dec_${precision}_${scale}`,
        `DECIMAL(${precision},${scale})`,
        [...literals, 'NULL'],
        asText,
      )
    })
  })

  describe('times', () => {
    const fractions = [0, 1, 2, 3, 4, 5, 6]
    const two = (n: number): string => String(n).padStart(2, '0')
    it.each(fractions)('TIME(%d)', async (fraction) => {
      const next = generator(100 + fraction)
      const literals = Array.from({ length: 400 }, () => {
        const hours = next(4) === 0 ? next(839) : next(24)
        const text = `${hours}:${two(next(60))}:${two(next(60))}.${next(3) === 0 ? '0' : digits(next, 6)}`
        return `'${next(2) === 0 ? '-' : ''}${text}'`
      })
      await compare(
        `time_${fraction}`,
        `TIME(${fraction})`,
        [...literals, "'-00:00:00'", "'-838:59:59'", 'NULL'],
        asText,
      )
    })

    it.each(fractions)('DATETIME(%d)', async (fraction) => {
      const next = generator(200 + fraction)
      const literals = Array.from({ length: 400 }, () => {
        const date = `${String(next(10_000)).padStart(4, '0')}-${two(next(13))}-${two(next(32))}`
        return `'${date} ${two(next(24))}:${two(next(60))}:${two(next(60))}.${next(3) === 0 ? '0' : digits(next, 6)}'`
      }).filter((literal) => !literal.startsWith("'9999-12-31"))
      await compare(`datetime_${fraction}`, `DATETIME(${fraction})`, [...literals, 'NULL'], asText)
    })

    it.each(fractions)('TIMESTAMP(%d), in UTC', async (fraction) => {
      const next = generator(300 + fraction)
      // Every day's both ends over the leap years around 2000, then random seconds of the whole range.
      const days = Array.from({ length: 200 }, (_, i) => 9_496 + 8 * i)
      const seconds = [...days.flatMap((day) => [day * 86_400, day * 86_400 - 1]), 1, 2_147_483_646]
      for (let i = 0; i < 300; i++) seconds.push(next(32_768) * 65_536 + next(65_536) + 1)
      const literals = seconds.map((second) => {
        const iso = new Date(Math.min(second, 2_147_483_646) * 1000).toISOString()
        return `'${iso.slice(0, 19).replace('T', ' ')}.${digits(next, 6)}'`
      })
      await compare(
        `ts_${fraction}`,
        `TIMESTAMP(${fraction}) NULL`,
        [...literals, "'0000-00-00 00:00:00'", 'NULL'],
        asText,
      )
    })

    it('DATE and YEAR', async () => {
      const next = generator(400)
      const dates = Array.from(
        { length: 500 },
        () => `'${String(next(10_000)).padStart(4, '0')}-${two(next(13))}-${two(next(32))}'`,
      )
      await compare('date_all', 'DATE', [...dates, 'NULL'], asText)
      const years = ['0', ...Array.from({ length: 255 }, (_, i) => String(1901 + i))]
      await compare('year_all', 'YEAR', [...years, 'NULL'], asText, (value) =>
        value === 0 ? hexOf('0000') : hexOf(value),
      )
    })
  })

  describe('numbers', () => {
    it.each([
      ['TINYINT', 8, true],
      ['SMALLINT', 16, true],
      ['MEDIUMINT', 24, true],
      ['INT', 32, true],
      ['BIGINT', 64, true],
      ['TINYINT', 8, false],
      ['SMALLINT', 16, false],
      ['MEDIUMINT', 24, false],
      ['INT', 32, false],
      ['BIGINT', 64, false],
    ] as const)('%s of %d bits, signed: %s', async (type, bits, signed) => {
      const next = generator(500 + bits)
      const values = Array.from({ length: 300 }, () => {
        const raw = BigInt.asUintN(
          bits,
          (BigInt(next(2 ** 22)) << 44n) | (BigInt(next(2 ** 22)) << 22n) | BigInt(next(2 ** 22)),
        )
        const short = raw >> BigInt(next(bits))
        return String(signed ? BigInt.asIntN(bits, short) : short)
      })
      const edges = signed
        ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n, 0n, -1n]
        : [0n, 2n ** BigInt(bits) - 1n]
      const name = `${type.toLowerCase()}_${signed ? 's' : 'u'}`
      await compare(
        name,
        signed ? type : `${type} UNSIGNED`,
        [...edges.map(String), ...values, 'NULL'],
        asText,
      )
    })

    it('DOUBLE and FLOAT', async () => {
      const next = generator(600)
      const view = new DataView(new ArrayBuffer(8))
      const literals = Array.from({ length: 1000 }, () => {
        view.setUint32(0, next(2 ** 22) * 1024 + next(1024))
        view.setUint32(4, next(2 ** 22) * 1024 + next(1024))
        const value = view.getFloat64(0)
        return Number.isFinite(value) ? value.toExponential() : '1e0'
      })
      const number = (value: Value): string | null => (value === null ? null : Number(value).toExponential())
      for (const [type, values] of [
        ['DOUBLE', literals],
        [
          'FLOAT',
          literals
            .map((literal) => Math.fround(Number(literal)))
            .filter(Number.isFinite)
            .map(String),
        ],
      ] as const) {
        const name = `real_${type.toLowerCase()}`
        await connection.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, v ${type})`)
        const events = await logOf(server, connection, () =>
          connection.query(
            `INSERT INTO ${name} VALUES ${values.map((value, i) => `(${i}, ${value})`).join(', ')}`,
          ),
        )
        const rows = changesOf(events, database, name).map((change) => number(change.after?.[1] as Value))
        // The binary protocol gives the eight bytes; as text the server would round.
        const [answer] = await connection.execute({
          sql: `SELECT CAST(v AS DOUBLE) FROM ${name} ORDER BY id`,
          rowsAsArray: true,
        })
        expect(rows).toEqual((answer as [number][]).map(([value]) => number(value)))
      }
    })

    it('BIT of every length', async () => {
      const next = generator(700)
      for (let bits = 1; bits <= 64; bits++) {
        const literals = Array.from(
          { length: 10 },
          () => `b'${Array.from({ length: bits }, () => next(2)).join('')}'`,
        )
        await compare(
          `bit_${bits}`,
          `BIT(${bits})`,
          [...literals, `b'${'1'.repeat(bits)}'`, 'NULL'],
          (column) => `HEX(CAST(${column} + 0 AS CHAR))`,
        )
      }
    })

    it('SET and ENUM of every size', async () => {
      const next = generator(800)
      for (const count of [1, 8, 9, 16, 17, 24, 25, 32, 33, 40, 48, 56, 63, 64]) {
        const labels = Array.from({ length: count }, (_, i) => `'m${i}'`).join(',')
        const literals = Array.from({ length: 20 }, () => {
          let mask = 0n
          for (let i = 0n; i < BigInt(count); i++) if (next(2) === 1) mask |= 1n << i
          return String(mask)
        })
        await compare(
          `set_${count}`,
          `SET(${labels})`,
          [...literals, String(2n ** BigInt(count) - 1n), 'NULL'],
          (column) => asText(`CAST(${column} AS UNSIGNED)`),
        )
      }
      for (const count of [1, 255, 256, 3000]) {
        const labels = Array.from({ length: count }, (_, i) => `'m${i}'`).join(',')
        const literals = Array.from({ length: 20 }, () => String(next(count) + 1))
        await compare(
          `enum_${count}`,
          `ENUM(${labels})`,
          [...literals, String(count), 'NULL'],
          (column) => `HEX(CAST(${column} + 0 AS CHAR))`,
        )
      }
    })
  })

  describe('text', () => {
    it('in every character set, as CHAR, VARCHAR and TEXT, keeps its bytes', async () => {
      const [charsets] = await connection.query({
        sql: "SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary'",
        rowsAsArray: true,
      })
      const list = charsets as [string, number][]
      expect(list.length).toBeGreaterThan(35)
      const events = await logOf(server, connection, async () => {
        for (const [charset, maxlen] of list) {
          await connection.query(
            `CREATE TABLE cs_${charset} (id INT PRIMARY KEY, c CHAR(30) CHARACTER SET ${charset}, v VARCHAR(300) CHARACTER SET ${charset}, t TEXT CHARACTER SET ${charset}, e ENUM('x','y') CHARACTER SET ${charset})`,
          )
          const inserts: string[] = []
          // Every code point of the first planes' blocks that the set has; the others become '?'.
          for (let block = 0x20; block < 0x3100; block += 0x40) {
            const text = String.fromCodePoint(
              ...Array.from({ length: 0x40 }, (_, i) => block + i).filter((c) => c < 0xd800),
            ).replaceAll(/['\\]/g, '')
            inserts.push(`(${inserts.length}, LEFT('${text}', 30), '${text}', '${text}', 'x')`)
          }
          if (Number(maxlen) === 1 && charset !== 'ascii' && charset !== 'swe7') {
            const bytes = Array.from({ length: 255 }, (_, i) => (i + 1).toString(16).padStart(2, '0')).join(
              '',
            )
            inserts.push(`(${inserts.length}, '', _${charset} x'${bytes}', _${charset} x'${bytes}', 'y')`)
          }
          await connection.query(`INSERT IGNORE INTO cs_${charset} VALUES ${inserts.join(', ')}`)
        }
      })
      for (const [charset] of list) {
        const changes = changesOf(events, database, `cs_${charset}`)
        const [answer] = await connection.query({
          sql: `SELECT id, ${['c', 'v', 't'].map(asBytes).join(', ')} FROM cs_${charset} ORDER BY id`,
          rowsAsArray: true,
        })
        expect(changes.map(({ after }) => [after?.[0], ...(after?.slice(1, 4) ?? []).map(hexOf)])).toEqual(
          answer,
        )
        const columns = changes[0]?.table.columns ?? []
        expect(columns.slice(1).map(({ type }) => type.charset)).toEqual([charset, charset, charset, charset])
      }
    })

    it('of every length around the limits of the length bytes', async () => {
      const lengths = [0, 1, 12, 13, 14, 127, 128, 254, 255, 256, 257, 8_000, 16_383, 40_000, 65_532]
      for (const type of [
        'VARCHAR(63)',
        'VARCHAR(64)',
        'VARBINARY(255)',
        'VARBINARY(256)',
        'VARBINARY(65000)',
        'TINYBLOB',
        'BLOB',
        'MEDIUMTEXT',
        'LONGBLOB',
      ]) {
        const limit = type === 'TINYBLOB' ? 255 : Number(/\d+/.exec(type)?.[0] ?? 65_535)
        const literals = lengths
          .filter((length) => length <= limit)
          .map((length) => `LEFT(REPEAT('ab', 40000), ${length})`)
        await compare(`len_${type.replaceAll(/\W/g, '_')}`, type, [...literals, 'NULL'], asBytes)
      }
    })

    it('BINARY(n) is padded, in values and in keys', async () => {
      await connection.query('CREATE TABLE bin_key (k BINARY(6) PRIMARY KEY, v BINARY(3))')
      const events = await logOf(server, connection, () =>
        connection.query("INSERT INTO bin_key VALUES ('a', 'b'), (x'610000000001', x'00'), ('', NULL)"),
      )
      expect(changesOf(events, database, 'bin_key').map((change) => change.after)).toEqual(
        expect.arrayContaining([
          ['a\0\0\0\0\0', 'b\0\0'],
          ['a\0\0\0\0\x01', '\0\0\0'],
          ['\0\0\0\0\0\0', null],
        ]),
      )
    })
  })

  if (isMysql)
    describe('JSON', () => {
      const asJson: Shown = (column) => `HEX(CAST(${column} AS CHAR CHARACTER SET utf8mb4))`

      it('doubles, from random bits and around the change to an exponent', async () => {
        const next = generator(900)
        const view = new DataView(new ArrayBuffer(8))
        const numbers: string[] = []
        for (let i = 0; i < 3000; i++) {
          view.setUint32(0, next(2 ** 22) * 1024 + next(1024))
          view.setUint32(4, next(2 ** 22) * 1024 + next(1024))
          const value = view.getFloat64(0)
          if (Number.isFinite(value)) numbers.push(value.toExponential())
        }
        for (let exponent = -25; exponent <= 25; exponent++) {
          for (const digitsOf of [
            '1',
            '1.5',
            '9.999999999999999',
            '1.2345678901234567',
            '-7.000000000000001',
            '4.9',
          ])
            numbers.push(`${digitsOf}e${exponent}`)
        }
        numbers.push('0e0', '-0e0', '1.0', '-1.0', '100.0', '5e-324', '1.7976931348623157e308')
        const literals: string[] = []
        for (let at = 0; at < numbers.length; at += 20)
          literals.push(`'[${numbers.slice(at, at + 20).join(', ')}]'`)
        await compare('json_double', 'JSON', literals, asJson)
      })

      it('strings with every character that needs an escape, keys too', async () => {
        const characters = [
          ...Array.from({ length: 0x250 }, (_, i) => i),
          0x2028,
          0x2029,
          0xfeff,
          0xfffd,
          0x1f600,
        ]
        const literals = characters.map((code) => {
          const text = JSON.stringify({
            [`k${String.fromCodePoint(code)}`]: `v${String.fromCodePoint(code)}w`,
          })
          return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
        })
        await compare('json_string', 'JSON', literals, asJson)
      })

      it('documents of every size and nesting, and what only the server can put there', async () => {
        const next = generator(1000)
        const random = (depth: number): unknown => {
          const kind = next(depth > 4 ? 7 : 10)
          if (kind === 0) return null
          if (kind === 1) return next(2) === 0
          if (kind === 2) return next(70_000) - 35_000
          if (kind === 3) return (next(2 ** 22) - 2 ** 21) * 4096
          if (kind === 4) return next(2 ** 22) * next(2 ** 22) * (next(2) === 0 ? 1 : -1)
          if (kind === 5) return next(1000) / 8
          if (kind === 6) return 'x'.repeat(next(5) === 0 ? next(300) : next(10))
          if (kind === 7) return Array.from({ length: next(20) }, () => random(depth + 1))
          return Object.fromEntries(
            Array.from({ length: next(15) }, (_, i) => [
              `${'k'.repeat(next(6))}${i * next(100)}`,
              random(depth + 1),
            ]),
          )
        }
        const literals = Array.from({ length: 300 }, () => `'${JSON.stringify(random(0))}'`)
        literals.push(
          `'${JSON.stringify(Array.from({ length: 30_000 }, (_, i) => i * 7))}'`,
          `'${JSON.stringify(Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`key${i}`, [i, 'v', { n: null }]])))}'`,
          `'[18446744073709551615, 9223372036854775808, -9223372036854775808, 4294967295, 4294967296, -2147483649, 65535, 65536, -32769]'`,
          "JSON_ARRAY('x', REPEAT('y', 100000), 'z')",
          "JSON_ARRAY(CAST('-12.50' AS DECIMAL(10,2)), CAST('0.5' AS DECIMAL(65,30)), CAST('99999999999999999999' AS DECIMAL(20,0)), CAST(0 AS DECIMAL(5,2)))",
          "JSON_ARRAY(CAST('0000-00-00' AS DATE), CAST('2024-02-29' AS DATE), TIMESTAMP'2024-02-29 12:13:14.000001', CAST('-838:59:59.000000' AS TIME(6)), TIME'00:00:00.5', TIME'-00:00:01')",
          "JSON_ARRAY(CAST(b'101' AS BINARY), x'00ff10', CAST(REPEAT('abc', 100) AS BINARY), CAST(2024 AS YEAR))",
          "JSON_OBJECT('bit', (SELECT v FROM bit_9 LIMIT 1), 'set', (SELECT v FROM set_9 LIMIT 1), 'blob', CAST(REPEAT('q', 70000) AS BINARY))",
          "JSON_ARRAY(ST_GeomFromText('POINT(1 2)'))",
          'JSON_ARRAY(CAST(1.5 AS DOUBLE), CAST(1.1 AS FLOAT), 1e0, 3.0)',
          "'{}'",
          "'[]'",
          "'[{}, [], [[]]]'",
          "'null'",
          '\'""\'',
          'NULL',
        )
        await connection.query(
          'CREATE TABLE IF NOT EXISTS bit_9 (id INT, v BIT(9)); CREATE TABLE IF NOT EXISTS set_9 (id INT, v SET("a","b"))',
        )
        await compare('json_docs', 'JSON', literals, asJson)
      })

      it('nothing in place of a document is null', async () => {
        await connection.query('CREATE TABLE json_empty (id INT PRIMARY KEY)')
        const events = await logOf(server, connection, async () => {
          await connection.query(
            'INSERT INTO json_empty VALUES (1); ALTER TABLE json_empty ADD j JSON NOT NULL; UPDATE json_empty SET id = 2',
          )
        })
        const [answer] = await connection.query({
          sql: 'SELECT CAST(j AS CHAR) FROM json_empty',
          rowsAsArray: true,
        })
        expect(changesOf(events, database, 'json_empty').at(-1)?.after).toEqual([
          2,
          (answer as [string][])[0]?.[0],
        ])
      })
    })

  it('a table of 400 columns, with NULLs anywhere', async () => {
    const next = generator(1100)
    const columns = Array.from(
      { length: 400 },
      (_, i) => `c${i} ${['INT', 'VARCHAR(20)', 'BIGINT', 'DATE'][i % 4]}`,
    )
    await connection.query(`CREATE TABLE wide (id INT PRIMARY KEY, ${columns.join(', ')})`)
    const value = (i: number): string =>
      next(3) === 0 ? 'NULL' : i % 4 === 3 ? `'2024-01-${10 + next(20)}'` : `'${next(1000)}'`
    const events = await logOf(server, connection, () =>
      connection.query(
        `INSERT INTO wide VALUES ${Array.from({ length: 50 }, (_, id) => `(${id}, ${columns.map((_, i) => value(i)).join(', ')})`).join(', ')}`,
      ),
    )
    const [answer] = await connection.query({ sql: 'SELECT * FROM wide ORDER BY id', rowsAsArray: true })
    const texts = (rows: readonly (readonly (Value | undefined)[])[]) =>
      rows.map((row) => row.map((v) => (v === null ? null : String(v))))
    expect(texts(changesOf(events, database, 'wide').map((change) => change.after as Row))).toEqual(
      texts(answer as Row[]),
    )
  })

  it('updates and deletes carry both images', async () => {
    await connection.query(
      "CREATE TABLE images (id INT PRIMARY KEY, a VARCHAR(10), b DECIMAL(5,2), j JSON, k BINARY(2)); INSERT INTO images VALUES (1, 'x', 1.5, '[1]', 'p'), (2, NULL, NULL, NULL, NULL)",
    )
    const events = await logOf(server, connection, () =>
      connection.query(
        "UPDATE images SET a = 'y', j = JSON_ARRAY_APPEND(j, '$', 2), b = NULL WHERE id = 1; UPDATE images SET id = 3, a = 'n' WHERE id = 2; DELETE FROM images WHERE id = 1",
      ),
    )
    expect(changesOf(events, database, 'images').map(({ before, after }) => [before, after])).toEqual([
      [
        [1, 'x', '1.50', '[1]', 'p\0'],
        [1, 'y', null, '[1, 2]', 'p\0'],
      ],
      [
        [2, null, null, null, null],
        [3, 'n', null, null, null],
      ],
      [[1, 'y', null, '[1, 2]', 'p\0'], null],
    ])
  })

  if (isMysql)
    it('what zongji reads, where zongji is right', async () => {
      await connection.query(
        'CREATE TABLE peer (id INT PRIMARY KEY, a BIGINT, b DECIMAL(20,4), c VARCHAR(100), d DATETIME, e DATE, f DOUBLE, g BLOB, h SMALLINT UNSIGNED, i TIMESTAMP NULL)',
      )
      const next = generator(1200)
      const from = await headOf(connection)
      const statements = Array.from({ length: 300 }, (_, id) => {
        const kind = id < 100 ? 0 : next(3)
        if (kind === 1)
          return `UPDATE peer SET c = CONCAT(c, 'z'), b = b + 1, g = NULL WHERE id = ${next(100)}`
        if (kind === 2) return `DELETE FROM peer WHERE id = ${next(100)}`
        return `INSERT INTO peer VALUES (${id}, ${next(2 ** 22)}, '${next(2 ** 20) - 2 ** 19}.${digits(next, 4)}', 'text ${id} \u00e4', '2024-0${1 + next(9)}-11 10:11:12', '2023-05-0${1 + next(9)}', ${next(1000)} / 7, 'bytes ${id}', ${next(65_536)}, '2024-01-01 00:00:0${next(10)}')`
      })
      const events = await logOf(server, connection, () => connection.query(statements.join(';')))
      const own = changesOf(events, database, 'peer')
      expect(own.length).toBeGreaterThan(150)

      const names = own[0]?.table.columns.map((column) => column.name) ?? []
      const zongji = new ZongJi({
        host: server.host,
        port: server.port,
        user: server.user,
        dateStrings: true,
        timezone: 'Z',
      } as never)
      const theirs: unknown[] = []
      await new Promise<void>((resolve, reject) => {
        zongji.on('error', reject)
        zongji.on('binlog', (event) => {
          for (const row of (event as unknown as { rows?: unknown[] }).rows ?? []) theirs.push(row)
          if (theirs.length >= own.length) resolve()
        })
        const options = {
          serverId: 9_900_000 + process.pid,
          gtidSet: from.token,
          includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
          includeSchema: { [database]: ['peer'] },
        }
        zongji.start(options)
      })
      zongji.stop()
      const shown = (value: unknown): unknown => {
        if (value === null || value === undefined) return null
        if (Buffer.isBuffer(value)) return value.toString('latin1')
        if (value instanceof Date) return value.toISOString().slice(0, 19).replace('T', ' ')
        return typeof value === 'string' ? Buffer.from(value).toString('latin1') : String(value as number)
      }
      const image = (row: Row | null) =>
        row === null
          ? null
          : Object.fromEntries(names.map((name, i) => [name, row[i] === null ? null : String(row[i])]))
      const peerImage = (row: Record<string, unknown>) =>
        Object.fromEntries(names.map((name) => [name, shown(row[name])]))
      const asPeer = ({ before, after }: RowChange) =>
        before !== null && after !== null
          ? { before: image(before), after: image(after) }
          : image(after ?? before)
      expect(own.map(asPeer)).toEqual(
        theirs.map((row) => {
          const { before, after } = row as {
            before?: Record<string, unknown>
            after?: Record<string, unknown>
          }
          return before !== undefined && after !== undefined
            ? { before: peerImage(before), after: peerImage(after) }
            : peerImage(row as Record<string, unknown>)
        }),
      )
    })
})
