// @ts-check
// Tables that the adapters cannot use, even if their columns are right.
'use strict'

const { quote } = require('../tables.js')
const { failed, warning } = require('./check.js')

/** By `relkind`; the others take `INSERT … ON CONFLICT`. @type {Record<string, string>} */
const KINDS = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  c: 'a composite type',
  S: 'a sequence',
  i: 'an index',
}

/**
 * @param {string} name
 * @param {any} table
 * @param {boolean} isDistributed by Citus
 */
function shape(name, { kind, hasRules, hasPolicies, lacksPolicies, lacksPartitions, schema, table }, isDistributed) {
  const title = `${name} shape`
  const quoted = quote([schema, table])
  if (KINDS[kind] !== undefined) {
    return failed(
      title,
      `is ${KINDS[kind]}: the adapters need a table`,
      `Drop or rename it, and let connect() make ${quoted}.`,
    )
  }
  if (isDistributed) {
    const message = 'Citus has distributed it, and refuses there triggers, and the clock in DO UPDATE'
    return failed(title, message, `SELECT undistribute_table('${quoted}'): tables of the coordinator alone work.`)
  }
  if (lacksPartitions) {
    const message = 'lacks partitions: the server refuses the keys that belong to them (23514)'
    const advice = `CREATE TABLE … PARTITION OF ${quoted} FOR VALUES WITH (MODULUS …, REMAINDER …), for each remainder.`
    return failed(title, message, advice)
  }
  if (hasRules) {
    const message = 'has rules: the server refuses INSERT … ON CONFLICT for such a table (0A000)'
    return failed(title, message, `DROP RULE … ON ${quoted}; triggers can do what they did.`)
  }
  if (lacksPolicies) {
    const message = 'row-level security lets this role read no row, or add none (42501)'
    return failed(title, message, 'Give it a policy FOR ALL on the rows of its prefix.')
  }
  if (hasPolicies) {
    const message = 'row-level security applies to this role: what a policy hides is not found, or fails with 42501'
    const advice =
      'A role whose policies hide rows from UPDATE can extend no lock, and waits by polling. Give it a policy FOR ALL on the rows of its prefix.'
    return warning(title, message, advice)
  }
  return undefined
}

module.exports = { shape }
