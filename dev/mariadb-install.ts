/*
 * MariaDB's programs, unpacked from the packages of Debian 12 into the cache, beside whatever the system has.
 * The first call needs the network (about 17 MB); later calls find the cached version.
 */
import { cached, type Say, sayOnStderr } from './cache.ts'
import { unpackDebian } from './debian.ts'
import { type UnpackedInstall, unpackedInstall, unpackedProgram } from './unpacked.ts'
import { mariadbPackages } from './versions.ts'

export type MariadbInstall = UnpackedInstall

export async function ensureMariadb(say: Say = sayOnStderr): Promise<MariadbInstall> {
  const root = await cached({
    kind: 'mariadb',
    say,
    build: async (folder) => {
      const versions = await unpackDebian(
        folder,
        { suite: 'bookworm', packages: mariadbPackages, megabytes: 17 },
        say,
      )
      const version = versions.get(mariadbPackages[0])
      if (version === undefined) throw new Error(`Debian 12 has no ${mariadbPackages[0]} at present.`)
      // Without the epoch, whose colon is no good in a path of libraries.
      return version.replace(/^\d+:/, '')
    },
  })
  return unpackedInstall(root, [])
}

export const mariadbServer = (install: MariadbInstall): { command: string; args: string[] } =>
  unpackedProgram(install, 'sbin', 'mariadbd')
