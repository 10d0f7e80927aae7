import { describe, expect, test } from 'vitest'
import { rowsAtSize, shopRows } from '../../../dev/shop/fill.ts'
import { createTableSql, shopTables, versionedTables } from '../../../dev/shop/schema.ts'
import { multiByteCharsets, singleByteCharsets } from '../../../dev/shop/text-tables.ts'
import { createRandom } from '../../../dev/shop/turn.ts'

const definitions = shopTables.flatMap((table) => table.columns.map((column) => column.definition))
const uses = (pattern: RegExp): boolean => definitions.some((definition) => pattern.test(definition))

describe('the shop’s tables', () => {
  test('are twelve or more, with half a million rows at size 1', () => {
    expect(shopTables.length).toBeGreaterThanOrEqual(12)
    expect(shopRows(1)).toBeGreaterThan(500_000)
    expect(shopRows(0)).toBeLessThan(3_000)
    expect(versionedTables.length).toBe(shopTables.length - 1)
    expect(Math.max(...shopTables.map((table) => table.columns.length))).toBe(200)
  })

  test.each([
    'TINYINT',
    'SMALLINT',
    'MEDIUMINT',
    'INT',
    'BIGINT',
    'TINYINT UNSIGNED',
    'SMALLINT UNSIGNED',
    'MEDIUMINT UNSIGNED',
    'INT UNSIGNED',
    'BIGINT UNSIGNED',
    'BOOLEAN',
    'FLOAT',
    'FLOAT UNSIGNED',
    'DOUBLE',
    'DOUBLE UNSIGNED',
    'DECIMAL',
    'DATE',
    'TIME',
    'DATETIME',
    'TIMESTAMP',
    'YEAR',
    'CHAR\\(\\d+\\)',
    'VARCHAR\\(\\d+\\)',
    'NATIONAL CHAR\\(\\d+\\)',
    'TINYTEXT',
    'TEXT',
    'MEDIUMTEXT',
    'LONGTEXT',
    'BINARY\\(\\d+\\)',
    'VARBINARY\\(\\d+\\)',
    'TINYBLOB',
    'BLOB',
    'MEDIUMBLOB',
    'LONGBLOB',
    'ENUM',
    'SET',
    'JSON',
    'VECTOR',
    'VECTOR\\(3\\)',
    'GEOMETRY',
    'POINT',
    'LINESTRING',
    'POLYGON',
    'MULTIPOINT',
    'MULTILINESTRING',
    'MULTIPOLYGON',
    'GEOMETRYCOLLECTION',
    'DECIMAL\\(65,30\\)',
    'CHAR\\(0\\)',
    'POINT NOT NULL SRID 4326',
  ])('use %s', (type) => {
    expect(uses(new RegExp(`^${type}(?! UNSIGNED)\\b|^${type}(?=[ (])(?! UNSIGNED)`))).toBe(true)
  })

  test.each(['TIME', 'DATETIME', 'TIMESTAMP'])('use every fraction of %s', (type) => {
    for (let digits = 0; digits <= 6; digits++) expect(uses(new RegExp(`^${type}\\(${digits}\\)`))).toBe(true)
  })

  test('use BIT of every width', () => {
    for (let width = 1; width <= 64; width++) expect(uses(new RegExp(`^BIT\\(${width}\\)`))).toBe(true)
  })

  test('use every character set once and no other name', () => {
    const charsets = [...singleByteCharsets, ...multiByteCharsets]
    expect(new Set(charsets).size).toBe(charsets.length)
    expect(charsets).toHaveLength(40)
    for (const charset of charsets) expect(uses(new RegExp(`CHARACTER SET ${charset}\\b`))).toBe(true)
  })

  test.each([
    'STORED',
    'VIRTUAL',
    'INVISIBLE',
    'AUTO_INCREMENT',
    'ON UPDATE CURRENT_TIMESTAMP',
    'ZEROFILL',
    "DEFAULT '0000-00-00'",
    'DEFAULT \\(',
  ])('use %s', (attribute) => {
    expect(uses(new RegExp(attribute))).toBe(true)
  })

  test('have foreign keys, unique keys over NULL and over an expression', () => {
    const keys = shopTables.flatMap((table) => table.keys).join('\n')
    expect(keys).toMatch(/FOREIGN KEY/)
    expect(keys).toMatch(/ON DELETE CASCADE/)
    expect(keys).toMatch(/UNIQUE KEY \w+ \(\(LOWER/)
    expect(keys).toMatch(/CHECK/)
  })

  test('have names that are quoted in their definitions', () => {
    const odd = shopTables.find((table) => table.name.includes('&'))
    expect(odd && createTableSql('my`db', odd)).toMatch(/^CREATE TABLE `my``db`\.`währung & preis-liste`/)
  })

  test('never grow smaller than what holds every boundary value', () => {
    for (const table of shopTables) expect(rowsAtSize(table, 0.001)).toBeGreaterThanOrEqual(table.leastRows)
  })
})

test('random numbers repeat by seed and stay below their bound', () => {
  const [a, b, c] = [createRandom(1), createRandom(1), createRandom(2)]
  const take = (random: (below: number) => number): number[] => Array.from({ length: 200 }, () => random(10))
  const first = take(a)
  expect(take(b)).toEqual(first)
  expect(take(c)).not.toEqual(first)
  expect(new Set(first)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
})
