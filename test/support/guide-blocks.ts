/** The code blocks of a guide, and whether a command showed what the guide says it shows. For tests that run guides as they are written. */
import { expect } from 'vitest'

export interface GuideBlock {
  readonly language: string
  /** What follows the language. */
  readonly note: string
  readonly text: string
  /** Nothing but a line's end stands between it and the block before. */
  readonly follows: boolean
}

export const blocksOf = (markdown: string): GuideBlock[] => {
  let end = -1
  return [...markdown.matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)].map((match) => {
    const follows = match.index === end + 1
    end = match.index + match[0].length
    return { language: match[1] ?? '', note: match[2] ?? '', text: match[3] ?? '', follows }
  })
}

/** Each line that is shown stands in the output, in this order; … stands for anything. */
export function expectShown(output: string, shown: string): void {
  const lines = output.split('\n')
  let at = 0
  for (const line of shown.trimEnd().split('\n')) {
    const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const pattern = new RegExp(`^${parts.join('.*')}\\s*$`)
    const found = lines.findIndex((text, index) => index >= at && pattern.test(text))
    expect(found, `"${line}" is not shown by:\n${output}`).toBeGreaterThanOrEqual(0)
    at = found + 1
  }
}
