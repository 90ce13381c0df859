// @ts-check
// Whether a server that compiles plans (JIT) compiled one of ours, by what its module auto_explain logs of each plan. To
// compile takes hundreds of milliseconds, at each run of a statement.
'use strict'

const fs = require('node:fs')
const readline = require('node:readline')

/** The name that the pools of tests give their sessions, so that the log tells them from the tests' own. */
const APPLICATION = 'goscope_tests_adapter'

/** Of the server: it compiles whatever it may, and logs each plan with the session's application before it. */
const SETTINGS = {
  jit_above_cost: '0',
  shared_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_nested_statements': 'on',
  log_line_prefix: '%a|',
}

/**
 * @param {string} logFile
 * @returns {Promise<{ plans: number, compiled: string[] }>} the plans of the adapters' sessions, and those that were compiled
 */
async function compiledPlans(logFile) {
  const compiled = []
  let plans = 0
  let plan = ''
  const lines = readline.createInterface({ input: fs.createReadStream(logFile), crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) {
    // What belongs to an entry follows on lines that begin with a tab.
    if (!line.startsWith('\t')) {
      plan = line.startsWith(`${APPLICATION}|`) && line.includes('plan:') ? line : ''
      if (plan) plans++
    } else if (plan) {
      plan += `\n${line}`
      if (line.startsWith('\tJIT:')) compiled.push(plan)
    }
  }
  return { plans, compiled }
}

module.exports = { APPLICATION, SETTINGS, compiledPlans }
