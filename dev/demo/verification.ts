/*
 * The last act but one: while the writers go on, both ends are verified as of one position; three rows are broken at the target behind
 * Syncline's back, found, repaired through the running stream after an approval, and verified again.
 */
import { createConnection } from 'mysql2/promise'
import { plainServer, type ShopServer } from '../shop/fill.ts'
import type { DemoRun } from './run.ts'
import { shopDatabase } from './source-data.ts'
import { pipelineName, type Syncline } from './stage.ts'

/** What the command line answers to `-o json`, as far as it is shown. */
interface Shown {
  readonly verification: {
    readonly id: string
    readonly outcome: string | null
    readonly longestPauseMs: number
    readonly tally: {
      readonly rowsCompared: number
      readonly different: number
      readonly onlySource: number
      readonly onlyTarget: number
      readonly unsettled: number
    }
    readonly trouble: { readonly message: string } | null
  }
  readonly tables: readonly {
    readonly table: string
    readonly trouble: { readonly message: string } | null
  }[]
}

interface Repaired {
  readonly state: string
  readonly approvedBy: string | null
  readonly rows: { readonly total: number; readonly verifiedEqual: number }
}

/** Rows of this table are only added, so nobody writes over what is broken. */
const table = 'audit_entry'
const planted = 3

export async function verifyAndRepair(run: DemoRun, { cli }: Syncline, target: ShopServer): Promise<void> {
  const { screen } = run
  const equal = await verified(cli, [])
  if (equal.verification.outcome !== 'equal') {
    // Which rows, the proof at the end shows: nothing may be mended that this demo has not broken.
    screen.failed('Not equal', `the verification under writes found: ${wordsOf(equal)}`)
    return
  }
  screen.done(
    'Verified',
    `${equal.verification.tally.rowsCompared.toLocaleString('en-US')} rows at one position, under writes; the stream stood still for ${equal.verification.longestPauseMs} ms at most`,
  )

  await breakRows(target)
  screen.hit('Three rows broken', `at the target, in ${table}: one changed, one removed, one added`)
  const found = await verified(cli, ['--table', `${shopDatabase}.${table}`])
  const { id, tally } = found.verification
  if (tally.different + tally.onlySource + tally.onlyTarget !== planted)
    throw new Error(`The verification of the broken table found: ${wordsOf(found)}`)
  screen.done('Found', `syncline verify show ${id} --differences`)

  const statements = await cli(['verify', 'repair', id, '--dry-run'])
  for (const line of statements.stdout.trim().split('\n')) screen.more(line.slice(0, 110))
  await cli(['verify', 'repair', id])
  const approved = await cli(['verify', 'approve', id, '--as', 'manager', '-o', 'json'])
  const repaired = JSON.parse(approved.stdout) as Repaired
  if (repaired.state !== 'done' || repaired.rows.verifiedEqual !== planted)
    throw new Error(`The repair ended with ${approved.stdout}`)
  screen.done('Repaired', `${planted} rows, approved by ${repaired.approvedBy}, and verified again`)
}

async function verified(cli: Syncline['cli'], args: readonly string[]): Promise<Shown> {
  const { stdout, stderr } = await cli(['verify', pipelineName, ...args, '-o', 'json'])
  if (stdout === '') throw new Error(`syncline verify said: ${stderr}`)
  return JSON.parse(stdout) as Shown
}

const wordsOf = ({ verification, tables }: Shown): string => {
  const { outcome, tally, trouble } = verification
  const why = tables.flatMap((each) =>
    each.trouble === null ? [] : [`${each.table}: ${each.trouble.message}`],
  )
  return [outcome, JSON.stringify(tally), trouble?.message ?? '', ...why].join('; ')
}

async function breakRows(target: ShopServer): Promise<void> {
  const connection = await createConnection(plainServer(target))
  try {
    await connection.query(`UPDATE ${shopDatabase}.${table} SET actor = 'nobody' WHERE id = 11`)
    await connection.query(`DELETE FROM ${shopDatabase}.${table} WHERE id = 12`)
    await connection.query(
      `INSERT INTO ${shopDatabase}.${table} (id, actor, action, detail) VALUES (9000000000, 'nobody', 'buy', '1')`,
    )
  } finally {
    connection.destroy()
  }
}
