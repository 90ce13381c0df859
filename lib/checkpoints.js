// @ts-check
// Checkpoints as the application gives them, and the options about them.
'use strict'

const args = require('./arguments.js')
const { optionsOf } = require('./options.js')

const ORDERS = ['asc', 'desc']

/**
 * The fields of a checkpoint, in the order in which native code takes them.
 *
 * @param {string} name
 * @param {unknown} checkpoint
 */
function fieldsOf(name, checkpoint) {
  const given = args.object(name, checkpoint)
  return /** @type {const} */ ([
    args.key(`${name}.id`, given.id),
    args.key(`${name}.taskId`, given.taskId),
    args.number(`${name}.sequence`, given.sequence, { integer: true }),
    args.number(`${name}.timestamp`, given.timestamp, { integer: true }),
    args.number(`${name}.progress`, given.progress, args.FINITE),
    args.json(`${name}.data`, given.data),
    args.optionalNumber(`${name}.estimatedTimeRemaining`, given.estimatedTimeRemaining, { integer: true }),
  ])
}

/** @typedef {ReturnType<typeof fieldsOf>} Fields */

/**
 * The fields of many checkpoints, each field of its own array.
 *
 * @param {unknown} checkpoints
 */
function columnsOf(checkpoints) {
  const all = args.list('checkpoints', checkpoints, fieldsOf)
  /** @type {<const Field extends keyof Fields & number>(field: Field) => Fields[Field][]} */
  const column = (field) => all.map((fields) => fields[field])
  return /** @type {const} */ ([column(0), column(1), column(2), column(3), column(4), column(5), column(6)])
}

/**
 * Which checkpoints of a task; null for all of them, in ascending order.
 *
 * @param {unknown} options
 */
function partOf(options) {
  const given = optionsOf(options, 'list')
  const limit = args.optionalNumber('options.limit', given.limit, { integer: true, min: 1 })
  const before = args.optionalNumber('options.before', given.before, { integer: true })
  const newestFirst = args.word('options.order', given.order, ORDERS) === 'desc'
  return limit === null && before === null && !newestFirst ? null : { limit, before, newestFirst }
}

module.exports = { columnsOf, fieldsOf, partOf }
