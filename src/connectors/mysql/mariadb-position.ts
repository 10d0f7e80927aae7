/**
 * A position in MariaDB's log: per replication domain, the GTID that was passed last (`0-1-270,7-12-3`, as gtid_slave_pos has it).
 *
 * A domain is one sequence, so a position cannot hold a transaction without all before it, and an XA transaction that is prepared and not
 * committed lies before others that are passed. So a position may name a second place, `;again=0-1-265`: the log is read again from there, only to
 * gather what was prepared. Malformed text throws SYNC-9001: positions come from the server or from what we stored. Holds no resources.
 */
import { SyncError } from '../../core/errors.ts'

interface Passed {
  readonly server: string
  readonly sequence: bigint
}

const gtidPattern = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/
const againMark = ';again='

export class MariadbPosition {
  readonly #domains = new Map<string, Passed>()
  #text: string | undefined

  /** Reads `0-1-270,7-12-3`. Of several in one domain (as a Gtid_list event has them) the greatest holds. */
  static parse(text: string): MariadbPosition {
    const position = new MariadbPosition()
    for (const gtid of text.split(',')) if (gtid.trim() !== '') position.pass(gtid.trim())
    return position
  }

  /** Takes a GTID as passed; one that is behind changes nothing. */
  pass(gtid: string): void {
    const { domain, server, sequence } = parsed(gtid)
    if (this.#sequence(domain) >= sequence) return
    this.#domains.set(domain, { server, sequence })
    this.#text = undefined
  }

  has(gtid: string): boolean {
    const { domain, sequence } = parsed(gtid)
    return this.#sequence(domain) >= sequence
  }

  /** Is everything in `other` passed here? */
  includes(other: MariadbPosition): boolean {
    for (const [domain, { sequence }] of other.#domains) if (this.#sequence(domain) < sequence) return false
    return true
  }

  /** What `other` has passed and this has not, for messages. */
  without(other: MariadbPosition): string {
    return [...this.#domains]
      .filter(([domain, { sequence }]) => other.#sequence(domain) < sequence)
      .map(([domain, { server, sequence }]) => `${domain}-${server}-${sequence}`)
      .join(',')
  }

  toString(): string {
    this.#text ??= [...this.#domains]
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([domain, { server, sequence }]) => `${domain}-${server}-${sequence}`)
      .join(',')
    return this.#text
  }

  #sequence(domain: string): bigint {
    return this.#domains.get(domain)?.sequence ?? 0n
  }
}

function parsed(gtid: string): { domain: string; server: string; sequence: bigint } {
  const match = gtidPattern.exec(gtid)
  if (match === null) throw new SyncError('SYNC-9001', `Malformed GTID: '${gtid}'`)
  return { domain: match[1] as string, server: match[2] as string, sequence: BigInt(match[3] as string) }
}

/** A stored position: what is passed, and from where the log must be read again (the same place, nearly always). */
export interface MariadbToken {
  readonly passed: MariadbPosition
  readonly again: MariadbPosition
}

export function parseMariadbToken(token: string): MariadbToken {
  const at = token.indexOf(againMark)
  const passed = MariadbPosition.parse(at < 0 ? token : token.slice(0, at))
  return { passed, again: at < 0 ? passed : MariadbPosition.parse(token.slice(at + againMark.length)) }
}

export const mariadbToken = (passed: string, again: string | null): string =>
  again === null ? passed : `${passed}${againMark}${again}`
