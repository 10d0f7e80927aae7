/**
 * Wrong passwords, missing privileges, secrets that cannot be resolved: told with code and remedy, mended as the remedy says, and the
 * pipeline goes on. No password is written down anywhere meanwhile.
 */
import type { Connection } from 'mysql2/promise'
import { expect, it } from 'vitest'
import {
  type Account,
  createAccount,
  sourcePrivileges,
  targetPrivileges,
  writtenDown,
} from '../support/accounts.ts'
import { useInstallation } from '../support/installation.ts'
import type { Blocked, PipelineCase } from '../support/pipeline-case.ts'
import { connect } from '../support/servers.ts'

const pipelines: string[] = []
const secrets: string[] = []
const here = useInstallation({ beforeEnd: expectNothingWrittenDown })

interface AccountCase extends PipelineCase {
  readonly accounts: { readonly source: Account; readonly target: Account }
}

/** A table with rows, and a pipeline that logs in at both ends with accounts of its own. */
async function accountCase(
  name: string,
  privileges: {
    source?: (database: string) => readonly string[]
    target?: (database: string) => readonly string[]
  } = {},
): Promise<AccountCase> {
  const admin: Record<'source' | 'target', Connection> = {
    source: await connect(here.source),
    target: await connect(here.target),
  }
  const accounts = {
    source: await createAccount(here.stack, admin.source, []),
    target: await createAccount(here.stack, admin.target, []),
  }
  const made = await here.createCase(name, {
    named: {
      source: { user: accounts.source.user, password: accounts.source.reference },
      target: { user: accounts.target.user, password: accounts.target.reference },
    },
  })
  for (const on of (privileges.source ?? sourcePrivileges)(made.database)) await accounts.source.grant(on)
  for (const on of (privileges.target ?? targetPrivileges)(made.database)) await accounts.target.grant(on)
  await made.both('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))')
  await made.source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
  pipelines.push(name)
  secrets.push(accounts.source.password, accounts.target.password)
  return Object.assign(made, { accounts })
}

async function rowsAtTarget(pipeline: PipelineCase): Promise<number> {
  return Number((await pipeline.rows('SELECT COUNT(*) AS n FROM t'))[0]?.['n'])
}

/** Runs the statements that the findings name. */
async function followRemedies(connection: Connection, { findings, remedy }: Blocked): Promise<void> {
  const errors = findings.filter(({ severity }) => severity === 'error')
  for (const text of errors.length > 0 ? errors.map((finding) => finding.remedy) : [remedy]) {
    await connection.query(text)
  }
}

it.each([
  { side: 'source', code: 'SYNC-2102' },
  { side: 'target', code: 'SYNC-3102' },
] as const)('a wrong password at the $side', async ({ side, code }) => {
  const pipeline = await accountCase(`password-${side}`)
  const { accounts, source } = pipeline
  await accounts[side].writeFile('not the password')
  await pipeline.apply()
  const blocked = await pipeline.blocked(code)
  expect(JSON.stringify(blocked)).toContain(accounts[side].user)
  expect(await rowsAtTarget(pipeline)).toBe(0)
  await pipeline.resume()
  await pipeline.blocked(code)

  await accounts[side].writeFile()
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)

  // The same while it streams: the password is changed, and the connections are cut.
  const rotated = `neu-${accounts[side].password}`
  secrets.push(rotated)
  await pipeline[side].query(`ALTER USER ${accounts[side].quoted} IDENTIFIED BY '${rotated}'`)
  await killConnections(pipeline[side], accounts[side].user)
  await source.query("INSERT INTO t VALUES (3, 'three'); UPDATE t SET v = 'zwei' WHERE id = 2")
  await pipeline.blocked(code)
  expect(await rowsAtTarget(pipeline)).toBe(2)
  await accounts[side].writeFile(rotated)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

async function killConnections(connection: Connection, user: string): Promise<void> {
  const [found] = await connection.query('SELECT id FROM performance_schema.processlist WHERE user = ?', [
    user,
  ])
  for (const { id } of found as { id: number }[]) await connection.query(`KILL ${id}`).catch(() => {})
}

it.each([
  { what: 'REPLICATION SLAVE', left: (db: string) => [`SELECT ON \`${db}\`.*`, 'REPLICATION CLIENT ON *.*'] },
  { what: 'REPLICATION CLIENT', left: (db: string) => [`SELECT ON \`${db}\`.*`, 'REPLICATION SLAVE ON *.*'] },
])('the source account lacks $what', async ({ what, left }) => {
  const pipeline = await accountCase(`lacks-${what.toLowerCase().replaceAll(' ', '-')}`, { source: left })
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-2103')
  expect(JSON.stringify(blocked.findings)).toContain(what)
  expect(await rowsAtTarget(pipeline)).toBe(0)
  await followRemedies(pipeline.source, blocked)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('the source account may not read the tables', async () => {
  const pipeline = await accountCase('lacks-select', {
    source: () => ['REPLICATION SLAVE, REPLICATION CLIENT ON *.*'],
  })
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-2209')
  expect(JSON.stringify(blocked)).toContain(pipeline.database)
  expect(await rowsAtTarget(pipeline)).toBe(0)
  await pipeline.accounts.source.grant(`SELECT ON \`${pipeline.database}\`.*`)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('the source account may read one table of two that the pattern takes', async () => {
  const pipeline = await accountCase('lacks-one', {
    source: () => ['REPLICATION SLAVE, REPLICATION CLIENT ON *.*'],
  })
  await pipeline.both('CREATE TABLE hidden (id INT PRIMARY KEY)')
  await pipeline.source.query('INSERT INTO hidden VALUES (1)')
  await pipeline.accounts.source.grant(`SELECT ON \`${pipeline.database}\`.t`)
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-2103')
  expect(await rowsAtTarget(pipeline)).toBe(0)
  await followRemedies(pipeline.source, blocked)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it.each(['SELECT', 'INSERT', 'UPDATE', 'DELETE'])('the target account lacks %s', async (what) => {
  const without = (db: string): string[] =>
    targetPrivileges(db).map((on) => (on.includes(db) ? on.replace(new RegExp(`\\b${what}, `), '') : on))
  const pipeline = await accountCase(`lacks-target-${what.toLowerCase()}`, { target: without })
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-3103')
  expect(JSON.stringify(blocked.findings)).toContain(`lacks ${what}`)
  expect(await rowsAtTarget(pipeline).catch(() => 0)).toBe(0)
  await followRemedies(pipeline.target, blocked)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('a privilege at the target is revoked while it streams', async () => {
  const pipeline = await accountCase('revoked')
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(2)
  const { quoted } = pipeline.accounts.target
  await pipeline.target.query(`REVOKE INSERT ON \`${pipeline.database}\`.* FROM ${quoted}`)
  await pipeline.source.query(
    "START TRANSACTION; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 'three'); COMMIT",
  )
  await pipeline.blocked('SYNC-3103')
  expect(await pipeline.rows('SELECT id FROM t ORDER BY id'), 'nothing half-applied').toEqual([
    { id: 1 },
    { id: 2 },
  ])
  await pipeline.target.query(`GRANT INSERT ON \`${pipeline.database}\`.* TO ${quoted}`)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('a secret that is not there', async () => {
  const pipeline = await here.createCase('no-secret', {
    named: { target: { password: '${env:NO_SUCH_VARIABLE}' } },
  })
  pipelines.push('no-secret')
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))')
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-1005')
  expect(blocked.message).toContain('NO_SUCH_VARIABLE')
})

it('a secret that comes later', async () => {
  const pipeline = await accountCase('late-secret')
  const { rm } = await import('node:fs/promises')
  await rm(pipeline.accounts.source.file)
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-1005')
  expect(blocked.message).toContain(pipeline.accounts.source.file)
  await pipeline.accounts.source.writeFile()
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

async function expectNothingWrittenDown(): Promise<void> {
  const places = await writtenDown(here.stack, here.temporal, pipelines)
  // The search itself works: what must be there is found.
  expect(places.get('history of password-source')).toContain('SYNC-2102')
  const store = [...places].filter(([place]) => place.startsWith('store.sqlite')).map(([, text]) => text)
  expect(store.some((text) => text.includes('password-source'))).toBe(true)
  expect([...places.keys()].filter((name) => name.endsWith('.log')).length).toBeGreaterThanOrEqual(3)
  for (const [place, text] of places) {
    for (const secret of secrets) expect(text.includes(secret), `a password stands in: ${place}`).toBe(false)
  }
}
