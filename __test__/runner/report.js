// @ts-check
// The results of the tests. They are printed during the run. Failures and skips are repeated at the end, for the
// reader.
'use strict'

/** In a test's reason to be skipped: the program is missing, but the system's package manager has it. */
const NOT_INSTALLED = / (is|are) not installed \(/

class Report {
  passed = 0
  /** @type {{ where: string, title: string, error: string }[]} */
  failures = []
  /** @type {{ where: string, title: string, reason: string }[]} */
  skips = []
  /** The configuration whose results are printed without naming it. */
  #heading = ''

  /** @param {{ mayLackPrograms: boolean }} options false if every program that can be installed must be there */
  constructor({ mayLackPrograms }) {
    this.mayLackPrograms = mayLackPrograms
  }

  /**
   * @param {string} title of the configuration that begins
   * @param {string} shown
   */
  begin(title, shown) {
    this.#heading = title
    console.log(`\n${shown}`)
  }

  /**
   * A line of a configuration. The last files of the one before end below the heading of the next.
   *
   * @param {string} configuration
   * @param {string} line
   */
  say(configuration, line) {
    console.log(`  ${line}${configuration === this.#heading ? '' : `  (${configuration})`}`)
  }

  /**
   * @param {string} where
   * @param {string} title
   * @param {string} [error] what it failed with: of a test on one line
   */
  fail(where, title, error = '') {
    this.failures.push({ where, title, error })
  }

  /**
   * @param {string} where
   * @param {string} title
   * @param {string} reason
   */
  skip(where, title, reason) {
    if (!this.mayLackPrograms && NOT_INSTALLED.test(reason)) this.fail(where, `${title}: ${reason}`)
    else this.skips.push({ where, title, reason })
  }

  /** The end of the output: skips by their reasons, failures, and the closing line. */
  close() {
    /** @type {Map<string, string[]>} */
    const byReason = new Map()
    for (const { where, title, reason } of this.skips) {
      byReason.set(reason, [...(byReason.get(reason) ?? []), `${where}: ${title}`])
    }
    if (byReason.size > 0) console.log('\nSkipped:')
    for (const [reason, tests] of byReason) {
      const more = tests.length > 1 ? `, and ${tests.length - 1} more` : ''
      console.log(`  - ${reason}\n      ${tests[0]}${more}`)
    }
    if (this.failures.length > 0) console.log('\nFailed:')
    for (const { where, title, error } of this.failures) {
      console.log(`  ✗ ${where}: ${title}${error && `\n      ${error}`}`)
    }
    const skipped = this.skips.length > 0 ? `, ${this.skips.length} skipped` : ''
    console.log(`\n${this.passed} passed, ${this.failures.length} failed${skipped}`)
    return this.failures.length === 0 && this.passed > 0
  }
}

module.exports = { Report }
