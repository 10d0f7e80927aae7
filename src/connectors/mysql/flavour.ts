/**
 * Which of the two products a server is. What differs between them stands in small tables by `Product`, each beside what it is used for; a
 * table is looked at once per connection, by the version that the server told. Pure.
 */

export type Product = 'mysql' | 'mariadb'

/** @param version as Connection.version has it */
export const productOf = (version: string): Product => (version.includes('MariaDB') ? 'mariadb' : 'mysql')

/** MariaDB puts `5.5.5-` in front of its version, for the sake of old replicas that know nothing beyond 5. */
export const versionOf = (handshake: string): string =>
  handshake.replace(/^5\.5\.5-(?=\d+\.\d+.*MariaDB)/, '')

/** Major and minor number, as one that can be compared: 8.4 is 804. */
export function releaseOf(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return major * 100 + minor
}

/** For messages. */
export const productName = (product: Product): string => (product === 'mysql' ? 'MySQL' : 'MariaDB')
