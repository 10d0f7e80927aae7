/*
 * mydumper and myloader, unpacked from Debian's packages beside the system with all that they link to, as dev/mysql-install.ts does for
 * MySQL itself. The first call needs the network; later ones find the cached version.
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { cached, sayOnStderr } from '../../../dev/cache.ts'
import { unpackDebian } from '../../../dev/debian.ts'
import { runCommand } from '../../../dev/proc.ts'

export type Mydumper = {
  /** Debian's version of the package. */
  readonly version: string
  run(tool: 'mydumper' | 'myloader', args: readonly string[]): Promise<string>
}

/** @throws where the packages cannot be had or do not run on this system */
export async function ensureMydumper(): Promise<Mydumper> {
  const root = await cached({
    kind: 'mydumper',
    say: sayOnStderr,
    build: async (folder) => {
      const versions = await unpackDebian(
        folder,
        { suite: 'sid', packages: ['mydumper'], megabytes: 65 },
        sayOnStderr,
      )
      const version = versions.get('mydumper')
      if (version === undefined) throw new Error('Debian has no mydumper at present.')
      return version
    },
  })
  const libraries = join(root, 'usr', 'lib')
  const triplet = (await readdir(libraries)).find((name) => name.endsWith('-linux-gnu'))
  const loader = await loaderIn(root)
  if (triplet === undefined || loader === undefined)
    throw new Error(`${root} is incomplete; remove it and try again.`)
  const folder = join(libraries, triplet)
  // The client library looks for its plugins (MySQL's default authentication is one) where the package would be installed.
  const env = { ...process.env, MARIADB_PLUGIN_DIR: join(folder, 'libmariadb3', 'plugin') }
  const run: Mydumper['run'] = (tool, args) =>
    runCommand(loader, ['--library-path', folder, join(root, 'usr', 'bin', tool), ...args], {
      name: tool,
      env,
    })
  await run('mydumper', ['--version'])
  return { version: basename(root), run }
}

async function loaderIn(root: string): Promise<string | undefined> {
  for (const folder of [join(root, 'usr', 'lib64'), join(root, 'usr', 'lib')]) {
    const name = (await readdir(folder).catch(() => [])).find((entry) => /^ld-linux.*\.so\.\d+$/.test(entry))
    if (name !== undefined) return join(folder, name)
  }
  return undefined
}
