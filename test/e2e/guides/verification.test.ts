/**
 * Runs the guide to verification as it is written: its statements at both ends, its commands, and what it says they show. Its schema `shop` is a
 * database of the test's own.
 */
import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { blocksOf, expectShown } from '../../support/guide-blocks.ts'
import { useInstallation } from '../../support/installation.ts'
import { waitFor } from '../../support/stack.ts'

const here = useInstallation({ verifyWorkers: 1 })
const name = 'orders-to-west'

/** What a note behind `sh` says of the command's end. `until`: it is asked again until it shows what follows, whatever it ends with. */
const endings: Readonly<Record<string, number>> = { '': 0, differs: 7 }
const untilMs = 60_000

it('verification', async () => {
  const pipeline = await here.createCase(name)
  const { database } = pipeline
  await pipeline.both(
    'CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40))',
    'CREATE TABLE orders (id INT PRIMARY KEY, customer INT, state VARCHAR(10))',
  )
  await pipeline.source.query(
    `INSERT INTO customers VALUES (1, 'Ada'); INSERT INTO orders VALUES (1, 1, 'new'), (2, 1, 'paid'), (3, 1, 'new')`,
  )
  await pipeline.apply()
  await pipeline.reaches('streaming', 120_000)
  const own = (text: string): string =>
    text.replaceAll('shop.', `${database}.`).replaceAll('`shop`', `\`${database}\``)

  const guide = await readFile(new URL('../../../docs/guides/verification.md', import.meta.url), 'utf8')
  let output = ''
  let commands = 0
  const blocks = [...blocksOf(guide)]
  for (const [index, { language, note, text, follows }] of blocks.entries()) {
    if (language === 'sql') {
      await pipeline[note as 'source' | 'target'].query(own(text))
      // Whoever reads on comes after the stream.
      if (note === 'source') await pipeline.settled()
    } else if (language === 'sh' && note === 'until') {
      const args = own(text.trim()).split(' ').slice(1)
      await waitFor(text, untilMs, async () => {
        output = (await here.stack.cli(args)).stdout
        expectShown(output, own(blocks[index + 1]?.text ?? ''))
        return true
      })
      commands++
    } else if (language === 'text' && follows) expectShown(output, own(text))
    else if (language === 'sh') {
      output = ''
      for (const line of text.trim().split('\n')) {
        const [command, ...args] = own(line).split(' ')
        expect(command).toBe('syncline')
        const result = await here.stack.cli(args)
        expect(result.code, `${line}\n${result.stdout}\n${result.stderr}`).toBe(endings[note])
        output += result.stdout
        commands++
      }
    }
  }
  expect(commands).toBeGreaterThan(6)
  expect(await pipeline.expectEqual()).toBe(4)
})
