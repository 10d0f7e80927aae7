/**
 * The pre-check's warning where a verification could not see at MariaDB that somebody waits for a table, at either end; and none of it elsewhere.
 */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import type { PipelineScope } from '../../../src/connectors/contract.ts'
import { checkMysqlSource } from '../../../src/connectors/mysql/check-source.ts'
import { checkMysqlTarget } from '../../../src/connectors/mysql/check-target.ts'
import {
  connect,
  type Reachable,
  sharedMariadbSource,
  sharedMariadbTarget,
  sharedSource,
} from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

const checks = { source: checkMysqlSource, target: checkMysqlTarget } as const

async function warningsOf(server: Reachable, side: keyof typeof checks): Promise<string[]> {
  const endpoint = endpointOf(server)
  const scope: PipelineScope = {
    pipeline: 'p',
    source: { ...endpoint },
    target: { ...endpoint },
    mappings: [],
    loads: true,
    onMissingTable: 'refuse',
    onExistingRows: 'refuse',
  }
  const findings = await checks[side](endpoint, scope)
  return findings
    .filter(({ code }) => code === 'SYNC-5151')
    .map(({ severity, message, remedy }) => `${severity} ${message} ${remedy}`)
}

it.each([
  ['source', sharedMariadbSource],
  ['target', sharedMariadbTarget],
] as const)('PROCESS at a %s that is MariaDB', async (side, shared) => {
  const server = await shared()
  const admin = await connect(server)
  const user = `p_${randomBytes(4).toString('hex')}`
  try {
    await admin.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'geheim'`)
    const limited = { ...server, user, password: 'geheim' }
    const [warning, ...more] = await warningsOf(limited, side)
    expect(more).toEqual([])
    expect(warning).toMatch(new RegExp(`^warning '${user}'@'%' lacks PROCESS at the ${side}: `))
    expect(warning).toContain(`GRANT PROCESS ON *.* TO '${user}'@'%';`)
    await admin.query(`GRANT PROCESS ON *.* TO '${user}'@'%'`)
    expect(await warningsOf(limited, side)).toEqual([])
  } finally {
    await admin.query(`DROP USER IF EXISTS ${user}@'%'`)
    await admin.end()
  }
})

it('MySQL needs none of it', async () => {
  const server = await sharedSource()
  const admin = await connect(server)
  const user = `p_${randomBytes(4).toString('hex')}`
  await admin.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'geheim'`)
  expect(await warningsOf({ ...server, user, password: 'geheim' }, 'source')).toEqual([])
  await admin.query(`DROP USER ${user}@'%'`)
  await admin.end()
})
