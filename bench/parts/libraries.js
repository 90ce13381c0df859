// @ts-check
// The integrations: each next to the library's own PostgreSQL backend, under the same library.
'use strict'

const { OURS } = require('../promises.js')
const { Side } = require('../side.js')
const { withSides } = require('./pairs.js')
const { measurePoints } = require('./rates.js')

/**
 * With many calls in flight, the callers' first calls and their last are made at one moment, and share more than those
 * between them. A library's own work takes long, so a window may consist of these alone. (Measured with 256 in flight and
 * windows of 90 ms: three calls of each caller.)
 */
const CALLS_OF_EACH = 4

/**
 * What a file of sides/libraries/ exports.
 *
 * @typedef {object} Library
 * @property {string} peer the side beside ours
 * @property {string[]} [withoutTarget] operations that are measured for their figures alone
 * @property {Record<string, import('../operations.js').Operation>} operations
 * @property {Record<string, { open: (url: string) => Promise<any>, versions: () => Record<string, string> }>} sides
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureLibraries(server, { libraries, inFlight, rounds, windowMs }, progress) {
  const found = []
  /** @type {Record<string, string>} */
  const versions = {}
  for (const library of libraries) {
    progress.restart()
    progress.say(`opening ${library}`)
    const {
      peer,
      operations,
      withoutTarget = [],
    } = /** @type {Library} */ (require(`../sides/libraries/${library}.js`))
    /** @type {Side[]} */
    const sides = []
    for (const name of [OURS, peer]) {
      sides.push(new Side(name, await server.createDatabase(`${library} ${name}`), `libraries/${library}`))
    }
    const points = Object.keys(operations).flatMap((operation) =>
      inFlight.libraries.map((calls) => ({ operation, inFlight: calls, rounds })),
    )
    const { found: results, versions: ofSides } = await withSides(sides, () => {
      progress.line(`\n${library}`)
      return measurePoints(sides, { points, windowMs, callsOfEach: CALLS_OF_EACH }, progress, operations)
    })
    Object.assign(versions, ofSides)
    const titled = results.map((each) => ({
      title: operations[each.operation]?.title,
      hasTarget: !withoutTarget.includes(each.operation),
      ...each,
    }))
    found.push({ library, peer, results: titled })
  }
  return { libraries: found, versions }
}

module.exports = { measureLibraries }
