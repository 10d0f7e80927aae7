/**
 * Where a pipeline stands at its target, for somebody who takes no part in it (contract.ts, `Standing`): reads and never waits for anybody.
 *
 * The marks are read first, in one statement: what the later ones tell of loads and parking is as of then or after it, and whatever makes a table begin
 * to be loaded, parked or altered ends the session, which the owner shows. Nothing is written.
 */
import type { Standing } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { parkedOf, selectParked } from './quarantine-table.ts'
import { loadOf, readMarks, selectLoad, standing } from './takeover.ts'

/** @returns null where the pipeline has never written */
export async function readStanding(connection: Connection, pipeline: string): Promise<Standing | null> {
  try {
    const marks = await readMarks(connection, { pipeline }, '')
    const { position, unfinished } = standing(marks)
    if (position === null) return null
    const [load, parked] = await connection.queryAll(`${selectLoad(pipeline)}; ${selectParked(pipeline)}`)
    return {
      position: unfinished?.from ?? position,
      session: marks.find(({ slot }) => slot === 0)?.owner ?? '',
      load: (load?.rows ?? []).map(loadOf),
      parked: (parked?.rows ?? []).map(parkedOf),
    }
  } catch (error) {
    const failure = classify(error, 'target')
    // No pipeline has ever written here.
    if (failure.code === 'SYNC-3201') return null
    throw failure
  }
}
