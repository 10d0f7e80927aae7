/**
 * The updates and the query of the workflow `pipeline`, and the shape in which an update is refused.
 *
 * A refused update leaves no event in the history: whoever sends updates writes refusals to the audit log himself. The failure's type is a
 * code of the catalogue and its first detail the remedy, so that the API answers with both.
 */
import { ApplicationFailure, defineQuery, defineUpdate } from '@temporalio/workflow'
import { catalogue, type ErrorCode } from '../core/errors.ts'
import {
  type ActorArgs,
  type LimitsArgs,
  type PipelineStatus,
  type RejoinArgs,
  type RespecArgs,
  statusQueryName,
  type TablesArgs,
  tablesTold,
  updateNames,
} from '../core/pipeline-control.ts'
import { type Command, refusal } from './commands.ts'
import { type PipelineMemory } from './states.ts'

export const statusQuery = defineQuery<PipelineStatus>(statusQueryName)
export const pauseUpdate = defineUpdate<PipelineStatus, [ActorArgs]>(updateNames.pause)
export const resumeUpdate = defineUpdate<PipelineStatus, [ActorArgs]>(updateNames.resume)
export const stopUpdate = defineUpdate<PipelineStatus, [ActorArgs]>(updateNames.stop)
export const respecUpdate = defineUpdate<PipelineStatus, [RespecArgs]>(updateNames.respec)
export const addTablesUpdate = defineUpdate<PipelineStatus, [TablesArgs]>(updateNames.addTables)
export const removeTablesUpdate = defineUpdate<PipelineStatus, [TablesArgs]>(updateNames.removeTables)
export const rejoinUpdate = defineUpdate<PipelineStatus, [RejoinArgs]>(updateNames.rejoin)
export const setLimitsUpdate = defineUpdate<PipelineStatus, [LimitsArgs]>(updateNames.setLimits)

/** Throws when the command may not be accepted now: SYNC-1102 for its arguments, SYNC-1104 for the state. */
export const validateCommand = (memory: PipelineMemory, command: Command, args: unknown): void => {
  const given = (typeof args === 'object' && args !== null ? args : {}) as Partial<
    RespecArgs & TablesArgs & LimitsArgs & RejoinArgs
  >
  if (typeof given.actor !== 'string' || given.actor.trim() === '') {
    throw refused('SYNC-1102', `${command} needs an actor: who asks for it`)
  }
  if (needsGeneration.has(command) && !Number.isSafeInteger(given.specGeneration)) {
    throw refused('SYNC-1102', `${command} needs specGeneration, a whole number`)
  }
  if ((command === 'addTables' || command === 'removeTables') && !areTables(given.tables)) {
    throw refused('SYNC-1102', `${command} needs tables, 1 to ${tablesTold} patterns`)
  }
  if (command === 'rejoin' && (typeof given.table !== 'string' || typeof given.parking !== 'string')) {
    throw refused('SYNC-1102', 'rejoin needs table and parking')
  }
  const reason = refusal(memory, command, given.specGeneration)
  if (reason !== null) throw refused('SYNC-1104', `cannot ${command}: ${reason}`)
  if (command === 'setLimits' && given.basedOn !== memory.specGeneration) {
    throw refused(
      'SYNC-1103',
      `cannot setLimits: they were made for spec generation ${given.basedOn}, and ${memory.specGeneration} is in force`,
    )
  }
}

/** @throws SYNC-1102 where nobody says who asks */
export const assertActor = (command: string, args: unknown): void => {
  const { actor } = (typeof args === 'object' && args !== null ? args : {}) as { actor?: unknown }
  if (typeof actor === 'string' && actor.trim() !== '') return
  throw refused('SYNC-1102', `${command} needs an actor: who asks for it`)
}

const needsGeneration: ReadonlySet<Command> = new Set(['respec', 'addTables', 'removeTables', 'setLimits'])

const areTables = (tables: unknown): boolean =>
  Array.isArray(tables) &&
  tables.length > 0 &&
  tables.length <= tablesTold &&
  tables.every((table) => typeof table === 'string')

export const refused = (code: ErrorCode, message: string): ApplicationFailure =>
  ApplicationFailure.create({
    type: code,
    message,
    nonRetryable: true,
    details: [{ remedy: catalogue[code].remedy }],
  })
