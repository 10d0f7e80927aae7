/**
 * What a target table lacks of an ALTER TABLE that ran at the source, as clauses of an ALTER TABLE of its own. Pure.
 *
 * The statement's text is never passed on: names are mapped, columns left out, and a session's character set or sql_mode may have given its words
 * another meaning. The text says which columns and indexes it was about; what they are is taken from the source's definition after it, with
 * character set and collation written out, because the target's table may have another default. What is there already needs nothing, so a
 * statement that was cut short by a crash is finished by asking again.
 */
import type { Alteration } from '../../core/alteration.ts'
import type { Column } from '../../core/schema.ts'
import type { NeededChange } from '../../core/schema-policy.ts'
import type { MappedTable } from '../contract.ts'
import type { TableDetail } from './catalogue.ts'
import { type FittedColumn, fits, keepsApart } from './column-fit.ts'
import {
  bodyOf,
  columnDefinition,
  columnsNotIn,
  namesIn,
  pieces,
  renamedBody,
  shortName,
  tick,
} from './create-table.ts'

export interface AlterInput {
  readonly source: TableDetail
  /** SHOW CREATE TABLE of both, as text. */
  readonly sourceCreate: string
  readonly target: TableDetail
  readonly targetCreate: string
  readonly mapping: MappedTable
  readonly targetName: (column: string) => string | null
  readonly alteration: Alteration
  readonly indexes: 'named' | 'all'
}

export function neededClauses(input: AlterInput): NeededChange[] {
  const columns = columnChanges(input)
  const added = new Set(columns.flatMap(({ creates }) => (creates === null ? [] : [creates.toLowerCase()])))
  return [...columns.map(({ change }) => change), ...indexChanges(input, added)]
}

interface ColumnChange {
  readonly change: NeededChange
  /** The target column that it makes. */
  readonly creates: string | null
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

function find(table: TableDetail, name: string): FittedColumn | null {
  const ordinal = table.shape.columns.findIndex((column) => same(column.name, name))
  const column = table.shape.columns[ordinal]
  const detail = table.columns[ordinal]
  return column === undefined || detail === undefined ? null : { column, detail }
}

function columnChanges(input: AlterInput): ColumnChange[] {
  const { source, target, alteration, targetName } = input
  const changes: ColumnChange[] = []
  const lines = columnLines(input)
  const made = new Set<string>()

  const add = (s: FittedColumn): void => {
    const name = targetName(s.column.name)
    const line = lines.get(s.column.name.toLowerCase())
    if (name === null || line === undefined || find(target, name) !== null || made.has(name.toLowerCase()))
      return
    const definition = definitionOf(line, s.column, {
      tableCollation: target.collation,
      dropsCounter: true,
      takesNull: false,
    })
    const place = placeOf(input, s.column.name, made)
    made.add(name.toLowerCase())
    changes.push({
      change: { kind: 'addColumn', clause: `ADD COLUMN ${tick(name)}${definition}${place}`, required: true },
      creates: name,
    })
  }

  const modify = (s: FittedColumn, before: string | null): void => {
    const name = targetName(s.column.name)
    const line = lines.get(s.column.name.toLowerCase())
    if (name === null || line === undefined) return
    const t = find(target, name)
    if (t === null) {
      const old = before === null || same(before, name) ? null : find(target, before)
      if (old === null) {
        add(s)
        return
      }
      const isSame = fits(s, old) === null
      const clause = isSame
        ? `RENAME COLUMN ${tick(old.column.name)} TO ${tick(name)}`
        : `CHANGE COLUMN ${tick(old.column.name)} ${tick(name)}${modified(line, s, old, true)}`
      changes.push({ change: { kind: 'renameColumn', clause, required: true }, creates: name })
      if (!isSame)
        changes.push({ change: { kind: kindOfChange(s, old), clause: '', required: true }, creates: null })
      return
    }
    const misfit = fits(s, t)
    const isRequired = misfit?.severity === 'error' || (isInKey(target, t.column) && !keepsApart(s, t))
    const kind = kindOfChange(s, t)
    // A target that takes every row as it is stays so, unless the pipeline says that it is to follow in this, too.
    const isAlike =
      s.column.type.sql === t.column.type.sql &&
      s.column.type.collation === t.column.type.collation &&
      s.column.nullable === t.column.nullable
    if (!isRequired && isAlike) return
    const isWidened = isRequired && kind === 'widenColumn'
    changes.push({
      change: {
        kind: isWidened ? 'widenColumn' : 'narrowColumn',
        clause: `MODIFY COLUMN ${tick(t.column.name)}${modified(line, s, t, isWidened)}`,
        required: isRequired,
      },
      creates: null,
    })
  }

  const modified = (line: string, s: FittedColumn, t: FittedColumn, keepsNull: boolean): string =>
    definitionOf(line, s.column, {
      tableCollation: target.collation,
      dropsCounter: !t.detail.autoIncrement,
      takesNull: keepsNull && t.column.nullable,
    })

  for (const name of alteration.added) {
    const s = find(source, name)
    if (s !== null) add(s)
  }
  for (const { from, to } of [...alteration.renamed, ...alteration.changed]) {
    const s = find(source, to)
    if (s !== null) modify(s, targetName(from))
  }
  if (alteration.convertsText) {
    source.shape.columns.forEach((column, ordinal) => {
      const detail = source.columns[ordinal]
      const isText = column.type.kind === 'text' || column.type.kind === 'enum' || column.type.kind === 'set'
      if (detail !== undefined && isText) modify({ column, detail }, null)
    })
  }
  for (const name of alteration.dropped) {
    const mapped = targetName(name)
    const t = mapped === null ? null : find(target, mapped)
    if (t === null || find(source, name) !== null) continue
    changes.push({
      change: {
        kind: 'dropColumn',
        clause: `DROP COLUMN ${tick(t.column.name)}`,
        required: !t.detail.hasDefault && !t.column.generated,
      },
      creates: null,
    })
  }
  return changes
}

const isInKey = (table: TableDetail, column: Column): boolean => {
  const ordinal = table.shape.columns.indexOf(column)
  return [table.shape.primaryKey, ...table.shape.uniqueKeys].some(
    (key) => key?.ordinals.includes(ordinal) === true,
  )
}

/** Widened is what holds every value of before; NULL aside, which the target goes on taking where it did. */
function kindOfChange(s: FittedColumn, t: FittedColumn): 'widenColumn' | 'narrowColumn' {
  const free = (column: Column): Column => ({ ...column, nullable: true })
  const back = fits({ ...t, column: free(t.column) }, { ...s, column: free(s.column) })
  return back === null && !t.column.generated && keepsApart(t, s) ? 'widenColumn' : 'narrowColumn'
}

/** What stands behind each source column's name in SHOW CREATE TABLE, for the target; by the source's name. */
function columnLines({ sourceCreate, mapping }: AlterInput): Map<string, string> {
  const names = mapping.columns === null ? null : new Map(mapping.columns.map((c) => [c.source, c.target]))
  const lines = new Map<string, string>()
  for (const definition of definitionLines(sourceCreate)) {
    if (!definition.startsWith('`')) continue
    const { sql } = columnDefinition(definition, names)
    if (sql === null) continue
    const own = namesIn(definition)[0] as string
    lines.set(own.toLowerCase(), sql.slice(((sql.match(pieces) ?? [])[0] as string).length))
  }
  return lines
}

const definitionLines = (create: string): string[] => {
  const lines = create.split('\n')
  const end = lines.findIndex((line, at) => at > 0 && line.startsWith(')'))
  return lines.slice(1, end).map((line) => line.trim().replace(/,$/, ''))
}

const typeAtStart = /^ (\w+(?:\((?:'(?:[^'\\]|\\.|'')*'|[^)'])*\))?)(?: CHARACTER SET \w+)?(?: COLLATE \w+)?/

/** Applies `change` to the parts of a definition that are neither names nor strings. */
const outsideQuotes = (definition: string, change: (part: string) => string): string =>
  definition.replace(pieces, (piece) => (/^[`']/.test(piece) ? piece : change(piece)))

/** @param rest from behind the column's name on */
function definitionOf(
  rest: string,
  column: Column,
  how: {
    /** What a text gets that says nothing. */
    readonly tableCollation: string
    readonly dropsCounter: boolean
    readonly takesNull: boolean
  },
): string {
  const { charset, collation } = column.type
  let sql = rest
  const isSaid = / CHARACTER SET | COLLATE /.test(typeAtStart.exec(rest)?.[0] ?? '')
  if (charset !== undefined && collation !== undefined && (isSaid || collation !== how.tableCollation))
    sql = sql.replace(
      typeAtStart,
      (_, type: string) => ` ${type} CHARACTER SET ${charset} COLLATE ${collation}`,
    )
  if (how.dropsCounter) sql = outsideQuotes(sql, (part) => part.replace(/ AUTO_INCREMENT\b/, ''))
  // A computed column, too, is told that it takes NULL by leaving the words out.
  if (how.takesNull) sql = outsideQuotes(sql, (part) => part.replace(/ NOT NULL\b/, ''))
  return sql
}

/** Behind the nearest column before it that the target has. */
function placeOf(
  { source, target, targetName }: AlterInput,
  column: string,
  made: ReadonlySet<string>,
): string {
  const at = source.shape.columns.findIndex((other) => same(other.name, column))
  for (const before of source.shape.columns.slice(0, at).reverse()) {
    const name = targetName(before.name)
    if (name !== null && (made.has(name.toLowerCase()) || find(target, name) !== null))
      return ` AFTER ${tick(name)}`
  }
  // Not in front of columns that only the target has.
  const first = target.shape.columns[0]
  return first !== undefined && source.shape.columns.some((other) => targetName(other.name) === first.name)
    ? ' FIRST'
    : ''
}

// ------------------------------------------------------------------------------------------------------------- indexes

interface Index {
  readonly name: string
  /** `UNIQUE KEY`, `KEY`, `FULLTEXT KEY`. */
  readonly head: string
  /** From the parenthesis on. */
  readonly body: string
}

function indexesOf(create: string): Index[] {
  return definitionLines(create).flatMap((definition) => {
    if (!/^((UNIQUE|FULLTEXT|SPATIAL) )?KEY `/.test(definition)) return []
    const name = namesIn(shortName(definition))[0] as string
    const body = bodyOf(definition)
    return [{ name, head: definition.slice(0, definition.indexOf('`')).trim(), body }]
  })
}

function indexChanges(input: AlterInput, added: ReadonlySet<string>): NeededChange[] {
  const { sourceCreate, targetCreate, target, targetName, alteration } = input
  const there = indexesOf(targetCreate)
  const names = new Map(
    input.source.shape.columns.flatMap(({ name }) => {
      const mapped = targetName(name)
      const isThere = mapped !== null && (added.has(mapped.toLowerCase()) || find(target, mapped) !== null)
      return isThere ? [[name, mapped] as const] : []
    }),
  )
  const partsOf = (body: string): string => namesIn(body).join('\0').toLowerCase()
  const wanted = (index: Index): boolean =>
    input.indexes === 'all' ||
    alteration.addedIndexes.some(({ name, columns }) =>
      name === null
        ? columns.every((column) => column !== null) &&
          columns.join('\0').toLowerCase() === partsOf(index.body)
        : same(name, index.name),
    )
  const changes: NeededChange[] = []
  for (const index of indexesOf(sourceCreate)) {
    if (!wanted(index) || columnsNotIn(index.body, names).length > 0) continue
    const body = renamedBody(index.body, names)
    const isThere = there.some(
      (other) => same(other.name, index.name) || (other.head === index.head && other.body === body),
    )
    if (isThere) continue
    changes.push({
      kind: 'addIndex',
      clause: `ADD ${index.head} ${tick(index.name)} ${body}`,
      required: true,
    })
  }
  const atSource = indexesOf(sourceCreate)
  for (const name of alteration.droppedIndexes) {
    const index = there.find((other) => same(other.name, name))
    if (index === undefined || atSource.some((other) => same(other.name, name))) continue
    changes.push({ kind: 'dropIndex', clause: `DROP INDEX ${tick(index.name)}`, required: true })
  }
  return changes
}
