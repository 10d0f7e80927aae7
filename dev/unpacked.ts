/*
 * Runs programs of Debian packages that were unpacked into a folder: by the loader and with the libraries that came with them, because
 * the system's own may be older or newer.
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'

export type UnpackedInstall = {
  /** Debian's version of the main package, such as 9.7.4-2. */
  readonly version: string
  readonly root: string
  readonly loader: string
  readonly libraryPath: string
}

/**
 * @param root a folder that bears the version's name
 * @param libraryFolders more folders of libraries, beside the usual one
 */
export async function unpackedInstall(
  root: string,
  libraryFolders: readonly string[],
): Promise<UnpackedInstall> {
  const usual = [join(root, 'usr', 'lib'), join(root, 'lib')]
  const found: string[] = []
  for (const folder of usual) {
    const triplet = (await readdir(folder).catch(() => [])).find((name) => name.endsWith('-linux-gnu'))
    if (triplet === undefined) continue
    found.push(join(folder, triplet), ...libraryFolders.map((name) => join(folder, triplet, name)))
  }
  if (found.length === 0) throw new Error(`${root} has no libraries; remove it and try again.`)
  return { version: basename(root), root, loader: await findLoader(root), libraryPath: found.join(':') }
}

/** Command and arguments that run one of the unpacked programs. */
export function unpackedProgram(
  install: UnpackedInstall,
  folder: 'bin' | 'sbin',
  program: string,
): { command: string; args: string[] } {
  const path = join(install.root, 'usr', folder, program)
  return { command: install.loader, args: ['--library-path', install.libraryPath, path] }
}

async function findLoader(root: string): Promise<string> {
  for (const folder of ['usr/lib64', 'usr/lib', 'lib64', 'lib'].map((name) => join(root, name))) {
    const names = await readdir(folder).catch(() => [])
    const loader = names.find((name) => /^ld-linux.*\.so\.\d+$/.test(name))
    if (loader !== undefined) return join(folder, loader)
  }
  throw new Error(`${root} has no dynamic loader; remove it and try again.`)
}
