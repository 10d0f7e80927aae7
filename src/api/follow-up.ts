/**
 * What a running workflow has to be told when a pipeline's document has changed, by what has changed in it. Pure.
 *
 *   nothing     labels, and how the pipeline is verified
 *   setLimits   limits alone: engines look them up, nothing stops
 *   addTables, removeTables   tables, and what is done with them at their start: checked beside the stream
 *   respec      anything else: the stream drains, is checked and goes on
 */
import { withoutLimits } from '../config/limits.ts'
import { tableDifference } from '../config/table-difference.ts'
import { withoutVerify } from '../config/verify.ts'
import { tablesTold } from '../core/pipeline-control.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'

export type FollowUp =
  | { readonly command: 'respec' }
  | { readonly command: 'addTables' | 'removeTables'; readonly tables: readonly string[] }
  | { readonly command: 'setLimits' }

export function followUpOf(before: PipelineGeneration, after: PipelineGeneration): FollowUp | null {
  const [was, is] = [sideOf(before), sideOf(after)]
  if (isSame(was, is)) return null
  if (!isSame(was.endpoints, is.endpoints)) return { command: 'respec' }
  const [wasLimited, isLimited] = [withoutLimits(was.spec), withoutLimits(is.spec)]
  if (isSame(wasLimited, isLimited)) return { command: 'setLimits' }
  const { tables: tablesBefore, onMissingTable: _1, onExistingRows: _2, ...restBefore } = wasLimited
  const { tables: tablesAfter, onMissingTable: _3, onExistingRows: _4, ...restAfter } = isLimited
  const { joining, leaving } = tableDifference(tablesBefore, tablesAfter)
  if (!isSame(restBefore, restAfter) || joining.length + leaving.length === 0) return { command: 'respec' }
  return joining.length > 0
    ? { command: 'addTables', tables: told(joining) }
    : { command: 'removeTables', tables: told(leaving) }
}

const sideOf = ({ pipeline, source, target }: PipelineGeneration): Side => ({
  spec: withoutVerify(pipeline.spec),
  endpoints: [source.spec, target.spec],
})

interface Side {
  readonly spec: PipelineGeneration['pipeline']['spec']
  readonly endpoints: readonly unknown[]
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Lists of any length are kept in the store, and not in a workflow's history. */
const told = (patterns: readonly string[]): readonly string[] =>
  patterns.length <= tablesTold
    ? patterns
    : [...patterns.slice(0, tablesTold - 1), `and ${patterns.length - tablesTold + 1} more`]
