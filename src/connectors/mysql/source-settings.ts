/**
 * The server variables that make a source's log complete, by product, and the statements that mend them. Pure.
 *
 * MariaDB keeps no variable beyond a restart by itself (no SET PERSIST), so there the remedy names the server's configuration file as well.
 */
import { isAtLeast, type Product } from './flavour.ts'

/** A variable that must have one value, and what makes it so. */
export interface RequiredSetting {
  readonly name: string
  readonly value: string
  readonly why: string
  readonly remedy: string
  /** What goes on being right without it is only said. */
  readonly warning?: 'SYNC-2221'
}

export interface SourceSettings {
  readonly required: readonly RequiredSetting[]
  /** A statement that sets a variable for good, as far as that can be done. */
  set(name: string, value: string): string
  /** A statement that needs the privilege to read the log, and changes nothing; null: there is none. */
  logTrial(version: string): string | null
  /** A statement with a row for each source that the server replicates. */
  replicaStatus(version: string): string
}

const persist = (name: string, value: string): string => `SET PERSIST ${name} = ${value};`
const setGlobal = (name: string, value: string): string =>
  `SET GLOBAL ${name} = ${value}; and put it into the server's configuration file`
const reconnect = (statement: string): string =>
  `${statement.replace(/;$/, '')}; then reconnect the application.`

const rows = (set: (name: string, value: string) => string): readonly RequiredSetting[] => [
  {
    name: 'binlog_format',
    value: 'ROW',
    why: 'statements instead of rows are logged',
    remedy: reconnect(set('binlog_format', "'ROW'")),
  },
  {
    name: 'binlog_row_image',
    value: 'FULL',
    why: 'rows are logged in part',
    remedy: reconnect(set('binlog_row_image', "'FULL'")),
  },
  {
    name: 'binlog_row_metadata',
    value: 'FULL',
    why: 'names and character sets of columns are not logged',
    remedy: set('binlog_row_metadata', "'FULL'"),
  },
]

export const sourceSettings: Readonly<Record<Product, SourceSettings>> = {
  mysql: {
    required: [
      ...rows(persist),
      {
        name: 'binlog_row_value_options',
        value: '',
        why: 'changes inside JSON documents are logged in part',
        remedy: reconnect(persist('binlog_row_value_options', "''")),
      },
      {
        name: 'enforce_gtid_consistency',
        value: 'ON',
        why: 'transactions without a GTID are possible',
        remedy: persist('enforce_gtid_consistency', 'ON'),
      },
      {
        name: 'gtid_mode',
        value: 'ON',
        why: 'transactions have no GTID, so no position survives',
        remedy:
          'SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; wait until the status Ongoing_anonymous_transaction_count is 0; SET PERSIST gtid_mode = ON;',
      },
    ],
    set: persist,
    logTrial: (version) => (isAtLeast(version, '8.0.22') ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS'),
    replicaStatus: (version) => (isAtLeast(version, '8.0.22') ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS'),
  },
  mariadb: {
    required: [
      ...rows(setGlobal),
      {
        name: 'gtid_strict_mode',
        value: 'ON',
        why: 'its GTIDs may come in an order in which one cannot be told from those that were passed',
        remedy: setGlobal('gtid_strict_mode', 'ON'),
        warning: 'SYNC-2221',
      },
      {
        name: 'encrypt_binlog',
        value: 'OFF',
        why: 'encrypted log files are not read',
        remedy:
          'Start the server with --encrypt-binlog=OFF, or read from a replica that does not encrypt its log.',
      },
    ],
    set: setGlobal,
    // What lists the readers of the log takes a privilege of its own here; whoever may not read the log is told when it is read.
    logTrial: () => null,
    replicaStatus: () => 'SHOW ALL SLAVES STATUS',
  },
}
