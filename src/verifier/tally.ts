/**
 * Sums of what was found. Pure.
 */
import type { ComparisonTally, Difference } from '../core/verification.ts'

export interface Found {
  readonly tally: ComparisonTally
  readonly differences: readonly Difference[]
}

const noRows: ComparisonTally = {
  rowsCompared: 0,
  equal: 0,
  different: 0,
  onlySource: 0,
  onlyTarget: 0,
  unsettled: 0,
}

export const equalRows = (rows: number): Found => ({
  tally: { ...noRows, rowsCompared: rows, equal: rows },
  differences: [],
})

export function ofDifferences(differences: readonly Difference[]): Found {
  const count = (kind: Difference['kind']): number => differences.filter((each) => each.kind === kind).length
  return {
    tally: {
      rowsCompared: differences.length,
      equal: 0,
      different: count('different'),
      onlySource: count('only-source'),
      onlyTarget: count('only-target'),
      unsettled: count('unsettled'),
    },
    differences,
  }
}

export function together(all: readonly Found[]): Found {
  const sum = (field: keyof ComparisonTally): number =>
    all.reduce((total, { tally }) => total + tally[field], 0)
  return {
    tally: {
      rowsCompared: sum('rowsCompared'),
      equal: sum('equal'),
      different: sum('different'),
      onlySource: sum('onlySource'),
      onlyTarget: sum('onlyTarget'),
      unsettled: sum('unsettled'),
    },
    differences: all.flatMap(({ differences }) => differences),
  }
}

/** Numbers of rows alone tell how many are too many, and not which. */
export const ofCounts = (there: number, here: number): Found => ({
  tally: {
    ...noRows,
    rowsCompared: Math.max(there, here),
    equal: Math.min(there, here),
    onlySource: Math.max(0, there - here),
    onlyTarget: Math.max(0, here - there),
  },
  differences: [],
})
