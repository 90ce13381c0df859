// @ts-check
// The comparison where a server is not as the other parts have it: with JIT, behind a pooler, with TLS.
'use strict'

const { ENVIRONMENTS } = require('../environments.js')
const { withPair } = require('./pairs.js')
const { measurePoints } = require('./rates.js')

/**
 * @typedef {object} Found
 * @property {string} environment
 * @property {string} title
 * @property {{ version: string, jit: string, tls: number }} server how many of the sides' sessions it has TLS with
 * @property {import('./rates.js').Result[]} results
 */

/**
 * @param {import('../server.js').Server} server the benchmark's own
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureEnvironments(server, { environments, operations, inFlight, rounds, windowMs }, progress) {
  /** @type {Found[]} */
  const found = []
  /** @type {string[]} */
  const leftOut = []
  /** @type {Record<string, string>} */
  const versions = {}
  const points = operations.environments.flatMap((operation) =>
    inFlight.environments.map((calls) => ({ operation, inFlight: calls, rounds })),
  )
  for (const name of environments) {
    const { title, missing, open } = /** @type {import('../environments.js').Environment} */ (ENVIRONMENTS[name])
    progress.restart()
    progress.say(title)
    if (missing) {
      leftOut.push(name)
      progress.line(`\n${name} is left out: ${missing}`)
      continue
    }
    const opened = await open(server)
    try {
      progress.line(`\n${title}`)
      const part = await withPair(
        opened.server,
        name,
        async (sides) => ({
          results: await measurePoints(sides, { points, windowMs }, progress),
          server: await describe(opened.server, name),
        }),
        (place) => ({ ...place, url: opened.route(place.url) }),
      )
      Object.assign(versions, part.versions)
      found.push({ environment: name, title, ...part.found })
    } finally {
      await opened.close()
    }
  }
  return { found: { windowMs, environments: found, leftOut }, versions }
}

/**
 * @param {import('../server.js').Server} server
 * @param {string} name of the environment, and of its databases
 * @returns {Promise<Found['server']>}
 */
async function describe(server, name) {
  const [row] = await server.run(
    'postgres',
    `SELECT current_setting('server_version') AS version, current_setting('jit') AS jit,
            (SELECT count(*)::int FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
              WHERE ssl AND datname LIKE '${name} %') AS tls`,
  )
  return row
}

module.exports = { measureEnvironments }
