/*
 * How a reader introduces itself to a source and asks for its log, from a position on: as a replica does, of either product.
 * Files and offsets are never named (the commands have 32 bits for an offset, and files may be larger): the server finds the place by GTIDs.
 */
import { randomUUID } from 'node:crypto'
import type { Position } from '../../../core/position.ts'
import { type Product, productOf } from '../flavour.ts'
import { GtidSet } from '../gtid-set.ts'
import { parseMariadbToken } from '../mariadb-position.ts'
import type { DumpRequest } from './dump-connection.ts'

export interface Reader {
  readonly serverId: number
  /** Names the reader; a second one with the same UUID ends the first. */
  readonly uuid: string
  readonly heartbeatMs: number
}

export const newReplicaUuid = (): string => randomUUID()

export const dumpRequest = (version: string, from: Position, reader: Reader): DumpRequest =>
  requests[productOf(version)](from, reader)

const requests: Readonly<Record<Product, (from: Position, reader: Reader) => DumpRequest>> = {
  mysql(from, { serverId, uuid, heartbeatMs }) {
    const periodNs = Math.round(heartbeatMs * 1e6)
    return {
      // Both names of each: servers before 8.0.26 know the older one.
      setUp:
        `SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', ` +
        `@master_heartbeat_period = ${periodNs}, @source_heartbeat_period = ${periodNs}, ` +
        `@slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`,
      command: dumpByGtid(serverId, GtidSet.parse(from.token).encode()),
    }
  },
  mariadb(from, { serverId, heartbeatMs }) {
    const { again } = parseMariadbToken(from.token)
    return {
      // Capability 4: knows GTID events (MARIA_SLAVE_CAPABILITY_GTID). Strict: a position that the log does not have is an error.
      setUp:
        `SET @master_binlog_checksum = 'CRC32', @master_heartbeat_period = ${Math.round(heartbeatMs * 1e6)}, ` +
        `@mariadb_slave_capability = 4, @slave_connect_state = '${again.toString()}', ` +
        '@slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0',
      command: dump(serverId),
    }
  },
}

/** Heartbeats with positions of 64 bits (8.0.26+; older servers pass over the flag). */
const useHeartbeatV2 = 2

/** COM_BINLOG_DUMP_GTID */
function dumpByGtid(serverId: number, set: Buffer): Buffer {
  const body = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4)
  let at = body.writeUInt8(0x1e, 0)
  at = body.writeUInt16LE(useHeartbeatV2, at)
  at = body.writeUInt32LE(serverId, at)
  at = body.writeUInt32LE(0, at) // no file name
  at = body.writeBigUInt64LE(4n, at)
  body.writeUInt32LE(set.length, at)
  return Buffer.concat([body, set])
}

/** COM_BINLOG_DUMP; the place comes from @slave_connect_state. */
function dump(serverId: number): Buffer {
  const body = Buffer.alloc(1 + 4 + 2 + 4)
  let at = body.writeUInt8(0x12, 0)
  at = body.writeUInt32LE(4, at)
  at = body.writeUInt16LE(0, at)
  body.writeUInt32LE(serverId, at)
  return body
}
