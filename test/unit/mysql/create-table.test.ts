import { describe, expect, it } from 'vitest'
import type { MappedTable } from '../../../src/connectors/contract.ts'
import { targetDefinition } from '../../../src/connectors/mysql/create-table.ts'
import type { TableId } from '../../../src/core/schema.ts'

const showCreate = [
  'CREATE TABLE `orders` (',
  '  `id` bigint unsigned NOT NULL AUTO_INCREMENT,',
  "  `na``me` varchar(20) DEFAULT 'it''s `id`, ok',",
  '  `price` decimal(10,2) NOT NULL,',
  "  `label` varchar(30) GENERATED ALWAYS AS (concat(`na``me`,_utf8mb4' (x) ',`price`)) VIRTUAL COMMENT 'a, (b',",
  '  `customer` int DEFAULT NULL,',
  '  PRIMARY KEY (`id`),',
  '  UNIQUE KEY `na``me` (`na``me`),',
  '  KEY `k` (`customer`),',
  '  KEY `fn` ((lower(`na``me`))),',
  '  CONSTRAINT `fk` FOREIGN KEY (`customer`) REFERENCES `customers` (`id`) ON DELETE CASCADE,',
  '  CONSTRAINT `fk2` FOREIGN KEY (`customer`) REFERENCES `other`.`people` (`id`),',
  '  CONSTRAINT `positive` CHECK ((`price` > 0))',
  ") ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4 COMMENT='x'",
  '/*!50100 PARTITION BY HASH (`id`)',
  'PARTITIONS 4 */',
].join('\n')

const mapping = (columns: MappedTable['columns'] = null): MappedTable => ({
  source: { schema: 'shop', name: 'orders' },
  target: { schema: 'copy', name: 'orders`2' },
  columns,
})

const customersOnly = (id: TableId): TableId | null =>
  id.schema === 'shop' && id.name === 'customers' ? { schema: 'copy', name: 'clients' } : null

describe('the whole table', () => {
  it('keeps all of its definition under the mapped name', () => {
    const { sql, warnings } = targetDefinition(showCreate, mapping(), customersOnly)
    expect(sql).toBe(
      showCreate
        .replace('CREATE TABLE `orders`', 'CREATE TABLE IF NOT EXISTS `copy`.`orders``2`')
        .replace('REFERENCES `customers`', 'REFERENCES `copy`.`clients`')
        .replace(/ {2}CONSTRAINT `fk2`.*\n/, ''),
    )
    expect(warnings.map(({ message }) => message)).toEqual([
      'copy.orders`2 is created without the foreign key fk2: table other.people does not take part',
    ])
  })

  it('leaves out every foreign key whose table stays behind, and says so', () => {
    const { sql, warnings } = targetDefinition(showCreate, mapping(), () => null)
    expect(sql).not.toContain('FOREIGN KEY')
    expect(sql).not.toMatch(/,\n\)/)
    expect(warnings).toHaveLength(2)
  })

  it('of which the last definition is left out ends well', () => {
    const short =
      'CREATE TABLE `a` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`),\n  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `b` (`id`)\n) ENGINE=InnoDB'
    const { sql } = targetDefinition(short, mapping(), () => null)
    expect(sql).toBe(
      'CREATE TABLE IF NOT EXISTS `copy`.`orders``2` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB',
    )
  })

  it('keeps a foreign key to itself and one within a target schema alone', () => {
    const itself =
      'CREATE TABLE `orders` (\n  `id` int NOT NULL,\n  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `orders` (`id`)\n) ENGINE=InnoDB'
    const elsewhere = targetDefinition(itself, mapping(), () => ({ schema: 'third', name: 'orders' }))
    expect(elsewhere.warnings[0]?.message).toContain('goes to another schema')
    const { sql } = targetDefinition(itself, mapping(), () => mapping().target)
    expect(sql).toContain('REFERENCES `copy`.`orders``2` (`id`)')
  })
})

describe('selected and renamed columns', () => {
  const pick = (...names: (string | [string, string])[]): MappedTable =>
    mapping(
      names.map((name) =>
        typeof name === 'string' ? { source: name, target: name } : { source: name[0], target: name[1] },
      ),
    )

  it('are renamed in keys, expressions and partitions, and never in strings', () => {
    const { sql, warnings } = targetDefinition(
      showCreate,
      pick(['id', 'key'], ['na`me', 'title'], 'price', ['label', 'tag'], 'customer'),
      () => null,
    )
    expect(sql).toContain('`key` bigint unsigned NOT NULL AUTO_INCREMENT')
    expect(sql).toContain("`title` varchar(20) DEFAULT 'it''s `id`, ok'")
    expect(sql).toContain(
      "`tag` varchar(30) GENERATED ALWAYS AS (concat(`title`,_utf8mb4' (x) ',`price`)) VIRTUAL COMMENT 'a, (b'",
    )
    expect(sql).toContain('PRIMARY KEY (`key`)')
    expect(sql).toContain('UNIQUE KEY `na``me` (`title`)')
    expect(sql).toContain('KEY `fn` ((lower(`title`)))')
    expect(sql).toContain('PARTITION BY HASH (`key`)')
    expect(warnings).toHaveLength(2)
  })

  it('that are left out take their keys and checks with them, and that is said', () => {
    const { sql, warnings } = targetDefinition(showCreate, pick('id', 'customer'), () => null)
    expect(sql.split('\n').slice(1, 5)).toEqual([
      '  `id` bigint unsigned NOT NULL AUTO_INCREMENT,',
      '  `customer` int DEFAULT NULL,',
      '  PRIMARY KEY (`id`),',
      '  KEY `k` (`customer`)',
    ])
    const told = warnings.map(({ message }) => message.replace('copy.orders`2 is created without ', ''))
    expect(told).toEqual([
      'UNIQUE KEY `na``me`: column na`me is not carried',
      'KEY `fn`: column na`me is not carried',
      'the foreign key fk: table shop.customers does not take part',
      'the foreign key fk2: table other.people does not take part',
      'CONSTRAINT `positive` CHECK: column price is not carried',
    ])
  })

  it('a computed column without its inputs becomes an ordinary one', () => {
    const { sql } = targetDefinition(showCreate, pick('id', 'label'), () => null)
    expect(sql).toContain("  `label` varchar(30) COMMENT 'a, (b',\n")
  })

  it('a counter without its key is no counter', () => {
    const counted =
      'CREATE TABLE `a` (\n  `id` int NOT NULL,\n  `n` int NOT NULL AUTO_INCREMENT,\n  `x` int,\n  PRIMARY KEY (`id`),\n  KEY `nx` (`n`,`x`)\n) ENGINE=InnoDB AUTO_INCREMENT=5'
    expect(targetDefinition(counted, pick('id', 'n'), () => null).sql).toContain('`n` int NOT NULL,')
    expect(targetDefinition(counted, pick('id', 'n', 'x'), () => null).sql).toContain(
      '`n` int NOT NULL AUTO_INCREMENT,',
    )
  })
})
