// @ts-check
// The CPU time of a PostgreSQL server and its processes, where the system tells.
'use strict'

const fs = require('node:fs')

/**
 * Of those that run now: what a process used that ends meanwhile is lost.
 *
 * @param {number} pid
 * @returns {number | undefined} microseconds
 */
function serverCpu(pid) {
  try {
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return [String(pid), ...children].reduce((sum, each) => sum + nanosecondsOf(each), 0) / 1000
  } catch {
    return undefined
  }
}

/** @param {string} pid */
function nanosecondsOf(pid) {
  try {
    return Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return 0
  }
}

module.exports = { serverCpu }
