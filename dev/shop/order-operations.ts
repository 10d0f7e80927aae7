/*
 * What customers do: order, pay, cancel, and pull at the same few hot rows of the stock.
 */
import { newVersion, type Operation, quoted, transaction } from './turn.ts'

const hotProducts = 5

export const orderOperations: readonly Operation[] = [
  {
    name: 'place an order',
    weight: 24,
    work: (turn) =>
      transaction(turn, async () => {
        const customer = 1 + turn.int(turn.filled('customer'))
        await turn.run(
          `INSERT INTO \`order\` (number, customer_id, state, placed_at, paid_at, ship_after, total, currency, version)
           VALUES (CONCAT('W', CONV(${newVersion}, 10, 36)), ${customer}, 'placed', NOW(3), NULL, SEC_TO_TIME(${turn.int(800_000) - 400_000}.125), 0, 'EUR', ${newVersion})`,
        )
        const lines = 1 + turn.int(6)
        const values = Array.from(
          { length: lines },
          (_, line) =>
            `(LAST_INSERT_ID(), ${line * 7}, ${1 + turn.int(turn.filled('product'))}, ${1 + turn.int(9)}, ${turn.int(10_000)} / 100, ${turn.chance(0.5) ? line - 3 : 'NULL'}, ${newVersion})`,
        )
        await turn.run(
          `INSERT INTO order_line (order_id, line_no, product_id, quantity, price, slot, version) VALUES ${values.join(', ')}`,
        )
        await turn.run(
          `UPDATE \`order\` SET total = (SELECT SUM(price * quantity) FROM order_line WHERE order_id = LAST_INSERT_ID()), version = ${newVersion} WHERE id = LAST_INSERT_ID()`,
        )
        await turn.run(
          `INSERT INTO payment (id, order_id, provider, provider_ref, amount, holder, booked_on, version)
           VALUES (UNHEX(REPLACE(UUID(), '-', '')), LAST_INSERT_ID(), ${turn.chance(0.2) ? 'NULL' : "'card'"}, CONCAT('w', UUID_SHORT()), ${turn.int(1e9)} / 1000, '乗客', CURRENT_DATE, ${newVersion})`,
        )
        await turn.run(
          `UPDATE inventory SET reserved = reserved + 1, version = ${newVersion} WHERE warehouse = 'a' AND product_id = ${turn.int(hotProducts)}`,
        )
        await turn.run(
          `UPDATE customer SET balance = balance - 0.000001, version = ${newVersion} WHERE id = ${customer}`,
        )
      }),
  },
  {
    name: 'pull at hot rows',
    weight: 18,
    work: async (turn) => {
      await turn.run(
        `UPDATE inventory SET quantity = quantity + ${turn.int(11) - 5}, counted_at = NOW(3), version = ${newVersion} WHERE warehouse = 'A' AND product_id = ${turn.int(hotProducts)}`,
      )
    },
  },
  {
    name: 'pay or send',
    weight: 10,
    work: async (turn) => {
      const last = turn.filled('order') * 1.2
      await turn.run(
        `UPDATE \`order\` SET state = ${1 + turn.int(5)}, paid_at = IF(paid_at IS NULL, NOW(), NULL), version = ${newVersion} WHERE id = ${1 + turn.int(last)}`,
      )
    },
  },
  {
    name: 'cancel an order',
    weight: 3,
    work: (turn) =>
      transaction(turn, async () => {
        const order = 1 + turn.own(turn.filled('order'))
        await turn.run(`DELETE FROM payment WHERE order_id = ${order}`)
        // Takes the order's lines along.
        await turn.run(`DELETE FROM \`order\` WHERE id = ${order}`)
      }),
  },
  {
    name: 'change the lines of an order',
    weight: 6,
    work: (turn) =>
      transaction(turn, async () => {
        const order = 1 + turn.own(turn.filled('order'))
        const line = turn.int(4) * 16383
        await turn.run(`DELETE FROM order_line WHERE order_id = ${order} AND line_no = ${line}`)
        if (turn.chance(0.7)) {
          await turn.run(
            `INSERT INTO order_line (order_id, line_no, product_id, quantity, price, slot, version)
             VALUES (${order}, ${line}, ${1 + turn.int(turn.filled('product'))}, 3, 9.99, ${turn.chance(0.5) ? turn.int(4) - 2 : 'NULL'}, ${newVersion})`,
          )
        }
        await turn.run(
          `UPDATE order_line SET slot = NULL, version = ${newVersion} WHERE order_id = ${order} AND line_no > ${line}`,
        )
      }),
  },
  {
    name: 'reprice many',
    weight: 2,
    work: async (turn) => {
      const from = turn.int(turn.filled('product'))
      const rows = turn.chance(0.05) ? 3000 : 5 + turn.int(200)
      await turn.run(
        `UPDATE product SET price = MOD(price + 0.37, 99999), weight = weight * 1.01, version = ${newVersion} WHERE id BETWEEN ${from} AND ${from + rows}`,
      )
    },
  },
  {
    name: 'update JSON',
    weight: 5,
    work: async (turn) => {
      const product = 1 + turn.int(turn.filled('product'))
      const change = [
        `JSON_SET(COALESCE(attributes, '{}'), '$.size', ${turn.int(1e6)}, '$.new', JSON_ARRAY('ü', NULL, ${turn.int(99)}))`,
        `JSON_REMOVE(attributes, '$.tags')`,
        `JSON_MERGE_PATCH(COALESCE(attributes, '{}'), '{"colour": null, "deep": {"a": [1.5, "x"]}}')`,
        'NULL',
      ][turn.int(4)]
      await turn.run(
        `UPDATE product SET attributes = ${change}, version = ${newVersion} WHERE id = ${product}`,
      )
    },
  },
  {
    name: 'swap e-mail addresses',
    weight: 4,
    work: (turn) =>
      transaction(turn, async () => {
        const a = 1 + turn.int(turn.filled('customer'))
        const b = 1 + turn.int(turn.filled('customer'))
        const rows = await turn.select(
          `SELECT id, email FROM customer WHERE id IN (${a}, ${b}) ORDER BY id FOR UPDATE`,
        )
        const [first, second] = rows
        if (first === undefined || second === undefined) return
        const set = (id: unknown, email: string): Promise<number> =>
          turn.run(`UPDATE customer SET email = ${email}, version = ${newVersion} WHERE id = ${String(id)}`)
        await set(first['id'], `'temporary-${turn.unique()}'`)
        // In another case: equal for the unique key.
        await set(second['id'], `UPPER(${quoted(first['email'] ?? null)})`)
        await set(first['id'], quoted(second['email'] ?? null))
      }),
  },
  {
    name: 'empty an e-mail address',
    weight: 2,
    work: async (turn) => {
      const customer = 1 + turn.int(turn.filled('customer'))
      await turn.run(
        `UPDATE customer SET email = IF(email IS NULL, CONCAT('back-', id, '@example.org'), NULL), nickname = NULL, version = ${newVersion} WHERE id = ${customer}`,
      )
    },
  },
  {
    name: 'write notes',
    weight: 5,
    work: async (turn) => {
      if (turn.chance(0.3)) {
        await turn.run(
          `DELETE FROM customer_note WHERE my_row_id = ${1 + turn.int(turn.filled('customer_note') * 1.2)}`,
        )
        return
      }
      const note = `(${1 + turn.int(turn.filled('customer'))}, REPEAT('Notiz 🖊 ', ${turn.int(40)}), ${newVersion})`
      await turn.run(
        `INSERT INTO customer_note (customer_id, note, version) VALUES ${Array(1 + turn.int(4))
          .fill(note)
          .join(', ')}`,
      )
    },
  },
  {
    name: 'write the audit log',
    weight: 4,
    work: async (turn) => {
      await turn.run(
        `INSERT INTO audit_entry (actor, action, detail) VALUES ('w', 'login', JSON_OBJECT('random', ${turn.int(1e9)}))`,
      )
    },
  },
  {
    name: 'change thousands of rows at once',
    weight: 0.15,
    work: (turn) =>
      transaction(turn, async () => {
        const from = turn.int(turn.filled('order'))
        await turn.run(
          `UPDATE order_line SET quantity = 1 + quantity MOD 20, version = ${newVersion} WHERE order_id BETWEEN ${from} AND ${from + 1500}`,
        )
        await turn.run(
          `INSERT INTO audit_entry (actor, action, detail) SELECT 'bulk', 'buy', JSON_OBJECT('order', id) FROM \`order\` WHERE id BETWEEN ${from} AND ${from + 800}`,
        )
      }),
  },
]
