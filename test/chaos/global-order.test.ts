/**
 * Global order: whoever reads the target sees a past state of the source, at every moment, while engines and workers are killed.
 *
 * Every transaction of the source moves money from one table to the other, takes the next number and writes itself down under it. So a state of
 * the source is told by that number alone: as many transfers as the number says, and both tables' sums as those transfers leave them.
 * Some transactions touch every account: at the target they come in many parts.
 */
import type { RowDataPacket } from 'mysql2'
import type { Connection } from 'mysql2/promise'
import { afterEach, expect, it } from 'vitest'
import { isAlive } from '../support/chaos-rig.ts'
import { createCase, type PipelineCase } from '../support/pipeline-case.ts'
import { connect, sharedSource, sharedTarget, sharedTemporal } from '../support/servers.ts'
import { type Proc, type Stack, startStack, waitFor } from '../support/stack.ts'

/** All of them in both tables are more than a slice of the log holds (10,000). */
const accounts = 6_000
const opening = 1_000_000

let stack: Stack | undefined
let bank: PipelineCase | undefined

afterEach(async (context) => {
  if (context.task.result?.state === 'fail' && stack !== undefined) console.error(await stack.logs())
  await bank?.close()
  await stack?.stop()
})

/** Writers and readers leave the machine to the pipeline in between. */
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** One transfer per transaction; every `wholeEvery`-th takes a unit from every account of one table. */
async function transferring(
  connection: Connection,
  isOver: () => boolean,
  wholeEvery: number,
): Promise<void> {
  for (let n = 1; !isOver(); n++) {
    const account = (): number => 1 + Math.floor(Math.random() * accounts)
    const isWhole = n % wholeEvery === 0
    const amount = isWhole ? accounts : 1 + Math.floor(Math.random() * 100)
    const changes = isWhole
      ? ['UPDATE savings SET balance = balance - 1', 'UPDATE credit SET balance = balance + 1']
      : [
          `UPDATE savings SET balance = balance - ${amount} WHERE id = ${account()}`,
          `UPDATE credit SET balance = balance + ${amount} WHERE id = ${account()}`,
        ]
    await connection.query(
      // The number first: its row lock makes the order of numbers that of the commits.
      `BEGIN; UPDATE latest SET number = LAST_INSERT_ID(number + 1); INSERT INTO transfer VALUES (LAST_INSERT_ID(), ${amount}); ${changes.join('; ')}; COMMIT`,
    )
    await pause(20)
  }
}

const look = `SELECT (SELECT number FROM latest) AS number, (SELECT COUNT(*) FROM transfer) AS transfers,
  (SELECT IFNULL(MAX(number), 0) FROM transfer) AS last, (SELECT IFNULL(SUM(amount), 0) FROM transfer) AS moved,
  (SELECT SUM(balance) FROM savings) AS savings, (SELECT SUM(balance) FROM credit) AS credit`

/** Reads again and again. One statement reads one state (InnoDB's consistent read). */
async function watching(
  connection: Connection,
  isOver: () => boolean,
  found: { readonly states: Set<number>; readonly wrong: string[] },
): Promise<void> {
  let before = 0
  while (!isOver()) {
    const [rows] = await connection.query<RowDataPacket[]>(look)
    const state = Object.fromEntries(
      Object.entries(rows[0] ?? {}).map(([name, value]) => [name, Number(value)]),
    )
    const { number = -1, transfers, last, moved = 0, savings, credit } = state
    const isPast =
      transfers === number &&
      last === number &&
      savings === accounts * opening - moved &&
      credit === accounts * opening + moved
    if (!isPast) found.wrong.push(`not a state of the source: ${JSON.stringify(state)}`)
    if (number < before) found.wrong.push(`back from ${before} to ${number}`)
    before = number
    found.states.add(number)
    await pause(10)
  }
}

it('the target is always a past state of the source, over 12 kills', { timeout: 900_000 }, async () => {
  const [source, target, temporal] = [await sharedSource(), await sharedTarget(), await sharedTemporal()]
  stack = await startStack(temporal)
  await stack.startWorker('control')
  let worker: Proc = await stack.startWorker('stream')
  bank = await createCase(stack, { source, target }, 'bank')
  const { database } = bank
  await bank.both(
    'CREATE TABLE savings (id INT PRIMARY KEY, balance BIGINT NOT NULL)',
    'CREATE TABLE credit (id INT PRIMARY KEY, balance BIGINT NOT NULL)',
    'CREATE TABLE transfer (number INT PRIMARY KEY, amount INT NOT NULL)',
    'CREATE TABLE latest (id INT PRIMARY KEY, number INT NOT NULL)',
  )
  await bank.source.query(`SET SESSION cte_max_recursion_depth = ${accounts}; INSERT INTO latest VALUES (1, 0);
    INSERT INTO savings WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${accounts}) SELECT i, ${opening} FROM n;
    INSERT INTO credit SELECT * FROM savings`)
  const connections: Connection[] = []
  const open = async (server: typeof source): Promise<Connection> => {
    const connection = await connect(server)
    connections.push(connection)
    await connection.query(`USE ${database}`)
    return connection
  }
  let isWritingOver = false
  let isWatchingOver = false
  const found = { states: new Set<number>(), wrong: [] as string[] }
  try {
    const writers = Promise.all(
      [60, 100].map(async (wholeEvery) => transferring(await open(source), () => isWritingOver, wholeEvery)),
    )
    writers.catch(() => {})
    // A whole transfer does not fit in a batch.
    await bank.apply({ stream: { order: 'global', batch: { maxRows: 2_000 } } })
    await bank.reaches('streaming', 180_000)
    await bank.settled()
    const watchers = Promise.all(
      [1, 2].map(async () => watching(await open(target), () => isWatchingOver, found)),
    )
    watchers.catch(() => {})
    let engines = 0
    for (let kill = 0; kill < 12; kill++) {
      await pause(300 + Math.random() * 1_200)
      if (kill % 4 === 3) {
        worker.kill('SIGKILL')
        await worker.ended()
        worker = await stack.startWorker('stream')
        continue
      }
      let pid = 0
      await waitFor('an engine', 60_000, async () => {
        pid = Number((await (stack as Stack).status('bank')).engine?.hostPid ?? 0)
        return pid > 0 && isAlive(pid)
      })
      process.kill(pid, 'SIGKILL')
      engines++
    }
    await bank.reaches('streaming', 180_000)
    await waitFor('states of the source to be seen', 180_000, async () => found.states.size > 40)
    isWritingOver = true
    await writers
    await bank.settled(120_000)
    isWatchingOver = true
    await watchers
    console.info(
      `${found.states.size} states of the source seen, over ${engines} kills of engines; the last is ${Math.max(...found.states)}`,
    )
    expect(found.wrong.slice(0, 5)).toEqual([])
    await bank.expectEqual()
  } finally {
    isWritingOver = true
    isWatchingOver = true
    for (const connection of connections) connection.destroy()
  }
})
