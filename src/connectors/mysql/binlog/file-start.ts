/*
 * When a log file was begun: the time in the header of its format description, which no statement tells.
 * Asks for the file by name, reads its first events and hangs up. The connection is of no use afterwards and is always closed.
 */
import { once } from 'node:events'
import { SyncError } from '../../../core/errors.ts'
import { u16, u32 } from './bytes.ts'
import type { BinlogConnection } from './dump-connection.ts'
import { newReplicaUuid } from './dump-requests.ts'
import { eventType, header } from './event-types.ts'
import { PacketReader } from './packet-reader.ts'
import { sourceError } from './server-errors.ts'

const binlogDump = 0x12
/** End with the log instead of waiting for more. */
const nonBlock = 1
const firstEvent = 4
const withinMs = 10_000
/** Readers that are no replicas; one that has the same number would only be dropped by a server that knows no UUIDs. */
const readerId = 0x7fff_fffe

/** @returns seconds since 1970 by the source's clock. @throws SyncError of the source */
export async function readFileStart(connect: () => Promise<BinlogConnection>, file: string): Promise<number> {
  const connection = await connect()
  try {
    // Its own UUID: the server ends an older reader that has the same one.
    const uuid = newReplicaUuid()
    await connection.query(
      `SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', @slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`,
      { maxMs: withinMs },
    )
    const socket = connection.detach()
    try {
      socket.write(dumpPacket(file))
      const packets = new PacketReader()
      const signal = AbortSignal.timeout(withinMs)
      for (;;) {
        const [chunk] = (await once(socket.resume(), 'data', { signal })) as [Buffer]
        packets.push(chunk)
        while (packets.next()) {
          const { bytes, start } = packets
          if (bytes[start] === 0xff)
            throw sourceError(
              u16(bytes, start + 1),
              bytes.toString('latin1', start + 4, start + 9),
              bytes.toString('utf8', start + 9, packets.end),
            )
          if (bytes[start] !== 0)
            throw new SyncError('SYNC-2101', `The source does not show log file ${file}`)
          // In front of it stands a rotation that is made up for the reader, without a time.
          if (bytes[start + 1 + header.type] !== eventType.formatDescription) continue
          return u32(bytes, start + 1 + header.timestamp)
        }
      }
    } finally {
      socket.on('error', () => {})
      socket.destroy()
    }
  } catch (error) {
    if (error instanceof SyncError) throw error
    throw new SyncError('SYNC-2101', `Log file ${file} cannot be looked at: ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    connection.destroy()
  }
}

function dumpPacket(file: string): Buffer {
  const body = Buffer.alloc(1 + 4 + 2 + 4)
  let at = body.writeUInt8(binlogDump, 0)
  at = body.writeUInt32LE(firstEvent, at)
  at = body.writeUInt16LE(nonBlock, at)
  body.writeUInt32LE(readerId, at)
  const packet = Buffer.concat([body, Buffer.from(file, 'utf8')])
  const frame = Buffer.alloc(4)
  frame.writeUIntLE(packet.length, 0, 3)
  return Buffer.concat([frame, packet])
}
