/*
 * MySQL's programs, unpacked from Debian unstable into the cache. Their C library is newer than the system's, so
 * they are run by the loader and with the libraries that came with them: `mysqlProgram` gives the command line.
 * The first call needs the network (about 65 MB, 20 s); later calls find the cached version, whatever is newest.
 */
import { cached, type Say, sayOnStderr } from './cache.ts'
import { unpackDebian } from './debian.ts'
import { type UnpackedInstall, unpackedInstall, unpackedProgram } from './unpacked.ts'
import { mysqlPackages } from './versions.ts'

export type MysqlInstall = UnpackedInstall

export async function ensureMysql(say: Say = sayOnStderr): Promise<MysqlInstall> {
  const root = await cached({
    kind: 'mysql',
    say,
    build: async (folder) => {
      const versions = await unpackDebian(
        folder,
        { suite: 'sid', packages: mysqlPackages, megabytes: 65 },
        say,
      )
      const version = versions.get(mysqlPackages[0])
      if (version === undefined) throw new Error(`Debian unstable has no ${mysqlPackages[0]} at present.`)
      return version
    },
  })
  return unpackedInstall(root, ['mysql'])
}

/** Command and arguments that run one of the unpacked programs. */
export function mysqlProgram(install: MysqlInstall, program: string): { command: string; args: string[] } {
  return unpackedProgram(install, program === 'mysqld' ? 'sbin' : 'bin', program)
}
