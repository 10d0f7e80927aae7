/*
 * `npm test`: prepares the servers, checks types, lint, rooms and generated files, and runs every test. Goes on after a
 * failed check, so one run shows all that is wrong. The last line is `N passed, N failed, N skipped`: tests, where a
 * failed check counts as one more failure. The exit status is 0 only if nothing failed.
 * Arguments select test files (and are vitest's): then the tests run without the checks.
 * It needs nothing from an earlier run and shares nothing with one at its side but the cache, which is locked.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { guardProcess } from './guard.ts'
import { ensureMysql } from './mysql-install.ts'
import { createScratch } from './scratch.ts'
import { ensureTemporal } from './temporal.ts'

type Outcome = { readonly stage: string; readonly seconds: number; readonly failed: boolean }
type TestCounts = { passed: number; failed: number; skipped: number }

const root = resolve(import.meta.dirname, '..')
const selected = process.argv.slice(2)
const outcomes: Outcome[] = []
/** Well under what continuous integration allows, so that a hang is reported here and not cut off there. */
const testTimeoutMs = 75 * 60_000

let running: ChildProcess | undefined
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true
    if (running === undefined) process.exit(1)
    running.kill(signal)
  })
}

/** Runs one command on this terminal; resolves with whether it succeeded. */
function run(command: readonly string[], timeoutMs = 15 * 60_000): Promise<boolean> {
  const [program = '', ...args] = command
  return new Promise((done) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      // Node's own folder comes first: the tools must not run on an older node of the system.
      env: {
        ...process.env,
        PATH: [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter),
      },
    })
    const guard = child.pid === undefined ? undefined : guardProcess(child.pid)
    running = child
    const timer = setTimeout(() => {
      console.error(`${command.join(' ')} did not end within ${timeoutMs / 60_000} minutes and is killed.`)
      child.kill('SIGKILL')
    }, timeoutMs)
    const end = (ok: boolean): void => {
      clearTimeout(timer)
      guard?.release()
      running = undefined
      if (interrupted) process.exit(1)
      done(ok)
    }
    child.once('error', (error) => {
      console.error(`cannot run ${program}: ${error.message}`)
      end(false)
    })
    child.once('close', (code) => end(code === 0))
  })
}

async function stage(name: string, work: () => Promise<boolean>): Promise<void> {
  console.log(`\n== ${name}`)
  const startedAt = performance.now()
  const ok = await work().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    return false
  })
  const seconds = (performance.now() - startedAt) / 1000
  outcomes.push({ stage: name, seconds, failed: !ok })
  console.log(`== ${name}: ${ok ? 'ok' : 'FAILED'}, ${seconds.toFixed(1)} s`)
}

async function runTests(): Promise<TestCounts> {
  const scratch = await createScratch('results')
  const resultFile = join(scratch.path, 'results.json')
  let ok = false
  await stage('tests', async () => {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${resultFile}`]
    ok = await run(
      ['vitest', 'run', '--allowOnly=false', '--silent=passed-only', ...reporters, ...selected],
      testTimeoutMs,
    )
    return ok
  })
  const counts = countTests(await readFile(resultFile, 'utf8').catch(() => undefined))
  await scratch.remove()
  // An error outside of any test, such as a crashed worker or no file found, fails the run all the same.
  if (!ok && counts.failed === 0) counts.failed = 1
  return counts
}

type Results = {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { status: string; assertionResults: { status: string }[] }[]
}

function countTests(json: string | undefined): TestCounts {
  if (json === undefined) return { passed: 0, failed: 1, skipped: 0 }
  const results = JSON.parse(json) as Results
  // A file that cannot even be loaded has no failed test in it, and is a failure.
  const brokenFiles = results.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  )
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + brokenFiles.length,
    skipped: results.numPendingTests + results.numTodoTests,
  }
}

const startedAt = performance.now()
if (selected.length === 0) {
  await stage('servers', async () => {
    const mysql = await ensureMysql(console.log)
    const temporal = await ensureTemporal(console.log)
    console.log(`MySQL ${mysql.version} in ${mysql.root}\nTemporal in ${temporal}`)
    return true
  })
  await stage('types', () => run(['tsc', '--noEmit', '-p', 'tsconfig.json']))
  if (existsSync(join(root, 'src/workflows/tsconfig.json'))) {
    await stage('types of the workflows', () => run(['tsc', '--noEmit', '-p', 'src/workflows/tsconfig.json']))
  }
  await stage('lint', () => run(['oxlint', '--type-aware']))
  await stage('format', () => run(['biome', 'check', '.']))
  if (existsSync(join(root, 'dev/check-rooms.ts')))
    await stage('rooms', () => run(['node', 'dev/check-rooms.ts']))
  if (existsSync(join(root, 'dev/generate.ts'))) {
    await stage('generated files', () => run(['node', 'dev/generate.ts', '--check']))
  }
}
const tests = await runTests()
const failedChecks = outcomes.filter((outcome) => outcome.failed && outcome.stage !== 'tests')
for (const { stage: name, seconds, failed } of outcomes) {
  console.log(`${failed ? 'FAILED' : 'ok    '} ${seconds.toFixed(1).padStart(7)} s  ${name}`)
}
console.log(`All in ${((performance.now() - startedAt) / 60_000).toFixed(1)} min.`)
const failed = tests.failed + failedChecks.length
console.log(`${tests.passed} passed, ${failed} failed, ${tests.skipped} skipped`)
process.exitCode = failed === 0 ? 0 : 1
