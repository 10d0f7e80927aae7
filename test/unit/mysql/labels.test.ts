import { expect, test } from 'vitest'
import { labelsOf } from '../../../src/connectors/mysql/column-type.ts'

test('labels as the server writes them in a column type, and as they are', () => {
  // The server's own text for ENUM('a\\b','c\nd','e\tf','g\'h','i\0j','k\rl','m"n','o\\\\p','\Zq','','x,y'), tried on 9.7.4.
  const columnType = String.raw`enum('a\\b','c\nd','e@f','g''h','i\0j','k\rl','m"n','o\\\\p','@q','','x,y')`
    .replace('e@f', 'e\tf')
    .replace('@q', '\u001aq')
  expect(labelsOf(columnType)).toEqual([
    'a\\b',
    'c\nd',
    'e\tf',
    "g'h",
    'i\0j',
    'k\rl',
    'm"n',
    'o\\\\p',
    '\u001aq',
    '',
    'x,y',
  ])
  expect(labelsOf("set('it''s','b')")).toEqual(["it's", 'b'])
})
