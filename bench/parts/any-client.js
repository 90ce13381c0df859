// @ts-check
// What the parts share that measure what any client can reach: the program pgbench, and the databases that it works in.
'use strict'

const { Pgbench, findPgbench } = require('../pgbench.js')

/**
 * @param {string} part of the benchmark, which is reported as left out if a program is missing
 * @param {import('../progress.js').Progress} progress
 * @param {string} [missing] why the part's other programs are not there
 * @returns {string | undefined} the program pgbench, if the part can be measured
 */
function pgbenchFor(part, progress, missing) {
  const program = findPgbench()
  if (program && !missing) return program
  progress.line(`\n${part} are left out: ${program ? missing : Pgbench.MISSING}`)
}

/**
 * @param {import('../server.js').Server} server
 * @param {string} name
 * @param {string} [setting] of synchronous_commit
 */
async function databaseOf(server, name, setting = 'on') {
  const place = await server.databaseOf(name)
  // Our sessions have generic plans, too.
  for (const each of [`synchronous_commit = ${setting}`, 'plan_cache_mode = force_generic_plan']) {
    await server.run('postgres', `ALTER DATABASE "${name}" SET ${each}`)
  }
  return place
}

/**
 * For programs that log in before each window.
 *
 * @param {import('../server.js').Server} server
 * @param {string} name
 */
async function pgbenchDatabaseOf(server, name) {
  return { ...(await databaseOf(server, name)), url: await server.pgbenchUrlOf(name) }
}

module.exports = { databaseOf, pgbenchDatabaseOf, pgbenchFor }
