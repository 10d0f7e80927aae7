/**
 * An interval that falls on multiples of its length, so that a process with a thousand of them wakes up once for all and not a thousand
 * times (each wake-up of an idle event loop costs more than the work it finds; docs/operations/performance.md, "Idle pipelines").
 *
 * Does not keep the process alive. The first call comes within one length; a process that was stopped calls once for all that it missed.
 */

/** @returns ends it */
export function alignedInterval(everyMs: number, work: () => void): () => void {
  let isEnded = false
  let timer: NodeJS.Timeout
  const arm = (): void => {
    timer = setTimeout(
      () => {
        work()
        if (!isEnded) arm()
      },
      everyMs - (performance.now() % everyMs),
    ).unref()
  }
  arm()
  return () => {
    isEnded = true
    clearTimeout(timer)
  }
}
