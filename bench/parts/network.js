// @ts-check
// The comparison with a server that is away: a delay each way, and lost segments.
'use strict'

const { number } = require('../figures.js')
const { Network } = require('../network.js')
const { withPair } = require('./pairs.js')
const { measurePoints } = require('./rates.js')

/** @type {import('../network.js').Distance[]} */
const DISTANCES = [
  { delayMs: 1, loss: 0 },
  { delayMs: 5, loss: 0 },
  { delayMs: 40, loss: 0 },
  { delayMs: 1, loss: 0.001 },
]

/** A window holds at least so many round trips. */
const ROUND_TRIPS = 8

/** A loss is rare: as many windows of these as long as others. */
const WITH_LOSS = 4

/**
 * @typedef {import('../network.js').Distance & { roundTripMs: number, lost: number, windowMs: number, results: import('./rates.js').Result[] }} Found
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureNetwork(server, { operations, inFlight, rounds, windowMs }, progress) {
  /** @type {Found[]} */
  const found = []
  /** @type {Record<string, string>} */
  const versions = {}
  const points = operations.network.flatMap((operation) =>
    inFlight.network.map((calls) => ({ operation, inFlight: calls, rounds })),
  )
  for (const distance of DISTANCES) {
    progress.restart()
    const network = await Network.start(server.postgres.port, distance)
    try {
      const roundTripMs = await network.roundTripMs(server.postgres.url)
      progress.line(`\n${titleOf(distance)}; a round trip takes ${number(roundTripMs)} ms`)
      const ms = Math.max(distance.loss > 0 ? WITH_LOSS * windowMs : windowMs, ROUND_TRIPS * roundTripMs)
      const part = await withPair(
        server,
        `${distance.delayMs} ms ${distance.loss}`,
        (sides) => measurePoints(sides, { points, windowMs: ms }, progress),
        (place) => ({ ...place, url: network.urlOf(place.url) }),
      )
      Object.assign(versions, part.versions)
      found.push({ ...distance, roundTripMs, lost: await network.lost(), windowMs: ms, results: part.found })
    } finally {
      await network.stop()
    }
  }
  return { found, versions }
}

/** @param {import('../network.js').Distance} distance */
const titleOf = ({ delayMs, loss }) => `${delayMs} ms each way${loss > 0 ? `, ${100 * loss} % of segments lost` : ''}`

module.exports = { measureNetwork, titleOf }
