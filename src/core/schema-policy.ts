/**
 * What a pipeline does when a definition changes at the source while it streams: one policy for each kind of change. Pure.
 *
 * `apply`: the target is changed in the same way before the rows that need it. `ignore`: the stream goes on without it. `block`: a person
 * decides, unless the target, as it is, takes every row rightly. Where a statement brings several changes, one that blocks holds back all of
 * them; otherwise each follows its own policy. What has no policy here (a changed primary key, a dropped schema, what is not understood) blocks.
 */
export const schemaChangeKinds = [
  'addColumn',
  'widenColumn',
  'narrowColumn',
  'renameColumn',
  'dropColumn',
  'addIndex',
  'dropIndex',
  'createTable',
  'renameTable',
  'dropTable',
  'truncateTable',
  'dropPartition',
] as const

export type SchemaChangeKind = (typeof schemaChangeKinds)[number]
export type SchemaChangePolicy = 'apply' | 'ignore' | 'block'
export type SchemaChangePolicies = Readonly<Record<SchemaChangeKind, SchemaChangePolicy>>

/** What adds nothing but room is applied; what takes something away waits for a person. */
export const defaultPolicies: SchemaChangePolicies = {
  addColumn: 'apply',
  widenColumn: 'apply',
  narrowColumn: 'block',
  renameColumn: 'block',
  dropColumn: 'block',
  addIndex: 'apply',
  dropIndex: 'ignore',
  createTable: 'apply',
  renameTable: 'block',
  dropTable: 'block',
  truncateTable: 'block',
  dropPartition: 'block',
}

/** One difference between a target table and what a statement at the source asks for. */
export interface NeededChange {
  readonly kind: SchemaChangeKind
  /** A clause of ALTER TABLE in the target's words. */
  readonly clause: string
  /** True: without it the target cannot take every row, or a wish of the statement stays open. */
  readonly required: boolean
}

export interface PolicyDecision {
  readonly apply: readonly NeededChange[]
  /** Not empty: nothing may be applied until a person has decided. */
  readonly block: readonly NeededChange[]
}

/** Divides the changes of one statement by their policies. */
export function decide(changes: readonly NeededChange[], policies: SchemaChangePolicies): PolicyDecision {
  const block = changes.filter(({ kind, required }) => required && policies[kind] === 'block')
  return { block, apply: changes.filter(({ kind }) => policies[kind] === 'apply') }
}
