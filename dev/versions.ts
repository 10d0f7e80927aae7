/*
 * Versions and settings of the servers that demo, tests and benchmarks run against, in one place.
 * docker-compose.yml names the same ones, and a unit test compares the two flag by flag.
 * MySQL without Docker is whatever release Debian's unstable suite carries, since Debian keeps one only; it is
 * shown at every start, and `mysqlSeries` is the release series that Docker users get.
 */
export const temporalCliVersion = 'v1.5.1'
export const temporalModule = 'github.com/temporalio/cli/cmd/temporal'
export const temporalImage = 'temporalio/temporal:1.5.1'
export const temporalNamespace = 'default'

/** Custom search attributes that workflows set; a server without them refuses to start those workflows. */
export const searchAttributes: Readonly<Record<string, string>> = {
  SyncPhase: 'Keyword',
  SyncPipeline: 'Keyword',
  SyncSource: 'Keyword',
  SyncTarget: 'Keyword',
}

export const mysqlSeries = '9.7'
export const mysqlImage = `mysql:${mysqlSeries}`
export const mysqlPackages = ['mysql-server-core', 'mysql-client-core'] as const

/** The series of Debian 12. */
export const mariadbSeries = '10.11'
export const mariadbPackages = ['mariadb-server-core'] as const

/** What a MariaDB source needs beside its defaults: rows with the names of their columns. */
export const mariadbServerFlags: readonly string[] = [
  '--log-bin=binlog',
  '--log-slave-updates=ON',
  '--gtid-strict-mode=ON',
  '--binlog-format=ROW',
  '--binlog-row-image=FULL',
  '--binlog-row-metadata=FULL',
  '--max-allowed-packet=64M',
  '--innodb-buffer-pool-size=64M',
  '--max-connections=500',
  '--local-infile=ON',
]

/** What every MySQL site runs with, in Docker too. Row metadata FULL carries column names and signedness. */
export const mysqlServerFlags: readonly string[] = [
  '--log-bin=binlog',
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--binlog-row-image=FULL',
  '--binlog-row-metadata=FULL',
  '--max-allowed-packet=64M',
  '--innodb-buffer-pool-size=128M',
  '--max-connections=500',
  '--local-infile=ON',
  '--secure-file-priv=NULL',
  '--mysqlx=OFF',
]

/**
 * For servers whose data is thrown away after a test: no fsync per commit. A killed server loses nothing by it,
 * because the kernel has the written pages; only a crash of the whole machine would. Benchmarks must not use it.
 */
export const throwawayFlags: readonly string[] = ['--innodb-flush-log-at-trx-commit=2', '--sync-binlog=0']

/** The server ids of the two sites that demo, docker-compose.yml and `npm run dev:servers` start. */
export const siteServerIds = { source: 1, target: 2 } as const

/** Ports on the host for Docker users. Without Docker every port is a free one. */
export const composePorts = {
  source: 3316,
  target: 3317,
  temporal: 7233,
  temporalUi: 8233,
  api: 7400,
} as const
