// @ts-check
// A call into native code, and its way back: each pending call keeps its resolver in a numbered slot; native code
// reports completions in batches, and one drain settles them all.
'use strict'

const native = require('./native.js')
const { toError } = require('./errors.js')
const { keepError } = require('./kept-errors.js')

/** @typedef {(outcome: unknown) => void} Settle */

// The kinds of message in a drain, as src/node/bridge.rs writes them.
const RESOLVED = 0
const REJECTED = 1
const NOTHING = 3

/** @type {(Settle | undefined)[]} */
const slots = []
/** @type {number[]} */
const freeSlots = []
let inFlight = 0

// Native code holds the function weakly while no call is under way. It is to live as long as what makes calls.
const isNode = process.versions.bun === undefined && process.versions.deno === undefined
const bridge = Object.assign(new native.Bridge(drain, isNode), { wake: drain })

// Not the event loop's own ways to do something soon: test runners replace those with clocks of their own.
const soon = Promise.resolve()
let flushes = false

/** What a failed call leaves in its slot: the error itself is made where the caller's stack can be seen. */
class Failure {
  /** @param {import('./errors.js').NativeFailure} cause */
  constructor(cause) {
    this.cause = cause
  }
}

/**
 * Makes a native call and waits for its outcome.
 *
 * The error is thrown from here, not from the drain, so that its stack leads through the awaiting caller.
 *
 * @param {(slot: number) => void} send starts the native call
 * @param {import('./connection.js').Connection} [connection] whose `pg` makes the error
 * @returns {Promise<any>} the outcome's JSON, parsed
 */
async function call(send, connection) {
  const outcome = await new Promise((settle) => {
    const slot = freeSlots.pop() ?? slots.length
    slots[slot] = settle
    if (inFlight++ === 0) bridge.hold()
    try {
      send(slot)
    } catch (error) {
      leave(slot)
      throw error
    }
    if (!flushes) {
      flushes = true
      soon.then(flush)
    }
  })
  if (outcome instanceof Failure) throw toError(outcome.cause, connection)
  return outcome
}

/** Starts the calls of this moment, all together. */
function flush() {
  flushes = false
  if (bridge.flush()) drain()
}

/** @param {number} slot */
function leave(slot) {
  const settle = slots[slot]
  if (settle === undefined) return undefined
  slots[slot] = undefined
  freeSlots.push(slot)
  if (--inFlight === 0) bridge.letGo()
  return settle
}

function drain() {
  for (let text = bridge.drain(); text !== null; text = bridge.drain()) {
    const messages = JSON.parse(text)
    for (let at = 0; at < messages.length; at += 3) {
      const [kind, number, content] = [messages[at], messages[at + 1], messages[at + 2]]
      if (kind === RESOLVED) leave(number)?.(content)
      else if (kind === NOTHING) leave(number)?.(undefined)
      else if (kind === REJECTED) leave(number)?.(new Failure(content))
      else answer(number, content)
    }
  }
}

/**
 * @typedef {{ pool: number, host: number, judgeAgain: boolean } | { pool: number, greet: true }} Question
 * @typedef {object} Owner who answers for the pools
 * @property {(question: any) => Promise<object>} describe how to connect
 * @property {(question: any, converse: Converse) => Promise<void>} greet sees a new session
 *
 * @typedef {(sql: string, connection: import('./connection.js').Connection) => Promise<any>} Converse runs SQL there
 */

/** @type {Owner | undefined} */
let owner

/**
 * Native code asks about one of the pools.
 *
 * @param {number} request
 * @param {Question} question
 */
async function answer(request, question) {
  try {
    if (!owner) throw new Error('no pool has been made yet')
    if ('greet' in question) {
      await owner.greet(question, (sql, connection) => call((slot) => bridge.converse(slot, request, sql), connection))
      bridge.greeted(request)
    } else {
      bridge.describe(request, JSON.stringify(await owner.describe(question)))
    }
  } catch (error) {
    bridge.refuse(request, keepError(error))
  }
}

/** @param {Owner} pools */
function answerFor(pools) {
  owner = pools
}

module.exports = { bridge, call, answerFor }
