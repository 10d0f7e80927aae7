/*
 * Row filters against a real server: for random rows and random filters the server's answer to `sql` is the set of rows for which `matches`
 * is true. The rows stand at the server with values chosen to lie on the edges: NULLs, extremes, case, padding, zero dates.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeText } from '../../src/core/charset.ts'
import { compileFilter, parseFilter } from '../../src/core/filter.ts'
import type { ColumnType, TableShape } from '../../src/core/schema.ts'
import { byteStringOf, bytesOf, type Value } from '../../src/core/value.ts'
import { connect, freshDatabase, sharedSource } from '../support/servers.ts'

interface Tried {
  readonly type: ColumnType
  readonly notNull?: boolean
  /** Values as the core has them, with the SQL that makes them. */
  readonly values: readonly (readonly [Value, string])[]
  readonly literals: readonly string[]
  readonly equality?: false
  readonly order?: false
}

const hex = (bytes: string): string =>
  Array.from(bytesOf(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`
const same = (values: readonly (number | bigint)[]) =>
  values.map((v): readonly [Value, string] => [v, String(v)])
const quoted = (values: readonly string[]) => values.map((v): readonly [Value, string] => [v, `'${v}'`])
const texts = (values: readonly string[], charset: string) =>
  values.map((v): readonly [Value, string] => {
    const bytes = encodeText(v, charset) as string
    return [bytes, `_${charset} x'${hex(bytes)}'`]
  })
const words = ['', 'a', 'A', 'ä', 'a ', 'ab', "it's", 'b\\n', 'ÿ', 'zz', 'Z']
const numbers = [
  '0',
  '1',
  '-1',
  '0.5',
  '-0.01',
  '12.34',
  '12.345',
  '99999999.99',
  '127',
  '128',
  '-129',
  '255',
  '256',
]
const hugeNumbers = [
  '9223372036854775807',
  '9223372036854775808',
  '18446744073709551615',
  '18446744073709551616',
  '-9223372036854775809',
]
const labels = ['new', 'paid', 'größer', 'NEW2']

const columns: Readonly<Record<string, Tried>> = {
  c_tiny: {
    type: { kind: 'int', bytes: 1, sql: 'tinyint' },
    values: same([-128, -1, 0, 1, 127]),
    literals: [...numbers, ...hugeNumbers, 'TRUE', 'FALSE'],
  },
  c_utiny: {
    type: { kind: 'int', bytes: 1, unsigned: true, sql: 'tinyint unsigned' },
    values: same([0, 1, 255]),
    literals: [...numbers, ...hugeNumbers],
  },
  c_int: {
    type: { kind: 'int', bytes: 4, sql: 'int' },
    notNull: true,
    values: same([-2147483648, 0, 12, 13, 2147483647]),
    literals: [...numbers, ...hugeNumbers, '2147483647', '2147483648'],
  },
  c_big: {
    type: { kind: 'int', bytes: 8, sql: 'bigint' },
    values: same([-9223372036854775808n, -1n, 0n, 9007199254740993n, 9223372036854775807n]),
    literals: [...numbers, ...hugeNumbers, '9007199254740992', '9007199254740993.0'],
  },
  c_ubig: {
    type: { kind: 'int', bytes: 8, unsigned: true, sql: 'bigint unsigned' },
    values: same([0n, 1n, 9223372036854775808n, 18446744073709551615n]),
    literals: [...numbers, ...hugeNumbers, '18446744073709551614.5'],
  },
  c_bit: {
    type: { kind: 'bit', maxBytes: 40, sql: 'bit(40)' },
    values: same([0n, 1n, 255n, 1099511627775n]),
    literals: ['0', '1', 'TRUE', '255', '1099511627775', '-1', '0.5'],
  },
  c_year: {
    type: { kind: 'year', sql: 'year' },
    values: same([0, 1970, 2001, 2155]),
    literals: ['0', '1', '70', '1970', '2001.0', '2155', '1970.5'],
  },
  c_dec: {
    type: { kind: 'decimal', precision: 10, scale: 2, sql: 'decimal(10,2)' },
    values: quoted(['-99999999.99', '-0.01', '0.00', '0.50', '12.34', '12.35', '99999999.99']),
    literals: [...numbers, ...hugeNumbers],
  },
  c_double: {
    type: { kind: 'double', sql: 'double' },
    values: [...same([-1.5, 0, 0.1, 12.34]), [1e300, '1e300'], [5e-324, '5e-324']],
    literals: [...numbers, '0.1', '0.10000000000000001', '1.5', '123456789012345678901234567890'],
    equality: false,
  },
  c_float: {
    type: { kind: 'float', sql: 'float' },
    values: [Math.fround(0.1), Math.fround(12.34), 0, -3].map((v): readonly [Value, string] => [
      v,
      v.toExponential(),
    ]),
    literals: [...numbers, '0.1', '0.100000001490116'],
    equality: false,
  },
  c_text: {
    type: { kind: 'text', charset: 'utf8mb4', sql: 'varchar(20)', collation: 'utf8mb4_0900_ai_ci' },
    values: texts(words, 'utf8mb4'),
    literals: [...words.map(quote), "x'c3a4'"],
  },
  c_pad: {
    type: { kind: 'text', charset: 'latin1', sql: 'varchar(20)', collation: 'latin1_swedish_ci' },
    values: texts([...words, '€'], 'latin1'),
    literals: [...words, '€'].map(quote),
  },
  c_char: {
    type: { kind: 'text', charset: 'utf8mb4', sql: 'char(20)', collation: 'utf8mb4_bin' },
    values: texts(['', 'a', 'A', 'zz'], 'utf8mb4'),
    literals: words.map(quote),
  },
  c_utf16: {
    type: { kind: 'text', charset: 'utf16', sql: 'varchar(20)', collation: 'utf16_general_ci' },
    values: texts([...words, '😀'], 'utf16'),
    literals: [...words, '😀'].map(quote),
  },
  c_gbk: {
    type: { kind: 'text', charset: 'gbk', sql: 'text', collation: 'gbk_chinese_ci' },
    values: texts(['', 'a', 'A'], 'gbk'),
    literals: ["'a'", "''", "x'c4e3'"],
  },
  c_bytes: {
    type: { kind: 'bytes', maxBytes: 20, sql: 'varbinary(20)' },
    values: texts(words, 'binary'),
    literals: [...words.map(quote), "x'00'", "x''"],
  },
  c_fixed: {
    type: { kind: 'bytes', fixed: true, maxBytes: 4, sql: 'binary(4)' },
    values: ['\0\0\0\0', 'a\0\0\0', 'abcd'].map((v): readonly [Value, string] => [v, `x'${hex(v)}'`]),
    literals: ["''", "'a'", "x'6100'", "'abcd'", "'abcde'"],
  },
  c_blob: {
    type: { kind: 'bytes', sql: 'longblob' },
    values: texts(['', 'a'], 'binary'),
    literals: ["''", "'a'", "x'ff'"],
  },
  c_date: {
    type: { kind: 'date', sql: 'date' },
    notNull: true,
    values: quoted(['0000-00-00', '1000-01-01', '2024-02-29', '2024-00-00', '9999-12-31']),
    literals: ["'0000-00-00'", "'2024-02-29'", "'2024-02-30'", "'9999-12-31'"],
  },
  c_datetime: {
    type: { kind: 'datetime', fraction: 3, sql: 'datetime(3)' },
    values: quoted([
      '0000-00-00 00:00:00.000',
      '2024-01-01 00:00:00.000',
      '2024-01-01 00:00:00.500',
      '9999-12-31 23:59:59.999',
    ]),
    literals: ["'2024-01-01'", "'2024-01-01 00:00:00.5'", "'2024-01-01T00:00:00.499'", "'0000-00-00'"],
  },
  c_timestamp: {
    type: { kind: 'timestamp', fraction: 0, sql: 'timestamp' },
    values: quoted(['0000-00-00 00:00:00', '1970-01-01 00:00:01', '2024-03-31 02:30:00']),
    literals: ["'2024-03-31 02:30:00'", "'0000-00-00 00:00:00'", "'2024-03-31'"],
  },
  c_time: {
    type: { kind: 'time', fraction: 2, sql: 'time(2)' },
    values: quoted(['-838:59:59.00', '-01:00:00.50', '00:00:00.00', '99:59:59.99', '100:00:00.00']),
    literals: [
      "'-1:00:00.5'",
      "'00:00:00'",
      "'-0:00:00'",
      "'99:59:59.99'",
      "'100:00:00'",
      "'-838:59:59'",
      "'0:00:00.005'",
    ],
  },
  c_enum: {
    type: {
      kind: 'enum',
      charset: 'utf8mb4',
      labels: labels.map(byteStringOf),
      sql: `enum(${labels.map(quote).join(',')})`,
    },
    values: [...same([1, 2, 3, 4]), [0, "''"]],
    literals: labels.map(quote),
    order: false,
  },
  c_set: {
    type: {
      kind: 'set',
      charset: 'utf8mb4',
      labels: Array.from({ length: 64 }, (_, i) => `l${i}`),
      sql: `set(${Array.from({ length: 64 }, (_, i) => `'l${i}'`).join(',')})`,
    },
    values: same([0n, 1n, 5n, (1n << 53n) + 1n, (1n << 63n) + 1n, (1n << 64n) - 1n]),
    literals: ["''", "'l0'", "'l2,l0'", "'l63,l0'", "'l53,l0'", "'l53'"],
    order: false,
  },
  c_json: {
    type: { kind: 'json', sql: 'json' },
    values: [
      ['{}', "'{}'"],
      ['null', "'null'"],
    ],
    literals: [],
    order: false,
    equality: false,
  },
}
const names = Object.keys(columns)

const table: TableShape = {
  id: { schema: 's', name: 't' },
  columns: names.map((name) => ({
    name,
    type: (columns[name] as Tried).type,
    nullable: true,
    generated: false,
  })),
  uniqueKeys: [],
}

const definition = names.map((name) => {
  const { type, notNull } = columns[name] as Tried
  const text = type.kind === 'text' ? ` CHARACTER SET ${type.charset} COLLATE ${type.collation}` : ''
  return `${name} ${type.sql}${text} ${notNull === true ? 'NOT NULL' : 'NULL'}`
})

/** One predicate over one column, as text. */
const predicate = fc.constantFrom(...names).chain((name) => {
  const { literals, equality = true, order = true } = columns[name] as Tried
  const not = fc.constantFrom('', 'NOT ')
  const forms: fc.Arbitrary<string>[] = [fc.constantFrom<string>(`${name} IS NULL`, `${name} IS NOT NULL`)]
  if (literals.length > 0) {
    const literal = fc.constantFrom(...literals)
    if (equality) {
      forms.push(fc.tuple(fc.constantFrom('=', '!=', '<>'), literal).map(([op, a]) => `${name} ${op} ${a}`))
      const list = fc.array(literal, { minLength: 1, maxLength: 3 })
      forms.push(fc.tuple(not, list).map(([n, some]) => `${name} ${n}IN (${some.join(',')})`))
    }
    if (order) {
      forms.push(
        fc.tuple(fc.constantFrom('<', '<=', '>', '>='), literal).map(([op, a]) => `${name} ${op} ${a}`),
      )
      forms.push(fc.tuple(not, literal, literal).map(([n, a, b]) => `${name} ${n}BETWEEN ${a} AND ${b}`))
    }
  }
  return fc.oneof(...forms)
})

const filterText: fc.Arbitrary<string> = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    predicate,
    tie('filter').map((inner) => `NOT (${inner})`),
    fc.tuple(tie('filter'), tie('filter')).map(([a, b]) => `(${a}) AND (${b})`),
    fc.tuple(tie('filter'), tie('filter')).map(([a, b]) => `(${a}) OR (${b})`),
  ),
})).filter

describe('row filters at the server', () => {
  it('select the rows that match, for every kind of column', async () => {
    const connection = await connect(await sharedSource(), { timezone: 'Z' })
    try {
      const database = await freshDatabase(connection, 'core_filter')
      await connection.query(`USE ${database}; SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'`)
      await connection.query(`CREATE TABLE t (row_number_ INT PRIMARY KEY, ${definition.join(', ')})`)

      // Every value of every column at least twice, beside others each time.
      const rows: Value[][] = []
      for (let i = 0; i < 60; i++) {
        const picked = names.map((name, c) => {
          const { values, notNull } = columns[name] as Tried
          const all = notNull === true ? values : [...values, [null, 'NULL'] as const]
          return all[(i * (c + 1) + (i >> 3)) % all.length] as readonly [Value, string]
        })
        await connection.query(`INSERT INTO t VALUES (${i}, ${picked.map(([, sql]) => sql).join(', ')})`)
        rows.push(picked.map(([value]) => value))
      }
      // Strict again for the questions: what is asked may not depend on a forgiving session.
      await connection.query(
        "SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES,HIGH_NOT_PRECEDENCE'",
      )

      await fc.assert(
        fc.asyncProperty(filterText, async (text) => {
          const filter = compileFilter(parseFilter(text), table)
          const query = `SELECT row_number_ AS n FROM t WHERE ${Buffer.from(filter.sql, 'latin1').toString('utf8')} ORDER BY n`
          const [found] = await connection.query(query)
          const here = rows.flatMap((row, i) => (filter.matches(row) ? [i] : []))
          expect(
            (found as { n: number }[]).map(({ n }) => n),
            text,
          ).toEqual(here)
        }),
        { numRuns: Number(process.env['FILTER_RUNS'] ?? 1500) },
      )
    } finally {
      await connection.end()
    }
  })
})
