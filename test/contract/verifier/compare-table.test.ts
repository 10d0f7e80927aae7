/**
 * One table at two real servers: what was planted is found, and nothing else.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sharedSource, sharedTarget } from '../../support/servers.ts'
import { type Ends, inShort, openEnds } from './support.ts'

let ends: Ends

beforeAll(async () => {
  ends = await openEnds(await sharedSource(), await sharedTarget(), 'compared')
})

afterAll(() => ends.close())

const filled = (table: string, rows: number): string =>
  `CREATE TABLE ${table} (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, amount DECIMAL(10,2) NULL);
   SET SESSION cte_max_recursion_depth = 1000000;
   INSERT INTO ${table} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     SELECT i * 3, CONCAT('name ', i), IF(i MOD 7 = 0, NULL, i / 3) FROM n`

it('equal rows move nothing and are all counted', async () => {
  await ends.both(filled('same', 20_000))
  const { tally, differences, steps } = await ends.compare('same')
  expect(differences).toEqual([])
  expect(tally).toMatchObject({ rowsCompared: 20_000, equal: 20_000 })
  expect(steps.at(-1)?.cursor).toBeNull()
})

it('rows that differ, lack or are too many are found wherever they stand', async () => {
  await ends.both(filled('planted', 20_000))
  await ends.at.target.query(
    `INSERT INTO planted VALUES (-5, 'before', 1), (4, 'between', 1), (30001, 'amid', 1), (60001, 'behind', 1);
     DELETE FROM planted WHERE id IN (3, 9000, 60000);
     UPDATE planted SET amount = NULL WHERE id = 6;
     UPDATE planted SET name = 'Name 5000' WHERE id = 15000;
     UPDATE planted SET name = '' WHERE id = 59997`,
  )
  const { tally, differences } = await ends.compare('planted')
  expect(inShort(differences)).toEqual(
    [
      'different 15000 name',
      'different 59997 name',
      'different 6 amount',
      'only-source 3',
      'only-source 60000',
      'only-source 9000',
      'only-target -5',
      'only-target 30001',
      'only-target 4',
      'only-target 60001',
    ].toSorted(),
  )
  expect(tally).toEqual({
    rowsCompared: 20_004,
    equal: 19_994,
    different: 3,
    onlySource: 3,
    onlyTarget: 4,
    unsettled: 0,
  })
  expect(differences.find(({ key }) => key[0] === 15000)).toMatchObject({
    source: { id: '15000', name: 'name 5000', amount: '1666.67' },
    target: { id: '15000', name: 'Name 5000', amount: '1666.67' },
  })
})

it('a table that is empty at one end', async () => {
  await ends.both(filled('emptied', 1_300))
  await ends.at.source.query('DELETE FROM emptied')
  expect((await ends.compare('emptied')).tally).toMatchObject({ rowsCompared: 1_300, onlyTarget: 1_300 })
  await ends.at.target.query('DELETE FROM emptied')
  expect((await ends.compare('emptied')).tally).toMatchObject({ rowsCompared: 0 })
})

it('keys with gaps, deserts and crowds: every row is counted once, in ranges that are not far off', async () => {
  const create = `CREATE TABLE gaps (id BIGINT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB; SET SESSION cte_max_recursion_depth = 1000000;`
  const insert = (rows: number, key: string): string =>
    `INSERT INTO gaps WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows - 1}) SELECT ${key}, i FROM n;`
  await ends.both(
    create +
      insert(40_000, '-9000000000000000000 + i * 1000000000000') +
      insert(120_000, 'i') +
      insert(10, '1000000000 + i * 100000000000') +
      insert(60_000, '9000000000000000000 + i * 7') +
      'ANALYZE TABLE gaps',
  )
  const rows = 220_010
  const { tally, steps } = await ends.compare('gaps', { connections: 1 })
  expect(tally).toMatchObject({ rowsCompared: rows, equal: rows })
  expect(Math.max(...steps.map((step) => step.tally.rowsCompared))).toBeLessThan(rows / 2)
  await ends.at.target.query(
    'DELETE FROM gaps WHERE v = 9 AND id BETWEEN 0 AND 100; INSERT INTO gaps VALUES (500000000, 1)',
  )
  expect((await ends.compare('gaps')).tally).toMatchObject({ onlySource: 1, onlyTarget: 1, equal: rows - 1 })
})
