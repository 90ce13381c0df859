// @ts-check
// Memory with many calls made at once, of which few can be under way.
'use strict'

const { KEYS } = require('../operations.js')

const [side = '', url = '', count = ''] = process.argv.slice(2)

async function main() {
  const { calls, close } = await require(`../sides/${side}.js`).open(url)
  const queue = async (/** @type {number} */ length) => {
    await Promise.all(Array.from({ length }, (_, at) => calls.get(at % KEYS)))
  }
  await queue(KEYS)
  globalThis.gc?.()
  const baseline = process.memoryUsage.rss()
  await queue(Number(count))
  const peak = process.resourceUsage().maxRSS * 1024
  await close()
  console.log(JSON.stringify({ result: { baseline, peak, perCall: (peak - baseline) / Number(count) } }))
}

main()
