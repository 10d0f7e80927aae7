/**
 * The part of a pipeline's file that may change while the pipeline runs, without a restart of its stream. Pure.
 *
 * Defined once: what is in place for `apply`, what `syncline limits` sets, and what an engine looks up again and again are the same fields.
 */
import type { PauseRules, PipelineLimits, RateLimits } from '../core/limits.ts'
import type { PauseFields, PipelineSpec } from './pipeline.ts'
import { durationMs, sizeBytes } from './quantity.ts'

/** Fields of both `spec.load` and `spec.stream`. */
export const limitFields = ['maxRowsPerSecond', 'maxBytesPerSecond', 'pauseWhen'] as const

/** @param spec of a checked document; one of an earlier version may lack what came later */
export const limitsOf = ({ load, stream }: PipelineSpec): PipelineLimits => ({
  load: ratesOf(load),
  stream: ratesOf(stream),
  pauseWhen: { load: pausesOf(load), stream: pausesOf(stream) },
})

interface RateFields {
  readonly maxRowsPerSecond?: number | undefined
  readonly maxBytesPerSecond?: string | undefined
}

const ratesOf = ({ maxRowsPerSecond, maxBytesPerSecond }: RateFields): RateLimits => ({
  maxRowsPerSecond: maxRowsPerSecond ?? null,
  maxBytesPerSecond: maxBytesPerSecond === undefined ? null : sizeBytes(maxBytesPerSecond),
})

const pausesOf = ({ pauseWhen }: { readonly pauseWhen?: PauseFields | undefined }): PauseRules => ({
  sourceThreadsRunning: pauseWhen?.sourceThreadsRunning ?? null,
  targetThreadsRunning: pauseWhen?.targetThreadsRunning ?? null,
  targetReplicaLagMs:
    pauseWhen?.targetReplicaLag === undefined ? null : durationMs(pauseWhen.targetReplicaLag),
  targetQuery: pauseWhen?.targetQuery ?? null,
})

/** All that a change of needs more than other limits. */
export function withoutLimits(spec: PipelineSpec): PipelineSpec {
  const strip = <Part extends object>(part: Part): Part => {
    const kept = Object.entries(part).filter(([field]) => !(limitFields as readonly string[]).includes(field))
    return Object.fromEntries(kept) as Part
  }
  return { ...spec, load: strip(spec.load), stream: strip(spec.stream) }
}

/** Is the field, as `spec.load.maxRowsPerSecond` or below it, one that changes in place? */
export const isLimitField = (path: string): boolean =>
  (['load', 'stream'] as const).some((part) =>
    limitFields.some(
      (field) => path === `spec.${part}.${field}` || path.startsWith(`spec.${part}.${field}.`),
    ),
  )
