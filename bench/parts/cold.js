// @ts-check
// A cold start, in fresh processes: from the first require to the answer of the first get.
'use strict'

const { spread, times } = require('../figures.js')
const { runProgram } = require('../program.js')

/** A start is short, so there can be more of them than windows. */
const STARTS_PER_ROUND = 4

/** Ours as the documentation has it, on pg's Pool; ours by a URL, without pg; and the pg-written reference. */
const WAYS = ['pool', 'url', 'reference']

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureCold(server, { rounds }, progress) {
  progress.restart()
  await server.fillTemplate()
  const { url } = await server.databaseOf('cold')
  // Files get into the system's cache.
  for (const way of WAYS) await runProgram('cold.js', [way, url])
  /** @type {Record<string, number[]>} */
  const ms = Object.fromEntries(WAYS.map((way) => [way, []]))
  for (let start = 0; start < rounds * STARTS_PER_ROUND; start++) {
    progress.say(`cold start ${start + 1} of ${rounds * STARTS_PER_ROUND}`)
    const order = start % 2 === 0 ? WAYS : [...WAYS].reverse()
    for (const way of order) ms[way]?.push(await runProgram('cold.js', [way, url]))
  }
  const ratioOf = (/** @type {string} */ way) =>
    spread((ms[way] ?? []).map((each, at) => each / (ms.reference?.[at] ?? Number.NaN)))
  const found = {
    starts: rounds * STARTS_PER_ROUND,
    ms: Object.fromEntries(Object.entries(ms).map(([way, all]) => [way, spread(all)])),
    ratio: ratioOf('pool'),
    ratioByUrl: ratioOf('url'),
  }
  for (const [way, { median, low, high }] of Object.entries(found.ms)) {
    progress.line(`cold start, ${way.padEnd(10)} ${median.toFixed(1)} ms (${low.toFixed(1)}–${high.toFixed(1)})`)
  }
  progress.line(
    `cold start, by the reference's: ${times(found.ratio)}; by a URL, without pg: ${times(found.ratioByUrl)}`,
  )
  return found
}

module.exports = { measureCold }
