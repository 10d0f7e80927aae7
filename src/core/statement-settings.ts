/**
 * `SET STATEMENT name = value, ... FOR statement`: MariaDB's settings for one statement. The log has all of it, and what happened is the statement
 * behind them. Pure.
 */

const settings =
  /^set\s+statement\s(?:"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|[^"'`])*?\sfor\s+(?=\S)/i

/** @param statement without comments in front */
export const withoutSettings = (statement: string): string => statement.replace(settings, '')
