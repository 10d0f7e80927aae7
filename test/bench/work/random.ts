/*
 * Random numbers that are the same in every run (mulberry32), and the strings that sysbench writes.
 */

export type Random = {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number
  /** Groups of 11 digits, as in sysbench's columns c (10 groups) and pad (5). */
  digits(groups: number): string
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (below) => Math.floor(next() * below),
    digits: (groups) =>
      Array.from({ length: groups }, () => String(Math.floor(next() * 1e11)).padStart(11, '0')).join('-'),
  }
}
