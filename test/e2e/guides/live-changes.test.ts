/**
 * Runs the guide to live changes as it is written: its statements at both ends, its commands, and what it says they show. Its schema `shop` is a
 * database of the test's own; a block that only shows what may be seen is marked by standing behind no command.
 */
import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { blocksOf, expectShown } from '../../support/guide-blocks.ts'
import { useInstallation } from '../../support/installation.ts'
import { waitFor } from '../../support/stack.ts'

const here = useInstallation()
const name = 'orders-to-east'

it('live changes', async () => {
  const pipeline = await here.createCase(name)
  const { database } = pipeline
  await waitFor('the API', 120_000, async () => (await fetch(`${here.stack.url}/readyz`)).ok)
  await pipeline.source.query(
    `CREATE TABLE customers (id INT PRIMARY KEY); CREATE TABLE orders (id INT PRIMARY KEY);
     INSERT INTO customers VALUES (1); INSERT INTO orders VALUES (1), (2)`,
  )
  await pipeline.apply({
    tables: [{ match: `${database}.customers` }, { match: `${database}.orders` }],
    onMissingTable: 'create',
  })
  await pipeline.reaches('streaming', 120_000)
  const own = (text: string): string =>
    text.replaceAll('shop.', `${database}.`).replaceAll('`shop`', `\`${database}\``)

  const guide = await readFile(new URL('../../../docs/guides/live-changes.md', import.meta.url), 'utf8')
  let output = ''
  let commands = 0
  for (const { language, note, text, follows } of blocksOf(guide)) {
    if (language === 'sql') await pipeline[note as 'source' | 'target'].query(own(text))
    else if (language === 'text' && follows) expectShown(output, own(text))
    else if (language === 'sh') {
      output = ''
      for (const line of text.trim().split('\n')) {
        const [command, ...args] = own(line).split(' ')
        expect(command).toBe('syncline')
        const result = await here.stack.cli(args)
        expect(result.code, `${line}\n${result.stdout}\n${result.stderr}`).toBe(note === 'fails' ? 1 : 0)
        output += result.stdout
        commands++
        await waitFor('the stream', 60_000, async () => {
          const { state, pendingChange } = await pipeline.status()
          return state === 'streaming' && (pendingChange === null || pendingChange.refused !== null)
        })
      }
    }
  }
  expect(commands).toBeGreaterThan(6)
  expect(await pipeline.expectEqual({ exclude: ['returns'] })).toBe(5)
})
