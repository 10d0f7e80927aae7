/**
 * Two ends with the same tables, compared as the product compares them: shapes from the catalogues, a plan, snapshots, steps.
 */

import type { Source, Target } from '../../../src/connectors/contract.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { openMysqlTarget } from '../../../src/connectors/mysql/target.ts'
import type { ColumnRule } from '../../../src/core/comparison.ts'
import { planComparison, type TablePair } from '../../../src/core/comparison-plan.ts'
import type { Value } from '../../../src/core/value.ts'
import type { ComparisonTally, Difference } from '../../../src/core/verification.ts'
import {
  type CompareTableOptions,
  type ComparisonStep,
  compareTable,
} from '../../../src/verifier/compare-table.ts'
import { connect, freshDatabase, type Reachable } from '../../support/servers.ts'
import { endpointOf } from '../mysql/endpoint.ts'

export interface Ends {
  readonly database: string
  readonly source: Source
  readonly target: Target
  readonly at: {
    readonly source: Awaited<ReturnType<typeof connect>>
    readonly target: Awaited<ReturnType<typeof connect>>
  }
  /** Runs the same statements at both ends. */
  both(sql: string): Promise<void>
  plan(table: string, more?: PlanOptions): Promise<ReturnType<typeof planComparison>>
  compare(
    table: string,
    more?: PlanOptions & Partial<CompareTableOptions> & { readonly connections?: number },
  ): Promise<Compared>
  close(): Promise<void>
}

export interface PlanOptions {
  readonly targetTable?: string
  readonly columns?: readonly { readonly source: string; readonly target: string }[]
  readonly where?: string
  readonly rules?: Readonly<Record<string, ColumnRule>>
}

export interface Compared {
  readonly pair: TablePair
  readonly tally: ComparisonTally
  readonly differences: readonly Difference[]
  readonly steps: readonly ComparisonStep[]
}

export async function openEnds(source: Reachable, target: Reachable, name: string): Promise<Ends> {
  const at = { source: await connect(source), target: await connect(target) }
  const database = await freshDatabase(at.source, name)
  await at.target.query(`CREATE DATABASE IF NOT EXISTS ${database}`)
  for (const connection of [at.source, at.target]) await connection.query(`USE ${database}`)
  const opened = {
    source: await openMysqlSource(endpointOf(source)),
    target: await openMysqlTarget(endpointOf(target)),
  }

  const plan: Ends['plan'] = async (table, { targetTable, columns, where, rules = {} } = {}) => {
    const shape = (await opened.source.tables([database])).find(({ id }) => id.name === table)
    const id = { schema: database, name: targetTable ?? table }
    const other = (await opened.target.tables([id])).get(`${id.schema}.${id.name}`)
    if (shape === undefined || other === undefined) throw new Error(`${table} is not at both ends`)
    return planComparison({
      source: shape,
      target: other,
      columns: columns ?? null,
      where: where ?? null,
      ruleOf: (column) => rules[column],
    })
  }

  return {
    ...opened,
    database,
    at,
    async both(sql) {
      await Promise.all([at.source.query(sql), at.target.query(sql)])
    },
    plan,
    async compare(table, { connections = 2, ...more } = {}) {
      const { pair, findings } = await plan(table, more)
      if (pair === null) throw new Error(JSON.stringify(findings))
      const from = await opened.source.verify?.openSnapshots(connections, await opened.source.head())
      const to = await opened.target.verify?.openSnapshots(connections)
      if (from === undefined || to === undefined) throw new Error('cannot be compared')
      try {
        const steps: ComparisonStep[] = []
        for await (const step of compareTable({
          pair,
          source: from.readers,
          target: to.readers,
          mode: 'checksum',
          after: null,
          ...more,
        })) {
          steps.push(step)
        }
        return { pair, steps, tally: sumOf(steps), differences: steps.flatMap((step) => step.differences) }
      } finally {
        await Promise.all([from.close(), to.close()])
      }
    },
    async close() {
      at.source.destroy()
      at.target.destroy()
      await Promise.all([opened.source.close(), opened.target.close()])
    },
  }
}

export const sumOf = (steps: readonly ComparisonStep[]): ComparisonTally => {
  const sum = (field: keyof ComparisonTally): number =>
    steps.reduce((total, { tally }) => total + tally[field], 0)
  return {
    rowsCompared: sum('rowsCompared'),
    equal: sum('equal'),
    different: sum('different'),
    onlySource: sum('onlySource'),
    onlyTarget: sum('onlyTarget'),
    unsettled: sum('unsettled'),
  }
}

/** What was found, short enough to be written down in a test: kind and key. */
export const inShort = (differences: readonly Difference[]): string[] =>
  differences
    .map(
      ({ kind, key, columns }) =>
        `${kind} ${key.map(shortValue).join(',')}${columns.length === 0 ? '' : ` ${columns.join(',')}`}`,
    )
    .toSorted()

const shortValue = (value: Value): string =>
  typeof value === 'string' ? Buffer.from(value, 'latin1').toString() : `${value}`
