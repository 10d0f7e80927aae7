/*
 * MySQL's programs, unpacked from Debian unstable into the cache. Their C library is newer than the system's, so
 * they are run by the loader and with the libraries that came with them: `mysqlProgram` gives the command line.
 * The first call needs the network (about 65 MB, 20 s); later calls find the cached version, whatever is newest.
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { cached, type Say, sayOnStderr } from './cache.ts'
import { unpackUnstable } from './debian.ts'
import { mysqlPackages } from './versions.ts'

export type MysqlInstall = {
  /** Debian's version, such as 9.7.4-2. */
  readonly version: string
  readonly root: string
  readonly loader: string
  readonly libraryPath: string
}

export async function ensureMysql(say: Say = sayOnStderr): Promise<MysqlInstall> {
  const root = await cached({
    kind: 'mysql',
    say,
    build: async (folder) => {
      const versions = await unpackUnstable(folder, mysqlPackages, say)
      const version = versions.get(mysqlPackages[0])
      if (version === undefined) throw new Error(`Debian unstable has no ${mysqlPackages[0]} at present.`)
      return version
    },
  })
  const libraries = join(root, 'usr', 'lib')
  const triplet = (await readdir(libraries)).find((name) => name.endsWith('-linux-gnu'))
  if (triplet === undefined) throw new Error(`${root} has no libraries; remove it and try again.`)
  return {
    version: basename(root),
    root,
    loader: await findLoader(root),
    libraryPath: `${join(libraries, triplet)}:${join(libraries, triplet, 'mysql')}`,
  }
}

/** Command and arguments that run one of the unpacked programs. */
export function mysqlProgram(install: MysqlInstall, program: string): { command: string; args: string[] } {
  const folder = program === 'mysqld' ? 'sbin' : 'bin'
  const path = join(install.root, 'usr', folder, program)
  return { command: install.loader, args: ['--library-path', install.libraryPath, path] }
}

async function findLoader(root: string): Promise<string> {
  for (const folder of [join(root, 'usr', 'lib64'), join(root, 'usr', 'lib')]) {
    const names = await readdir(folder).catch(() => [])
    const loader = names.find((name) => /^ld-linux.*\.so\.\d+$/.test(name))
    if (loader !== undefined) return join(folder, loader)
  }
  throw new Error(`${root} has no dynamic loader; remove it and try again.`)
}
