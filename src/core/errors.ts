/**
 * Every error that Syncline tells anybody, in one table. A code never changes its meaning.
 *
 * Dispositions: `retry` (the engine tries again by itself), `block` (the pipeline waits for a person, with the remedy), `reject` (the
 * request or file is refused, nothing was changed), `fenced` (a newer owner is there: end quietly), `bug`.
 * Codes: 1xxx configuration and requests, 2xxx source, 3xxx target, 4xxx ownership and runtime, 5xxx verification and repair, 9xxx ourselves.
 * The reference, the API's codes and the retry policies are generated from here.
 */
export type Disposition = 'retry' | 'block' | 'reject' | 'fenced' | 'bug'
export type ErrorScope = 'config' | 'api' | 'source' | 'target' | 'runtime'

export interface ErrorSpec {
  readonly disposition: Disposition
  readonly scope: ErrorScope
  readonly title: string
  readonly remedy: string
}

export const catalogue = {
  // configuration and requests
  'SYNC-1001': {
    disposition: 'reject',
    scope: 'config',
    title: 'The file is not YAML',
    remedy: 'Mend the file at the line and column shown.',
  },
  'SYNC-1002': {
    disposition: 'reject',
    scope: 'config',
    title: 'The file does not follow the schema',
    remedy: 'Mend the field shown; schema/syncline.json lists what is allowed.',
  },
  'SYNC-1003': {
    disposition: 'reject',
    scope: 'config',
    title: 'Fields contradict each other',
    remedy: 'Change one of the fields named.',
  },
  'SYNC-1004': {
    disposition: 'reject',
    scope: 'config',
    title: 'A secret stands in the file',
    remedy: 'Put a reference there: ${env:NAME} or ${file:/path}.',
  },
  'SYNC-1005': {
    disposition: 'block',
    scope: 'config',
    title: 'A secret reference cannot be resolved',
    remedy: 'Set the environment variable or the file on the host of the worker, then resume.',
  },
  'SYNC-1006': {
    disposition: 'reject',
    scope: 'config',
    title: 'The row filter cannot be understood',
    remedy: 'Use comparisons of columns with literals, IN, IS NULL, AND, OR, NOT and parentheses.',
  },
  'SYNC-1101': {
    disposition: 'reject',
    scope: 'api',
    title: 'No such resource',
    remedy: 'List the resources and check the name.',
  },
  'SYNC-1102': {
    disposition: 'reject',
    scope: 'api',
    title: 'The request does not follow the schema',
    remedy: 'See /v1/openapi.json for this operation.',
  },
  'SYNC-1103': {
    disposition: 'reject',
    scope: 'api',
    title: 'The resource has changed meanwhile',
    remedy: 'Read it again and repeat the change with its new ETag.',
  },
  'SYNC-1104': {
    disposition: 'reject',
    scope: 'api',
    title: 'The action does not fit the state',
    remedy: 'See the state with `syncline describe pipeline NAME`.',
  },
  'SYNC-1105': {
    disposition: 'reject',
    scope: 'api',
    title: 'The resource is in use',
    remedy: 'Delete what uses it first.',
  },
  'SYNC-1106': {
    disposition: 'retry',
    scope: 'api',
    title: 'Temporal cannot be reached',
    remedy: 'Start Temporal, or check its address; running streams go on meanwhile.',
  },
  'SYNC-1107': {
    disposition: 'retry',
    scope: 'api',
    title: 'The API cannot be reached',
    remedy: 'Start `syncline server`, or check --server.',
  },
  'SYNC-1108': {
    disposition: 'retry',
    scope: 'api',
    title: 'No worker answers',
    remedy: 'Start `syncline worker --role control`, then repeat the request.',
  },
  'SYNC-1109': {
    disposition: 'reject',
    scope: 'api',
    title: 'The request comes from a page of another site',
    remedy: 'Call the API from a program, or from its own pages.',
  },
  'SYNC-1110': {
    disposition: 'reject',
    scope: 'api',
    title: 'The table cannot be added so',
    remedy:
      'See the rules with `syncline get pipelines NAME -o yaml`; a table that is there needs no adding.',
  },
  'SYNC-1111': {
    disposition: 'reject',
    scope: 'api',
    title: 'The table is not in the pipeline',
    remedy: 'See the rules with `syncline get pipelines NAME -o yaml`.',
  },
  'SYNC-1112': {
    disposition: 'reject',
    scope: 'api',
    title: 'The pipeline would have no table left',
    remedy: 'Stop or delete the pipeline instead.',
  },
  'SYNC-1115': {
    disposition: 'reject',
    scope: 'api',
    title: 'The number of shards cannot change once rows were written',
    remedy:
      'Keep spec.shards as it is, or delete the pipeline and create it anew: it loads its tables again.',
  },
  // source
  'SYNC-2101': {
    disposition: 'retry',
    scope: 'source',
    title: 'Connection to the source lost',
    remedy: 'Nothing to do if the source comes back.',
  },
  'SYNC-2102': {
    disposition: 'block',
    scope: 'source',
    title: 'The source refuses the login',
    remedy: 'Check user, password and host of the endpoint, then resume.',
  },
  'SYNC-2103': {
    disposition: 'block',
    scope: 'source',
    title: 'A privilege is missing at the source',
    remedy: 'Grant it as shown, then resume.',
  },
  'SYNC-2104': {
    disposition: 'retry',
    scope: 'source',
    title: 'The source is busy',
    remedy: 'Nothing to do if it passes; otherwise look for long transactions and locks.',
  },
  'SYNC-2105': {
    disposition: 'retry',
    scope: 'source',
    title: 'Another reader with the same server id took the connection',
    remedy: 'Give each reader its own server id.',
  },
  'SYNC-2199': {
    disposition: 'block',
    scope: 'source',
    title: 'The source answered with an error that is not known here',
    remedy: "See the server's own words; mend the cause, then resume.",
  },
  'SYNC-2201': {
    disposition: 'block',
    scope: 'source',
    title: 'The source is not set up for row-based change capture',
    remedy: 'Change the server variables as shown, then resume.',
  },
  'SYNC-2202': {
    disposition: 'block',
    scope: 'source',
    title: 'A table has no primary key',
    remedy: 'Add a primary key, or exclude the table.',
  },
  'SYNC-2203': {
    disposition: 'block',
    scope: 'source',
    title: 'A type cannot be carried exactly',
    remedy: 'Exclude the column, or change its type.',
  },
  'SYNC-2204': {
    disposition: 'block',
    scope: 'source',
    title: 'The log position was purged',
    remedy: 'Restore the binlog files and resume, or delete the pipeline and load again.',
  },
  'SYNC-2205': {
    disposition: 'block',
    scope: 'source',
    title: 'A statement was logged instead of its rows',
    remedy:
      'Set binlog_format=ROW for every session; apply the statement at the target, then resume to go on after it.',
  },
  'SYNC-2206': {
    disposition: 'block',
    scope: 'source',
    title: 'The log holds an event that is not understood',
    remedy: 'Report the event type shown; the pipeline stands before it.',
  },
  'SYNC-2207': {
    disposition: 'retry',
    scope: 'source',
    title: 'A log event fails its checksum',
    remedy: 'Nothing to do if it passes; otherwise check the disk and the network of the source.',
  },
  'SYNC-2208': {
    disposition: 'block',
    scope: 'source',
    title: 'A row event does not carry full rows',
    remedy:
      "Set binlog_row_image=FULL, binlog_row_metadata=FULL and binlog_row_value_options='' for every session, load the table again.",
  },
  'SYNC-2209': {
    disposition: 'block',
    scope: 'source',
    title: 'No table matches',
    remedy: 'Check the patterns under spec.tables, and the privileges of the source user.',
  },
  'SYNC-2210': {
    disposition: 'block',
    scope: 'source',
    title: 'The source lacks transactions that were already applied',
    remedy:
      'It is another server, or was restored to an earlier time. Point the endpoint at the right server and resume, or delete the pipeline and load again.',
  },
  'SYNC-2211': {
    disposition: 'block',
    scope: 'source',
    title: 'Rows of a source table can be seen before they are committed',
    remedy: 'Use ENGINE=InnoDB.',
  },
  'SYNC-2212': {
    disposition: 'block',
    scope: 'source',
    title: 'The source keeps its log for too short a time',
    remedy: 'Raise binlog_expire_logs_seconds at the source.',
  },
  'SYNC-2213': {
    disposition: 'block',
    scope: 'source',
    title: 'Rows change at the source without being logged',
    remedy: 'Let the application delete and update the child rows itself.',
  },
  'SYNC-2214': {
    disposition: 'block',
    scope: 'source',
    title: 'The source will purge log that is still needed',
    remedy:
      'Before then let the pipeline go on and catch up, or let the source keep its log for longer: SET PERSIST binlog_expire_logs_seconds.',
  },
  'SYNC-2220': {
    disposition: 'block',
    scope: 'source',
    title: 'The transaction of which a part is applied does not follow on this source',
    remedy:
      'The pipeline was cut off in the middle of a large transaction, and another server answers now, which lacks it or has others before it. Point the endpoint at the first server and resume, or delete the pipeline and load again.',
  },
  'SYNC-2221': {
    disposition: 'block',
    scope: 'source',
    title: "The sequence numbers of the source's GTIDs do not rise",
    remedy:
      'A GTID that comes behind a greater one of its domain cannot be told from one that was passed. Set gtid_strict_mode=ON at the source, give each server that takes writes of its own a gtid_domain_id of its own, and load again.',
  },
  'SYNC-2222': {
    disposition: 'block',
    scope: 'source',
    title: 'XA transactions are prepared at the source and not committed',
    remedy:
      'XA RECOVER lists them. Commit or roll back those that nobody will finish; what was prepared before a pipeline starts cannot be read from the log.',
  },
  'SYNC-2223': {
    disposition: 'block',
    scope: 'source',
    title: 'A table is of a kind that cannot be synced',
    remedy: 'Exclude the table.',
  },
  'SYNC-2301': {
    disposition: 'block',
    scope: 'source',
    title: 'A definition changed at the source',
    remedy: 'Make the same change at the target, then resume.',
  },
  'SYNC-2302': {
    disposition: 'block',
    scope: 'source',
    title: 'A statement at the source removed rows without logging them',
    remedy: 'Do the same at the target, then resume to go on after it.',
  },
  'SYNC-2303': {
    disposition: 'block',
    scope: 'target',
    title: 'The target refused a definition change',
    remedy: "See the server's own words; mend the cause or make the change yourself, then resume.",
  },
  'SYNC-2304': {
    disposition: 'block',
    scope: 'target',
    title: 'A table was created at the source, and the target has one of its name with rows',
    remedy: 'Empty or drop it at the target, then resume.',
  },
  // target
  'SYNC-3101': {
    disposition: 'retry',
    scope: 'target',
    title: 'Connection to the target lost',
    remedy: 'Nothing to do if the target comes back.',
  },
  'SYNC-3102': {
    disposition: 'block',
    scope: 'target',
    title: 'The target refuses the login',
    remedy: 'Check user, password and host of the endpoint, then resume.',
  },
  'SYNC-3103': {
    disposition: 'block',
    scope: 'target',
    title: 'A privilege is missing at the target',
    remedy: 'Grant it as shown, then resume.',
  },
  'SYNC-3104': {
    disposition: 'retry',
    scope: 'target',
    title: 'The target is busy',
    remedy: 'Nothing to do if it passes; otherwise look for long transactions and locks.',
  },
  'SYNC-3105': {
    disposition: 'block',
    scope: 'target',
    title: 'The target has no room left',
    remedy: 'Make room on the disk of the target, then resume.',
  },
  'SYNC-3106': {
    disposition: 'block',
    scope: 'target',
    title: 'The target is read-only',
    remedy: 'Check that this is the right server; set super_read_only=OFF, then resume.',
  },
  'SYNC-3199': {
    disposition: 'block',
    scope: 'target',
    title: 'The target answered with an error that is not known here',
    remedy: "See the server's own words; mend the cause, then resume.",
  },
  'SYNC-3201': {
    disposition: 'block',
    scope: 'target',
    title: 'A target table is missing',
    remedy: 'Create it, or set spec.onMissingTable: create.',
  },
  'SYNC-3202': {
    disposition: 'block',
    scope: 'target',
    title: 'A target column is missing',
    remedy: 'Add the column at the target, or exclude it.',
  },
  'SYNC-3203': {
    disposition: 'block',
    scope: 'target',
    title: 'A target column cannot hold the values',
    remedy: 'Widen the column at the target, or exclude it.',
  },
  'SYNC-3204': {
    disposition: 'block',
    scope: 'target',
    title: 'The target table has rows already',
    remedy: 'Empty it, or set spec.onExistingRows: empty or keep.',
  },
  'SYNC-3205': {
    disposition: 'block',
    scope: 'target',
    title: 'The keys of source and target differ',
    remedy: 'Give the target table the same primary key.',
  },
  'SYNC-3206': {
    disposition: 'block',
    scope: 'target',
    title: 'The target table has a trigger',
    remedy: 'Drop the trigger at the target: it would run again for each row.',
  },
  'SYNC-3207': {
    disposition: 'block',
    scope: 'target',
    title: 'The target table cannot take part in transactions',
    remedy: 'Use ENGINE=InnoDB.',
  },
  'SYNC-3208': {
    disposition: 'block',
    scope: 'target',
    title: 'A table would be written onto itself',
    remedy: 'Map it to another schema or table name, or use another target.',
  },
  'SYNC-3209': {
    disposition: 'block',
    scope: 'target',
    title: 'The target has a rule that the source does not have',
    remedy: 'Drop the constraint at the target, or make it the same as at the source.',
  },
  'SYNC-3210': {
    disposition: 'block',
    scope: 'target',
    title: 'A missing table cannot be created from a definition of another product',
    remedy:
      'MySQL and MariaDB differ in types, collations and defaults. Create the table at the target by hand, with columns that take every value; the pre-check compares them.',
  },
  'SYNC-3216': {
    disposition: 'block',
    scope: 'target',
    title: 'The target takes no LOAD DATA LOCAL, so the load is slower than it could be',
    remedy:
      'Set local_infile = ON at the target before the load, and OFF again after it; nothing needs a restart.',
  },
  'SYNC-3301': {
    disposition: 'block',
    scope: 'target',
    title: 'A unique value belongs to another row at the target',
    remedy: 'Somebody else wrote to the target: remove that row, then resume.',
  },
  'SYNC-3302': {
    disposition: 'block',
    scope: 'target',
    title: 'The target refuses a value',
    remedy: 'Change the target column as shown, then resume.',
  },
  'SYNC-3303': {
    disposition: 'block',
    scope: 'target',
    title: 'A row is larger than the target accepts',
    remedy: 'Raise max_allowed_packet at the target, then resume.',
  },
  'SYNC-3304': {
    disposition: 'block',
    scope: 'target',
    title: 'More tables are refused than may be parked',
    remedy: 'Mend the cause, or let parked tables rejoin; or raise spec.quarantine.maxTables, then resume.',
  },
  'SYNC-3305': {
    disposition: 'reject',
    scope: 'api',
    title: 'The table is not parked',
    remedy: 'See `syncline quarantine list NAME`.',
  },
  'SYNC-3306': {
    disposition: 'block',
    scope: 'target',
    title: 'A parked table was renamed at the source',
    remedy:
      'Rename the table at the target and empty it there, then resume: it is loaded under its new name.',
  },
  'SYNC-3310': {
    disposition: 'block',
    scope: 'target',
    title: 'A transaction is larger than the target accepts',
    remedy: 'Raise max_binlog_cache_size at the target, then resume.',
  },
  // ownership and runtime
  'SYNC-4001': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'The engine died',
    remedy: 'Nothing to do: it was started again. If it repeats, see its last log lines.',
  },
  'SYNC-4002': {
    disposition: 'fenced',
    scope: 'runtime',
    title: 'A newer owner runs this pipeline',
    remedy: 'Nothing to do.',
  },
  'SYNC-4003': {
    disposition: 'block',
    scope: 'runtime',
    title: 'The pre-checks found errors',
    remedy: 'Mend each finding, then resume.',
  },
  'SYNC-4004': {
    disposition: 'block',
    scope: 'runtime',
    title: 'The stored pipeline cannot be read',
    remedy: 'Check that the worker uses the store of the API server, then resume.',
  },
  'SYNC-4005': {
    disposition: 'block',
    scope: 'runtime',
    title: 'The pipeline has written to this target with another number of shards',
    remedy:
      'Set spec.shards to what it was and apply, or delete the pipeline and create it anew: it loads its tables again.',
  },
  'SYNC-4006': {
    disposition: 'block',
    scope: 'runtime',
    title: 'A table was renamed from one shard into another',
    remedy:
      'Delete the pipeline and create it anew: it loads its tables again. Leave out by spec.tables[].exclude the tables that tools make for a change of definition, so that their renames stay within a shard.',
  },
  // verification: 5101 to 5119 what compares, and what can be compared
  'SYNC-5101': {
    disposition: 'reject',
    scope: 'config',
    title: 'Two columns or tables cannot be compared exactly',
    remedy:
      'Say under spec.verify.columns how the column is to be compared, give both columns the same type, or leave it out of the comparison.',
  },
  'SYNC-5102': {
    disposition: 'reject',
    scope: 'api',
    title: 'A value does not fit the key of the table',
    remedy:
      "Give one value for each column of the primary key, or for its first ones, in the column's own form.",
  },
  'SYNC-5103': {
    disposition: 'reject',
    scope: 'runtime',
    title: 'A table was dropped or altered while it was compared',
    remedy: 'When the change is done at both ends, verify the table again.',
  },
  'SYNC-5104': {
    disposition: 'reject',
    scope: 'runtime',
    title: 'This kind of store cannot be compared',
    remedy: 'Verify pipelines between stores that can be: see the reference of connectors.',
  },
  'SYNC-5105': {
    disposition: 'reject',
    scope: 'runtime',
    title: 'A server could not make a digest of every row',
    remedy: 'Raise max_allowed_packet at the server that is named, then verify again.',
  },
  'SYNC-5106': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'Somebody waits for a table that is being compared',
    remedy: 'Nothing to do: the comparison lets go of its snapshots and goes on with new ones.',
  },
  // verification: 5120 to 5139 what the engine does for it
  'SYNC-5120': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'The engine does not stand aligned any more',
    remedy: 'Nothing to do: the stream goes on, and the verification aligns both ends anew.',
  },
  'SYNC-5121': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'The engine is being aligned by another verification',
    remedy: 'Nothing to do: it is asked again.',
  },
  'SYNC-5122': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'No engine of the pipeline answers',
    remedy: 'Resume the pipeline if it is paused or blocked, and see whether a stream worker runs.',
  },
  'SYNC-5123': {
    disposition: 'reject',
    scope: 'runtime',
    title: 'Rows of this table cannot be repaired now',
    remedy: 'Wait until the table is loaded, or let it rejoin if it is parked; then repair again.',
  },
  'SYNC-5124': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'A repair was cut off',
    remedy:
      'Nothing to do: it is asked for again. Its rows are written as the source has them, or not at all.',
  },
  'SYNC-5130': {
    disposition: 'retry',
    scope: 'runtime',
    title: 'What the log says is not at the target yet, so it cannot be read back',
    remedy:
      'Nothing to do for the verification: it waits. See with `syncline status NAME` why the pipeline does not stream, or how far it is behind.',
  },
  'SYNC-5131': {
    disposition: 'reject',
    scope: 'api',
    title: 'What is asked for does not go with the mode of the verification',
    remedy:
      'Ranges of keys and samples are for the modes checksum, count and row; a delay is for continuous, which follows whole tables.',
  },
  // 5140 to 5159 what people ask of verifications and repairs
  'SYNC-5140': {
    disposition: 'reject',
    scope: 'api',
    title: 'The pipeline does not stream, so its ends cannot be compared at one position',
    remedy: 'Let it stream (`syncline resume NAME`), then verify again.',
  },
  'SYNC-5142': {
    disposition: 'reject',
    scope: 'api',
    title: 'No table of the pipeline is meant',
    remedy:
      'Name source tables that the pipeline carries, as schema.table; * stands for any run of characters.',
  },
  'SYNC-5144': {
    disposition: 'reject',
    scope: 'api',
    title: 'Another verification or repair of the pipeline has not ended',
    remedy: 'Wait for it (`syncline verify list NAME`), or end it with `syncline verify cancel ID`.',
  },
  'SYNC-5145': {
    disposition: 'reject',
    scope: 'api',
    title: 'The action does not fit the state of the verification or repair',
    remedy: 'See the state with `syncline verify show ID`.',
  },
  'SYNC-5146': {
    disposition: 'reject',
    scope: 'api',
    title: 'There is nothing to repair',
    remedy: 'Verify again; what differs then can be repaired.',
  },
  'SYNC-5147': {
    disposition: 'reject',
    scope: 'runtime',
    title: 'A table was not compared',
    remedy: 'See the table’s reason, then verify it again.',
  },
  'SYNC-5150': {
    disposition: 'fenced',
    scope: 'runtime',
    title: 'The verification or repair goes on elsewhere, or has ended',
    remedy: 'Nothing to do.',
  },
  'SYNC-5151': {
    disposition: 'block',
    scope: 'runtime',
    title: 'Verifications cannot see whether somebody waits for a table',
    remedy:
      "Grant PROCESS to the pipeline's account at the MariaDB server that is named, or verify when no definitions change.",
  },
  // ourselves
  'SYNC-9001': {
    disposition: 'bug',
    scope: 'runtime',
    title: 'An invariant was violated',
    remedy: 'The pipeline stands still, nothing was skipped. Report the details shown.',
  },
} as const satisfies Record<`SYNC-${number}`, ErrorSpec>

export type ErrorCode = keyof typeof catalogue

/** An error with a code of the catalogue. `message` says what is wrong and where; the remedy may be made more precise than the catalogue's. */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: ErrorCode
  readonly remedy: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { remedy?: string; details?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.remedy = options.remedy ?? catalogue[code].remedy
    this.details = options.details ?? {}
  }

  get disposition(): Disposition {
    return catalogue[this.code].disposition
  }
}

/** Anything thrown, as a SyncError: what is not one already is a bug of ours. */
export const asSyncError = (error: unknown): SyncError =>
  error instanceof SyncError
    ? error
    : new SyncError('SYNC-9001', error instanceof Error ? error.message : String(error), { cause: error })
