// @ts-check
'use strict'

const { types } = require('node:util')

/**
 * go-go-scope stores a task's whole Result tuple. `[Error, undefined]` would come back through JSON as `[{}, null]`,
 * and a failure would be replayed as a success.
 *
 * @param {unknown} value
 */
const isFailedResult = (value) =>
  Array.isArray(value) && value.length === 2 && value[1] === undefined && isError(value[0])

/**
 * An error of any realm, or a DOMException, which is no native error.
 *
 * @param {unknown} value
 */
const isError = (value) => types.isNativeError(value) || value instanceof Error

module.exports = { isFailedResult }
