// @ts-check
// The CPU time of a PostgreSQL server and its processes, if the system reports it.
'use strict'

const fs = require('node:fs')

/**
 * @param {number} pid of the server
 * @returns {Map<string, number> | undefined} what each of its processes has used, in nanoseconds
 */
function serverCpu(pid) {
  try {
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return new Map([String(pid), ...children].map((each) => [each, nanosecondsOf(each)]))
  } catch {
    return undefined
  }
}

/**
 * Of those that run at the end: what a process used that has ended meanwhile is lost.
 *
 * @param {ReturnType<typeof serverCpu>} before
 * @param {ReturnType<typeof serverCpu>} after
 * @returns {number | undefined} microseconds
 */
function usedSince(before, after) {
  if (before === undefined || after === undefined) return undefined
  let sum = 0
  for (const [pid, nanoseconds] of after) sum += Math.max(0, nanoseconds - (before.get(pid) ?? 0))
  return sum / 1000
}

/** @param {string} pid */
function nanosecondsOf(pid) {
  try {
    return Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return 0
  }
}

module.exports = { serverCpu, usedSince }
