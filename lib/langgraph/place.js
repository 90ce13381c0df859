// @ts-check
// Where a checkpoint of LangGraph is stored: a thread is a task, and each of its checkpoints is one of the task's.
//
// A thread has several namespaces (the graph, and its subgraphs), of which each has a latest checkpoint. Tasks are read by
// sequence, so the sequences of a namespace lie together: its number stands before the time. So the latest checkpoint of a
// namespace is one step in the index on task and sequence, and one statement deletes a whole thread.
'use strict'

/** Times in ms have 42 bits, until the year 2109. The bits above them are the number of the namespace. */
const TIMES = 2 ** 42
const ROOT = 2 ** 11 - 1
const OTHERS = 2 ** 12 - 2

const UUID6 = /^([0-9a-f]{8})-([0-9a-f]{4})-6([0-9a-f]{3})-/
/** In units of 100 ns, from the beginning of UUID's time, 1582-10-15, to that of JavaScript's. */
const EPOCH = 122_192_928_000_000_000n

/**
 * @typedef {object} Place
 * @property {string} thread
 * @property {string} namespace empty for the graph itself
 * @property {string} id of the checkpoint; its bytes are its order
 */

/**
 * The number of a namespace. That of the graph itself is the highest, and no other has it. Others may share one.
 *
 * @param {string} namespace
 */
function numberOf(namespace) {
  if (namespace === '') return ROOT
  let hash = 0
  for (let at = 0; at < namespace.length; at++) hash = (Math.imul(hash, 31) + namespace.charCodeAt(at)) >>> 0
  return (hash % OTHERS) - ROOT
}

/** @param {string} namespace */
const firstSequence = (namespace) => numberOf(namespace) * TIMES

/**
 * Where the next namespace begins; undefined after the last one.
 *
 * @param {string} namespace
 */
const sequenceAfter = (namespace) => (namespace === '' ? undefined : firstSequence(namespace) + TIMES)

/**
 * The time of a checkpoint's id, which is a UUID of version 6: in ms since the epoch. 0 if it is something else. Checkpoints
 * of one ms have one sequence, and are in the order of their ids.
 *
 * @param {string} id
 */
function timeOf(id) {
  const [, high, middle, low] = UUID6.exec(id) ?? []
  if (high === undefined) return 0
  const time = Number((BigInt(`0x${high}${middle}${low}`) - EPOCH) / 10_000n)
  return Math.min(Math.max(time, 0), TIMES - 1)
}

/** @param {Pick<Place, 'namespace' | 'id'>} place */
const sequenceOf = ({ namespace, id }) => firstSequence(namespace) + timeOf(id)

/** @param {Place} place */
const keyOf = ({ thread, namespace, id }) => JSON.stringify([thread, namespace, id])

// A prefix of their own, since a thread may have any name.
const THREAD = 'thread:'
const taskOf = (/** @type {string} */ thread) => THREAD + thread
const threadOf = (/** @type {string} */ task) => task.slice(THREAD.length)

/** The beginning of the tasks of a thread's checkpoints that are being deleted. No other thread's begin so. */
const deletedTasksOf = (/** @type {string} */ thread) => `deleted:${JSON.stringify(thread)}`

module.exports = {
  THREAD,
  deletedTasksOf,
  firstSequence,
  keyOf,
  sequenceAfter,
  sequenceOf,
  taskOf,
  threadOf,
  timeOf,
}
