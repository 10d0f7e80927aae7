/** Limits of a pipeline in words. Pure. */
import type { PipelineResource } from '../api/wire.ts'
import { countText } from './output.ts'

type Spec = PipelineResource['document']['spec']

/** `load 5,000 rows/s, 10MiB/s; stream without limit` */
export const limitsText = ({ load, stream }: Spec): string =>
  `load ${ratesText(load)}; stream ${ratesText(stream)}`

function ratesText({ maxRowsPerSecond, maxBytesPerSecond }: Spec['load'] | Spec['stream']): string {
  const rates = [
    ...(maxRowsPerSecond === undefined ? [] : [`${countText(maxRowsPerSecond)} rows/s`]),
    ...(maxBytesPerSecond === undefined ? [] : [`${maxBytesPerSecond}/s`]),
  ]
  return rates.length === 0 ? 'without limit' : rates.join(', ')
}
