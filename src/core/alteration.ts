/**
 * What an ALTER TABLE asks for, by the names in its text. Plain data: read from the text by streamer/alter-table.ts, held against the catalogues
 * by the connectors.
 */
export interface Alteration {
  readonly added: readonly string[]
  /** MODIFY and CHANGE; `from` and `to` are equal where the name stays. */
  readonly changed: readonly ColumnNames[]
  readonly renamed: readonly ColumnNames[]
  readonly dropped: readonly string[]
  /** CONVERT TO CHARACTER SET: every column of text. */
  readonly convertsText: boolean
  readonly addedIndexes: readonly IndexNames[]
  readonly droppedIndexes: readonly string[]
}

export interface ColumnNames {
  readonly from: string
  readonly to: string
}

export interface IndexNames {
  /** Null: the server finds a name. */
  readonly name: string | null
  /** The columns' names; null for a part that is an expression. */
  readonly columns: readonly (string | null)[]
}

export const noAlteration: Alteration = {
  added: [],
  changed: [],
  renamed: [],
  dropped: [],
  convertsText: false,
  addedIndexes: [],
  droppedIndexes: [],
}

/** Can the statement have given rows that were there other values, without logging a row? */
export const changesValues = ({ added, changed, renamed, convertsText }: Alteration): boolean =>
  added.length > 0 || changed.length > 0 || renamed.length > 0 || convertsText

/** Does it name anything that a target may have to follow? */
export const changesDefinition = (alteration: Alteration): boolean =>
  changesValues(alteration) ||
  alteration.dropped.length > 0 ||
  alteration.addedIndexes.length > 0 ||
  alteration.droppedIndexes.length > 0
