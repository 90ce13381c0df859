// @ts-check
// An error that occurs in JavaScript while native code connects must reject the calls that waited for that
// connection. Native code carries only its number to them.
'use strict'

// One failed connection can fail many calls, one after the other; after this many later failures no call is waiting
// for it.
const KEPT = 256

/** @type {Map<number, unknown>} */
const errors = new Map()
let lastId = 0

/**
 * An error of Node's network code. Each call that it fails gets a copy: under jest Node's errors belong to another
 * realm than the test, and a copy's stack leads to its own caller.
 */
class HostError {
  /** @param {unknown} cause */
  constructor(cause) {
    this.cause = cause
  }
}

/** A number for an error that its maker keeps. */
function nextErrorId() {
  lastId = (lastId + 1) >>> 0
  return lastId
}

/** @param {unknown} error */
function registerError(error) {
  errors.set(nextErrorId(), error)
  if (errors.size > KEPT) errors.delete(errors.keys().next().value ?? 0)
  return lastId
}

/**
 * @param {any} error
 * @returns {string | undefined}
 */
function codeOf(error) {
  const { code } = (error instanceof HostError ? error.cause : error) ?? {}
  return typeof code === 'string' ? code : undefined
}

/**
 * The error of an id: an error of the application as it is, an error of Node as a copy.
 *
 * @param {number} id
 */
function registeredError(id) {
  const kept = errors.get(id)
  return kept instanceof HostError ? copyOf(kept.cause) : kept
}

/**
 * @param {any} error
 * @returns {Error}
 */
function copyOf(error) {
  const { message, errors: several } = error
  const copy = Array.isArray(several) ? new AggregateError(several.map(copyOf), message) : new Error(message)
  for (const name of Object.getOwnPropertyNames(error)) {
    if (!['message', 'stack', 'errors'].includes(name)) Object.assign(copy, { [name]: error[name] })
  }
  return copy
}

module.exports = { HostError, codeOf, nextErrorId, registerError, registeredError }
