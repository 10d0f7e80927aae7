/**
 * Does one target table take every row of its source table, found by the same key? Pure: it compares what the two catalogues say.
 */
import { type Column, type TableId, tableName, type UniqueKey } from '../../core/schema.ts'
import type { Finding, MappedTable } from '../contract.ts'
import type { TableDetail } from './catalogue.ts'
import { type FittedColumn, fits, keepsApart } from './column-fit.ts'
import { finding, shownName } from './finding.ts'

/** @param source undefined where the source's side is not known: then only the target's own properties are looked at */
export function checkTargetTable(
  mapping: MappedTable,
  source: TableDetail | undefined,
  target: TableDetail,
): Finding[] {
  const id = mapping.target
  const findings: Finding[] = []
  if (target.engine !== 'InnoDB') {
    findings.push(
      finding(
        'SYNC-3207',
        'error',
        `${tableName(id)} uses ${target.engine} at the target`,
        `ALTER TABLE ${shownName(id)} ENGINE=InnoDB;`,
        { table: id },
      ),
    )
  }
  if (source === undefined) return findings
  const targetName = namesAtTarget(mapping, source)
  const atTarget = new Map(
    target.shape.columns.map((column, ordinal) => [column.name.toLowerCase(), { column, ordinal }]),
  )
  const pairs: { source: FittedColumn; target: FittedColumn }[] = []
  source.shape.columns.forEach((column, ordinal) => {
    const name = targetName(column.name)
    if (name === null) return
    const there = atTarget.get(name.toLowerCase())
    const detail = source.columns[ordinal]
    if (detail === undefined) return
    if (there === undefined) {
      findings.push(
        finding(
          'SYNC-3202',
          'error',
          `Column ${name} of ${tableName(id)} does not exist at the target`,
          `ALTER TABLE ${shownName(id)} ADD COLUMN \`${name}\` ${column.type.sql}${charsetClause(column)}${column.nullable ? ' NULL' : ' NOT NULL'}${defaultClause(column)};`,
          { table: id, column: name },
        ),
      )
      return
    }
    const targetDetail = target.columns[there.ordinal]
    if (targetDetail === undefined) return
    pairs.push({ source: { column, detail }, target: { column: there.column, detail: targetDetail } })
  })
  for (const pair of pairs) {
    const misfit = fits(pair.source, pair.target)
    if (misfit === null) continue
    const { column } = pair.target
    findings.push(
      finding(
        'SYNC-3203',
        misfit.severity,
        `Column ${column.name} of ${tableName(id)} ${misfit.reason}`,
        widening(id, column, pair.source.column),
        { table: id, column: column.name },
      ),
    )
  }
  const written = new Set(pairs.map((pair) => pair.target.column.name.toLowerCase()))
  return [
    ...findings,
    ...checkExtraColumns(id, target, written),
    ...checkKeys(id, source, target, targetName, pairs),
  ]
}

function namesAtTarget(mapping: MappedTable, source: TableDetail): (column: string) => string | null {
  const { columns } = mapping
  if (columns === null) return (column) => column
  const byName = new Map(columns.map((pair) => [pair.source.toLowerCase(), pair.target]))
  return (column) =>
    source.shape.columns.some((other) => other.name === column)
      ? (byName.get(column.toLowerCase()) ?? null)
      : null
}

const charsetClause = (column: Column): string =>
  (column.type.kind === 'text' || column.type.kind === 'enum' || column.type.kind === 'set') &&
  column.type.collation !== undefined
    ? ` CHARACTER SET ${column.type.charset ?? ''} COLLATE ${column.type.collation}`
    : ''

/** Rows that are there get what they got at the source, so that they need not be loaded again. */
function defaultClause({ type, initial }: Column): string {
  const text = initial?.startsWith('default ') === true ? initial.slice('default '.length) : null
  if (text === null || type.kind === 'bit' || type.kind === 'bytes') return ''
  return ` DEFAULT '${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

function widening(id: TableId, target: Column, source: Column): string {
  if (target.generated)
    return `ALTER TABLE ${shownName(id)} MODIFY \`${target.name}\` as an ordinary column, or exclude it.`
  return `ALTER TABLE ${shownName(id)} MODIFY \`${target.name}\` ${source.type.sql}${charsetClause(source)}${source.nullable ? ' NULL' : ' NOT NULL'};`
}

/** Columns that nobody writes must not need a value. */
const checkExtraColumns = (id: TableId, target: TableDetail, written: ReadonlySet<string>): Finding[] =>
  target.shape.columns.flatMap((column, ordinal) => {
    const detail = target.columns[ordinal]
    if (written.has(column.name.toLowerCase()) || column.generated || detail?.hasDefault !== false) return []
    return [
      finding(
        'SYNC-3203',
        'error',
        `Column ${column.name} of ${tableName(id)} exists only at the target, has no default and does not take NULL`,
        `ALTER TABLE ${shownName(id)} MODIFY \`${column.name}\` ${column.type.sql}${charsetClause(column)} NULL;`,
        { table: id, column: column.name },
      ),
    ]
  })

function checkKeys(
  id: TableId,
  source: TableDetail,
  target: TableDetail,
  targetName: (column: string) => string | null,
  pairs: readonly { source: FittedColumn; target: FittedColumn }[],
): Finding[] {
  const names = (key: UniqueKey, table: TableDetail): string[] =>
    key.ordinals.map((ordinal) => table.shape.columns[ordinal]?.name ?? '')
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.length === b.length && a.every((name) => b.some((other) => other.toLowerCase() === name.toLowerCase()))
  const sourceKey = source.shape.primaryKey
  // The source's own check says so.
  if (sourceKey === undefined) return []
  const wanted = names(sourceKey, source).map((name) => targetName(name))
  const left = names(sourceKey, source).filter((_, part) => wanted[part] === null)
  if (left.length > 0) {
    return [
      finding(
        'SYNC-3205',
        'error',
        `Column ${left.join(', ')} is part of the primary key of ${tableName(source.shape.id)} and not carried`,
        'Select every column of the primary key.',
        { table: id },
      ),
    ]
  }
  const keyNames = wanted as string[]
  const keys = [target.shape.primaryKey, ...target.shape.uniqueKeys].filter((key) => key !== undefined)
  const match = keys.find((key) => same(names(key, target), keyNames))
  const columns = keyNames.map((name) => `\`${name}\``).join(', ')
  if (match === undefined) {
    return [
      finding(
        'SYNC-3205',
        'error',
        `The primary key of ${tableName(source.shape.id)} is (${keyNames.join(', ')}), and ${tableName(id)} has no such key at the target`,
        target.shape.primaryKey === undefined
          ? `ALTER TABLE ${shownName(id)} ADD PRIMARY KEY (${columns});`
          : `ALTER TABLE ${shownName(id)} DROP PRIMARY KEY, ADD PRIMARY KEY (${columns});`,
        { table: id },
      ),
    ]
  }
  const findings = pairs
    .filter((pair) => keyNames.includes(pair.target.column.name) && !keepsApart(pair.source, pair.target))
    .map(({ source: from, target: to }) =>
      finding(
        'SYNC-3205',
        'error',
        `Key column ${to.column.name} of ${tableName(id)} is ${to.column.type.collation ?? '?'}, which may take two keys of the source (${from.column.type.collation ?? '?'}) for one`,
        `ALTER TABLE ${shownName(id)} MODIFY \`${to.column.name}\` ${from.column.type.sql}${charsetClause(from.column)} NOT NULL;`,
        { table: id, column: to.column.name },
      ),
    )
  const sourceKeys = [sourceKey, ...source.shape.uniqueKeys].map((key) =>
    names(key, source).map((name) => targetName(name) ?? name),
  )
  for (const key of keys) {
    if (key === match || sourceKeys.some((other) => same(other, names(key, target)))) continue
    findings.push(
      finding(
        'SYNC-3205',
        'warning',
        `${tableName(id)} has a unique key ${key.name} (${names(key, target).join(', ')}) that the source does not have: two rows of the source with one value would stop the pipeline`,
        `ALTER TABLE ${shownName(id)} DROP INDEX \`${key.name}\`;`,
        { table: id },
      ),
    )
  }
  return findings
}
