/*
 * What goes wrong in sync tools: primary keys that move in chains or are exchanged, unique values that are swapped in one
 * transaction and across several, keys that change in case or padding alone, upserts, REPLACE, rollbacks, savepoints.
 */
import { type Cell, newVersion, type Operation, quoted, type Turn, transaction } from './turn.ts'

const shelfOf = (turn: Turn): string =>
  `warehouse = '${['a', 'B', 'cé', 'd-1'][turn.int(4)]}' AND product_id = ${turn.int(turn.filled('inventory') / 4)}`

/** A stretch of 100 places that belongs to this writer; keys from `first` to `first + 99`. */
const ownStretch = (turn: Turn): number => {
  const rows = turn.filled('queue_place')
  return turn.own(rows / 10) * 100 - Math.floor(rows / 2) * 10
}

const ownCoupon = (turn: Turn): number => 1 + turn.own(turn.filled('coupon'))
const couponSpellings = ['save', 'SAVE', 'Säve', 'sAvÉ']
const legacySpellings = ['x', 'X', 'x']

export const keyOperations: readonly Operation[] = [
  {
    name: 'swap shelves in one transaction',
    weight: 6,
    work: (turn) =>
      transaction(turn, async () => {
        const places = [shelfOf(turn), shelfOf(turn), shelfOf(turn)].slice(0, 2 + turn.int(2))
        const shelves: Cell[] = []
        for (const place of places) {
          const [row] = await turn.select(`SELECT shelf FROM inventory WHERE ${place} FOR UPDATE`)
          if (row === undefined) return
          shelves.push(row['shelf'] ?? null)
        }
        const set = (place: string, shelf: string): Promise<number> =>
          turn.run(`UPDATE inventory SET shelf = ${shelf}, version = ${newVersion} WHERE ${place}`)
        await set(places[0] as string, `-${1 + turn.int(2_000_000_000)}`)
        for (let i = 1; i < places.length; i++)
          await set(places[i] as string, `-${1 + turn.int(2_000_000_000)}`)
        for (let i = 0; i < places.length; i++) {
          await set(places[i] as string, `${shelves[(i + 1) % places.length] ?? 'NULL'}`)
        }
      }),
  },
  {
    name: 'swap shelves across transactions',
    weight: 4,
    work: async (turn) => {
      const [a, b] = [shelfOf(turn), shelfOf(turn)]
      const [rowA] = await turn.select(`SELECT shelf FROM inventory WHERE ${a}`)
      const [rowB] = await turn.select(`SELECT shelf FROM inventory WHERE ${b}`)
      const set = (place: string, shelf: Cell | undefined): Promise<number> =>
        turn.run(`UPDATE inventory SET shelf = ${shelf ?? 'NULL'}, version = ${newVersion} WHERE ${place}`)
      await set(a, turn.chance(0.5) ? null : `-${1 + turn.int(2_000_000_000)}`)
      await set(b, rowA?.['shelf'])
      await set(a, rowB?.['shelf'])
    },
  },
  {
    name: 'move keys in a chain',
    weight: 4,
    work: async (turn) => {
      const first = ownStretch(turn)
      const [where, step, order] = turn.chance(0.5)
        ? [`BETWEEN ${first} AND ${first + 98}`, '+ 1', 'DESC']
        : [`BETWEEN ${first + 1} AND ${first + 99}`, '- 1', 'ASC']
      // A row that stands at the far end does not move; one that is pushed onto it fails, and nothing has happened.
      await turn.run(
        `UPDATE queue_place SET place = place ${step}, version = ${newVersion} WHERE place ${where} ORDER BY place ${order}`,
      )
    },
  },
  {
    name: 'exchange primary keys',
    weight: 4,
    work: (turn) =>
      transaction(turn, async () => {
        const first = ownStretch(turn)
        const rows = await turn.select(
          `SELECT place FROM queue_place WHERE place BETWEEN ${first} AND ${first + 98} FOR UPDATE`,
        )
        const [a, b] = [rows[turn.int(rows.length)]?.['place'], rows[turn.int(rows.length)]?.['place']]
        if (a === undefined || b === undefined || a === b) return
        const move = (from: unknown, to: unknown): Promise<number> =>
          turn.run(
            `UPDATE queue_place SET place = ${String(to)}, version = ${newVersion} WHERE place = ${String(from)}`,
          )
        await turn.run(`DELETE FROM queue_place WHERE place = ${first + 99}`)
        await move(a, first + 99)
        await move(b, a)
        await move(first + 99, b)
      }),
  },
  {
    name: 'queue and leave',
    weight: 5,
    work: async (turn) => {
      const place = ownStretch(turn) + turn.int(100)
      if (turn.chance(0.4)) {
        await turn.run(`DELETE FROM queue_place WHERE place = ${place}`)
        return
      }
      const ticket = turn.chance(0.3) ? 'NULL' : `${turn.int(4_000_000_000)}`
      await turn.run(
        `INSERT INTO queue_place (place, ticket, label, owner, version)
         VALUES (${place}, ${ticket}, NULL, 'new', ${newVersion})
         ON DUPLICATE KEY UPDATE ticket = NULL, label = CONCAT('again ', UUID_SHORT()), version = ${newVersion}`,
      )
    },
  },
  {
    name: 'take over a ticket',
    weight: 3,
    work: (turn) =>
      transaction(turn, async () => {
        const first = ownStretch(turn)
        const rows = await turn.select(
          `SELECT place, ticket FROM queue_place WHERE place BETWEEN ${first} AND ${first + 99} FOR UPDATE`,
        )
        const victim = rows[turn.int(rows.length)]
        if (victim === undefined) return
        // Removes the row with the ticket, and the row at the place where there is one: up to two rows for one.
        await turn.run(
          `REPLACE INTO queue_place (place, ticket, label, owner, version)
           VALUES (${first + turn.int(100)}, ${victim['ticket'] ?? 'NULL'}, NULL, 'replaced', ${newVersion})`,
        )
      }),
  },
  {
    name: 'swap labels in another case',
    weight: 3,
    work: (turn) =>
      transaction(turn, async () => {
        const first = ownStretch(turn)
        const rows = await turn.select(
          `SELECT place, label FROM queue_place WHERE place BETWEEN ${first} AND ${first + 99} FOR UPDATE`,
        )
        const [a, b] = [rows[turn.int(rows.length)], rows[turn.int(rows.length)]]
        if (a === undefined || b === undefined || a === b) return
        const set = (place: unknown, label: string): Promise<number> =>
          turn.run(
            `UPDATE queue_place SET label = ${label}, version = ${newVersion} WHERE place = ${String(place)}`,
          )
        await set(a['place'], `'t${turn.unique().slice(-18)}'`)
        await set(b['place'], `UPPER(${quoted(a['label'] ?? null)})`)
        await set(a['place'], `LOWER(${quoted(b['label'] ?? null)})`)
      }),
  },
  {
    name: 'change the case of a key',
    weight: 6,
    work: async (turn) => {
      const coupon = ownCoupon(turn)
      const spelling = `${couponSpellings[turn.int(couponSpellings.length)]}-${coupon}`
      const insert = `INSERT INTO coupon (code, campaign, percent, used, version) VALUES ('${spelling}', ${turn.chance(0.5) ? 'NULL' : `'Winter${coupon}'`}, 5, FALSE, ${newVersion})`
      switch (turn.int(4)) {
        case 0:
          await transaction(turn, async () => {
            await turn.run(`DELETE FROM coupon WHERE code = 'save-${coupon}'`)
            await turn.run(insert)
          })
          return
        case 1:
          await turn.run(`DELETE FROM coupon WHERE code = 'save-${coupon}'`)
          await turn.run(insert)
          return
        case 2:
          await turn.run(
            `UPDATE coupon SET code = '${spelling}', version = ${newVersion} WHERE code = 'save-${coupon}'`,
          )
          return
        default:
          await turn.run(
            `${insert} ON DUPLICATE KEY UPDATE used = NOT used, campaign = UPPER(campaign), version = ${newVersion}`,
          )
      }
    },
  },
  {
    name: 'change the padding of a key',
    weight: 4,
    work: (turn) =>
      transaction(turn, async () => {
        const n = 1 + turn.own(turn.filled('legacy_code'))
        const spelling = `${legacySpellings[turn.int(3)]}${n}${' '.repeat(turn.int(4))}`
        const where = `code = 'x${n}' AND area = '${['süd', 'nord', '', '🦄'][turn.int(4)]}'`
        if (turn.chance(0.5)) {
          await turn.run(
            `UPDATE legacy_code SET code = '${spelling}', version = ${newVersion} WHERE ${where}`,
          )
          return
        }
        await turn.run(`DELETE FROM legacy_code WHERE ${where}`)
        await turn.run(
          `INSERT INTO legacy_code (code, area, meaning, version) VALUES ('${spelling}', '${['SÜD', 'Nord'][turn.int(2)]}', NULL, ${newVersion})`,
        )
      }),
  },
  {
    name: 'upsert',
    weight: 8,
    work: async (turn) => {
      const rows = Array.from({ length: 1 + turn.int(20) }, () => {
        const id = turn.own(turn.filled('wide_report') * 1.5)
        return `(${id}, ${newVersion}, ${turn.int(1e9)}, 'wü${turn.int(100)}', ${turn.chance(0.5) ? 'NULL' : turn.int(1e6)}, ${turn.int(256)})`
      })
      await turn.run(
        `INSERT INTO wide_report (id, version, c001, c002, c006, c198) VALUES ${rows.join(', ')} AS given
         ON DUPLICATE KEY UPDATE c001 = given.c001, c100 = CONCAT(given.c002, 'x'), c150 = NULL, version = ${newVersion}`,
      )
    },
  },
  {
    name: 'log in and out',
    weight: 6,
    work: (turn) =>
      transaction(turn, async () => {
        const token = `CONCAT(X'FF00275C', 'own', ${turn.own(5000)})`
        await turn.select(`SELECT version FROM session WHERE token = ${token} FOR UPDATE`)
        if (turn.chance(0.3)) {
          await turn.run(`DELETE FROM session WHERE token = ${token}`)
          return
        }
        await turn.run(
          `REPLACE INTO session (token, customer_id, started_at, state, version)
           VALUES (${token}, ${1 + turn.int(turn.filled('customer'))}, NOW(6), REPEAT(RANDOM_BYTES(50), ${turn.int(20)}), ${newVersion})`,
        )
      }),
  },
  {
    name: 'move stock between spellings',
    weight: 3,
    work: (turn) =>
      transaction(turn, async () => {
        const product = turn.own(turn.filled('inventory') / 4)
        await turn.run(`DELETE FROM inventory WHERE warehouse = 'b' AND product_id = ${product}`)
        if (turn.chance(0.8)) {
          await turn.run(
            `INSERT INTO inventory (warehouse, product_id, quantity, shelf, version) VALUES ('${['b', 'B'][turn.int(2)]}', ${product}, 1, NULL, ${newVersion})`,
          )
        }
      }),
  },
  {
    name: 'roll back',
    weight: 4,
    work: async (turn) => {
      await turn.run('START TRANSACTION')
      await turn.run(`UPDATE inventory SET quantity = -1, version = ${newVersion} WHERE ${shelfOf(turn)}`)
      await turn.run(
        `INSERT INTO audit_entry (actor, action, detail) VALUES ('nobody', 'buy', '"must never be seen"')`,
      )
      await turn.run(
        `UPDATE queue_place SET label = NULL, version = ${newVersion} WHERE place < -100 LIMIT 20`,
      )
      await turn.run('ROLLBACK')
    },
  },
  {
    name: 'roll back to a savepoint',
    weight: 4,
    work: (turn) =>
      transaction(turn, async () => {
        const place = shelfOf(turn)
        await turn.run(`UPDATE inventory SET reserved = 1, version = ${newVersion} WHERE ${place}`)
        await turn.run('SAVEPOINT one')
        await turn.run(
          `INSERT INTO audit_entry (actor, action, detail) VALUES ('nobody', 'buy', '"must never be seen"')`,
        )
        await turn.run(`UPDATE inventory SET reserved = 4000000000, version = ${newVersion} WHERE ${place}`)
        await turn.run('ROLLBACK TO SAVEPOINT one')
        await turn.run(`UPDATE inventory SET quantity = quantity + 1, version = ${newVersion} WHERE ${place}`)
      }),
  },
]
