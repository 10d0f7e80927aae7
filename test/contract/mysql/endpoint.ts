/** The configuration by which the connector reaches a test server. */
import { type MysqlEndpoint, mysqlEndpoint } from '../../../src/connectors/mysql/config.ts'
import type { Reachable } from '../../support/servers.ts'

export const endpointOf = (server: Reachable, more: Partial<MysqlEndpoint> = {}): MysqlEndpoint =>
  mysqlEndpoint.parse({
    kind: 'mysql',
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    ...more,
  })
