/**
 * Can a target column hold every value of a source column, exactly? Pure.
 *
 * What is accepted is what the sink writes and a verification reads back as the same value; widening is fine, guessing is not: kinds must
 * be equal but for FLOAT into DOUBLE.
 */
import type { Column } from '../../core/schema.ts'
import type { ColumnDetail } from './catalogue.ts'
import { labelsOf } from './column-type.ts'

export interface FittedColumn {
  readonly column: Column
  readonly detail: ColumnDetail
}

/** Why a value could be refused or changed. `unless`: only values that are unusually long, which a table may not have. */
export interface Misfit {
  readonly reason: string
  readonly severity: 'error' | 'warning'
}

const misfit = (reason: string): Misfit => ({ reason, severity: 'error' })

/** The first reason against it, or null. */
export function fits(source: FittedColumn, target: FittedColumn): Misfit | null {
  const s = source.column.type
  const t = target.column.type
  if (target.detail.unsupported) return misfit(`has the type ${t.sql}, which is not known here`)
  if (target.column.generated) {
    return source.column.generated ? null : misfit('is computed at the target, so it cannot be written')
  }
  if (source.column.nullable && !target.column.nullable) return misfit('does not take NULL')
  if (s.kind === 'json' && target.detail.takesJson) return null
  if (s.kind !== t.kind && !(s.kind === 'float' && t.kind === 'double')) {
    return misfit(`is ${t.sql}, and the source's is ${s.sql}`)
  }
  switch (s.kind) {
    case 'int':
      return intFits(source, target)
    case 'float':
    case 'double':
      if (t.unsigned === true && s.unsigned !== true) return misfit('does not take negative numbers')
      return t.sql.includes('(') && t.sql !== s.sql ? misfit(`rounds to ${t.sql}`) : null
    case 'decimal': {
      const before = (precision = 0, scale = 0): number => precision - scale
      if (t.unsigned === true && s.unsigned !== true) return misfit('does not take negative numbers')
      if ((t.scale ?? 0) < (s.scale ?? 0))
        return misfit(`keeps ${t.scale ?? 0} digits after the point of ${s.scale ?? 0}`)
      if (before(t.precision, t.scale) < before(s.precision, s.scale))
        return misfit(`is ${t.sql}, narrower than ${s.sql}`)
      return null
    }
    case 'time':
    case 'datetime':
    case 'timestamp':
      return (t.fraction ?? 0) < (s.fraction ?? 0)
        ? misfit(`keeps ${t.fraction ?? 0} digits of a second of ${s.fraction ?? 0}`)
        : null
    case 'bit':
    case 'vector':
      return (t.maxBytes ?? 0) < (s.maxBytes ?? 0) ? misfit(`is ${t.sql}, narrower than ${s.sql}`) : null
    case 'enum':
    case 'set':
      return labelsFit(source, target)
    case 'text':
      return textFits(source, target)
    case 'bytes':
      return bytesFit(source, target)
    case 'geometry':
      if (target.detail.dataType !== 'geometry' && target.detail.dataType !== source.detail.dataType) {
        return misfit(`takes ${t.sql} only, and the source's is ${s.sql}`)
      }
      return target.detail.srid !== null && target.detail.srid !== source.detail.srid
        ? misfit(`takes SRID ${target.detail.srid} only`)
        : null
    default:
      return null
  }
}

function intFits(source: FittedColumn, target: FittedColumn): Misfit | null {
  const s = source.column.type
  const t = target.column.type
  const unsigned = s.unsigned === true
  if (!unsigned && t.unsigned === true) return misfit('does not take negative numbers')
  // An unsigned value needs one bit more in a signed column.
  const needed = (s.bytes ?? 8) * 8 + (unsigned && t.unsigned !== true ? 1 : 0)
  return (t.bytes ?? 8) * 8 < needed ? misfit(`is ${t.sql}, narrower than ${s.sql}`) : null
}

function labelsFit(source: FittedColumn, target: FittedColumn): Misfit | null {
  // The server shows labels in UTF-8 in both; the bytes in `labels` are in each column's own character set.
  const there = new Set(labelsOf(target.column.type.sql))
  const missing = labelsOf(source.column.type.sql).filter((label) => !there.has(label))
  return missing.length === 0
    ? null
    : misfit(
        `lacks the label${missing.length === 1 ? '' : 's'} ${missing.map((label) => `'${label}'`).join(', ')}`,
      )
}

const sizeless = new Set(['tinytext', 'text', 'mediumtext', 'longtext'])
/** Bytes that a character takes at most, and at least. */
const charBytes = (charset: string | undefined): { most: number; least: number } => {
  switch (charset) {
    case 'utf8mb4':
    case 'gb18030':
      return { most: 4, least: 1 }
    case 'utf16':
    case 'utf16le':
      return { most: 4, least: 2 }
    case 'utf32':
      return { most: 4, least: 4 }
    case 'utf8mb3':
    case 'utf8':
    case 'ujis':
    case 'eucjpms':
      return { most: 3, least: 1 }
    case 'ucs2':
      return { most: 2, least: 2 }
    case 'big5':
    case 'cp932':
    case 'euckr':
    case 'gb2312':
    case 'gbk':
    case 'sjis':
      return { most: 2, least: 1 }
    default:
      return { most: 1, least: 1 }
  }
}

const allOfUnicode = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030'])
const basicPlane = new Set(['utf8mb3', 'utf8', 'ucs2'])

/** Has `to` every character of `from`? */
function charsetHolds(from: string | undefined, to: string | undefined): boolean {
  if (from === to || from === 'ascii') return true
  const normal = (charset: string | undefined): string => (charset === 'utf8' ? 'utf8mb3' : (charset ?? ''))
  if (normal(from) === normal(to)) return true
  if (allOfUnicode.has(to ?? '')) return true
  return basicPlane.has(to ?? '') && !allOfUnicode.has(from ?? '')
}

function textFits(source: FittedColumn, target: FittedColumn): Misfit | null {
  const s = source.column.type
  const t = target.column.type
  if (!charsetHolds(s.charset, t.charset)) {
    return misfit(`is in ${t.charset ?? '?'}, which does not have every character of ${s.charset ?? '?'}`)
  }
  const isChar = target.detail.dataType === 'char'
  if (isChar && source.detail.dataType !== 'char') return misfit('is CHAR, which loses spaces at the end')
  const fromText = sizeless.has(source.detail.dataType)
  const toText = sizeless.has(target.detail.dataType)
  const tooNarrow = misfit(`is ${t.sql}, narrower than ${s.sql}`)
  if (!fromText && !toText) return target.detail.maxChars < source.detail.maxChars ? tooNarrow : null
  const sourceChars = fromText
    ? Math.floor((s.maxBytes ?? 0) / charBytes(s.charset).least)
    : source.detail.maxChars
  if (!toText) return target.detail.maxChars < sourceChars ? tooNarrow : null
  const room = t.maxBytes ?? 0
  if (fromText && s.charset === t.charset) return room < (s.maxBytes ?? 0) ? tooNarrow : null
  if (fromText && room < (s.maxBytes ?? 0)) return tooNarrow
  if (sourceChars * charBytes(t.charset).most <= room) return null
  const reason = `may be too narrow: ${s.sql} in ${s.charset ?? '?'} takes more bytes in ${t.charset ?? '?'} than ${t.sql} has`
  return { reason, severity: 'warning' }
}

function bytesFit(source: FittedColumn, target: FittedColumn): Misfit | null {
  const s = source.column.type
  const t = target.column.type
  if (t.fixed === true && (s.fixed !== true || s.maxBytes !== t.maxBytes)) {
    return misfit(`is ${t.sql}, which pads values with zero bytes`)
  }
  return (t.maxBytes ?? 0) < (s.maxBytes ?? 0) ? misfit(`is ${t.sql}, narrower than ${s.sql}`) : null
}

/**
 * Does the target's collation of a key column keep apart all values that the source's keeps apart? Where it does not, two rows of the source
 * would be one at the target.
 */
export function keepsApart(source: FittedColumn, target: FittedColumn): boolean {
  const s = source.column.type
  const t = target.column.type
  if (s.kind !== 'text' || t.kind !== 'text' || s.collation === t.collation) return true
  // These compare byte by byte, without padding: nothing is finer.
  if (/_0900_bin$|_nopad_bin$/.test(t.collation ?? '')) return true
  const padded = (collation: string | undefined): boolean => !/_0900_|_nopad_/.test(collation ?? '')
  return (t.collation ?? '').endsWith('_bin') && padded(s.collation)
}
