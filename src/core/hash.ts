/**
 * A hash of text that never changes: not with the process, the platform or the version of the runtime.
 *
 * It decides which lane writes which rows, names the shape of a plan, and divides tables over shards: all must come out the same after a crash on
 * another machine. Changing this function means raising PLAN_VERSION in plan.ts, and cannot be done to the division into shards. Not for secrets: it is easily reversed.
 */

/** FNV-1a over the text's UTF-16 units, with a final mix, so that `% lanes` sees all bits. 32 bits, unsigned. */
export function textHash(text: string, seed = 0): number {
  let h = (0x811c9dc5 ^ seed) | 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** 64 bits as 16 hexadecimal digits: two hashes of one text with different seeds. */
export const textDigest = (text: string): string =>
  textHash(text, 0x51ed270b).toString(16).padStart(8, '0') +
  textHash(text, 0x2545f491).toString(16).padStart(8, '0')
