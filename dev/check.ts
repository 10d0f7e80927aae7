/*
 * `npm run check`: types, lint, format, the walls between the rooms, generated files and the tests that need no server, in under a minute.
 * Goes on after a failure, so that one run shows all that is wrong; prints what the failed checks said, and nothing of the others.
 */
import { spawn } from 'node:child_process'
import { delimiter, join, resolve } from 'node:path'

type Check = { readonly name: string; readonly command: readonly string[] }
type Result = { readonly name: string; readonly seconds: number; readonly ok: boolean; readonly said: string }

const root = resolve(import.meta.dirname, '..')
const timeoutMs = 5 * 60_000

const checks: readonly Check[] = [
  {
    name: 'unit tests',
    command: ['vitest', 'run', '--project', 'unit', '--silent=passed-only', '--reporter=dot'],
  },
  { name: 'types', command: ['tsc', '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'types of the workflows', command: ['tsc', '--noEmit', '-p', 'src/workflows/tsconfig.json'] },
  { name: 'lint', command: ['oxlint', '--type-aware'] },
  { name: 'format', command: ['biome', 'check', '.'] },
  { name: 'rooms', command: ['node', 'dev/check-rooms.ts'] },
  { name: 'generated files', command: ['node', 'dev/generate.ts', '--check'] },
]
/** The tests take as long as all the others together, so two at a time. */
const atOnce = 2

function run({ name, command }: Check): Promise<Result> {
  const [program = '', ...args] = command
  const startedAt = performance.now()
  return new Promise((done) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      // Node's own folder comes first: the tools must not run on an older node of the system.
      env: {
        ...process.env,
        PATH: [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter),
      },
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
    }
    const end = (ok: boolean): void =>
      done({ name, ok, said, seconds: (performance.now() - startedAt) / 1000 })
    child.once('error', (error) => {
      said += error.message
      end(false)
    })
    child.once('close', (code) => end(code === 0))
  })
}

const waiting = [...checks]
const results: Result[] = []
const startedAt = performance.now()
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const result = await run(check)
      results.push(result)
      console.log(`${result.ok ? 'ok    ' : 'FAILED'}  ${result.name}, ${result.seconds.toFixed(1)} s`)
    }
  }),
)
const failed = results.filter(({ ok }) => !ok)
for (const { name, said } of failed) console.log(`\n== ${name}\n${said.trimEnd()}`)
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
console.log(`\n${results.length - failed.length} of ${results.length} checks passed, ${seconds} s`)
process.exitCode = failed.length === 0 ? 0 : 1
