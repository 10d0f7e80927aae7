/**
 * The words in which verifications and repairs are asked for, run and shown: names, arguments and answers, without Temporal and without a store.
 *
 * Workflow types, update names and the shapes of inputs are frozen once released: histories and clients hold them. Extend by optional fields
 * alone. Rows, keys and lists of tables stay in the store; only counts, numbers and positions pass through Temporal.
 */
export const verificationWorkflowType = 'verification'
export const repairWorkflowType = 'repair'
export const continuousWorkflowType = 'continuousVerification'

/** One workflow per run. */
export const verificationWorkflowId = (pipeline: string, number: number): string =>
  `verification/${pipeline}/${number}`
/** Temporal adds the time at which the schedule was due. */
export const scheduledWorkflowId = (pipeline: string): string => `verification/${pipeline}/scheduled`
export const verificationScheduleId = (pipeline: string): string => `verification/${pipeline}`
export const repairWorkflowId = (pipeline: string, number: number, repair: number): string =>
  `repair/${pipeline}/${number}/${repair}`

/** What people call a run: the pipeline's name and a number that counts its runs. A name never contains what follows the last hyphen. */
export const verificationId = (pipeline: string, number: number): string => `${pipeline}-${number}`
export const parseVerificationId = (id: string): { pipeline: string; number: number } | null => {
  const [, pipeline, number] = /^(.+)-([1-9]\d{0,8})$/.exec(id) ?? []
  return pipeline === undefined ? null : { pipeline, number: Number(number) }
}

/** Of both workflows. */
export const verificationUpdateNames = { cancel: 'cancel', approve: 'approve' } as const

export interface VerificationInput {
  readonly pipeline: string
  /** Of the run, as the store gave it. Absent: started by the pipeline's schedule, which knows of none. */
  readonly number?: number
  readonly taskQueuePrefix?: string
  /** Activities after which the run continues as new. For tests; the default keeps a run's history small. */
  readonly passesPerRun?: number
}

export interface RepairInput {
  readonly pipeline: string
  readonly number: number
  readonly repair: number
  readonly needsApproval: boolean
  readonly taskQueuePrefix?: string
  readonly passesPerRun?: number
}

/**
 * waiting: for a worker, or for the pipeline to stream. failed: it ended without having compared everything, for the reason that is shown.
 */
export type VerificationState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'

/** incomplete: nothing differs in what was compared, but not everything could be compared. */
export type VerificationOutcome = 'equal' | 'different' | 'incomplete'

export const openVerificationStates: readonly VerificationState[] = ['waiting', 'running']

/** skipped: not compared, for the reason in `why`. failed: something happened to the table while it was compared, or before. */
export type ComparedTableState = 'pending' | 'running' | 'done' | 'skipped' | 'failed'

export type RepairState =
  | 'awaiting-approval'
  | 'waiting'
  | 'repairing'
  | 'verifying'
  | 'done'
  | 'failed'
  | 'cancelled'

export const openRepairStates: readonly RepairState[] = [
  'awaiting-approval',
  'waiting',
  'repairing',
  'verifying',
]

/** A code of the catalogue, what is wrong, and what to do. */
export interface VerificationTrouble {
  readonly code: string
  readonly message: string
  readonly remedy: string
}
