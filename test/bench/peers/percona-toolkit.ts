/*
 * pt-table-checksum, unpacked from Debian's packages beside the system with its own Perl and all that it links to, as mydumper.ts does. The first call
 * needs the network; later ones find the cached version.
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { cached, sayOnStderr } from '../../../dev/cache.ts'
import { unpackDebian } from '../../../dev/debian.ts'
import { runCommand } from '../../../dev/proc.ts'

export type PerconaToolkit = {
  /** Debian's version of the package. */
  readonly version: string
  /** @returns what it prints. Rejects where it exits with anything but one of `codes` */
  tableChecksum(args: readonly string[]): Promise<string>
}

/** @throws where the packages cannot be had or do not run on this system */
export async function ensurePerconaToolkit(): Promise<PerconaToolkit> {
  const root = await cached({
    kind: 'percona-toolkit',
    say: sayOnStderr,
    build: async (folder) => {
      const versions = await unpackDebian(
        folder,
        { suite: 'sid', packages: ['percona-toolkit'], megabytes: 60 },
        sayOnStderr,
      )
      const version = versions.get('percona-toolkit')
      if (version === undefined) throw new Error('Debian has no percona-toolkit at present.')
      return version
    },
  })
  const libraries = join(root, 'usr', 'lib')
  const triplet = (await readdir(libraries)).find((name) => name.endsWith('-linux-gnu'))
  const loader = await loaderIn(root)
  if (triplet === undefined || loader === undefined)
    throw new Error(`${root} is incomplete; remove it and try again.`)
  const folder = join(libraries, triplet)
  const modules = [
    ...(await versioned(join(folder, 'perl5'))),
    join(root, 'usr', 'share', 'perl5'),
    ...(await versioned(join(folder, 'perl'))),
    ...(await versioned(join(root, 'usr', 'share', 'perl'))),
    join(folder, 'perl-base'),
  ]
  const env = {
    ...process.env,
    PERL5LIB: modules.join(':'),
    LD_LIBRARY_PATH: '',
    MARIADB_PLUGIN_DIR: join(folder, 'libmariadb3', 'plugin'),
    // No files of the user, and no question to anybody whether there is a newer version.
    HOME: root,
    PERCONA_VERSION_CHECK: '0',
  }
  const program = ['--library-path', folder, join(root, 'usr', 'bin', 'perl')]
  const run = (args: readonly string[]): Promise<string> =>
    runCommand(loader, [...program, join(root, 'usr', 'bin', 'pt-table-checksum'), ...args], {
      name: 'pt-table-checksum',
      env,
    })
  await run(['--version'])
  return { version: basename(root), tableChecksum: run }
}

const versioned = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => /^5\.\d+$/.test(name)).map((name) => join(folder, name))

async function loaderIn(root: string): Promise<string | undefined> {
  for (const folder of [join(root, 'usr', 'lib64'), join(root, 'usr', 'lib')]) {
    const name = (await readdir(folder).catch(() => [])).find((entry) => /^ld-linux.*\.so\.\d+$/.test(entry))
    if (name !== undefined) return join(folder, name)
  }
  return undefined
}
