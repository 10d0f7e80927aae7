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

/** Names of replication changed in the middle of a series. @param release such as '8.0.22' */
export function isAtLeast(version: string, release: string): boolean {
  const have = version.split(/[.-]/, 3).map(Number)
  const wanted = release.split('.').map(Number)
  for (const [i, number] of wanted.entries()) if (have[i] !== number) return (have[i] ?? 0) > number
  return true
}

/** For messages. */
export const productName = (product: Product): string => (product === 'mysql' ? 'MySQL' : 'MariaDB')
