// @ts-check
// The columns that the adapters need. A table that exists is used as it is.
'use strict'

/** @typedef {import('../missing.js').Objects['columns'][number]} Column */

/** The permitted types for each documented type; a domain counts as its base type. */
const FAMILIES = [
  [/^text$/, /^(text|character varying(\(\d+\))?|character\(\d+\)|bpchar)$/],
  [/^timestamp/, /^timestamp/],
  [/^(integer|bigint)$/, /^(smallint|integer|bigint|numeric.*)$/],
  [/^double precision$/, /^(double precision|real|integer|bigint|numeric.*)$/],
  [/^jsonb$/, /^jsonb$/],
  [/^boolean$/, /^boolean$/],
]

/** Documented, with a default, and neither read nor written by any adapter. */
const UNUSED = ['created_at']

/** An owner that the adapter draws is a UUID. */
const OWNER_CHARS = 36

/**
 * Describes the faults of a table's columns.
 *
 * @param {{ name: string, type: string }[]} wanted the documented ones
 * @param {Column[]} columns
 */
function wrongColumns(wanted, columns) {
  const wrong = wanted.flatMap(({ name, type }) => {
    const found = columns.find((column) => column.name === name)
    if (found) return wrongColumn(found, type)
    return UNUSED.includes(name) ? [] : [`${name} is missing`]
  })
  const others = columns.filter(({ name }) => !wanted.some((column) => column.name === name))
  const unfilled = others.filter(({ notNull, hasDefault }) => notNull && !hasDefault)
  const undrawn = others.filter(({ lacksSequence }) => lacksSequence !== null)
  return [
    ...wrong,
    ...unfilled.map(({ name }) => `${name} is NOT NULL without a default, and no adapter fills it`),
    ...undrawn.map(
      ({ name, lacksSequence: of }) => `the default of ${name} draws from ${of}, of which this role has no USAGE`,
    ),
  ]
}

/**
 * Describes columns that work, but not as well as they could.
 *
 * @param {{ name: string, type: string }[]} wanted the documented columns
 * @param {Column[]} columns
 */
const doubtfulColumns = (wanted, columns) =>
  columns
    .filter(({ name, type }) => /^character\(/.test(type) && wanted.some((column) => column.name === name))
    .map(
      ({ name, type }) =>
        `${name} is ${type}: character(n) pads what is stored, so no notification has the key as it was given, and waiting is done by polling`,
    )

/**
 * @param {Column} column
 * @param {string} type the documented one
 */
function wrongColumn({ name, type: found, isGenerated, isDeterministic }, type) {
  const family = FAMILIES.find(([documented]) => documented.test(type))
  if (family && !family[1].test(found)) return [`${name} is ${found} and should be ${type}`]
  if (!isDeterministic) {
    return [
      `${name} has a nondeterministic collation, which takes unlike keys for one, and the server refuses to look for a prefix`,
    ]
  }
  if (isGenerated) return [`${name} is GENERATED, and the adapters write it`]
  if (name === 'owner' && chars(found) < OWNER_CHARS) {
    return [`${name} is ${found}, and an owner that is drawn has ${OWNER_CHARS} characters`]
  }
  if (name === 'expires_at' && /\([0-2]\)/.test(found)) {
    return [`${name} is ${found}, which rounds the end of a lease: another owner would get the lock too early`]
  }
  return []
}

/** The most characters that a type holds. @param {string} type */
const chars = (type) => Number(/\((\d+)\)/.exec(type)?.[1] ?? Number.POSITIVE_INFINITY)

module.exports = { doubtfulColumns, wrongColumns }
