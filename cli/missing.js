// @ts-check
// What a server lacks of the objects of `sql/source/`, and the statements that make it.
'use strict'

const { partitionedIndex, partsOf } = require('./partitions.js')
const { columnsOf, leadOf, needed, statement, version } = require('./source.js')

/** @typedef {import('./source.js').SourceObject} SourceObject */
/** @typedef {import('./partitions.js').Part} Part */

/**
 * @typedef {object} Objects as cli/queries/catalogue.js finds them; tables are named as in SQL, quoted
 * @property {{ table: string, name: string, type: string, notNull: boolean, hasDefault: boolean, isGenerated: boolean, isDeterministic: boolean, lacksSequence: string | null }[]} columns
 * @property {{ table: string, name: string, isValid: boolean, isUnique: boolean, columns: string[] }[]} indexes
 * @property {Part[]} partitions the parts of each partitioned table, at all levels, the table itself first
 * @property {{ table: string, name: string, isEnabled: boolean, isTrusted: boolean }[]} triggers
 * @property {{ name: string, owner: string, isTrusted: boolean, version: number, isExecutable: boolean }[]} functions
 * @property {{ name: string, owner: string, isTrusted: boolean, isUsable: boolean }[]} sequences
 */

/**
 * Whether an object exists, in this version or a later one, and belongs to no other role. An index counts by its
 * leading column, since an index with another name serves as well.
 *
 * @param {SourceObject} object
 * @param {Objects} objects
 */
function isMade(object, objects) {
  const { kind, name, tables } = object
  const of = (/** @type {{ table: string }} */ each) => each.table === `"${tables[0]}"`
  switch (kind) {
    case 'table':
      return objects.columns.some(of)
    case 'column':
      return objects.columns.some((column) => of(column) && column.name === name)
    case 'index':
      return objects.indexes.some((index) => of(index) && index.isValid && index.columns[0] === leadOf(object))
    case 'trigger':
      return objects.triggers.some((trigger) => of(trigger) && trigger.name === name && trigger.isTrusted)
    case 'function':
      return (
        !isForeign(name, objects) &&
        objects.functions.some((known) => known.name === name && known.version >= version())
      )
    case 'sequence':
      return objects.sequences.some((sequence) => sequence.name === name && sequence.isTrusted)
    case 'guard':
      return true
  }
}

/**
 * Whether another role has a function of this name.
 *
 * @param {string} name
 * @param {Objects} objects
 */
const isForeign = (name, objects) => objects.functions.some((known) => known.name === name && !known.isTrusted)

/**
 * The statements to run, so that nothing is missing: whole tables, and the missing parts of existing tables.
 *
 * @param {SourceObject[]} all
 * @param {Objects} objects
 * @returns {string[]}
 */
const missing = (all, objects) =>
  needed(all.filter((one) => one.kind === 'guard' || one.kind === 'table' || !isMade(one, objects))).flatMap((one) => {
    if (one.kind === 'index') return indexOf(one, objects)
    if (one.kind === 'guard' || !isMade(one, objects)) return [statement(one)]
    const present = objects.columns.filter(({ table }) => table === `"${one.name}"`)
    return columnsOf(one)
      .filter(({ name }) => !present.some((column) => column.name === name))
      .map(({ name, definition }) => `ALTER TABLE ${one.name} ADD COLUMN IF NOT EXISTS ${name} ${definition};`)
  })

/**
 * An index that is missing.
 *
 * @param {SourceObject} index
 * @param {Objects} objects
 */
function indexOf(index, objects) {
  const parts = partsOf(`"${index.tables[0]}"`, objects)
  return parts.length === 0 ? [statement(index)] : partitionedIndex(index.name, index.on, parts)
}

module.exports = { isMade, missing }
