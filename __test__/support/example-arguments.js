// @ts-check
// The arguments of every method, from its first call in operations.js, and that call with another value in the place of
// one of them.
'use strict'

const assert = require('node:assert/strict')
const { OPERATIONS } = require('./operations.js')

/** Arguments whose fields are arguments, too. */
const WITH_FIELDS = ['options', 'state', 'checkpoint']

/** @typedef {import('./operations.js').Operation} Operation */

/** The first call of each method: it has all of the arguments. */
const EXAMPLES = OPERATIONS.filter(
  ({ on, method }, at) => OPERATIONS.findIndex((each) => each.on === on && each.method === method) === at,
)

/** The arguments' names, as in error messages: `key`, `options.ttl`. @param {Operation} example */
function argumentsOf({ args }) {
  return Object.entries(args('k')).flatMap(([name, value]) =>
    WITH_FIELDS.includes(name) ? [name, ...Object.keys(value).map((field) => `${name}.${field}`)] : [name],
  )
}

/** Work of the application. The call is refused before that. */
const mustNotRun = () => assert.fail('work was done for a call with a bad argument')

/**
 * @param {any} object whose method it is
 * @param {Operation} example
 * @param {string} argument a name of {@link argumentsOf}, or an item of a list: `keys[1]`
 * @param {unknown} value
 * @returns {Promise<any>}
 */
function callWith(object, { method, args }, argument, value) {
  const names = argument.split(/[.[\]]+/).filter(Boolean)
  const given = Object.values(replaced(args('k'), names, value))
  return object[method](...given.map((each) => (typeof each === 'function' && each !== value ? mustNotRun : each)))
}

/**
 * @param {any} whole
 * @param {string[]} names of a part of it
 * @param {unknown} value
 * @returns {any} the same with another part
 */
function replaced(whole, [name, ...rest], value) {
  if (name === undefined) return value
  const copy = Array.isArray(whole) ? [...whole] : { ...whole }
  copy[name] = replaced(copy[name], rest, value)
  return copy
}

module.exports = { EXAMPLES, argumentsOf, callWith }
