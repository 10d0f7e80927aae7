/** Random histories of the model of the data path, small ones first in shrinking. */
import fc from 'fast-check'
import type { EngineSettings } from '../../../src/core/model/engine.ts'
import type { History } from '../../../src/core/model/run.ts'
import type { Operation, TransactionPlan } from '../../../src/core/model/source.ts'

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom('insert', 'update', 'delete', 'move', 'swap', 'revert', 'recreate'),
  table: fc.nat(3),
  key: fc.nat(4),
  otherKey: fc.nat(4),
  value: fc.nat(7),
})

const transaction: fc.Arbitrary<TransactionPlan> = fc.record({
  operations: fc.array(operation, { minLength: 1, maxLength: 6, size: 'max' }),
  compressed: fc.boolean(),
})

const before: fc.Arbitrary<TransactionPlan> = fc.record({
  operations: fc.array(
    operation.map((op): Operation => ({ ...op, kind: 'insert' })),
    { maxLength: 14, size: 'max' },
  ),
  compressed: fc.constant(false),
})

const engine: fc.Arbitrary<EngineSettings> = fc.record({
  lanes: fc.integer({ min: 1, max: 3 }),
  smallBatchRows: fc.constantFrom(0, 0, 1, 3, 100),
  maxRows: fc.integer({ min: 1, max: 12 }),
  sliceChanges: fc.constantFrom(1, 2, 5, 100),
  chunkRows: fc.integer({ min: 1, max: 3 }),
  chunksInFlight: fc.integer({ min: 1, max: 4 }),
  shortReads: fc.boolean(),
  cautious: fc.constantFrom(false, false, false, true),
})

/**
 * A third of the histories keep to one table, where changes meet more often; with several tables, batches meet chunks that are still being
 * written more often (measured: 2 % of the histories against 0.3 %).
 */
const onOneTable = (plan: TransactionPlan, table: number | null): TransactionPlan =>
  table === null ? plan : { ...plan, operations: plan.operations.map((op) => ({ ...op, table })) }

/** What every history of a run shall have in common. */
export interface Lean {
  readonly engine?: Partial<EngineSettings>
  readonly table?: number
  readonly unseen?: number
}

export const histories = (lean: Lean = {}): fc.Arbitrary<History> =>
  fc
    .record({
      before,
      transactions: fc.array(transaction, { maxLength: 24, size: 'max' }),
      table: fc.constantFrom(null, null, null, null, null, null, null, null, 0, 1, 2, 3),
      engines: fc.array(engine, { minLength: 1, maxLength: 3, size: 'max' }),
      unseen: fc.constantFrom(0, 0, 1, 2),
      script: fc.uint8Array({ maxLength: 300, size: 'max' }),
    })
    .map((drawn) => {
      const table = lean.table ?? drawn.table
      return {
        before: onOneTable(drawn.before, table),
        transactions: drawn.transactions.map((plan) => onOneTable(plan, table)),
        engines: drawn.engines.map((settings) => ({ ...settings, ...lean.engine })),
        unseen: lean.unseen ?? drawn.unseen,
        script: drawn.script,
      }
    })
