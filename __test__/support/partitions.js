// @ts-check
'use strict'

/** More than one, so that rows of one statement go to several. */
const PARTITIONS = 3

/**
 * A migration with every table partitioned by hash of its key.
 *
 * @param {string} sql with a CREATE TABLE in the form of `sql/`
 */
const partitioned = (sql) =>
  sql.replace(/CREATE TABLE IF NOT EXISTS (\S+) \(\n +(\w+)[\s\S]*?\n\);/g, (table, name, key) => {
    const parts = Array.from({ length: PARTITIONS }, (_, part) => {
      const values = `FOR VALUES WITH (MODULUS ${PARTITIONS}, REMAINDER ${part})`
      return `CREATE TABLE IF NOT EXISTS ${name}_${part} PARTITION OF ${name} ${values};`
    })
    return [table.replace(/;$/, ` PARTITION BY HASH (${key});`), ...parts].join('\n')
  })

module.exports = { partitioned }
