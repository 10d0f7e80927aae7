import { describe, expect, it } from 'vitest'
import { changesValues, noAlteration } from '../../../src/core/alteration.ts'
import type { Column, ColumnType, TableShape } from '../../../src/core/schema.ts'
import { alterationOf } from '../../../src/streamer/alter-table.ts'
import type { TableRule } from '../../../src/streamer/options.ts'
import { consequenceOf } from '../../../src/streamer/reload.ts'

describe('what an alteration names', () => {
  it.each([
    ['ADD COLUMN note TEXT', ['note']],
    ['add `a``b` INT DEFAULT 3, ADD KEY (c), add c DECIMAL(10,2) AFTER `x`', ['a`b', 'c']],
    ["ADD (a INT COMMENT 'x, y', b ENUM('p','q)') NOT NULL, KEY k (a))", ['a', 'b']],
    ['ADD "quoted" INT', ['quoted']],
  ])('%s: columns are added', (text, added) => {
    expect(alterationOf(text)).toMatchObject({
      added,
      changed: [],
      renamed: [],
      dropped: [],
      convertsText: false,
    })
  })

  it.each([
    'ADD INDEX i (a), ADD UNIQUE KEY u (b), ADD CONSTRAINT c CHECK (a > 1), ADD PRIMARY KEY (a)',
    'ADD FULLTEXT KEY f (a), ADD FOREIGN KEY (a) REFERENCES t (b), ADD PARTITION (PARTITION p VALUES LESS THAN (3))',
    'DROP COLUMN a, DROP INDEX b, RENAME INDEX a TO b, ENGINE=InnoDB, ALTER COLUMN a SET DEFAULT 5, AUTO_INCREMENT = 7',
    "COMMENT 'ADD COLUMN x INT, MODIFY y INT'",
    '',
  ])('%s: no values change', (text) => {
    expect(changesValues(alterationOf(text))).toBe(false)
  })

  it.each([
    [
      'ADD INDEX i (a), add key (`b c`, d DESC)',
      [
        ['i', ['a']],
        [null, ['b c', 'd']],
      ],
    ],
    ['ADD UNIQUE u (a(10))', [['u', ['a']]]],
    [
      'ADD CONSTRAINT c UNIQUE KEY (a), ADD CONSTRAINT d UNIQUE e (a)',
      [
        ['c', ['a']],
        ['e', ['a']],
      ],
    ],
    [
      'ADD FULLTEXT INDEX f (a, b), ADD SPATIAL KEY g (p)',
      [
        ['f', ['a', 'b']],
        ['g', ['p']],
      ],
    ],
    [
      'ADD INDEX USING BTREE (a), ADD KEY k USING HASH (a)',
      [
        [null, ['a']],
        ['k', ['a']],
      ],
    ],
    ['ADD KEY k ((a + 1), b)', [['k', [null, 'b']]]],
    [
      'ADD INDEX IF NOT EXISTS i (a), ADD UNIQUE KEY IF NOT EXISTS j (b), ADD CONSTRAINT IF NOT EXISTS k UNIQUE (c)',
      [
        ['i', ['a']],
        ['j', ['b']],
        ['k', ['c']],
      ],
    ],
    ["ADD COLUMN a INT UNIQUE COMMENT 'x', ADD b VARCHAR(9) DEFAULT 'unique'", [[null, ['a']]]],
    ['ADD PRIMARY KEY (a), ADD FOREIGN KEY f (a) REFERENCES t (b), ADD CONSTRAINT c CHECK (a > 1)', []],
  ])('%s: indexes are added', (text, indexes) => {
    const found = alterationOf(text).addedIndexes
    expect(found.map(({ name, columns }) => [name, columns])).toEqual(indexes)
  })

  it.each([
    ['DROP COLUMN a, DROP b, drop `c``d`', ['a', 'b', 'c`d'], []],
    ['DROP INDEX i, DROP KEY `j`', [], ['i', 'j']],
    ['DROP PRIMARY KEY, DROP FOREIGN KEY f, DROP CHECK c, DROP CONSTRAINT d, DROP PARTITION p', [], []],
    ['DROP COLUMN `index`', ['index'], []],
    ['DROP COLUMN IF EXISTS a, DROP INDEX IF EXISTS i, DROP CONSTRAINT IF EXISTS c', ['a'], ['i']],
  ])('%s: columns and indexes are dropped', (text, dropped, droppedIndexes) => {
    expect(alterationOf(text)).toMatchObject({ dropped, droppedIndexes, added: [] })
  })

  it('types, names and character sets', () => {
    expect(
      alterationOf(
        'MODIFY COLUMN a BIGINT, CHANGE b `c d` INT, RENAME COLUMN e TO f, CONVERT TO CHARACTER SET utf8mb4',
      ),
    ).toEqual({
      ...noAlteration,
      changed: [
        { from: 'a', to: 'a' },
        { from: 'b', to: 'c d' },
      ],
      renamed: [{ from: 'e', to: 'f' }],
      convertsText: true,
    })
  })
})

describe('what must be loaded again', () => {
  const rule: TableRule = {
    match: 's.t',
    exclude: [],
    toSchema: '{schema}',
    toTable: '{table}',
    includeColumns: null,
    excludeColumns: ['secret'],
    renameColumns: { a: 'b' },
    where: null,
  }
  const column = (name: string, sql: string, more: Partial<Column> = {}): Column => ({
    name,
    type: { kind: 'int', sql } as ColumnType,
    nullable: true,
    generated: false,
    initial: 'null',
    ...more,
  })
  const shape = (...columns: Column[]): TableShape => ({
    id: { schema: 's', name: 't' },
    columns: [column('id', 'int', { nullable: false }), ...columns],
    primaryKey: { name: 'PRIMARY', ordinals: [0], comparesBytes: true },
    uniqueKeys: [],
  })
  const after = (statement: string, source: TableShape, target: TableShape) =>
    consequenceOf(alterationOf(statement), { source, target, rule })
  const no = { reload: false, changedKey: null }
  const yes = { reload: true, changedKey: null }
  const { initial: _, ...unknownInitial } = column('x', 'int')

  it.each([
    ['the same definition', column('x', 'int'), column('x', 'int'), no],
    [
      'the same constant',
      column('x', 'int', { initial: 'default 5' }),
      column('x', 'int', { initial: 'default 5' }),
      no,
    ],
    ['another constant', column('x', 'int', { initial: 'default 5' }), column('x', 'int'), yes],
    ['another type', column('x', 'int'), column('x', 'bigint'), yes],
    ['an expression', unknownInitial, unknownInitial, yes],
    [
      'computed at both ends',
      column('x', 'int', { generated: true }),
      column('x', 'int', { generated: true }),
      no,
    ],
    ['computed at the source alone', column('x', 'int', { generated: true }), column('x', 'int'), yes],
  ])('after ADD COLUMN, with %s at the target', (_name, source, target, expected) => {
    expect(after('ADD COLUMN x INT', shape(source), shape(target))).toMatchObject(expected)
  })

  it('after a changed type, unless both ends have the same now', () => {
    expect(after('MODIFY x INT', shape(column('x', 'int')), shape(column('x', 'int')))).toMatchObject(no)
    expect(after('MODIFY x INT', shape(column('x', 'int')), shape(column('x', 'bigint')))).toMatchObject(yes)
    expect(
      after('MODIFY x INT', shape(column('x', 'int', { nullable: false })), shape(column('x', 'int'))),
    ).toMatchObject(yes)
    // Columns have their names at the target; those that are not carried do not matter.
    expect(after('MODIFY a INT', shape(column('a', 'int')), shape(column('b', 'bigint')))).toMatchObject(yes)
    expect(after('MODIFY secret INT', shape(column('secret', 'int')), shape())).toMatchObject(no)
  })

  it('a key that may have changed is for a person', () => {
    const target: TableShape = { ...shape(), columns: [column('id', 'bigint', { nullable: false })] }
    expect(after('MODIFY id INT', shape(), target)).toMatchObject({
      reload: true,
      changedKey: { source: shape().columns[0], target: target.columns[0] },
    })
    expect(after('MODIFY id INT', shape(), shape())).toMatchObject(no)
  })

  it('after a new name, where the target still has the old one', () => {
    const source = shape(column('y', 'int'))
    expect(after('RENAME COLUMN x TO y', source, shape(column('y', 'int')))).toMatchObject(no)
    expect(
      after('RENAME COLUMN x TO y', source, shape(column('x', 'int'), column('y', 'int'))),
    ).toMatchObject(yes)
    expect(after('CHANGE x y INT', source, shape(column('x', 'int'), column('y', 'int')))).toMatchObject(yes)
    // Two columns that exchange their names are both there, whoever has done it.
    const both = shape(column('x', 'int'), column('y', 'int'))
    expect(after('RENAME COLUMN x TO y, RENAME COLUMN y TO x', both, both)).toMatchObject(yes)
  })
})
