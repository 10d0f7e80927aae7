/**
 * MySQL, as the registry knows it.
 */
import type { ConnectorDefinition, EndpointConfig } from '../contract.ts'
import { checkMysqlSource } from './check-source.ts'
import { checkMysqlTarget } from './check-target.ts'
import { type MysqlEndpoint, mysqlEndpoint } from './config.ts'
import { prepareMysqlTarget } from './prepare-target.ts'
import { openMysqlSource } from './source.ts'
import { openMysqlTarget } from './target.ts'

/** The registry hands every connector configurations of its own kind only, already parsed. */
const own = (config: EndpointConfig): MysqlEndpoint => config as unknown as MysqlEndpoint

export const mysqlConnector: ConnectorDefinition = {
  kind: 'mysql',
  config: { parse: (input) => ({ ...mysqlEndpoint.parse(input) }) },
  openSource: (config) => openMysqlSource(own(config)),
  openTarget: (config) => openMysqlTarget(own(config)),
  checkSource: (scope) => checkMysqlSource(own(scope.source), scope),
  checkTarget: (scope) => checkMysqlTarget(own(scope.target), scope),
  prepareTarget: (scope) => prepareMysqlTarget(own(scope.target), scope),
}
