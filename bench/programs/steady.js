// @ts-check
// Memory over many calls, a few hundred of them in flight at a time.
'use strict'

const { KEYS } = require('../operations.js')
const { open } = require('../sides/ours.js')

const IN_FLIGHT = 256
const SAMPLES = 100

const [url = '', count = ''] = process.argv.slice(2)
const total = Number(count)

async function main() {
  const { calls, close } = await open(url)
  let [made, done] = [0, 0]
  /** @type {{ done: number, rss: number }[]} */
  const samples = []
  const work = async () => {
    while (made < total) {
      const key = made++ % KEYS
      await (made % 2 === 0 ? calls.get(key) : calls.set(key))
      done++
      if (done >= ((samples.length + 1) * total) / SAMPLES) sample()
    }
  }
  const sample = () => {
    samples.push({ done, rss: process.memoryUsage.rss() })
    console.log(JSON.stringify({ ...samples.at(-1), share: samples.length }))
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, work))
  await close()

  // Garbage comes and goes; what stays is in the least of many samples. The first half is the process's warm-up.
  const least = (/** @type {number} */ from, /** @type {number} */ to) =>
    Math.min(...samples.slice(from * SAMPLES, to * SAMPLES).map(({ rss }) => rss))
  const growthPerCall = (least(0.75, 1) - least(0.5, 0.75)) / (total / 4)
  console.log(JSON.stringify({ result: { samples, growthPerCall } }))
}

main()
