/*
 * QUERY events: statements that stand in the log as text.
 * Guarantees: tells what a statement means for the transaction around it (`StatementKind`). What begins with no word that is known here
 * counts as a change of data: it must stop the pipeline, not be passed over.
 */
import { withoutSettings } from '../../../core/statement-settings.ts'
import { type Bytes, FieldReader, u16 } from './bytes.ts'
import { collationOf } from './collations.ts'

export interface QueryEvent {
  /** The session's default schema. */
  readonly schema: string
  readonly statement: string
  /** The schemas whose tables it changes, in so far as the server tells (MySQL does); null: not known. */
  readonly changedSchemas: readonly string[] | null
}

export type StatementKind =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'rollback-to-savepoint'
  | 'xa-start'
  | 'xa-end'
  | 'xa-commit'
  | 'xa-rollback'
  | 'definition'
  | 'data'

const postHeaderBytes = 13

/** Offset of the statement's text in an event whose body is [start, end). */
function statementAt(b: Bytes, start: number): number {
  const schemaBytes = b[start + 8] as number
  return start + postHeaderBytes + u16(b, start + 11) + schemaBytes + 1
}

/** `BEGIN`, as the server writes it before each transaction; told from the bytes, for speed. */
export function isBegin(b: Bytes, start: number, end: number): boolean {
  const at = statementAt(b, start)
  return (
    end - at === 5 &&
    b[at] === 0x42 &&
    b[at + 1] === 0x45 &&
    b[at + 2] === 0x47 &&
    b[at + 3] === 0x49 &&
    b[at + 4] === 0x4e
  )
}

/** @param extraBytes what an EXECUTE_LOAD_QUERY event has more in front of its status variables */
export function readQuery(b: Bytes, start: number, end: number, extraBytes = 0): QueryEvent {
  const fields = new FieldReader(b, start, end)
  fields.take(8)
  const schemaBytes = fields.u8()
  fields.take(2)
  const statusBytes = fields.u16()
  fields.take(extraBytes)
  const { charset, changedSchemas } = readStatus(fields.sub(statusBytes))
  const schema = fields.utf8(schemaBytes)
  fields.take(1)
  const at = fields.take(fields.left)
  return { schema, statement: decode(b, at, end, charset), changedSchemas }
}

/** Bytes of the status variables, by their codes; -1: a length byte first, then the text; -2: two of those. */
const statusBytes: Readonly<Record<number, number>> = {
  0: 4, // flags
  1: 8, // sql_mode
  3: 4, // auto_increment
  5: -1, // time zone
  6: -1, // catalogue
  7: 2, // lc_time_names
  8: 2, // collation of the schema
  9: 8, // tables of a multi-table update
  10: 4, // bytes written
  11: -2, // invoker
}
const clientCharsets = 4
const updatedSchemas = 12
/** The server gives no names when there are more than 16. */
const tooManySchemas = 254

interface Status {
  readonly charset: string | undefined
  readonly changedSchemas: readonly string[] | null
}

/** The variables stand in the order of their codes as far as they are read here; behind an unknown one nothing is read. */
function readStatus(fields: FieldReader): Status {
  let charset: string | undefined
  while (fields.left > 0) {
    const code = fields.u8()
    if (code === clientCharsets) {
      charset = collationOf(fields.u16())?.charset
      fields.take(4)
    } else if (code === updatedSchemas) {
      return { charset, changedSchemas: zeroEndedNames(fields) }
    } else {
      const bytes = statusBytes[code]
      if (bytes === undefined) break
      if (bytes >= 0) fields.take(bytes)
      else for (let i = bytes; i < 0; i++) fields.take(fields.u8())
    }
  }
  return { charset, changedSchemas: null }
}

function zeroEndedNames(fields: FieldReader): readonly string[] | null {
  const count = fields.u8()
  if (count === 0 || count === tooManySchemas) return null
  const names: string[] = []
  while (names.length < count) {
    const end = fields.bytes.indexOf(0, fields.at)
    if (end < 0 || end >= fields.end) return null
    names.push(fields.utf8(end - fields.at))
    fields.take(1)
  }
  return names
}

const decoderNames: Readonly<Record<string, string>> = {
  latin1: 'windows-1252',
  latin2: 'iso-8859-2',
  latin5: 'windows-1254',
  latin7: 'iso-8859-13',
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  cp1256: 'windows-1256',
  cp1257: 'windows-1257',
  cp866: 'ibm866',
  greek: 'iso-8859-7',
  hebrew: 'iso-8859-8',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  tis620: 'windows-874',
  macroman: 'macintosh',
  big5: 'big5',
  gbk: 'gbk',
  gb2312: 'gbk',
  gb18030: 'gb18030',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  eucjpms: 'euc-jp',
  euckr: 'euc-kr',
}

function decode(b: Bytes, at: number, end: number, charset: string | undefined): string {
  const name = charset === undefined ? undefined : decoderNames[charset]
  if (name === undefined) return b.toString('utf8', at, end)
  return new TextDecoder(name).decode(b.subarray(at, end))
}

const kinds: readonly (readonly [RegExp, StatementKind])[] = [
  [/^begin$/i, 'begin'],
  [/^commit$/i, 'commit'],
  [/^rollback\s+to\b/i, 'rollback-to-savepoint'],
  [/^rollback$/i, 'rollback'],
  [/^(release\s+)?savepoint\b/i, 'savepoint'],
  [/^xa\s+(start|begin)\b/i, 'xa-start'],
  [/^xa\s+end\b/i, 'xa-end'],
  [/^xa\s+commit\b/i, 'xa-commit'],
  [/^xa\s+rollback\b/i, 'xa-rollback'],
  [
    /^(create|alter|drop|rename|truncate|grant|revoke|analyze|optimize|repair|flush|reset|install|uninstall|set\s+(password|default|resource)|import|import\s+table|check|cache|lock|unlock|purge)\b/i,
    'definition',
  ],
]

/** Comments and white space in front of a statement, and an executable comment's opening. */
const leading = /^(?:\s+|\/\*(?!!)[\s\S]*?\*\/|\/\*!\d*\s*|--[ \t][^\n]*\n|#[^\n]*\n|\()+/

export function statementKind(statement: string): StatementKind {
  const text = withoutSettings(statement.replace(leading, '').replace(/[\s;\0]+$/, ''))
  return kinds.find(([pattern]) => pattern.test(text))?.[1] ?? 'data'
}

/** The name of an XA transaction, as the server writes it after XA START, END, COMMIT and ROLLBACK. */
export const xaName = (statement: string): string =>
  statement
    .replace(/^xa\s+\w+\s+/i, '')
    .replace(/\s+one\s+phase$/i, '')
    .trim()

/** The beginning of a statement, for messages. */
export const firstWords = (statement: string): string => {
  const words = statement.trim().split(/\s+/, 6).join(' ')
  return words.length > 80 ? `${words.slice(0, 80)}...` : words
}
