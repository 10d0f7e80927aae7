/**
 * The kinds of stores. A new store is one folder and one line here.
 */
import { SyncError } from '../core/errors.ts'
import type {
  ConnectorDefinition,
  EndpointConfig,
  Finding,
  PipelineScope,
  Source,
  Target,
} from './contract.ts'
import { mysqlConnector } from './mysql/connector.ts'

const connectors: Readonly<Record<string, ConnectorDefinition>> = {
  mysql: mysqlConnector,
}

/** @throws SYNC-1002 for a kind that is not known */
export function connectorOf(kind: string): ConnectorDefinition {
  const connector = Object.hasOwn(connectors, kind) ? connectors[kind] : undefined
  if (connector === undefined) {
    throw new SyncError('SYNC-1002', `There is no connector for '${kind}'`, {
      remedy: `Use one of: ${Object.keys(connectors).join(', ')}.`,
    })
  }
  return connector
}

export const openSource = (config: EndpointConfig): Promise<Source> => {
  const connector = connectorOf(config.kind)
  return connector.openSource(connector.config.parse(config))
}

export const openTarget = (config: EndpointConfig): Promise<Target> => {
  const connector = connectorOf(config.kind)
  return connector.openTarget(connector.config.parse(config))
}

/** All that keeps the pipeline from starting, and what should be known. Changes nothing. @throws only errors that pass by themselves */
export async function preCheck(scope: PipelineScope): Promise<readonly Finding[]> {
  const parsed = withDefaults(scope)
  const source = await connectorOf(scope.source.kind).checkSource(parsed)
  const target = await connectorOf(scope.target.kind).checkTarget(parsed)
  return [...source, ...target]
}

/** Makes the target ready by the policies of the scope; after `preCheck` gave no error. May be run again at any time. */
export async function prepare(scope: PipelineScope): Promise<void> {
  await connectorOf(scope.target.kind).prepareTarget(withDefaults(scope))
}

const withDefaults = (scope: PipelineScope): PipelineScope => ({
  ...scope,
  source: connectorOf(scope.source.kind).config.parse(scope.source),
  target: connectorOf(scope.target.kind).config.parse(scope.target),
})
