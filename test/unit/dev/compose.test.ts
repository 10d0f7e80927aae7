import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  composePorts,
  mysqlImage,
  mysqlServerFlags,
  searchAttributes,
  siteServerIds,
  temporalCliVersion,
  temporalImage,
  temporalNamespace,
} from '../../../dev/versions.ts'

type Service = {
  image?: string
  command: string[]
  ports?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  depends_on?: Record<string, unknown>
}

const root = new URL('../../../', import.meta.url)
const text = await readFile(new URL('docker-compose.yml', root), 'utf8')
const { services } = parse(text, { merge: true }) as { services: Record<string, Service> }

function service(name: string): Service {
  const found = services[name]
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}

test.each(['source', 'target'] as const)('%s is the same MySQL with the same flags', (site) => {
  const { image, command, ports } = service(site)
  expect(image).toBe(mysqlImage)
  expect([...command].sort()).toEqual([...mysqlServerFlags, `--server-id=${siteServerIds[site]}`].sort())
  expect(ports).toEqual([`127.0.0.1:${composePorts[site]}:3306`])
})

test('Temporal is the same version with the same search attributes', () => {
  const { image, command, ports } = service('temporal')
  expect(image).toBe(temporalImage)
  expect(temporalImage.split(':')[1]).toBe(temporalCliVersion.replace(/^v/, ''))
  const attributes = command.filter((argument) => argument.startsWith('--search-attribute='))
  expect(attributes.sort()).toEqual(
    Object.entries(searchAttributes)
      .map(([name, type]) => `--search-attribute=${name}=${type}`)
      .sort(),
  )
  expect(command).toContain(`--port=${composePorts.temporal}`)
  expect(command).toContain(`--ui-port=${composePorts.temporalUi}`)
  expect(ports).toEqual(
    [composePorts.temporal, composePorts.temporalUi].map((port) => `127.0.0.1:${port}:${port}`),
  )
})

/** The variables that the command line reads, from its own source. */
const knownVariables = [
  ...(await readFile(new URL('src/cli/program.ts', root), 'utf8')).matchAll(/'(SYNCLINE_\w+)'/g),
].map((match) => match[1])

test('Syncline itself runs as server, control, stream and verify worker of one image, against that Temporal', () => {
  expect(service('server').command).toEqual([
    'server',
    '--listen',
    `0.0.0.0:${composePorts.api}`,
    '--allow-remote',
  ])
  expect(service('server').ports).toEqual([`127.0.0.1:${composePorts.api}:${composePorts.api}`])
  expect(service('control-worker').command).toEqual(['worker', '--role', 'control'])
  expect(service('stream-worker').command).toEqual(['worker', '--role', 'stream'])
  expect(service('verify-worker').command).toEqual(['worker', '--role', 'verify'])
  for (const name of ['server', 'control-worker', 'stream-worker', 'verify-worker']) {
    const { image, environment, volumes, depends_on: needs } = service(name)
    expect(image).toBe('syncline:local')
    expect(environment?.['SYNCLINE_TEMPORAL']).toBe(`temporal:${composePorts.temporal}`)
    expect(environment?.['SYNCLINE_NAMESPACE']).toBe(temporalNamespace)
    for (const variable of Object.keys(environment ?? {}).filter((key) => key.startsWith('SYNCLINE_')))
      expect(knownVariables).toContain(variable)
    expect(volumes).toEqual(['syncline-data:/var/lib/syncline'])
    expect(Object.keys(needs ?? {}).sort()).toEqual(['source', 'target', 'temporal'])
  }
})

test('no port is open to other machines, since the databases have no password', () => {
  const ports = Object.values(services).flatMap((each) => each.ports ?? [])
  expect(ports.length).toBeGreaterThan(0)
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
})

test('the image runs the Node release that package.json asks for', async () => {
  const manifest = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const major = /\d+/.exec(manifest.dependencies['node'] ?? '')?.[0]
  const dockerfile = await readFile(new URL('Dockerfile', root), 'utf8')
  const bases = [...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map((match) => match[1])
  expect(bases).toEqual([major, major])
})
