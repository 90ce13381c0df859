// @ts-check
// Reports whether a server that compiles plans (JIT) compiled one of ours. The module auto_explain logs each plan. To
// compile takes hundreds of milliseconds at each execution of a statement.
'use strict'

const fs = require('node:fs')
const readline = require('node:readline')

/** The session name of the tests' pools. In the log, it distinguishes these sessions from the tests' own sessions. */
const APPLICATION = 'goscope_tests_adapter'

/** Settings of the server: it compiles every plan, and logs each plan preceded by the session's application name. */
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
    // Further lines of an entry begin with a tab.
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
