/** A gate with a clock of its own: order, changes of limits, giving up. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createGate } from '../../../src/streamer/gate.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const never = new AbortController().signal
const rows = (maxRowsPerSecond: number | null) => ({ maxRowsPerSecond, maxBytesPerSecond: null })

it('lets everything through while nothing limits it', async () => {
  const gate = createGate()
  expect(gate.isLimited()).toBe(false)
  for (let i = 0; i < 1_000; i++) await gate.pass(1e6, 1e9, never)
  expect(gate.heldBackBy()).toBeNull()
})

it('lets through in the order of asking, at the rate, and says by what it holds back', async () => {
  const gate = createGate()
  gate.set(rows(100))
  const order: number[] = []
  for (let i = 0; i < 5; i++) void gate.pass(100, 0, never).then(() => order.push(i))
  await vi.advanceTimersByTimeAsync(0)
  expect(order).toEqual([0])
  expect(gate.heldBackBy()).toBe('limit of 100 rows/s')
  await vi.advanceTimersByTimeAsync(1_000)
  expect(order).toEqual([0, 1])
  await vi.advanceTimersByTimeAsync(3_000)
  expect(order).toEqual([0, 1, 2, 3, 4])
  expect(gate.heldBackBy()).toBeNull()
})

it('goes by other limits at once, for who waits already too', async () => {
  const gate = createGate()
  gate.set({ maxRowsPerSecond: null, maxBytesPerSecond: 1 })
  await gate.pass(0, 1_000_000, never)
  let passed = false
  void gate.pass(0, 1, never).then(() => {
    passed = true
  })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(passed).toBe(false)
  expect(gate.heldBackBy()).toBe('limit of 1 bytes/s')
  gate.set({ maxRowsPerSecond: null, maxBytesPerSecond: 10_000_000 })
  await vi.advanceTimersByTimeAsync(150)
  expect(passed).toBe(true)
  gate.settle(0, 1e12)
  void gate.pass(0, 0, never).then(() => {
    passed = false
  })
  await vi.advanceTimersByTimeAsync(1_000)
  expect(passed).toBe(true)
  gate.set(rows(null))
  await vi.advanceTimersByTimeAsync(0)
  expect(passed).toBe(false)
})

it('lets nobody wait whose work is over, and the next one takes the place', async () => {
  const gate = createGate()
  gate.set(rows(10))
  await gate.pass(10, 0, never)
  const over = new AbortController()
  const gone = gate.pass(1_000, 0, over.signal)
  let passed = false
  void gate.pass(1, 0, never).then(() => {
    passed = true
  })
  over.abort(new Error('over'))
  await expect(gone).rejects.toThrow('over')
  await expect(gate.pass(1, 0, over.signal)).rejects.toThrow('over')
  await vi.advanceTimersByTimeAsync(1_001)
  expect(passed).toBe(true)
})

it('what was expected and not taken is given back', async () => {
  const gate = createGate()
  gate.set(rows(10))
  await gate.pass(1_000, 0, never)
  gate.settle(-1_000, 0)
  let passed = false
  void gate.pass(1, 0, never).then(() => {
    passed = true
  })
  await vi.advanceTimersByTimeAsync(0)
  expect(passed).toBe(true)
})
