/**
 * What of two tables is compared with what: the columns that a pipeline carries, under their names at either end, the key by which rows are found, and
 * the row filter at both ends. Pure.
 *
 * Whatever stands in the way is an error finding (SYNC-5101) that names table and column; then there is no pair, and nothing is compared in part.
 */
import { type ColumnRule, type ComparisonForm, formOf, isIncomparable, labelTexts } from './comparison.ts'
import { SyncError } from './errors.ts'
import { compileFilter, type FilterAst, parseFilter } from './filter.ts'
import type { Column, ColumnType, TableId, TableShape, UniqueKey } from './schema.ts'
import { tableName } from './schema.ts'

/** A column at one end. */
export interface ComparedColumn {
  /** Its name there. */
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  readonly form: ComparisonForm
}

/** What a store is told of its end of a pair. */
export interface ComparedEnd {
  readonly table: TableId
  /** The same number at both ends, in the same order. */
  readonly columns: readonly ComparedColumn[]
  /** Ordinals into `columns`, in the order of the source's key. */
  readonly key: readonly number[]
  /** The unique key at this end that these columns make. */
  readonly keyName: string
  /** The types by which key values are read and written at both ends: the source's. */
  readonly keyTypes: readonly ColumnType[]
  /** By part of the key: two rows are one and the same where these forms are equal. */
  readonly identity: readonly ComparisonForm[]
  /** Rows beyond it do not count; null: all rows count. `shape` is what it is compiled for. */
  readonly filter: { readonly condition: FilterAst; readonly shape: TableShape } | null
}

/** Two tables that can be compared. */
export interface TablePair {
  /** `schema.table` at the source. */
  readonly name: string
  /** By column: its name at the source. */
  readonly columnNames: readonly string[]
  readonly source: ComparedEnd
  readonly target: ComparedEnd
  /**
   * shared: both ends order keys alike, so that a range holds the same rows at both. apart: they do not (collations or labels differ), and rows are
   * found by digests of their keys.
   */
  readonly order: 'shared' | 'apart'
  /** Columns that a rule leaves out, by their names at the source. */
  readonly ignored: readonly string[]
}

export interface ComparisonFinding {
  readonly code: 'SYNC-5101'
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly remedy: string
  readonly table: string
  readonly column?: string
}

export interface ComparisonScope {
  readonly source: TableShape
  readonly target: TableShape
  /** The carried columns with their names at the target; null: every column under its own name (as in MappedTable). */
  readonly columns: readonly { readonly source: string; readonly target: string }[] | null
  /** The row filter of the pipeline's rule. */
  readonly where: string | null
  /** What the pipeline's file says of a column, by its name at the source. */
  readonly ruleOf?: (column: string) => ColumnRule | undefined
}

export interface ComparisonPlan {
  /** null: see the error findings. */
  readonly pair: TablePair | null
  readonly findings: readonly ComparisonFinding[]
}

export function planComparison(scope: ComparisonScope): ComparisonPlan {
  const { source, target } = scope
  const name = tableName(source.id)
  const findings: ComparisonFinding[] = []
  const found = (
    severity: 'error' | 'warning',
    column: string | null,
    message: string,
    remedy: string,
  ): void => {
    findings.push({
      code: 'SYNC-5101',
      severity,
      message: `${name}${column === null ? '' : `.${column}`}: ${message}`,
      remedy,
      table: name,
      ...(column === null ? {} : { column }),
    })
  }
  const nameAt = new Map(
    (scope.columns ?? source.columns.map((column) => ({ source: column.name, target: column.name }))).map(
      (column) => [column.source, column.target],
    ),
  )
  const keyNames = namesOf(source.primaryKey, source)
  const targets = new Map(target.columns.map((column) => [column.name.toLowerCase(), column]))
  const pairs: { readonly source: Column; readonly target: Column; readonly form: ComparisonForm }[] = []
  const ignored: string[] = []
  for (const column of source.columns) {
    const other = nameAt.get(column.name)
    if (other === undefined) continue
    const there = targets.get(other.toLowerCase())
    if (there === undefined) {
      found(
        'error',
        column.name,
        `the target has no column ${other} in ${tableName(target.id)}`,
        'Add the column at the target, or exclude it from the pipeline.',
      )
      continue
    }
    // The target computes it by itself: the pipeline does not carry it.
    if (there.generated) continue
    const rule = scope.ruleOf?.(column.name) ?? {}
    if (rule.ignore === true) {
      if (!keyNames.includes(column.name)) {
        ignored.push(column.name)
        continue
      }
      found('error', column.name, 'a column of the key cannot be left out', 'Take ignore away from its rule.')
    }
    const form = formOf(column, there, rule)
    if (isIncomparable(form)) found('error', column.name, form.reason, form.remedy)
    else pairs.push({ source: column, target: there, form })
  }
  const targetNames = keyNames.map((key) => nameAt.get(key) ?? key)
  const targetKey = keyOf(target, targetNames)
  if (keyNames.length === 0) {
    found('error', null, 'the source table has no primary key', 'Add a primary key, or exclude the table.')
  } else if (targetKey === undefined) {
    found(
      'error',
      null,
      `${tableName(target.id)} has no primary or unique key on (${targetNames.join(', ')})`,
      'Give the target table the same primary key.',
    )
  }
  const key = keyNames.map((part) => pairs.findIndex((pair) => pair.source.name === part))
  const missing = keyNames.filter((_, i) => key[i] === -1)
  if (missing.length > 0 && findings.every((finding) => finding.severity !== 'error')) {
    found(
      'error',
      missing[0] as string,
      'a column of the key is not carried',
      'Select every column of the key.',
    )
  }
  const filter = scope.where === null ? null : parseFilter(scope.where)
  const filterThere = filter === null ? null : filterAtTarget(filter, nameAt, target)
  if (filter !== null && filterThere === null) {
    found(
      'warning',
      null,
      'the row filter cannot be asked at the target, where a column of it is missing or of another kind; every row there counts',
      'Nothing to do if no other rows are written there.',
    )
  }
  if (targetKey === undefined || findings.some((finding) => finding.severity === 'error')) {
    return { pair: null, findings }
  }
  const keyPairs = key.map((ordinal) => pairs[ordinal] as (typeof pairs)[number])
  const shared = {
    key,
    keyTypes: keyPairs.map((pair) => pair.source.type),
    identity: keyPairs.map((pair) => identityForm(pair.source.type, pair.target.type, pair.form)),
  }
  const end = (
    side: 'source' | 'target',
    table: TableShape,
    keyName: string,
    condition: FilterAst | null,
  ): ComparedEnd => ({
    table: table.id,
    columns: pairs.map((pair) => ({
      name: pair[side].name,
      type: pair[side].type,
      nullable: pair[side].nullable,
      form: pair.form,
    })),
    keyName,
    ...shared,
    filter: condition === null ? null : { condition, shape: table },
  })
  const isShared = keyPairs.every((pair) => ordersAlike(pair.source.type, pair.target.type))
  const pair: TablePair = {
    name,
    columnNames: pairs.map((each) => each.source.name),
    source: end('source', source, source.primaryKey?.name ?? 'PRIMARY', filter),
    target: end('target', target, targetKey.name, filterThere),
    order: isShared ? 'shared' : 'apart',
    ignored,
  }
  return { pair, findings }
}

const namesOf = (key: UniqueKey | undefined, shape: TableShape): string[] =>
  (key?.ordinals ?? []).map((ordinal) => (shape.columns[ordinal] as Column).name)

/** Primary key first; the columns' order in it says nothing of which rows are one. */
function keyOf(shape: TableShape, names: readonly string[]): UniqueKey | undefined {
  const wanted = names.map((name) => name.toLowerCase())
  return [shape.primaryKey, ...shape.uniqueKeys].find((key) => {
    if (key === undefined) return false
    const has = namesOf(key, shape).map((name) => name.toLowerCase())
    return has.length === wanted.length && has.every((name) => wanted.includes(name))
  })
}

/** Collations under which spaces at the end do not count are all but these (PAD_ATTRIBUTE in information_schema.COLLATIONS). */
const padsSpace = (collation: string): boolean => !/_0900_|_nopad_|^binary$/.test(collation)

function identityForm(s: ColumnType, t: ColumnType, form: ComparisonForm): ComparisonForm {
  if (s.kind !== 'text' || t.kind !== 'text' || s.collation === undefined) return form
  // Where the ends tell rows apart by unlike rules, only equal characters are certainly one row.
  if (s.collation !== t.collation) return form
  return { as: 'weights', collation: s.collation, trim: padsSpace(s.collation) ? 'space' : null }
}

const inOrder: ReadonlySet<ColumnType['kind']> = new Set([
  'int',
  'year',
  'bit',
  'decimal',
  'float',
  'double',
  'date',
  'time',
  'datetime',
  'timestamp',
  'bytes',
])

const family = (kind: ColumnType['kind']): string =>
  /^(?:int|year|bit|decimal|float|double)$/.test(kind)
    ? 'number'
    : kind === 'timestamp' || kind === 'datetime'
      ? 'instant'
      : kind

/** Are any two values of the pair in one order at both ends? */
export function ordersAlike(s: ColumnType, t: ColumnType): boolean {
  if (s.kind === 'text' && t.kind === 'text') return sortsAlike(s.collation, t.collation)
  if ((s.kind === 'enum' && t.kind === 'enum') || (s.kind === 'set' && t.kind === 'set')) {
    return labelTexts(s).join('\0') === labelTexts(t).join('\0')
  }
  return inOrder.has(s.kind) && family(s.kind) === family(t.kind)
}

/** utf8mb3 is the part of utf8mb4 that its values are in, and collations of one name beyond the set weigh that part alike. */
function sortsAlike(s: string | undefined, t: string | undefined): boolean {
  const common = (collation: string): string => collation.replace(/^utf8(?:mb[34])?_/, 'utf8_')
  return s !== undefined && t !== undefined && common(s) === common(t)
}

/** The filter with the target's names, or null where it cannot be asked there. */
function filterAtTarget(
  filter: FilterAst,
  nameAt: ReadonlyMap<string, string>,
  target: TableShape,
): FilterAst | null {
  const renamed = renameColumns(filter, nameAt)
  if (renamed === null) return null
  try {
    compileFilter(renamed, target)
    return renamed
  } catch (error) {
    if (error instanceof SyncError && error.code === 'SYNC-1006') return null
    throw error
  }
}

function renameColumns(ast: FilterAst, nameAt: ReadonlyMap<string, string>): FilterAst | null {
  switch (ast.kind) {
    case 'and':
    case 'or': {
      const terms = ast.terms.map((term) => renameColumns(term, nameAt))
      return terms.every((term) => term !== null) ? { ...ast, terms } : null
    }
    case 'not': {
      const term = renameColumns(ast.term, nameAt)
      return term === null ? null : { ...ast, term }
    }
    default: {
      const asked = ast.column.toLowerCase()
      const column = [...nameAt].find(([name]) => name.toLowerCase() === asked)?.[1]
      return column === undefined ? null : { ...ast, column }
    }
  }
}
