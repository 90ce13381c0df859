// @ts-check
// Which arguments are to be refused, and with which code: the promises of index.d.ts, said once more without a look at
// lib/arguments.js.
'use strict'

const { types } = require('node:util')

const [TYPE, RANGE, VALUE] = ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_VALUE']

/** @typedef {(value: any) => string | undefined} Rule the code, if the value is to be refused */

/** @type {Rule} */
function text(value) {
  if (typeof value === 'bigint' || Number.isFinite(value)) return undefined
  if (typeof value !== 'string') return TYPE
  return value.includes('\0') ? VALUE : undefined
}

/** @type {(rule: Rule) => Rule} */
const optional = (rule) => (value) => (value == null ? undefined : rule(value))

/** @type {Rule} */
function leaseTtl(value) {
  if (typeof value !== 'number') return TYPE
  return value >= 0 && value !== Infinity ? undefined : RANGE
}

/** @type {Rule} */
const entryTtl = optional((value) => (typeof value !== 'number' ? TYPE : value >= 0 ? undefined : RANGE))

/** @type {Rule} */
function json(value) {
  try {
    return JSON.stringify(value) === undefined ? TYPE : undefined
  } catch {
    return VALUE
  }
}

/** @type {(from: number, to: number, kind?: (value: number) => boolean) => Rule} */
const numeric =
  (from, to, kind = () => true) =>
  (value) => {
    if (typeof value !== 'number') return TYPE
    return value >= from && value <= to && kind(value) ? undefined : RANGE
  }
const whole = numeric(-Infinity, Infinity, Number.isSafeInteger)
const number = optional(numeric(-2.1e14, 8.64e15))
/** @type {Rule} */
const time = (value) => number(types.isDate(value) && Number.isFinite(value.getTime()) ? value.getTime() : value)

/** @type {(fields: Record<string, Rule>) => (value: any) => (string | undefined)[]} */
const object = (fields) => (value) =>
  typeof value === 'object' && value !== null ? Object.entries(fields).map(([name, rule]) => rule(value[name])) : [TYPE]

const circuit = object({
  state: (value) => (['closed', 'open', 'half-open'].includes(value) ? undefined : VALUE),
  failureCount: numeric(0, 2 ** 31 - 1, Number.isSafeInteger),
  lastFailureTime: time,
  lastSuccessTime: time,
})
const checkpoint = object({
  id: text,
  taskId: text,
  sequence: whole,
  timestamp: whole,
  progress: numeric(-Number.MAX_VALUE, Number.MAX_VALUE),
  data: json,
  estimatedTimeRemaining: optional(whole),
})

/** @type {Record<string, ((value: any) => string | undefined | (string | undefined)[])[]>} */
const RULES = {
  acquire: [text, leaseTtl, optional(text)],
  extend: [text, leaseTtl, text],
  forceRelease: [text],
  getState: [text],
  setState: [text, circuit],
  recordFailure: [text, (value) => (value === undefined ? undefined : numeric(0, Infinity)(value))],
  recordSuccess: [text],
  get: [text],
  set: [text, json, entryTtl],
  delete: [text],
  has: [text],
  keys: [optional(text)],
  save: [checkpoint],
  load: [text],
  loadLatest: [text],
  list: [text],
  cleanup: [text, numeric(0, Infinity, Number.isSafeInteger)],
  deleteAll: [text],
}

/**
 * The codes of all that is wrong with the arguments of a call.
 *
 * @param {import('./operations.js').Call} call
 */
function codesFor({ on, taken, method, args }) {
  if (taken) return method === 'extend' ? [leaseTtl(args[0])].filter(Boolean) : []
  const isFailure = on === 'results' && method === 'set' && isFailedResult(args[1])
  const rules = (RULES[method] ?? []).filter((rule) => !(isFailure && rule === json))
  const given = isFailure ? [args[0], args[2]] : args
  return rules.flatMap((rule, at) => rule(given[at])).filter(Boolean)
}

/** @param {any} value */
const isFailedResult = (value) =>
  Array.isArray(value) && value.length === 2 && types.isNativeError(value[0]) && value[1] === undefined

module.exports = { codesFor, isFailedResult }
