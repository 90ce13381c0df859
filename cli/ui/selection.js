// @ts-check
// What a page asks for, from the query of its address. Everything in it is checked here.
'use strict'

const { likeOf } = require('../options.js')
const { misuse } = require('../problem.js')

/** Rows of a page. */
const ROWS = 50
const MOST_ROWS = 200
const LONGEST_FILTER = 1_000
/** A stored key fits an index row. Other applications may have stored longer ones. */
const LONGEST_KEY = 10_000

/**
 * @typedef {object} Selection
 * @property {string} view
 * @property {string | undefined} match a LIKE pattern
 * @property {number} limit
 * @property {string | undefined} order
 * @property {boolean} all
 * @property {string | undefined} state
 * @property {string | undefined} task
 * @property {string | undefined} table
 * @property {import('../queries/rows.js').After | undefined} after
 * @property {string | undefined} again a text that was not there before has the checks made anew
 */

/**
 * @param {URLSearchParams} query
 * @returns {Selection}
 */
function selectionOf(query) {
  const filter = textOf(query, 'filter', LONGEST_FILTER)
  const limit = Number(query.get('rows') ?? ROWS)
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_ROWS)
    throw misuse(`rows must be a whole number from 1 to ${MOST_ROWS}`)
  return {
    view: textOf(query, 'view', 40) ?? 'overview',
    // As --match does it: only `*` has a meaning, and %, _ and \ match themselves.
    match: filter === undefined ? undefined : `%${likeOf(filter)}%`,
    limit,
    order: textOf(query, 'order', 40),
    all: query.get('all') === '1',
    state: textOf(query, 'state', 40),
    task: textOf(query, 'task', LONGEST_KEY),
    table: textOf(query, 'table', 200),
    after: afterOf(query.get('after')),
    again: textOf(query, 'again', 40),
  }
}

/**
 * @param {URLSearchParams} query
 * @param {string} name
 * @param {number} longest
 */
function textOf(query, name, longest) {
  const text = query.get(name) ?? ''
  if (text.length > longest) throw misuse(`${name} has more than ${longest} characters`)
  if (text.includes('\0')) throw misuse(`${name} has a character that no stored text can have: U+0000`)
  return text === '' ? undefined : text
}

/** @param {string | null} text */
function afterOf(text) {
  if (text === null || text === '') return undefined
  const [place, key] = pairOf(text)
  if (!Number.isSafeInteger(place) || typeof key !== 'string' || key.length > LONGEST_KEY || key.includes('\0'))
    throw misuse('after must be what a page had as its next')
  return { place, key }
}

/** @param {string} text */
function pairOf(text) {
  try {
    const pair = JSON.parse(text)
    return Array.isArray(pair) ? pair : []
  } catch {
    return []
  }
}

module.exports = { LONGEST_KEY, selectionOf, textOf }
