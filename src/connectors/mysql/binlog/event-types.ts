/*
 * The numbers of MySQL's and MariaDB's binlog events and of their header, as the server writes them.
 * Source: the server's own list of events (mysql::binlog::event::Log_event_type) and the manual of `mysqlbinlog`; tried on 9.7 and MariaDB 10.11.
 */
export const eventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  appendBlock: 9,
  deleteFile: 11,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  // MariaDB's own (its sql/log_event.h); the numbers below 34 it shares with MySQL.
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  writeRowsCompressedV1: 166,
  updateRowsCompressedV1: 167,
  deleteRowsCompressedV1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
} as const

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(eventType).map(([name, number]) => [
    number,
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
  ]),
)

/** For messages: the event's name, with its number. */
export const eventName = (type: number): string => `${names.get(type) ?? 'event'} (type ${type})`

/** Offsets in the header that every event begins with. */
export const header = {
  timestamp: 0,
  type: 4,
  serverId: 5,
  size: 9,
  nextPosition: 13,
  flags: 17,
  bytes: 19,
} as const

export const eventFlag = {
  /** On the format description of a file that is still written; not part of what the checksum covers. */
  inUse: 0x01,
  /** Made up for this connection; it stands in no file. */
  artificial: 0x20,
  /** A reader that does not know the event may leave it out. */
  ignorable: 0x80,
} as const

export const checksumBytes = 4
