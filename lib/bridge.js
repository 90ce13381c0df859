// @ts-check
// Calls into native code, and their results: each pending call keeps its resolver in a numbered slot; native code
// reports completions in batches, and one drain settles them all.
'use strict'

const native = require('./native.js')
const { toError } = require('./errors.js')
const { systemErrors } = require('./system-errors.js')
const { codeOf, registerError } = require('./error-registry.js')

/** @typedef {(outcome: unknown) => void} Settle */

// The kinds of message in a drain, as src/node/bridge.rs writes them.
const RESOLVED = 0
const REJECTED = 1
const NOTHING = 3
const NOTIFIED = 4

/** @type {(Settle | undefined)[]} */
const slots = []
/** @typedef {{ pool: any }} Caller whose pool's `pg` makes the errors */

/** @type {(Caller | undefined)[]} */
const connections = []
/** @type {number[]} */
const freeSlots = []
let inFlight = 0

// Native code holds the function weakly while no call is under way. The function must live as long as the object that
// makes calls.
const isNode = process.versions.bun === undefined && process.versions.deno === undefined
const bridge = Object.assign(new native.Bridge(drain, isNode, JSON.stringify(systemErrors())), { wake: drain })

// Not the event loop's own functions for deferred calls: test runners replace those with fake clocks.
const soon = Promise.resolve()
let flushes = false

/** The outcome of a failed call. The error itself is made by {@link settled}, where the caller's stack is visible. */
class Failure {
  /**
   * @param {import('./errors.js').NativeFailure} cause
   * @param {Caller | undefined} connection
   */
  constructor(cause, connection) {
    this.cause = cause
    this.connection = connection
  }
}

/**
 * Makes a native call. Its outcome is for {@link settled}.
 *
 * @param {(slot: number) => void} start starts the native call
 * @param {Caller} [connection]
 * @returns {Promise<unknown>}
 */
function send(start, connection) {
  return new Promise((settle) => {
    const slot = freeSlots.pop() ?? slots.length
    slots[slot] = settle
    connections[slot] = connection
    if (inFlight++ === 0) bridge.hold()
    try {
      start(slot)
    } catch (error) {
      leave(slot)
      throw error
    }
    flushSoon()
  })
}

/**
 * As {@link send}, for a wait that can be given up. Giving up ends the wait.
 *
 * @param {(slot: number) => void} start
 * @param {(start: (slot: number) => void) => Promise<unknown>} [by] in place of {@link send}
 * @returns {{ outcome: Promise<unknown>, giveUp: () => void }}
 */
function sendWait(start, by = send) {
  /** @type {number | undefined} its slot, until the wait is over: then that may belong to another call */
  let waiting
  const outcome = by((slot) => {
    start(slot)
    waiting = slot
  })
  const isOver = () => {
    waiting = undefined
  }
  outcome.then(isOver, isOver)
  return { outcome, giveUp: () => waiting !== undefined && bridge.giveUp(waiting) }
}

function flushSoon() {
  if (flushes) return
  flushes = true
  soon.then(flush)
}

/**
 * Returns the result of a call, or throws its error. The function that has awaited the outcome must call this: then
 * the error's stack leads through its caller.
 *
 * @param {unknown} outcome
 * @returns {any}
 */
function settled(outcome) {
  if (outcome instanceof Failure) throw toError(outcome.cause, outcome.connection)
  return outcome
}

/**
 * The outcome of a call that may have failed with an error that the caller keeps: with that error.
 *
 * @param {unknown} outcome
 * @param {Map<number, unknown>} kept by the number that native code has for it
 */
function withError(outcome, kept) {
  if (!(outcome instanceof Failure) || outcome.cause.kind !== 'application' || !kept.has(outcome.cause.id))
    return outcome
  return new Failure({ kind: 'kept', error: kept.get(outcome.cause.id) }, outcome.connection)
}

/** Starts the calls of this moment, all together. */
function flush() {
  flushes = false
  bridge.flush()
}

/**
 * Resolves when no call of a connection is under way, and none that followed from the outcome of another.
 *
 * @param {Caller} connection
 */
async function untilSettled(connection) {
  for (;;) {
    const calls = outcomesOf(connection)
    if (calls.length === 0) return
    await Promise.all(calls)
  }
}

/** @param {Caller} connection */
function outcomesOf(connection) {
  return slots.flatMap((settle, slot) => {
    if (!settle || connections[slot] !== connection) return []
    const outcome = new Promise((/** @type {(nothing: void) => void} */ resolve) => {
      slots[slot] = (outcome) => {
        settle(outcome)
        resolve()
      }
    })
    return [outcome]
  })
}

/** @param {number} slot */
function leave(slot) {
  const settle = slots[slot]
  if (settle === undefined) return undefined
  slots[slot] = undefined
  connections[slot] = undefined
  freeSlots.push(slot)
  if (--inFlight === 0) letGo()
  return settle
}

/** Lets the process exit when no call is under way and no work is owed to a server, such as a lock to release. */
function letGo() {
  // There is another call: the last of the calls under way checks again.
  if (!bridge.letGo()) send((slot) => bridge.untilNothingIsOwed(slot))
}

/**
 * @param {number} slot
 * @param {import('./errors.js').NativeFailure} cause
 */
function fail(slot, cause) {
  const failure = new Failure(cause, connections[slot])
  leave(slot)?.(failure)
}

function drain() {
  const text = bridge.drain()
  if (text === null) return
  const messages = parsed(text)
  for (let at = 1; at < messages.length; at += 3) {
    const [kind, number, content] = [messages[at], messages[at + 1], messages[at + 2]]
    if (kind === RESOLVED) leave(number)?.(content)
    else if (kind === NOTHING) leave(number)?.(undefined)
    else if (kind === REJECTED) fail(number, content)
    else if (kind === NOTIFIED) notify(number, content)
    else answer(number, content)
  }
}

/**
 * The messages of a drain: their number, and then three items of each. If a value is not JSON, or is more than one
 * value, only its own call must fail. Native code lets no such value pass if it can know of it. There are values of
 * which it cannot know (a column whose type has just been changed). For those, the messages are parsed one by one.
 *
 * @param {string} text
 * @returns {any[]}
 */
function parsed(text) {
  try {
    const messages = JSON.parse(text)
    if (messages.length === 1 + 3 * messages[0]) return messages
  } catch {
    // As for a wrong number of items.
  }
  const [start, ...ends] = bridge.ends()
  const bytes = Buffer.from(text)
  const messages = ends.flatMap((/** @type {number} */ end, /** @type {number} */ at) =>
    parsedAlone(bytes.toString('utf8', (ends[at - 1] ?? start) + 1, end)),
  )
  return [ends.length, ...messages]
}

/**
 * @param {string} text of one message
 * @returns {any[]} nothing if no call waits for it
 */
function parsedAlone(text) {
  try {
    const message = JSON.parse(`[${text}]`)
    if (message.length === 3) return message
  } catch {
    // As for more items than three.
  }
  const [kind, number] = text.split(',', 2).map(Number)
  return kind === NOTIFIED ? [] : [REJECTED, number, { kind: 'message' }]
}

/**
 * The subscribers that are to be notified, by number. They do not keep the process alive.
 *
 * @type {Map<number, (news: any) => void>}
 */
const subscribers = new Map()
let subscriptions = 0

/**
 * @param {(news: any) => void} subscriber
 * @param {(subscription: number) => void} start starts the native side
 * @returns {number} the subscription
 */
function subscribe(subscriber, start) {
  // Native code has 32 bits for it, and each wait for a lock uses one.
  do {
    subscriptions = (subscriptions + 1) >>> 0
  } while (subscribers.has(subscriptions))
  const subscription = subscriptions
  start(subscription)
  subscribers.set(subscription, subscriber)
  flushSoon()
  return subscription
}

/** @param {number} subscription */
function unsubscribe(subscription) {
  subscribers.delete(subscription)
}

/**
 * Deferred: an exception of one subscriber must not keep the drain from the others. It becomes an unhandled
 * rejection.
 *
 * @param {number} subscription
 * @param {unknown} news
 */
function notify(subscription, news) {
  soon.then(() => subscribers.get(subscription)?.(news))
}

/**
 * @typedef {{ pool: number, host: number, verifyAgain: boolean } | { pool: number, hooks: true, processID: number | null } | { check: any } | { sign: any }} Question
 * @typedef {object} Application what answers for the pools
 * @property {(question: any) => Promise<object>} describe how to connect
 * @property {(question: any, runQuery: RunQuery) => Promise<void>} runConnectHooks shows them a new session
 *
 * @typedef {(sql: string, connection: import('./pool-handle.js').PoolHandle) => Promise<any>} RunQuery runs SQL there
 */

/** @type {Application | undefined} */
let application

/**
 * Native code asks a question about one of the pools.
 *
 * @param {number} id of the question
 * @param {Question} question
 */
async function answer(id, question) {
  try {
    if (!application) throw new Error('no pool has been made yet')
    if ('hooks' in question) {
      await application.runConnectHooks(question, async (sql, connection) =>
        settled(await send((slot) => bridge.runHookQuery(slot, id, sql), connection)),
      )
      bridge.hooksDone(id)
    } else if ('check' in question) {
      bridge.crypto(id, String(signatures().isSigned(question.check)))
    } else if ('sign' in question) {
      bridge.crypto(id, signatures().sign(question.sign))
    } else {
      bridge.describe(id, JSON.stringify(await application.describe(question)))
    }
  } catch (error) {
    bridge.refuse(id, registerError(error), codeOf(error))
  }
}

/** Loaded only for keys that native code does not know. */
const signatures = () => require('./connecting/signatures.js')

/** @param {Application} pools */
function answerFor(pools) {
  application = pools
}

module.exports = { bridge, send, sendWait, settled, subscribe, unsubscribe, untilSettled, answerFor, withError }
