// @ts-check
// An index for a table that has partitions, of any number of levels, without a lock that blocks a writer.
'use strict'

const { quote } = require('./tables.js')

/**
 * @typedef {object} Part of a partitioned table: the table itself, or one of its partitions
 * @property {string} table the table's name, as it was asked for
 * @property {string} schema
 * @property {string} name
 * @property {number} number of the relation
 * @property {number | null} parent the number of the relation that it is a partition of
 * @property {boolean} isPartitioned
 */

/** The longest name, in bytes; the server cuts longer ones. */
const LONGEST_NAME = 63

/**
 * @param {string} table as in SQL, quoted
 * @param {{ partitions: Part[] }} objects
 */
const partsOf = (table, { partitions }) => partitions.filter((part) => part.table === table)

/**
 * The server refuses CONCURRENTLY for any relation that has partitions, so the index is made in three steps:
 *
 * 1. ON ONLY each relation that has partitions. Such an index has no rows, and is not valid yet.
 * 2. CONCURRENTLY for each partition that has rows.
 * 3. ATTACH PARTITION, from the lowest level upwards. An index becomes valid when an index of each partition is
 *    attached, so it is valid before it is attached itself.
 *
 * All names have their schemas: a partition may be in another one than its table, and an index is in the schema of
 * its table. The name of an index contains the relation's number. So the name stays the same when the statements are
 * printed again, after others were interrupted or partitions were added.
 *
 * @param {string} name of the table's index
 * @param {string} on what follows the table's name
 * @param {Part[]} parts the table itself first
 */
function partitionedIndex(name, on, parts) {
  const [root] = parts
  const indexName = (/** @type {Part} */ part) => (part === root ? name : numbered(name, part.number))
  const indexOf = (/** @type {Part} */ part) => quote([part.schema, indexName(part)])
  const byNumber = new Map(parts.map((part) => [part.number, part]))
  /** @param {Part} part @param {string} how @param {string} only */
  const make = (part, how, only) =>
    `CREATE INDEX ${how}IF NOT EXISTS ${quote([indexName(part)])} ON ${only}${quote([part.schema, part.name])} ${on};`
  const attached = parts.flatMap((part) => {
    const parent = part.parent === null ? undefined : byNumber.get(part.parent)
    return parent === undefined || part === root
      ? []
      : [`ALTER INDEX ${indexOf(parent)} ATTACH PARTITION ${indexOf(part)};`]
  })
  const [first, ...others] = [
    ...parts.filter(({ isPartitioned }) => isPartitioned).map((part) => make(part, '', 'ONLY ')),
    ...parts.filter(({ isPartitioned }) => !isPartitioned).map((part) => make(part, 'CONCURRENTLY ', '')),
    ...attached.reverse(),
  ]
  return [`-- It is valid when each partition has one.\n${first}`, ...others]
}

/**
 * @param {string} name
 * @param {number} number
 */
function numbered(name, number) {
  const end = `_${number}`
  let start = name
  while (Buffer.byteLength(start + end) > LONGEST_NAME) start = start.slice(0, -1)
  return start + end
}

module.exports = { partitionedIndex, partsOf }
