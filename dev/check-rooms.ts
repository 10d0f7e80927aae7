/*
 * Holds the walls between the rooms of src/: who may import whom, no cycles between rooms, no barrel files, a pure core and deterministic
 * workflows. `node dev/check-rooms.ts` prints every breach as file:line and exits 1 if there is one.
 * Reads import and export statements at the start of a line (the formatter puts them there) and dynamic imports of literal paths.
 */
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'

/** Where a room's code may reach. `types` may only be imported as types. `packages`: undefined means any. */
type Room = {
  readonly uses: readonly string[]
  readonly types?: readonly string[]
  readonly packages?: readonly RegExp[]
}

/** A name with a slash is one file (without extension) of a room, a name without is all that the room shows to others. */
const rooms: Readonly<Record<string, Room>> = {
  core: { uses: [], packages: [] },
  config: { uses: ['core'] },
  telemetry: { uses: ['core'] },
  connectors: { uses: ['core', 'config', 'telemetry'] },
  streamer: { uses: ['core', 'connectors/contract'] },
  verifier: { uses: ['core', 'connectors/contract'] },
  store: { uses: ['core', 'config'] },
  activities: { uses: ['core', 'config', 'streamer', 'verifier', 'connectors', 'store', 'telemetry'] },
  workflows: {
    uses: ['core'],
    types: ['activities/contract'],
    packages: [/^@temporalio\/(workflow|common)$/],
  },
  api: { uses: ['core', 'config', 'store', 'telemetry'] },
  cli: { uses: ['core', 'config', 'store', 'entry'], types: ['api/wire', 'api/verification-wire'] },
  console: { uses: ['core'], types: ['api/wire'] },
  worker: { uses: ['core', 'telemetry'] },
  // The processes: src/*.ts put the rooms together.
  entry: {
    uses: [
      'core',
      'config',
      'telemetry',
      'connectors',
      'streamer',
      'verifier',
      'store',
      'activities',
      'workflows',
      'api',
      'worker',
    ],
  },
}

/** What a room shows to others, where that is not all of it. */
const fronts: Readonly<Record<string, readonly string[]>> = {
  connectors: ['connectors/contract', 'connectors/registry'],
}

/** Files that only pass on the exports of others, with the reason why they must. */
const passingOn: ReadonlySet<string> = new Set([
  // Temporal's bundler takes every export of one module for a workflow.
  'workflows/registry',
])

type Import = { readonly specifier: string; readonly isType: boolean; readonly line: number }
export type Breach = { readonly file: string; readonly line: number; readonly message: string }

export async function checkRooms(root: string): Promise<Breach[]> {
  const source = join(root, 'src')
  const names = (await readdir(source, { recursive: true })).filter((name) => /\.tsx?$/.test(name)).sort()
  const breaches: Breach[] = []
  const arrows = new Map<string, Map<string, string>>()
  for (const name of names) {
    const text = await readFile(join(source, name), 'utf8')
    const file = name.replace(/\.tsx?$/, '').replaceAll('\\', '/')
    const room = roomOf(file)
    const breach = (line: number, message: string): void => {
      breaches.push({ file: `src/${name}`, line, message })
    }
    if (rooms[room] === undefined)
      breach(1, `${room} is no room: add it to dev/check-rooms.ts with what it may use`)
    if (isBarrel(text) && !passingOn.has(file)) {
      breach(1, 'only passes on the exports of others: import from where a thing is defined')
    }
    for (const { specifier, isType, line } of importsOf(text)) {
      const to = targetOf(source, name, specifier)
      const message = to === null ? forbiddenPackage(room, specifier) : forbiddenFile(file, to, isType)
      if (message !== null) breach(line, message)
      if (to !== null && to !== '' && roomOf(to) !== room) {
        const from = arrows.get(room) ?? new Map<string, string>()
        if (!isType) from.set(roomOf(to), `src/${name}:${line}`)
        arrows.set(room, from)
      }
    }
  }
  for (const cycle of cyclesIn(arrows)) breaches.push(cycle)
  return breaches
}

const roomOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : 'entry')

/** The imported file as room/name, '' when it lies outside src, null for a package. */
function targetOf(source: string, from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  const path = relative(source, resolve(source, dirname(from), specifier)).replaceAll('\\', '/')
  return path.startsWith('..') ? '' : path.replace(/\.tsx?$/, '')
}

function forbiddenPackage(room: string, specifier: string): string | null {
  const allowed = rooms[room]?.packages
  if (allowed === undefined || allowed.some((pattern) => pattern.test(specifier))) return null
  return `${room} may not import ${specifier}: it must run anywhere, the same each time`
}

function forbiddenFile(from: string, to: string, isType: boolean): string | null {
  const room = roomOf(from)
  if (to === '') return 'imports a file outside src'
  const other = roomOf(to)
  if (other === room) return room === 'connectors' ? forbiddenConnector(from, to) : null
  const { uses = [], types = [] } = rooms[room] ?? {}
  const isNamed = (list: readonly string[]): boolean => list.includes(to) || list.includes(other)
  if (isNamed(types) && !isNamed(uses)) return isType ? null : `${room} may import ${to} as types only`
  if (!isNamed(uses))
    return `${room} may not import ${other}; it may use: ${[...uses, ...types].join(', ') || 'nothing'}`
  const front = fronts[other]
  if (front !== undefined && !front.includes(to))
    return `${to} is ${other}' own business; others import ${front.join(' or ')}`
  return null
}

/** Nothing outside a connector's folder knows its inside, but for the registry. */
function forbiddenConnector(from: string, to: string): string | null {
  const kindOf = (file: string): string | undefined => file.split('/').slice(1, -1)[0]
  const kind = kindOf(to)
  if (kind === undefined || kind === 'kit' || kind === kindOf(from) || from === 'connectors/registry')
    return null
  return `${to} is the inside of another connector`
}

const statement = /^(?:import|export)(\s+type)?\b([\w\s{},*$]*?)(?:\bfrom\s*)?['"]([^'"\n]+)['"]/gm
const dynamic = /\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/g

export function importsOf(text: string): Import[] {
  const found: Import[] = []
  const lineAt = (index: number): number => text.slice(0, index).split('\n').length
  for (const match of text.matchAll(statement)) {
    const [, type, names = '', specifier = ''] = match
    const listed =
      /\{([^}]*)\}/
        .exec(names)?.[1]
        ?.split(',')
        .filter((name) => name.trim() !== '') ?? []
    const onlyTypes =
      listed.length > 0 && listed.every((name) => /^\s*type\s/.test(name)) && /^\s*\{/.test(names)
    found.push({ specifier, isType: type !== undefined || onlyTypes, line: lineAt(match.index) })
  }
  for (const match of text.matchAll(dynamic)) {
    found.push({ specifier: match[1] ?? '', isType: false, line: lineAt(match.index) })
  }
  return found
}

function isBarrel(text: string): boolean {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  if (!/^export\b[\s\w{},*$]*?\bfrom\s*['"]/m.test(code)) return false
  const rest = code.replace(statement, '').replace(/^export(\s+type)?\s*\{[^}]*\}/gm, '')
  return /^[\s;]*$/.test(rest)
}

function cyclesIn(arrows: ReadonlyMap<string, ReadonlyMap<string, string>>): Breach[] {
  const found: Breach[] = []
  const seen = new Set<string>()
  const walk = (room: string, path: readonly string[]): void => {
    if (path.includes(room)) {
      const cycle = path.slice(path.indexOf(room))
      const key = [...cycle].sort().join()
      if (seen.has(key)) return
      seen.add(key)
      const [file = '', line = '1'] = (arrows.get(cycle.at(-1) ?? '')?.get(room) ?? '').split(':')
      found.push({
        file,
        line: Number(line),
        message: `closes a cycle of rooms: ${[...cycle, room].join(' -> ')}`,
      })
      return
    }
    for (const next of arrows.get(room)?.keys() ?? []) walk(next, [...path, room])
  }
  for (const room of arrows.keys()) walk(room, [])
  return found
}

if (import.meta.main) {
  const breaches = await checkRooms(resolve(import.meta.dirname, '..'))
  for (const { file, line, message } of breaches) console.error(`${file}:${line}  ${message}`)
  if (breaches.length > 0) {
    console.error(`${breaches.length} imports through the walls between rooms`)
    process.exitCode = 1
  }
}
