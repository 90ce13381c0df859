// @ts-check
// The CPU time of a server: its threads and the processes that it has started, if the system reports it.
'use strict'

const fs = require('node:fs')

/**
 * @param {number} pid of the server
 * @returns {Map<string, number> | undefined} what each thread and each process has used, in nanoseconds
 */
function serverCpu(pid) {
  try {
    const threads = fs.readdirSync(`/proc/${pid}/task`).map((each) => `${pid}/task/${each}`)
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return new Map([...threads, ...children.filter(Boolean)].map((each) => [each, nanosecondsOf(each)]))
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
  for (const [name, nanoseconds] of after) sum += Math.max(0, nanoseconds - (before.get(name) ?? 0))
  return sum / 1000
}

/** @param {string} name of a process, or of a thread below its process */
function nanosecondsOf(name) {
  try {
    return Number(fs.readFileSync(`/proc/${name}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return 0
  }
}

module.exports = { serverCpu, usedSince }
