/**
 * The tables of the store, as a list of steps that is only ever added to. `user_version` counts the steps a file has taken.
 *
 * What was once recorded stays: generations and the audit log survive the deletion of what they tell of, and the audit log refuses changes.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE endpoints (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    document TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
  ) STRICT;

  CREATE TABLE pipelines (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    wanted TEXT NOT NULL CHECK (wanted IN ('run', 'stop', 'delete')),
    document TEXT NOT NULL,
    source TEXT NOT NULL REFERENCES endpoints (name),
    target TEXT NOT NULL REFERENCES endpoints (name),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
  ) STRICT;

  -- Endpoints are pinned beside the pipeline, so that a generation means the same for ever.
  CREATE TABLE generations (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    document TEXT NOT NULL,
    source TEXT,
    target TEXT,
    actor TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (kind, name, generation)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE fences (
    pipeline TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    code TEXT,
    request_id TEXT,
    detail TEXT NOT NULL,
    key TEXT UNIQUE,
    hash TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_of_resource ON audit (kind, name, seq);
  CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
  CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
  `,
  `
  -- What engines said last; may be lost.
  CREATE TABLE reports (
    pipeline TEXT PRIMARY KEY REFERENCES pipelines (name) ON DELETE CASCADE,
    epoch TEXT NOT NULL,
    since TEXT NOT NULL,
    totals TEXT NOT NULL,
    retention TEXT
  ) STRICT;
  CREATE TABLE table_reports (
    pipeline TEXT NOT NULL REFERENCES reports (pipeline) ON DELETE CASCADE,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (pipeline, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX table_reports_by_rows ON table_reports (pipeline, rows DESC, name);
  `,
  `
  CREATE TABLE parked_tables (
    pipeline TEXT NOT NULL,
    table_name TEXT NOT NULL,
    parking TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('parked', 'rejoining')),
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    remedy TEXT NOT NULL,
    parked_at TEXT NOT NULL,
    dead_letters INTEGER NOT NULL,
    PRIMARY KEY (pipeline, table_name)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- By engine: \`shard\` from 0, of \`shards\` in all. A table is always in one of them.
  CREATE TABLE engine_reports (
    pipeline TEXT NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    shard INTEGER NOT NULL,
    shards INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    since TEXT NOT NULL,
    totals TEXT NOT NULL,
    retention TEXT,
    PRIMARY KEY (pipeline, shard)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE engine_table_reports (
    pipeline TEXT NOT NULL,
    shard INTEGER NOT NULL,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (pipeline, name),
    FOREIGN KEY (pipeline, shard) REFERENCES engine_reports (pipeline, shard) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX engine_table_reports_by_rows ON engine_table_reports (pipeline, rows DESC, name);
  INSERT INTO engine_reports SELECT pipeline, 0, 1, epoch, since, totals, retention FROM reports;
  INSERT INTO engine_table_reports SELECT pipeline, 0, name, rows, figures FROM table_reports;
  DROP TABLE table_reports;
  DROP TABLE reports;
  ALTER TABLE parked_tables ADD COLUMN shard INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE parked_tables ADD COLUMN shards INTEGER NOT NULL DEFAULT 1;
  `,
  `
  -- Words between verifications and engines; may be lost.
  CREATE TABLE alignment_requests (
    id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    shard TEXT NOT NULL,
    state TEXT NOT NULL
      CHECK (state IN ('asked', 'taken', 'held', 'run-to', 'reached', 'releasing', 'released', 'lost')),
    hold_limit_ms INTEGER NOT NULL,
    held TEXT,
    run_to TEXT,
    reached TEXT,
    reason TEXT,
    changed_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE repair_requests (
    id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    shard TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asked', 'taken', 'done', 'failed')),
    table_name TEXT NOT NULL,
    keys TEXT NOT NULL,
    outcome TEXT,
    error TEXT,
    changed_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE check_warnings (
    pipeline TEXT PRIMARY KEY REFERENCES pipelines (name) ON DELETE CASCADE,
    warnings TEXT NOT NULL
  ) STRICT;
  `,
  `
  -- Numbers are never given twice, not even after runs were forgotten or the pipeline was created anew.
  CREATE TABLE verification_numbers (
    pipeline TEXT PRIMARY KEY,
    last INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE verifications (
    pipeline TEXT NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    -- Temporal's id of the workflow: a schedule that is started twice by one of its ticks is one run.
    workflow TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL CHECK (origin IN ('person', 'schedule')),
    actor TEXT NOT NULL,
    generation INTEGER NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    outcome TEXT CHECK (outcome IN ('equal', 'different', 'incomplete')),
    trouble TEXT,
    requested_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    -- Which attempt may write: one that was given up by Temporal and goes on all the same is not heard any more.
    owner TEXT,
    passes INTEGER NOT NULL DEFAULT 0,
    longest_pause_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE verification_tables (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    columns TEXT NOT NULL,
    after_key TEXT,
    up_to_key TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'skipped', 'failed')),
    trouble TEXT,
    cursor TEXT,
    rows_estimated INTEGER NOT NULL DEFAULT 0,
    rows_compared INTEGER NOT NULL DEFAULT 0,
    equal INTEGER NOT NULL DEFAULT 0,
    different INTEGER NOT NULL DEFAULT 0,
    only_source INTEGER NOT NULL DEFAULT 0,
    only_target INTEGER NOT NULL DEFAULT 0,
    unsettled INTEGER NOT NULL DEFAULT 0,
    kept INTEGER NOT NULL DEFAULT 0,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, number, ordinal),
    FOREIGN KEY (pipeline, number) REFERENCES verifications (pipeline, number) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  -- Which range of keys was compared at which position.
  CREATE TABLE verification_segments (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    after_key TEXT,
    up_to_key TEXT,
    position TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (pipeline, number, ordinal, segment),
    FOREIGN KEY (pipeline, number) REFERENCES verifications (pipeline, number) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE verification_differences (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('different', 'only-source', 'only-target', 'unsettled')),
    key TEXT NOT NULL,
    columns TEXT NOT NULL,
    source TEXT,
    target TEXT,
    PRIMARY KEY (pipeline, number, id),
    FOREIGN KEY (pipeline, number) REFERENCES verifications (pipeline, number) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE repairs (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    repair INTEGER NOT NULL,
    actor TEXT NOT NULL,
    needs_approval INTEGER NOT NULL,
    approved_by TEXT,
    approved_at TEXT,
    max_rows_per_second INTEGER,
    state TEXT NOT NULL,
    trouble TEXT,
    requested_at TEXT NOT NULL,
    ended_at TEXT,
    owner TEXT,
    PRIMARY KEY (pipeline, number, repair),
    FOREIGN KEY (pipeline, number) REFERENCES verifications (pipeline, number) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  -- Each row that is to be repaired; both images as they are found before the write, and what is there after it.
  CREATE TABLE repaired_rows (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    repair INTEGER NOT NULL,
    difference INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'written', 'removed', 'overtaken', 'equal')),
    is_examined INTEGER NOT NULL DEFAULT 0,
    source_before TEXT,
    target_before TEXT,
    repaired_at TEXT,
    verified TEXT CHECK (verified IN ('equal', 'different', 'unsettled')),
    source_after TEXT,
    target_after TEXT,
    PRIMARY KEY (pipeline, number, repair, difference),
    FOREIGN KEY (pipeline, number, repair) REFERENCES repairs (pipeline, number, repair) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  `,
  // Rows that the target did not take, and why.
  `
  CREATE TABLE repaired_rows_with_reasons (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    repair INTEGER NOT NULL,
    difference INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'written', 'removed', 'overtaken', 'equal', 'refused')),
    is_examined INTEGER NOT NULL DEFAULT 0,
    source_before TEXT,
    target_before TEXT,
    repaired_at TEXT,
    verified TEXT CHECK (verified IN ('equal', 'different', 'unsettled')),
    source_after TEXT,
    target_after TEXT,
    refusal TEXT,
    PRIMARY KEY (pipeline, number, repair, difference),
    FOREIGN KEY (pipeline, number, repair) REFERENCES repairs (pipeline, number, repair) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  INSERT INTO repaired_rows_with_reasons SELECT *, NULL FROM repaired_rows;
  DROP TABLE repaired_rows;
  ALTER TABLE repaired_rows_with_reasons RENAME TO repaired_rows;
  `,
  `
  -- Verifications that follow the log: how far each is. Of their differences it is kept when they were seen, and when they were gone.
  CREATE TABLE continuous_verifications (
    pipeline TEXT NOT NULL,
    number INTEGER NOT NULL,
    checkpoint TEXT,
    position TEXT,
    changes INTEGER NOT NULL DEFAULT 0,
    rows_read INTEGER NOT NULL DEFAULT 0,
    healed INTEGER NOT NULL DEFAULT 0,
    beyond INTEGER NOT NULL DEFAULT 0,
    pending_rows INTEGER NOT NULL DEFAULT 0,
    lag_ms INTEGER NOT NULL DEFAULT 0,
    oldest_ms INTEGER NOT NULL DEFAULT 0,
    updated_at TEXT,
    PRIMARY KEY (pipeline, number),
    FOREIGN KEY (pipeline, number) REFERENCES verifications (pipeline, number) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE verification_differences ADD COLUMN seen_at TEXT;
  ALTER TABLE verification_differences ADD COLUMN healed_at TEXT;
  `,
]
