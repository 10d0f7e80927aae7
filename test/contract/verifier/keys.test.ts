/**
 * Tables by every kind of key, with small ranges so that bounds fall everywhere: what was planted before, between, at and behind the keys is found, and
 * a key that differs in case alone is one row that differs.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sharedSource, sharedTarget } from '../../support/servers.ts'
import { type Ends, inShort, openEnds } from './support.ts'

let ends: Ends

beforeAll(async () => {
  ends = await openEnds(await sharedSource(), await sharedTarget(), 'keys')
  await ends.both('SET SESSION cte_max_recursion_depth = 1000000')
})

afterAll(() => ends.close())

type Kind = {
  readonly name: string
  /** Columns of the key, and an expression of n for each. */
  readonly columns: readonly (readonly [definition: string, expression: string])[]
}

const words = "ELT(n MOD 5 + 1, 'apple', 'Äpfel', 'zebra', 'Éclair', 'straße')"

const kinds: readonly Kind[] = [
  { name: 'int_negative', columns: [['INT NOT NULL', 'CAST(n AS SIGNED) * 7 - 9000']] },
  { name: 'bigint_unsigned', columns: [['BIGINT UNSIGNED NOT NULL', '18446744073709551615 - n * 3']] },
  {
    name: 'decimal_key',
    columns: [['DECIMAL(30,10) NOT NULL', '(CAST(n AS SIGNED) - 1500) * 1.0000000003']],
  },
  { name: 'date_key', columns: [['DATE NOT NULL', "DATE_ADD('1995-01-01', INTERVAL n DAY)"]] },
  {
    name: 'datetime_key',
    columns: [['DATETIME(6) NOT NULL', "DATE_ADD('1995-01-01', INTERVAL n * 12345 MICROSECOND)"]],
  },
  {
    name: 'timestamp_key',
    columns: [['TIMESTAMP(3) NOT NULL', "DATE_ADD('1995-01-01', INTERVAL n SECOND)"]],
  },
  { name: 'time_key', columns: [['TIME(3) NOT NULL', 'SEC_TO_TIME(CAST(n AS SIGNED) * 11.5 - 9000)']] },
  {
    name: 'ci_key',
    columns: [
      ['VARCHAR(80) COLLATE utf8mb4_0900_ai_ci NOT NULL', `CONCAT(${words}, ' ', IF(n MOD 2, 'A', 'b'), n)`],
    ],
  },
  {
    name: 'padded_key',
    columns: [
      ['VARCHAR(80) COLLATE utf8mb4_general_ci NOT NULL', `CONCAT(${words}, n, REPEAT(' ', n MOD 4))`],
    ],
  },
  { name: 'char_key', columns: [['CHAR(40) COLLATE utf8mb4_unicode_ci NOT NULL', `CONCAT(${words}, n)`]] },
  { name: 'latin_key', columns: [['VARCHAR(40) CHARACTER SET latin1 NOT NULL', `CONCAT(${words}, n)`]] },
  {
    name: 'emoji_key',
    columns: [
      [
        'VARCHAR(40) COLLATE utf8mb4_0900_as_cs NOT NULL',
        `CONCAT(ELT(n MOD 3 + 1, '😀', '👩‍👩‍👧', '🇩🇪'), n)`,
      ],
    ],
  },
  { name: 'bin_text_key', columns: [['VARCHAR(40) COLLATE utf8mb4_bin NOT NULL', `CONCAT(${words}, n)`]] },
  { name: 'binary_key', columns: [['BINARY(16) NOT NULL', 'UNHEX(LEFT(SHA2(n, 224), 32))']] },
  {
    name: 'varbinary_key',
    columns: [['VARBINARY(40) NOT NULL', `CONCAT(UNHEX(LEFT(SHA2(n, 224), 2 + 2 * (n MOD 9))), n)`]],
  },
  {
    name: 'composite_key',
    columns: [
      ['INT NOT NULL', 'n MOD 7'],
      ['VARCHAR(40) COLLATE utf8mb4_0900_ai_ci NOT NULL', `CONCAT(${words}, n)`],
      ['DATE NOT NULL', "DATE_ADD('1995-01-01', INTERVAL n DAY)"],
    ],
  },
  {
    name: 'enum_key',
    columns: [
      [`ENUM('zz','aa','mm') NOT NULL`, 'n MOD 3 + 1'],
      ['BIT(16) NOT NULL', 'n'],
    ],
  },
]

const rows = 3_000

const createSql = ({ name, columns }: Kind): string =>
  `CREATE TABLE ${name} (${columns.map(([definition], i) => `k${i} ${definition}`).join(', ')}, n INT NOT NULL, note VARCHAR(50), PRIMARY KEY (${columns.map((_, i) => `k${i}`).join(', ')})) DEFAULT CHARSET utf8mb4;
   INSERT INTO ${name} WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${rows}) SELECT ${columns.map(([, expression]) => expression).join(', ')}, n, CONCAT('note ', n) FROM c`

/** Numbers of rows that lack at the target, at the source, and differ. */
const lacking = [1, 2, 700, 1499, 1500, 2_400, rows]
const extra = [3, 4, 701, 1501, 2_998, 2_999]
const changed = [5, 702, 1_800, 2_997]

describe.each(kinds)('$name', (kind) => {
  it.each(['checksum', 'row'] as const)('mode %s', async (mode) => {
    const table = `${kind.name}_${mode}`
    await ends.both(createSql({ ...kind, name: table }))
    expect((await ends.compare(table, { mode, rangeGoalMs: 1 })).tally).toMatchObject({
      equal: rows,
      rowsCompared: rows,
    })
    await ends.at.target.query(
      `DELETE FROM ${table} WHERE n IN (${lacking.join()}); UPDATE ${table} SET note = NULL WHERE n IN (${changed.join()})`,
    )
    await ends.at.source.query(`DELETE FROM ${table} WHERE n IN (${extra.join()})`)
    const { differences, tally } = await ends.compare(table, { mode, rangeGoalMs: 1, stepDifferences: 3 })
    const numbers = (wanted: string): number[] =>
      differences
        .filter(({ kind: found }) => found === wanted)
        .map(({ source, target }) => Number((source ?? target)?.['n']))
        .toSorted((a, b) => a - b)
    expect(numbers('only-source')).toEqual(lacking)
    expect(numbers('only-target')).toEqual(extra)
    expect(numbers('different')).toEqual(changed)
    expect(tally).toMatchObject({ rowsCompared: rows, onlySource: lacking.length, onlyTarget: extra.length })
  })
})

it('a key that differs in case alone is one row that differs', async () => {
  for (const [name, collation] of [
    ['case_nopad', 'utf8mb4_0900_ai_ci'],
    ['case_padded', 'utf8mb4_general_ci'],
  ] as const) {
    await ends.both(
      `CREATE TABLE ${name} (k VARCHAR(20) COLLATE ${collation} PRIMARY KEY, v INT); INSERT INTO ${name} VALUES ('Anna', 1), ('bert', 2), ('Carl', 3)`,
    )
    await ends.at.target.query(`UPDATE ${name} SET k = 'BERT' WHERE k = 'bert'`)
    expect(inShort((await ends.compare(name)).differences)).toEqual(['different bert k'])
  }
  await ends.at.target.query(`UPDATE case_padded SET k = 'Anna  ' WHERE k = 'Anna'`)
  expect(inShort((await ends.compare('case_padded')).differences)).toEqual([
    'different Anna k',
    'different bert k',
  ])
})

describe('keys that the ends order unalike', () => {
  const words5 = (collation: string, table: string): string =>
    `CREATE TABLE ${table} (k VARCHAR(80) COLLATE ${collation} PRIMARY KEY, n INT NOT NULL) DEFAULT CHARSET utf8mb4;
     INSERT INTO ${table} WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT CONCAT(${words}, IF(n MOD 2, 'A', 'b'), n), n FROM c`

  it.each(['checksum', 'row', 'count'] as const)('collations that differ, mode %s', async (mode) => {
    const table = `apart_${mode}`
    await ends.at.source.query(words5('utf8mb4_0900_ai_ci', table))
    await ends.at.target.query(words5('utf8mb4_bin', table))
    const before = await ends.compare(table, { mode })
    expect(before.pair.order).toBe('apart')
    expect(before.tally).toMatchObject({ rowsCompared: 5_000, equal: 5_000 })
    await ends.at.target.query(
      `DELETE FROM ${table} WHERE n IN (1, 5000); INSERT INTO ${table} VALUES ('000', -1), ('zzz', -2); UPDATE ${table} SET n = -3 WHERE n = 77`,
    )
    const { tally, differences, steps } = await ends.compare(table, { mode })
    expect(steps).toHaveLength(1)
    if (mode === 'count') return
    expect(tally).toMatchObject({ onlySource: 2, onlyTarget: 2, different: 1, equal: 4_997 })
    expect(differences).toHaveLength(5)
  })

  it('labels in another order', async () => {
    const create = (labels: string): string =>
      `CREATE TABLE labels (k ENUM(${labels}) NOT NULL, s SET(${labels}) NOT NULL, n INT NOT NULL, PRIMARY KEY (k, s, n)); INSERT INTO labels VALUES ('a', 'a,c', 1), ('b', '', 2), ('c', 'a,b,c', 3), ('c', 'b', 4)`
    await ends.at.source.query(create(`'a','b','c'`))
    await ends.at.target.query(create(`'c','x','b','a'`))
    expect((await ends.compare('labels')).tally).toMatchObject({ rowsCompared: 4, equal: 4 })
    await ends.at.target.query(
      `UPDATE labels SET s = 'a,c' WHERE n = 3; DELETE FROM labels WHERE n = 2; INSERT INTO labels VALUES ('x', 'x', 9)`,
    )
    const { differences } = await ends.compare('labels')
    expect(differences.map(({ kind }) => kind).toSorted()).toEqual([
      'only-source',
      'only-source',
      'only-target',
      'only-target',
    ])
  })

  it('a range of keys has no meaning there', async () => {
    const range = { within: { after: null, upTo: ['x'] } }
    await expect(ends.compare('apart_row', range)).rejects.toMatchObject({ code: 'SYNC-5101' })
  })
})
