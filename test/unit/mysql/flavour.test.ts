/**
 * What is chosen by a server's version, for the releases that cannot be started here; and MariaDB's positions and order.
 */
import { describe, expect, it, test } from 'vitest'
import { MariadbOrder } from '../../../src/connectors/mysql/binlog/mariadb-order.ts'
import { isAtLeast, productOf, versionOf } from '../../../src/connectors/mysql/flavour.ts'
import { logEndSql } from '../../../src/connectors/mysql/log-end.ts'
import { MariadbPosition } from '../../../src/connectors/mysql/mariadb-position.ts'
import { createMariadbTracker } from '../../../src/connectors/mysql/mariadb-tracker.ts'
import { sourceSettings } from '../../../src/connectors/mysql/source-settings.ts'

const maria = '10.11.18-MariaDB-0+deb12u1-log'

test('a handshake tells the product and its version', () => {
  expect(versionOf(`5.5.5-${maria}`)).toBe(maria)
  expect(versionOf('5.5.5-m3')).toBe('5.5.5-m3')
  expect(productOf(maria)).toBe('mariadb')
  expect(productOf('8.0.44')).toBe('mysql')
})

test.each([
  ['8.0.22', '8.0.22', true],
  ['8.0.21', '8.0.22', false],
  ['8.0.100', '8.0.22', true],
  ['9.7.4', '8.0.22', true],
  ['8.4.0-commercial', '8.2.0', true],
  ['8.1.0', '8.2.0', false],
])('%s is at least %s: %s', (version, release, expected) => {
  expect(isAtLeast(version, release)).toBe(expected)
})

test.each([
  ['8.0.44', 'SHOW MASTER STATUS', 'SHOW REPLICA STATUS', 'SHOW REPLICAS'],
  ['8.0.21', 'SHOW MASTER STATUS', 'SHOW SLAVE STATUS', 'SHOW SLAVE HOSTS'],
  ['8.4.7', 'SHOW BINARY LOG STATUS', 'SHOW REPLICA STATUS', 'SHOW REPLICAS'],
  ['9.7.4', 'SHOW BINARY LOG STATUS', 'SHOW REPLICA STATUS', 'SHOW REPLICAS'],
  [maria, 'SHOW MASTER STATUS', 'SHOW ALL SLAVES STATUS', null],
])('what %s calls things', (version, logEnd, replicaStatus, logTrial) => {
  const settings = sourceSettings[productOf(version)]
  expect([logEndSql({ version }), settings.replicaStatus(version), settings.logTrial(version)]).toEqual([
    logEnd,
    replicaStatus,
    logTrial,
  ])
})

describe('a MariaDB position', () => {
  it('holds the greatest of each domain, and shows them in order', () => {
    const position = MariadbPosition.parse('7-3-5,0-1-10,0-2-9')
    expect(position.toString()).toBe('0-1-10,7-3-5')
    position.pass('0-2-11')
    expect(position.toString()).toBe('0-2-11,7-3-5')
    expect(position.has('0-9-11')).toBe(true)
    expect(position.has('1-1-1')).toBe(false)
  })

  it.each([
    ['0-1-10', '0-2-9', true],
    ['0-1-10', '0-1-11', false],
    ['0-1-10', '0-1-1,1-1-1', false],
    ['0-1-18446744073709551615', '0-1-18446744073709551614', true],
    ['0-1-1', '', true],
    ['', '0-1-1', false],
  ])('%s includes %s: %s', (one, other, expected) => {
    expect(MariadbPosition.parse(one).includes(MariadbPosition.parse(other))).toBe(expected)
  })

  it('does not take what is none', () => {
    for (const text of ['0-1', '0-1-x', 'a:1-5', '0-1-5;again=0-1-2'])
      expect(() => MariadbPosition.parse(text)).toThrow(expect.objectContaining({ code: 'SYNC-9001' }))
  })
})

describe('the tracker of a MariaDB source', () => {
  const at = { file: 1, offset: 4 }
  const slice = (id: string, last = true) => ({
    kind: 'slice' as const,
    id,
    firstOrdinal: 0,
    changes: last
      ? []
      : [{ table: { id: { schema: 's', name: 't' }, columns: [], uniqueKeys: [] }, before: null, after: [] }],
    last,
    coordinate: at,
    commitTimeUs: 0,
    bytes: 0,
  })
  const prepared = (id: string) => ({ kind: 'prepared' as const, id, coordinate: at })

  it('names the place before what is prepared until that is committed', () => {
    const tracker = createMariadbTracker({ token: '0-1-4', ordinal: 0 })
    tracker.advance(prepared('0-1-5'))
    tracker.advance(slice('0-1-6'))
    tracker.advance(prepared('0-1-7'))
    expect(tracker.position()).toEqual({ token: '0-1-7;again=0-1-4', ordinal: 0 })
    expect(tracker.covers({ token: '0-1-7', ordinal: 0 })).toBe(true)
    tracker.advance(slice('0-1-5,0-1-8'))
    expect(tracker.position()).toEqual({ token: '0-1-8;again=0-1-6', ordinal: 0 })
    tracker.advance(slice('0-1-7,0-1-9'))
    expect(tracker.position()).toEqual({ token: '0-1-9', ordinal: 0 })
  })

  it('keeps that place while the log is read again, also within a transaction', () => {
    const from = { token: '0-1-7;again=0-1-4', ordinal: 3, transaction: '0-1-8' }
    const tracker = createMariadbTracker(from)
    expect(tracker.position()).toEqual(from)
    tracker.advance(prepared('0-1-5'))
    expect(tracker.position()).toEqual(from)
    tracker.advance(slice('0-1-8'))
    expect(tracker.position()).toEqual({ token: '0-1-8;again=0-1-4', ordinal: 0 })
    tracker.advance(slice('0-1-5,0-1-9'))
    expect(tracker.position()).toEqual({ token: '0-1-9', ordinal: 0 })
  })

  it('counts within a transaction, by its name', () => {
    const tracker = createMariadbTracker({ token: '0-1-4', ordinal: 0 })
    tracker.advance(slice('0-1-5', false))
    const middle = tracker.position()
    expect(middle).toEqual({ token: '0-1-4', ordinal: 1, transaction: '0-1-5' })
    expect(tracker.covers(middle)).toBe(true)
    expect(tracker.covers({ ...middle, ordinal: 2 })).toBe(false)
    expect(createMariadbTracker({ token: '0-1-4', ordinal: 0 }).covers(middle)).toBe(false)
  })
})

test('the order tells what is passed from what is new, and refuses what does not rise', () => {
  const order = new MariadbOrder('0-1-7,5-1-1;again=0-1-4,5-1-1')
  expect(order.isPassed('0-1-5')).toBe(true)
  expect(order.isPassed('5-1-2')).toBe(false)
  expect(order.isPassed('0-2-7')).toBe(true)
  expect(order.isPassed('0-2-8')).toBe(false)
  expect(() => order.isPassed('0-1-8')).toThrow(expect.objectContaining({ code: 'SYNC-2221' }))
})
