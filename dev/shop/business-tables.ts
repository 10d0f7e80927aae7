/*
 * The tables of the shop that hold its business: customers, goods, orders, money, stock. Most rows and nearly all writes are here.
 * Between them they have every kind of key: counted, composite, text under case-insensitive and padding collations, bytes, negative
 * and zero; secondary unique keys with and without NULL, over several columns and over an expression; foreign keys, one of them to
 * its own table and one that cascades; computed and invisible columns, names that need quotes.
 */
import {
  column,
  cycle,
  edges,
  inCharset,
  orNull,
  random,
  randomBelow,
  randomBytes,
  type ShopTable,
  text,
  version,
} from './table.ts'

/** Rows of parent tables at any size; children point at `1 + random MOD count`, where @count_x is set by the fill. */
const someCustomer = `(1 + ${randomBelow('customer', '@rows_customer')})`
const someProduct = `(1 + ${randomBelow('product', '@rows_product')})`

const names = cycle([
  text('Ada Lovelace'),
  text('Zoë Müller-Lüdenscheidt'),
  text('王小明'),
  text('Łukasz Żółć'),
  text('O\'Brien \\ "Bob"'),
  text('👩‍👩‍👧‍👦 Familie 🇺🇳'),
  text('İbrahim'),
])

const day = (salt: string): string => `DATE_ADD('2015-01-01', INTERVAL ${randomBelow(salt, 4000)} DAY)`
const moment = (salt: string): string =>
  `DATE_ADD('2015-01-01 00:00:00.000001', INTERVAL ${random(salt)} * 73 MICROSECOND) + INTERVAL ${randomBelow(`${salt}d`, 4000)} DAY`

const customer: ShopTable = {
  name: 'customer',
  rows: 50_000,
  leastRows: 60,
  columns: [
    column('id', 'INT UNSIGNED NOT NULL AUTO_INCREMENT', 'n'),
    column('login', 'VARCHAR(40) CHARACTER SET latin1 NOT NULL', "CONCAT('user', n)"),
    column('email', 'VARCHAR(120) NULL', orNull(11, "CONCAT('User.', n, '@example.org')")),
    column('name', 'VARCHAR(80) NOT NULL', names),
    column('nickname', 'CHAR(12) CHARACTER SET utf8mb3 NULL', orNull(3, "CONCAT('nick', n MOD 97)")),
    column(
      'status',
      "ENUM('new','active','blocked','größe') NOT NULL DEFAULT 'new'",
      cycle(["'new'", "'active'", "'blocked'", '4']),
    ),
    column('flags', "SET('vip','mail','sms','b2b') NOT NULL DEFAULT ''", 'n MOD 16'),
    column('birthday', 'DATE NULL', orNull(5, day('birthday'))),
    column('balance', 'DECIMAL(20,6) NOT NULL DEFAULT 0', `(${random('balance')} - 2147483648) / 1000`),
    column('created_at', 'DATETIME(6) NOT NULL', moment('created')),
    column(
      'updated_at',
      'TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)',
      moment('updated'),
    ),
    column('email_lower', 'VARCHAR(120) GENERATED ALWAYS AS (LOWER(email)) VIRTUAL', null),
    version,
  ],
  keys: [
    'PRIMARY KEY (id)',
    'UNIQUE KEY login (login)',
    'UNIQUE KEY email (email)',
    'KEY email_lower (email_lower)',
  ],
}

const category: ShopTable = {
  name: 'category',
  rows: 600,
  leastRows: 40,
  columns: [
    column('code', 'VARCHAR(20) COLLATE utf8mb4_0900_ai_ci NOT NULL', "CONCAT('Cat-', n)"),
    column(
      'parent_code',
      'VARCHAR(20) COLLATE utf8mb4_0900_ai_ci NULL',
      // Written in another case than the parent's own key: equal for the server, not for its bytes.
      "IF(n <= 7, NULL, CONCAT('cAT-', 1 + n MOD 7))",
    ),
    column('title', 'VARCHAR(60) NOT NULL', names),
    column('sort', 'SMALLINT NOT NULL', edges(['-32768', '32767', '0', '-1'], 'n MOD 1000')),
    version,
  ],
  keys: [
    'PRIMARY KEY (code)',
    'CONSTRAINT category_parent FOREIGN KEY (parent_code) REFERENCES category (code)',
  ],
}

const product: ShopTable = {
  name: 'product',
  rows: 40_000,
  leastRows: 60,
  columns: [
    column('id', 'BIGINT UNSIGNED NOT NULL', 'n'),
    column('sku', 'VARBINARY(24) NOT NULL', `CONCAT(UNHEX('00FF5C27'), ${randomBytes('sku', '8')}, n)`),
    column(
      'category_code',
      'VARCHAR(20) COLLATE utf8mb4_0900_ai_ci NOT NULL',
      "CONCAT('CAT-', 1 + n MOD @rows_category)",
    ),
    column('name', 'VARCHAR(200) NOT NULL', "CONCAT('Product ', n, ' – ', HEX(n))"),
    column('price', 'DECIMAL(12,2) NOT NULL', `${randomBelow('price', 10_000_000)} / 100`),
    column('weight', 'FLOAT NULL', orNull(7, `${random('weight')} / 7e4`)),
    column('rating', 'DOUBLE NULL', orNull(4, `${random('rating')} / 3e9`)),
    column('stock', 'MEDIUMINT NOT NULL DEFAULT 0', `${randomBelow('stock', 10_000)}`),
    column(
      'attributes',
      'JSON NULL',
      orNull(
        6,
        `JSON_OBJECT('size', n MOD 50, 'colour', ELT(1 + n MOD 3, 'rot', 'grün', '🟦'), 'tags', JSON_ARRAY(n, NULL, TRUE, 'x'), 'ratio', ${random('ratio')} / 1e3 + 0e0)`,
      ),
    ),
    column('tags', "SET('new','sale','eco','gift','used') NULL", orNull(9, 'n MOD 32')),
    column(
      'description',
      'MEDIUMTEXT NULL',
      orNull(3, "REPEAT(CONCAT('Text ', n, ' äöü 漢字. '), n MOD 12)"),
    ),
    column('gross', 'DECIMAL(14,4) GENERATED ALWAYS AS (price * 1.19) STORED', null),
    column('name_length', 'INT GENERATED ALWAYS AS (CHAR_LENGTH(name)) VIRTUAL', null),
    column('cost', 'DECIMAL(12,2) NULL INVISIBLE', orNull(2, `${randomBelow('cost', 10_000)} / 10`)),
    column('ean', 'BIGINT(13) UNSIGNED ZEROFILL NULL', orNull(4, 'n * 1000003')),
    version,
  ],
  keys: [
    'PRIMARY KEY (id)',
    'UNIQUE KEY sku (sku)',
    'UNIQUE KEY ean (ean)',
    'KEY gross (gross)',
    'CONSTRAINT product_category FOREIGN KEY (category_code) REFERENCES category (code)',
    'CONSTRAINT price_positive CHECK (price >= 0)',
  ],
}

const productImage: ShopTable = {
  name: 'product_image',
  rows: 6_000,
  leastRows: 60,
  columns: [
    column('product_id', 'BIGINT UNSIGNED NOT NULL', '1 + ((n - 1) DIV 3) MOD @rows_product'),
    column('position', 'TINYINT UNSIGNED NOT NULL', '((n - 1) MOD 3) * 100'),
    column(
      'checksum',
      'BINARY(20) NOT NULL',
      edges([`X'00'`, `REPEAT(X'20', 20)`], randomBytes('sum', '20')),
    ),
    column('thumbnail', 'TINYBLOB NULL', orNull(4, randomBytes('thumb', 'n MOD 256'))),
    column('image', 'MEDIUMBLOB NULL', orNull(5, randomBytes('image', '(n MOD 40) * 100'))),
    version,
  ],
  keys: [
    'PRIMARY KEY (product_id, position)',
    'CONSTRAINT image_product FOREIGN KEY (product_id) REFERENCES product (id)',
  ],
}

/** A reserved word for a name. */
const order: ShopTable = {
  name: 'order',
  rows: 90_000,
  leastRows: 80,
  columns: [
    column('id', 'BIGINT NOT NULL AUTO_INCREMENT', 'n'),
    column('number', 'CHAR(16) CHARACTER SET ascii NOT NULL', "CONCAT('R-', LPAD(n, 10, '0'))"),
    column('customer_id', 'INT UNSIGNED NOT NULL', someCustomer),
    column('state', "ENUM('cart','placed','paid','sent','returned') NOT NULL", '1 + n MOD 5'),
    column('placed_at', 'TIMESTAMP(3) NOT NULL', moment('placed')),
    column('paid_at', 'TIMESTAMP NULL', orNull(3, moment('paid'))),
    column('ship_after', 'TIME(3) NULL', orNull(8, `SEC_TO_TIME(${random('ship')} / 7000 - 300000)`)),
    column('total', 'DECIMAL(14,4) NOT NULL', `${random('total')} / 10000`),
    column('currency', 'CHAR(3) CHARACTER SET ascii NOT NULL', cycle(["'EUR'", "'USD'", "'CNY'"])),
    version,
  ],
  keys: [
    'PRIMARY KEY (id)',
    'UNIQUE KEY number (number)',
    'KEY placed (placed_at)',
    'CONSTRAINT order_customer FOREIGN KEY (customer_id) REFERENCES customer (id)',
  ],
}

const orderLine: ShopTable = {
  name: 'order_line',
  rows: 200_000,
  leastRows: 120,
  columns: [
    column('order_id', 'BIGINT NOT NULL', '1 + ((n - 1) DIV 4) MOD @rows_order'),
    column(
      'line_no',
      'SMALLINT UNSIGNED NOT NULL',
      '((n - 1) MOD 4) * 16383 + (n - 1) DIV (4 * @rows_order)',
    ),
    column('product_id', 'BIGINT UNSIGNED NOT NULL', someProduct),
    column('quantity', 'INT NOT NULL', `1 + ${randomBelow('quantity', 20)}`),
    column('price', 'DECIMAL(12,2) NOT NULL', `${randomBelow('lineprice', 100_000)} / 100`),
    column('slot', 'TINYINT NULL', orNull(3, '((n - 1) MOD 4) - 2')),
    version,
  ],
  keys: [
    'PRIMARY KEY (order_id, line_no)',
    'UNIQUE KEY order_slot (order_id, slot)',
    'CONSTRAINT line_product FOREIGN KEY (product_id) REFERENCES product (id)',
    // A delete of an order takes its lines along; since 9.6 the server writes those to the log as well.
    'CONSTRAINT line_order FOREIGN KEY (order_id) REFERENCES `order` (id) ON DELETE CASCADE',
  ],
}

const payment: ShopTable = {
  name: 'payment',
  rows: 60_000,
  leastRows: 60,
  columns: [
    column('id', 'BINARY(16) NOT NULL', randomBytes('payment', '16')),
    column('order_id', 'BIGINT NOT NULL', '1 + n MOD @rows_order'),
    column('provider', 'VARCHAR(20) NULL', orNull(5, cycle(["'card'", "'sepa'", "'Card'", "'weChat'"]))),
    column('provider_ref', 'VARCHAR(40) COLLATE utf8mb4_bin NULL', orNull(7, "CONCAT('ref', n)")),
    column('amount', 'DECIMAL(14,4) NOT NULL', `${random('amount')} / 1000`),
    column(
      'holder',
      'VARCHAR(60) CHARACTER SET gbk NULL',
      orNull(6, edges([inCharset('gbk', '815C'), inCharset('gbk', 'CDF5D0A1C3F7')], "CONCAT('Holder ', n)")),
    ),
    column(
      'booked_on',
      'DATE NOT NULL',
      edges(["'0000-00-00'", "'1000-01-01'", "'9999-12-31'"], day('booked')),
    ),
    version,
  ],
  keys: ['PRIMARY KEY (id)', 'UNIQUE KEY reference (provider, provider_ref)', 'KEY order_id (order_id)'],
}

/** Hot rows: the few products of warehouse 'A' take most of the updates. `shelf` is unique and swapped. */
const inventory: ShopTable = {
  name: 'inventory',
  rows: 40_000,
  leastRows: 80,
  columns: [
    column(
      'warehouse',
      'CHAR(4) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL',
      "ELT(1 + (n - 1) MOD 4, 'A', 'b', 'Cé', 'D-1')",
    ),
    column('product_id', 'BIGINT NOT NULL', '(n - 1) DIV 4'),
    column('quantity', 'INT NOT NULL', `${randomBelow('stock', 1000)}`),
    column('reserved', 'INT UNSIGNED NOT NULL DEFAULT 0', 'n MOD 7'),
    column('shelf', 'INT NULL', orNull(10, 'n')),
    column('counted_at', 'DATETIME(3) NULL', orNull(3, moment('counted'))),
    version,
  ],
  keys: ['PRIMARY KEY (warehouse, product_id)', 'UNIQUE KEY shelf (shelf)'],
}

/** Keys that differ by case and accent alone are one key here; a unique key over an expression. */
const coupon: ShopTable = {
  name: 'coupon',
  rows: 8_000,
  leastRows: 80,
  columns: [
    column(
      'code',
      'VARCHAR(30) COLLATE utf8mb4_0900_ai_ci NOT NULL',
      "CONCAT(ELT(1 + n MOD 3, 'save', 'SAVE', 'Sävé'), '-', n)",
    ),
    column('campaign', 'VARCHAR(30) NULL', orNull(2, "CONCAT('Sommer', n)")),
    column('percent', 'TINYINT NOT NULL', 'n MOD 100'),
    column('used', 'TINYINT(1) NOT NULL DEFAULT FALSE', 'n MOD 2'),
    column('valid_until', 'DATETIME NULL', orNull(4, moment('valid'))),
    version,
  ],
  keys: ['PRIMARY KEY (code)', 'UNIQUE KEY campaign ((LOWER(campaign)))'],
}

/** latin1_german1_ci pads with spaces when it compares: 'x' and 'x ' are one key. */
const legacyCode: ShopTable = {
  name: 'legacy_code',
  rows: 4_000,
  leastRows: 60,
  columns: [
    column(
      'code',
      'VARCHAR(24) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL',
      `CONCAT(ELT(1 + n MOD 3, 'x', 'X', ${inCharset('latin1', 'C481')}), n, SPACE(n MOD 3))`,
    ),
    column(
      'area',
      'CHAR(6) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL',
      cycle(["'süd'", "'Nord'", "''", text('🦄')]),
    ),
    column('meaning', 'TINYTEXT NULL', orNull(3, names)),
    version,
  ],
  keys: ['PRIMARY KEY (code, area)', 'UNIQUE KEY meaning (area, code)'],
}

const session: ShopTable = {
  name: 'session',
  rows: 10_000,
  leastRows: 60,
  columns: [
    column(
      'token',
      'VARBINARY(48) NOT NULL',
      `CONCAT(${cycle(["X'00'", "X'FF27'", "X'5C'", "X''"])}, n, ${randomBytes('token', 'n MOD 24')})`,
    ),
    column('customer_id', 'INT UNSIGNED NULL', orNull(4, someCustomer)),
    column('started_at', 'TIMESTAMP(6) NOT NULL', moment('started')),
    column('state', 'BLOB NULL', orNull(6, randomBytes('state', '(n MOD 60) * 10'))),
    version,
  ],
  keys: ['PRIMARY KEY (token)', 'KEY customer_id (customer_id)'],
}

/** Primary keys move in chains, and unique values are swapped. Negative, zero and positive keys. */
const queuePlace: ShopTable = {
  name: 'queue_place',
  rows: 6_000,
  leastRows: 100,
  columns: [
    column('place', 'INT NOT NULL', '(n - @rows_queue_place DIV 2) * 10'),
    column('ticket', 'INT UNSIGNED NULL', orNull(12, 'n')),
    column('label', 'VARCHAR(20) NULL', orNull(9, "CONCAT('Ticket ', n)")),
    column('owner', 'VARCHAR(20) NOT NULL DEFAULT (UUID_SHORT())', "CONCAT('o', n)"),
    version,
  ],
  keys: ['PRIMARY KEY (place)', 'UNIQUE KEY ticket (ticket)', 'UNIQUE KEY label (label)'],
}

/** Its key is a column that no SELECT * shows. */
const customerNote: ShopTable = {
  name: 'customer_note',
  rows: 8_000,
  leastRows: 40,
  columns: [
    column('my_row_id', 'BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE', 'n'),
    column('customer_id', 'INT UNSIGNED NOT NULL', someCustomer),
    column('note', 'TEXT NOT NULL', "REPEAT('Notiz 📝 ', n MOD 30)"),
    version,
  ],
  keys: ['PRIMARY KEY (my_row_id)'],
}

/** Rows are only added. No version, and a computed key. */
const auditEntry: ShopTable = {
  name: 'audit_entry',
  rows: 25_000,
  leastRows: 40,
  columns: [
    column('id', 'BIGINT UNSIGNED NOT NULL AUTO_INCREMENT', 'n'),
    column('at', 'TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)', moment('at')),
    column('actor', 'VARCHAR(30) NOT NULL', "CONCAT('actor', n MOD 50)"),
    column('action', 'VARCHAR(30) CHARACTER SET utf8mb3 NOT NULL', cycle(["'login'", "'buy'", "'löschen'"])),
    column(
      'detail',
      'JSON NOT NULL',
      `JSON_OBJECT('n', n, 'nested', JSON_OBJECT('a', JSON_ARRAY(), 'b', ''))`,
    ),
  ],
  keys: ['PRIMARY KEY (id)'],
}

/** Every name here needs quotes; `id` holds 0 and the greatest value of its type. */
const oddNames: ShopTable = {
  name: 'währung & preis-liste',
  rows: 250,
  leastRows: 30,
  columns: [
    column('id', 'TINYINT UNSIGNED NOT NULL AUTO_INCREMENT', 'IF(n MOD 2 = 1, n DIV 2, 256 - n DIV 2)'),
    column('größe in `cm`', 'INT NULL', orNull(3, 'n')),
    column('select', 'VARCHAR(20) NULL', "CONCAT('wert', n)"),
    column(
      "it's",
      "VARCHAR(20) NOT NULL DEFAULT 'it''s'",
      edges([text("'"), text('\\'), text('"'), text('`')], "'x'"),
    ),
    version,
  ],
  keys: ['PRIMARY KEY (id)', 'UNIQUE KEY `größe` (`größe in ``cm```)'],
}

const emptyTable: ShopTable = {
  name: 'draft',
  rows: 0,
  leastRows: 0,
  columns: [column('id', 'INT NOT NULL', 'n'), column('body', 'TEXT NULL', 'NULL'), version],
  keys: ['PRIMARY KEY (id)'],
}

/** In an order in which parents come before their children. */
export const businessTables: readonly ShopTable[] = [
  customer,
  category,
  product,
  productImage,
  order,
  orderLine,
  payment,
  inventory,
  coupon,
  legacyCode,
  session,
  queuePlace,
  customerNote,
  auditEntry,
  oddNames,
  emptyTable,
]
