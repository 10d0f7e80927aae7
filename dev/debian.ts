/*
 * Unpacks Debian packages of one suite, with all that they depend on, into a folder beside the system: nothing is installed, nothing of the system's apt state is read or changed, and no root is needed.
 * The mirror is the one that the system's own apt sources name. Assumes apt, dpkg and Debian's archive keyring.
 * A crash leaves a half filled folder, which the caller throws away.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Say } from './cache.ts'
import { runCommand } from './proc.ts'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** What is fetched. */
export type DebianPackages = {
  /** Debian's name of the suite, such as sid or bookworm. */
  readonly suite: string
  readonly packages: readonly string[]
  /** For people, to know what they wait for. */
  readonly megabytes: number
}

/** Unpacks `packages` into `root` and returns the version of each fetched package by its name. */
export async function unpackDebian(
  root: string,
  { suite, packages, megabytes }: DebianPackages,
  say: Say,
): Promise<Map<string, string>> {
  const state = join(root, '.apt')
  const archives = join(state, 'cache', 'archives')
  await mkdir(join(state, 'lists', 'partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  await writeFile(join(state, 'status'), '')
  await writeFile(
    join(state, 'sources.list'),
    `deb [signed-by=${keyring}] ${await debianMirror()} ${suite} main\n`,
  )
  const config = join(state, 'apt.conf')
  await writeFile(config, aptConfig(state))
  const env = { ...process.env, APT_CONFIG: config, LC_ALL: 'C' }
  // A mirror that is just being updated serves lists and packages that do not belong together: try again.
  for (let attempt = 1; ; attempt++) {
    try {
      say(`Fetching the package list of Debian ${suite} ...`)
      await runCommand('apt-get', ['update', '--error-on=any'], { env })
      say(`Fetching ${packages.join(', ')} and what they need (about ${megabytes} MB) ...`)
      await runCommand('apt-get', ['install', '-y', '--download-only', ...packages], { env })
      break
    } catch (error) {
      if (attempt === 3) throw error
      say(`That failed and is tried again in 10 s: ${error instanceof Error ? error.message : String(error)}`)
      await sleep(10_000)
    }
  }
  const versions = new Map<string, string>()
  for (const file of await readdir(archives)) {
    if (!file.endsWith('.deb')) continue
    const [name = '', version = ''] = file.split('_')
    versions.set(name, decodeURIComponent(version))
    await runCommand('dpkg', ['-x', join(archives, file), root])
  }
  await rm(state, { recursive: true, force: true })
  return versions
}

function aptConfig(state: string): string {
  return [
    `Dir::State "${state}";`,
    `Dir::State::Lists "${state}/lists";`,
    `Dir::State::status "${state}/status";`,
    `Dir::Cache "${state}/cache";`,
    `Dir::Log "${state}";`,
    `Dir::Etc::SourceList "${state}/sources.list";`,
    'Dir::Etc::SourceParts "/dev/null";',
    'APT::Install-Recommends "0";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    '',
  ].join('\n')
}

/** The URI under which this system gets Debian's main archive, from its one-line and deb822 sources. */
export async function debianMirror(aptFolder = '/etc/apt', codename?: string): Promise<string> {
  const suite = codename ?? (await systemCodename())
  const parts = join(aptFolder, 'sources.list.d')
  const files = [join(aptFolder, 'sources.list')]
  for (const name of await readdir(parts).catch(() => [])) files.push(join(parts, name))
  const uris: string[] = []
  for (const file of files.sort()) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (file.endsWith('.sources')) uris.push(...urisOfStanzas(text, suite))
    else if (file.endsWith('.list')) uris.push(...urisOfLines(text, suite))
  }
  // Other archives may use the same suite names; Debian's own ends in /debian on every mirror layout but a few.
  const mirror = uris.find((uri) => /\/debian\/?$/.test(uri)) ?? uris[0]
  if (mirror === undefined) {
    throw new Error(
      "MySQL and MariaDB come from Debian's packages here, and this system's apt sources name no Debian archive. " +
        'Use Debian 12 or newer, or start the servers with docker compose.',
    )
  }
  return mirror
}

async function systemCodename(): Promise<string> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^VERSION_CODENAME="?([a-z]+)/m.exec(osRelease)?.[1] ?? 'sid'
}

function urisOfLines(text: string, codename: string): string[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line)
    if (match === null) return []
    const [, uri = '', suite, components = ''] = match
    return suite === codename && components.split(/\s+/).includes('main') ? [uri] : []
  })
}

function urisOfStanzas(text: string, codename: string): string[] {
  const withoutComments = text.replaceAll(/^#.*\n?/gm, '')
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string): string[] => {
      const match = new RegExp(`^${name}:\\s*(.*(?:\\n[ \\t]+.*)*)`, 'im').exec(stanza)
      return match?.[1]?.trim().split(/\s+/) ?? []
    }
    if (field('Enabled')[0] === 'no' || !field('Types').includes('deb')) return []
    if (!field('Suites').includes(codename) || !field('Components').includes('main')) return []
    return field('URIs').slice(0, 1)
  })
}
