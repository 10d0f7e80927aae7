/** Limits of a pipeline in words. Pure. */
import type { PipelineResource } from '../api/wire.ts'
import { countText } from './output.ts'

type Spec = PipelineResource['document']['spec']

/** `load 5,000 rows/s, 10MiB/s; stream without limit` */
export const limitsText = ({ load, stream }: Spec): string =>
  `load ${ratesText(load)}; stream ${ratesText(stream)}`

function ratesText({
  maxRowsPerSecond,
  maxBytesPerSecond,
  pauseWhen,
}: Spec['load'] | Spec['stream']): string {
  const { sourceThreadsRunning, targetThreadsRunning, targetReplicaLag, targetQuery } = pauseWhen ?? {}

  const rates = [
    ...(maxRowsPerSecond === undefined ? [] : [`${countText(maxRowsPerSecond)} rows/s`]),
    ...(maxBytesPerSecond === undefined ? [] : [`${maxBytesPerSecond}/s`]),
    ...(sourceThreadsRunning === undefined
      ? []
      : [`waits above ${sourceThreadsRunning} threads at the source`]),
    ...(targetThreadsRunning === undefined
      ? []
      : [`waits above ${targetThreadsRunning} threads at the target`]),
    ...(targetReplicaLag === undefined ? [] : [`waits for replicas ${targetReplicaLag} behind`]),
    ...(targetQuery === undefined ? [] : [`waits while a query gives more than ${targetQuery.above}`]),
  ]
  return rates.length === 0 ? 'without limit' : rates.join(', ')
}
