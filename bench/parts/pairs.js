// @ts-check
// Two sides in processes of their own: ours, and the same adapter on pg.
'use strict'

const { OURS } = require('../promises.js')
const { Side } = require('../side.js')

/** The side beside ours. */
const REFERENCE = 'reference'

/**
 * Opens sides, works with them, and leaves none behind.
 *
 * @template Found
 * @param {Side[]} sides
 * @param {(sides: Side[]) => Promise<Found>} work
 * @returns {Promise<{ found: Found, versions: Record<string, string> }>}
 */
async function withSides(sides, work) {
  try {
    for (const side of sides) await side.open()
    const found = await work(sides)
    await Promise.all(sides.map((side) => side.close()))
    return { found, versions: Object.assign({}, ...sides.map(({ versions }) => versions)) }
  } finally {
    for (const side of sides) side.kill()
  }
}

/**
 * Ours and pg's, each in a filled database of its own.
 *
 * @template Found
 * @param {import('../server.js').Server} server
 * @param {string} part whose databases they are
 * @param {(sides: Side[]) => Promise<Found>} work
 * @param {(place: import('../server.js').Place) => import('../server.js').Place} [route] how the sides reach them
 */
async function withPair(server, part, work, route = (place) => place) {
  await server.fillTemplate()
  /** @type {[string, import('../server.js').Place][]} */
  const places = []
  for (const name of [OURS, REFERENCE]) places.push([name, route(await server.databaseOf(`${part} ${name}`))])
  return withSides(
    places.map(([name, place]) => new Side(name, place)),
    work,
  )
}

module.exports = { REFERENCE, withPair, withSides }
