// @ts-check
// The reason for an unsuccessful end of the command, and its exit code.
'use strict'

const FINE = 0
const FAILED = 1
const USAGE = 2
const UNREACHABLE = 3

/** A problem that the user can fix: reported in a line or two, without a stack. */
class Problem extends Error {
  /**
   * @param {number} exitCode
   * @param {string} message
   * @param {string} [advice]
   */
  constructor(exitCode, message, advice) {
    super(message)
    this.exitCode = exitCode
    this.advice = advice
  }
}

/**
 * @param {string} message
 * @param {string} [advice]
 */
const misuse = (message, advice) => new Problem(USAGE, message, advice)

module.exports = { FAILED, FINE, Problem, UNREACHABLE, USAGE, misuse }
