/**
 * Patterns over `schema.table`, where `*` stands for any run of characters, the dot included. Pure.
 */

/** Does the pattern match this name, or every name that this other pattern matches? */
export function patternCovers(pattern: string, name: string): boolean {
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')
  return new RegExp(`^${source}$`, 's').test(name)
}

/** Is there a name that both patterns match? */
export function patternsMeet(a: string, b: string): boolean {
  // reachable[j]: the part of `a` read so far and the first j characters of `b` can stand for the same run of characters.
  let reachable = Array.from({ length: b.length + 1 }, (_, j) => /^\**$/.test(b.slice(0, j)))
  for (const letter of a) {
    const next: boolean[] = [letter === '*' && reachable[0] === true]
    for (let j = 1; j <= b.length; j++) {
      const other = b[j - 1]
      next[j] =
        letter === '*' || other === '*'
          ? reachable[j] === true || next[j - 1] === true
          : letter === other && reachable[j - 1] === true
    }
    reachable = next
  }
  return reachable[b.length] === true
}
