import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { debianMirror } from '../../../dev/debian.ts'

let apt: string

beforeEach(async () => {
  apt = await mkdtemp(join(tmpdir(), 'syncline-apt-test-'))
  await mkdir(join(apt, 'sources.list.d'))
})

afterEach(() => rm(apt, { recursive: true, force: true }))

const sources = (name: string, text: string): Promise<void> => writeFile(join(apt, name), text)

test('reads one-line sources', async () => {
  await sources(
    'sources.list',
    `# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/a/key.gpg] http://other.example/tool bookworm main
deb http://security.example/debian-security bookworm-security main
deb http://mirror.example/debian bookworm main contrib
`,
  )
  expect(await debianMirror(apt, 'bookworm')).toBe('http://mirror.example/debian')
})

test('reads deb822 sources, past comments, disabled stanzas and other suites', async () => {
  await sources(
    'sources.list.d/debian.sources',
    `Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://security.example/debian
Suites: bookworm-security
Components: main

Types: deb deb-src
# a snapshot stands here in some images
URIs: http://mirror.example/debian/
Suites: bookworm
 bookworm-updates
Components: main contrib
`,
  )
  expect(await debianMirror(apt, 'bookworm')).toBe('http://mirror.example/debian/')
})

test('a system without a Debian archive is told what to do', async () => {
  await sources('sources.list.d/node.list', 'deb http://other.example/node nodistro main\n')
  await expect(debianMirror(apt, 'bookworm')).rejects.toThrow(/docker compose/)
})
