/*
 * What a person sees of the demo: one line for each thing that is done, and below them one live line, drawn again and again.
 *
 * Off a terminal there is nothing to draw over: the live line is then said every few seconds. Colours only where they are wanted (NO_COLOR).
 */
import { styleText } from 'node:util'

export type Screen = {
  /** A heading or a remark, as it stands. */
  say(text: string): void
  /** Something is done: what, in a few words, and how long it took. */
  done(what: string, words: string, tookMs?: number): void
  /** More words to the line above. */
  more(words: string): void
  /** Something is broken on purpose. */
  hit(what: string, words: string): void
  failed(what: string, words: string): void
  /** Replaces the live line; empty text removes it. */
  live(text: string): void
}

const quietMs = 10_000
const nameWidth = 18

export function createScreen(out: NodeJS.WriteStream = process.stdout): Screen {
  const isTerminal = out.isTTY
  let shown = ''
  let saidAtMs = Number.NEGATIVE_INFINITY
  const paint = (style: 'green' | 'red' | 'yellow' | 'dim', text: string): string =>
    styleText(style, text, { stream: out })

  const clear = (): void => {
    if (isTerminal && shown !== '') out.write('\r\u001b[2K')
    shown = ''
  }
  const line = (text: string): void => {
    const again = shown
    clear()
    out.write(`${text}\n`)
    if (isTerminal && again !== '') {
      out.write(again)
      shown = again
    }
  }
  const row = (mark: string, what: string, words: string, end = ''): void =>
    line(`  ${mark} ${what.padEnd(nameWidth)}${words}${end}`)

  return {
    say: line,
    done: (what, words, tookMs) =>
      row(
        paint('green', 'ok'),
        what,
        words,
        tookMs === undefined ? '' : paint('dim', `  (${secondsText(tookMs)})`),
      ),
    more: (words) => line(`${' '.repeat(nameWidth + 5)}${words}`),
    hit: (what, words) => row(paint('yellow', '!!'), what, words),
    failed: (what, words) => row(paint('red', 'XX'), what, words),
    live(text) {
      if (!isTerminal) {
        if (text === '' || text === shown || performance.now() - saidAtMs < quietMs) return
        saidAtMs = performance.now()
        shown = text
        out.write(`     ${text}\n`)
        return
      }
      clear()
      if (text === '') return
      // A line that wraps could not be drawn over.
      shown = `     ${text}`.slice(0, Math.max(20, (out.columns ?? 80) - 1))
      out.write(shown)
    },
  }
}

export const secondsText = (ms: number): string =>
  ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`
