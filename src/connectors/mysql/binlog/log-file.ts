/*
 * Which log file is being read, how far, and whether its events carry checksums.
 * Guarantees: offsets of 64 bits, although event headers have 32 (files may grow past 4 GiB by one large transaction); each event's checksum
 * is verified by the algorithm that its own file names, whatever the server's present setting.
 */
import { SyncError } from '../../../core/errors.ts'
import { type Product, productOf } from '../flavour.ts'
import { type Bytes, FieldReader, malformedEvent, u16, u32, u64, viewOf } from './bytes.ts'
import { crc32 } from './crc32.ts'
import { checksumBytes, eventFlag, eventName, eventType, header } from './event-types.ts'

const wrap = 2 ** 32
const fileNumberPattern = /^[^\0]*\.(\d+)$/

/** What the format description must say of events whose bodies are read by fixed offsets: number of type, bytes of post-header. */
const expectedPostHeaders: readonly (readonly [type: number, bytes: number])[] = [
  [eventType.query, 13],
  [eventType.tableMap, 8],
  [eventType.writeRowsV1, 8],
  [eventType.updateRowsV1, 8],
  [eventType.deleteRowsV1, 8],
  [eventType.writeRows, 10],
  [eventType.updateRows, 10],
  [eventType.deleteRows, 10],
  [eventType.gtid, 42],
]

export class LogFile {
  /** Numeric suffix of the file's name; 0 before the first rotation. */
  file = 0
  /** End of what was read. */
  offset = 0
  /** End of what stands before the event in hand. */
  eventStart = 0
  /** Who wrote the file. */
  product: Product = 'mysql'
  #hasChecksums = false
  /** Nothing but a rotation may come before the first format description. */
  #isDescribed = false

  /** End of an event's body, after its checksum has been verified. `view` is over the same bytes. */
  bodyEnd(b: Bytes, view: DataView, start: number, end: number, type: number): number {
    if (type === eventType.formatDescription) return this.#formatDescription(b, start, end)
    if (type === eventType.rotate && (u16(b, start + header.flags) & eventFlag.artificial) !== 0) {
      return this.#madeUpRotation(b, view, start, end)
    }
    if (!this.#isDescribed) throw this.damaged(type)
    if (!this.#hasChecksums) return end
    const bodyEnd = end - checksumBytes
    if (crc32(b, view, start, bodyEnd) !== view.getUint32(bodyEnd, true)) throw this.damaged(type)
    return bodyEnd
  }

  /** Takes the event's place in the log; its body ends at `bodyEnd`. */
  take(b: Bytes, start: number, bodyEnd: number, type: number): void {
    this.eventStart = this.offset
    if (type === eventType.rotate) this.#rotate(b, start, bodyEnd)
    else if (type === eventType.heartbeatV2) this.#heartbeatV2(b, start, bodyEnd)
    else if (type === eventType.heartbeat) {
      // Its header tells how far the server has read; with 32 bits, so behind us means that it says nothing, not that 4 GiB have passed.
      const position = this.offset - (this.offset % wrap) + u32(b, start + header.nextPosition)
      this.offset = Math.max(this.offset, position)
    } else if ((u16(b, start + header.flags) & eventFlag.artificial) === 0) {
      this.#advanceTo(u32(b, start + header.nextPosition))
    }
  }

  #advanceTo(low: number): void {
    if (low === 0) return
    const position = this.offset - (this.offset % wrap) + low
    this.offset = position < this.offset ? position + wrap : position
  }

  #rotate(b: Bytes, start: number, end: number): void {
    const fields = new FieldReader(b, start + header.bytes, end)
    this.offset = u64(b, fields.take(8))
    this.#name(fields.utf8(fields.left))
  }

  #heartbeatV2(b: Bytes, start: number, end: number): void {
    const fields = new FieldReader(b, start + header.bytes, end)
    for (;;) {
      const type = fields.lenenc()
      if (type === 0 || fields.left === 0) return
      const field = fields.sub(fields.lenenc())
      if (type === 1) this.#name(field.utf8(field.left))
      else if (type === 2) this.offset = Math.max(this.offset, field.lenenc())
    }
  }

  #name(name: string): void {
    const number = fileNumberPattern.exec(name)?.[1]
    if (number === undefined) throw malformedEvent(`a log file with the name ${JSON.stringify(name)}`)
    this.file = Number(number)
  }

  /** It is written for the reader, with or without a checksum as the file before had it, so look which. */
  #madeUpRotation(b: Bytes, view: DataView, start: number, end: number): number {
    const bodyEnd = end - checksumBytes
    if (crc32(b, view, start, bodyEnd) === u32(b, bodyEnd)) return bodyEnd
    const name = b.toString('utf8', start + header.bytes + 8, end)
    if (!fileNumberPattern.test(name)) throw this.damaged(eventType.rotate)
    return end
  }

  #formatDescription(b: Bytes, start: number, end: number): number {
    // It has a checksum whatever it says of the others. The flag that the file is open is set and cleared in place, so that leaves it out.
    const event = Buffer.from(b.subarray(start, end))
    event[header.flags] = (event[header.flags] as number) & ~eventFlag.inUse
    const bodyEnd = event.length - checksumBytes
    if (crc32(event, viewOf(event), 0, bodyEnd) !== u32(event, bodyEnd)) {
      throw this.damaged(eventType.formatDescription)
    }
    const fields = new FieldReader(event, header.bytes, bodyEnd - 1)
    const version = fields.u16()
    const server = fields.latin1(50).replace(/\0.*$/, '')
    this.product = productOf(server)
    fields.take(4)
    const headerBytes = fields.u8()
    if (version !== 4 || headerBytes !== header.bytes) {
      throw new SyncError('SYNC-2206', `The log of ${server} has the format ${version}, which is not known`)
    }
    const postHeaders = fields.at - 1
    for (const [type, bytes] of expectedPostHeaders) {
      const said = type <= fields.left ? event[postHeaders + type] : bytes
      // 0: this server does not write such events (9.x has given up those of 5.1).
      if (said !== bytes && said !== 0) {
        throw new SyncError(
          'SYNC-2206',
          `The log of ${server} has ${eventName(type)} in a form that is not known`,
        )
      }
    }
    const algorithm = event[bodyEnd - 1] as number
    if (algorithm > 1)
      throw new SyncError('SYNC-2206', `The log of ${server} has checksums of kind ${algorithm}`)
    this.#hasChecksums = algorithm === 1
    this.#isDescribed = true
    return end - checksumBytes
  }

  /** What the event says cannot be trusted, so what it is does not matter: the stream is read again. */
  damaged(type: number): SyncError {
    return new SyncError(
      'SYNC-2207',
      `${eventName(type)} after offset ${this.offset} of log file ${this.file} is damaged: its checksum or length is wrong`,
    )
  }
}
