/** docs/operations/blocked.md has a section for every code by which a pipeline can stand still, and for no other. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { catalogue, type ErrorCode } from '../../../src/core/errors.ts'

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const guide = read('docs/operations/blocked.md')
const sections = new Map(
  [...guide.matchAll(/^### (SYNC-\d{4})\n([\s\S]*?)(?=^##|$(?![\s\S]))/gm)].map(([, code, text]) => [
    code as string,
    (text ?? '').trim(),
  ]),
)
// A quarrel about a pipeline and a violated invariant end in `blocked` too.
const blocks = (Object.keys(catalogue) as ErrorCode[]).filter(
  (code) => catalogue[code].disposition === 'block' || code === 'SYNC-4002' || code === 'SYNC-9001',
)

describe('the guide to blocked pipelines', () => {
  it.each(blocks)('says what %s means and what to do', (code) => {
    expect(sections.get(code)?.length ?? 0).toBeGreaterThan(15)
  })

  it('has no section for anything else', () => {
    expect([...sections.keys()].toSorted()).toEqual([...blocks].toSorted())
  })

  it('is linked to where it stands', () => {
    for (const file of ['docs/guides/first-pipeline.md', 'docs/guides/schema-changes.md']) {
      for (const [, anchor] of read(file).matchAll(/blocked\.md#(sync-\d{4})/g)) {
        expect(sections.has((anchor as string).toUpperCase()), anchor).toBe(true)
      }
    }
  })
})
