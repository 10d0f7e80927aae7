/**
 * A set of GTIDs, kept up to date one transaction at a time.
 *
 * Guarantees: exact for every GTID that MySQL allows (numbers 1 to 2^63-2, tags of 8.3+); `toString` is the server's own canonical text
 * without its line breaks; adding the next number of a source costs O(1), filling a gap O(log n + intervals moved).
 * Assumes nothing about order. Malformed text throws SYNC-9001: GTIDs come from the server or from what we stored.
 * Holds no resources; a crash loses only what the caller has not stored.
 */
import { SyncError } from '../../core/errors.ts'

/** A transaction's number: a `number` up to 2^53-1, a `bigint` above, never both for one number. */
type Gno = number | bigint

/** The numbers of one source (UUID, or UUID and tag): intervals, both ends inclusive, ascending, never touching. */
interface Intervals {
  readonly starts: Gno[]
  readonly ends: Gno[]
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const tagPattern = /^[a-z_][a-z0-9_]{0,31}$/
const rangePattern = /^(\d+)(?:\s*-\s*(\d+))?$/
const maxGno = 2n ** 63n - 2n

export class GtidSet {
  /** By `uuid` or `uuid:tag`, in lower case. */
  readonly #sources = new Map<string, Intervals>()
  /** The source of the last GTID added, as the text before its number: most GTIDs in a row come from one source. */
  #lastPrefix = ''
  #lastIntervals: Intervals = { starts: [], ends: [] }
  #text: string | undefined

  /** Reads `uuid:1-5:8,uuid2:tag:3`; white space and overlapping intervals are fine, as for the server. */
  static parse(text: string): GtidSet {
    const set = new GtidSet()
    for (const entry of text.split(',')) {
      const trimmed = entry.trim().toLowerCase()
      if (trimmed !== '') set.#parseEntry(trimmed)
    }
    return set
  }

  #parseEntry(entry: string): void {
    const [uuid, ...items] = entry.split(':').map((part) => part.trim()) as [string, ...string[]]
    if (!uuidPattern.test(uuid)) throw malformed(entry)
    let source = uuid
    let missing = true
    for (const item of items) {
      const range = rangePattern.exec(item)
      if (range !== null) {
        const start = gnoOf(range[1] as string, entry)
        const end = range[2] === undefined ? start : gnoOf(range[2], entry)
        if (end < start) throw malformed(entry)
        addRange(this.#intervals(source), start, end)
        missing = false
      } else {
        if (!tagPattern.test(item) || (missing && source !== uuid)) throw malformed(entry)
        source = `${uuid}:${item}`
        missing = true
      }
    }
    if (missing) throw malformed(entry)
    this.#text = undefined
  }

  /** Adds one GTID (`uuid:5`, `uuid:tag:5`), or several separated by commas. */
  add(gtid: string): void {
    const prefix = this.#lastPrefix
    if (prefix !== '' && gtid.startsWith(prefix)) {
      const gno = digitsAfter(gtid, prefix.length)
      if (gno > 0) {
        addOne(this.#lastIntervals, gno)
        this.#text = undefined
        return
      }
    }
    for (const one of gtid.split(',')) {
      const at = one.lastIndexOf(':') + 1
      this.#parseEntry(one.trim().toLowerCase())
      const digits = digitsAfter(one, at)
      if (digits > 0 && one === gtid) {
        this.#lastPrefix = one.slice(0, at)
        this.#lastIntervals = this.#intervals(this.#lastPrefix.slice(0, -1).toLowerCase())
      }
    }
  }

  /** Is this GTID in the set? With several, separated by commas: are all of them? */
  has(gtid: string): boolean {
    return this.includes(GtidSet.parse(gtid))
  }

  /** Is every GTID of `other` in this set? */
  includes(other: GtidSet): boolean {
    for (const [source, theirs] of other.#sources) {
      const ours = this.#sources.get(source)
      if (ours === undefined) return false
      for (let i = 0; i < theirs.starts.length; i++) {
        const start = theirs.starts[i] as Gno
        const at = lastStartAtOrBefore(ours, start)
        if (at < 0 || (ours.ends[at] as Gno) < (theirs.ends[i] as Gno)) return false
      }
    }
    return true
  }

  /** Takes every GTID of `other` into this set. */
  addSet(other: GtidSet): void {
    for (const [source, theirs] of other.#sources) {
      const ours = this.#intervals(source)
      for (let i = 0; i < theirs.starts.length; i++) {
        addRange(ours, theirs.starts[i] as Gno, theirs.ends[i] as Gno)
      }
    }
    this.#text = undefined
  }

  union(other: GtidSet): GtidSet {
    const set = new GtidSet()
    set.addSet(this)
    set.addSet(other)
    return set
  }

  equals(other: GtidSet): boolean {
    return this.toString() === other.toString()
  }

  get isEmpty(): boolean {
    return this.#sources.size === 0
  }

  /** The server's canonical text: UUIDs ascending, per UUID the untagged numbers first, then tags ascending. */
  toString(): string {
    this.#text ??= this.#format()
    return this.#text
  }

  #format(): string {
    let text = ''
    let block = ''
    for (const [source, intervals] of this.#sorted()) {
      const uuid = source.slice(0, 36)
      if (uuid === block) text += source.slice(36)
      else text += text === '' ? source : `,${source}`
      block = uuid
      for (let i = 0; i < intervals.starts.length; i++) {
        const start = intervals.starts[i] as Gno
        const end = intervals.ends[i] as Gno
        text += start === end ? `:${start}` : `:${start}-${end}`
      }
    }
    return text
  }

  /**
   * The set in the form of COM_BINLOG_DUMP_GTID. Sets without tags have the form that all servers know; with a tag anywhere,
   * the count carries format 1 in its first and last byte and every source carries its tag (length * 2, then the letters), which
   * only 8.3+ reads (tried on 9.7).
   */
  encode(): Buffer {
    const sources = this.#sorted()
    const tagged = sources.some(([source]) => source.length > 36)
    let bytes = 8
    for (const [source, { starts }] of sources) {
      bytes += 16 + (tagged ? 1 + Math.max(0, source.length - 37) : 0) + 8 + 16 * starts.length
    }
    const out = Buffer.alloc(bytes)
    const count = BigInt(sources.length)
    let at = out.writeBigUInt64LE(tagged ? (1n << 56n) | (count << 8n) | 1n : count, 0)
    for (const [source, { starts, ends }] of sources) {
      at += out.write(source.slice(0, 36).replaceAll('-', ''), at, 'hex')
      if (tagged) {
        const tag = source.slice(37)
        at = out.writeUInt8(tag.length * 2, at)
        at += out.write(tag, at, 'latin1')
      }
      at = out.writeBigUInt64LE(BigInt(starts.length), at)
      for (let i = 0; i < starts.length; i++) {
        at = out.writeBigUInt64LE(BigInt(starts[i] as Gno), at)
        at = out.writeBigUInt64LE(BigInt(ends[i] as Gno) + 1n, at)
      }
    }
    return out
  }

  #sorted(): [string, Intervals][] {
    // ':' sorts after the hex digits and '-', and no UUID is a prefix of another, so plain order puts 'uuid' before 'uuid:tag'.
    return [...this.#sources].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  #intervals(source: string): Intervals {
    let intervals = this.#sources.get(source)
    if (intervals === undefined) {
      intervals = { starts: [], ends: [] }
      this.#sources.set(source, intervals)
    }
    return intervals
  }
}

const malformed = (text: string): SyncError => new SyncError('SYNC-9001', `Malformed GTID set: '${text}'`)

function gnoOf(digits: string, entry: string): Gno {
  const value = BigInt(digits)
  if (value < 1n || value > maxGno) throw malformed(entry)
  return normal(value)
}

const normal = (value: bigint): Gno => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value)

/** The number in `text` from `at` to its end, or 0 when it is not one that fits 15 digits. */
function digitsAfter(text: string, at: number): number {
  const length = text.length
  if (length === at || length - at > 15) return 0
  let value = 0
  for (let i = at; i < length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return 0
    value = value * 10 + digit
  }
  return value
}

const successor = (gno: Gno): Gno =>
  typeof gno === 'number' && gno < Number.MAX_SAFE_INTEGER ? gno + 1 : normal(BigInt(gno) + 1n)

/** Index of the last interval that starts at or before `gno`, or -1. */
function lastStartAtOrBefore({ starts }: Intervals, gno: Gno): number {
  let low = 0
  let high = starts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((starts[middle] as Gno) <= gno) low = middle + 1
    else high = middle
  }
  return low - 1
}

function addOne(intervals: Intervals, gno: Gno): void {
  const last = intervals.ends.length - 1
  if (last >= 0 && gno === successor(intervals.ends[last] as Gno)) intervals.ends[last] = gno
  else addRange(intervals, gno, gno)
}

function addRange(intervals: Intervals, start: Gno, end: Gno): void {
  const { starts, ends } = intervals
  // The first interval that the new one touches: it ends at start-1 or later.
  let first = lastStartAtOrBefore(intervals, start)
  if (first < 0 || successor(ends[first] as Gno) < start) first++
  // The first interval after it that the new one does not touch: it starts at end+2 or later.
  const after = lastStartAtOrBefore(intervals, successor(end)) + 1
  if (first >= after) {
    starts.splice(first, 0, start)
    ends.splice(first, 0, end)
    return
  }
  const low = starts[first] as Gno
  const high = ends[after - 1] as Gno
  starts.splice(first, after - first, low < start ? low : start)
  ends.splice(first, after - first, high > end ? high : end)
}
