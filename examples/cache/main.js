// @ts-check
// A weather page in three processes, here three pools: they share forecasts that are slow to compute, count requests,
// and change a page together without losing anybody's change.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')

const MINUTE = 60_000

/** What is slow, and costs money. */
class Forecasts {
  computed = 0
  isReady = true

  /** @param {string} city */
  async compute(city) {
    const number = ++this.computed
    do await sleep(200)
    while (!this.isReady)
    return { city, forecast: `number ${number}` }
  }
}

/**
 * @param {PostgresAdapter[]} processes
 * @param {Forecasts} forecasts
 */
async function sharedForecasts(processes, forecasts) {
  const ask = (ttl = MINUTE) =>
    Promise.all(
      processes.map((cache) =>
        cache.getOrSet('forecast:Oslo', () => forecasts.compute('Oslo'), { ttl, staleTtl: 60 * MINUTE }),
      ),
    )
  const texts = (/** @type {{ forecast: string }[]} */ values) => values.map(({ forecast }) => forecast).join(', ')

  console.log('three processes ask for a forecast at once:', texts(await ask(1)))
  await sleep(50)
  forecasts.isReady = false
  console.log('it is stale, and given out at once:', texts(await ask()))
  forecasts.isReady = true
  const [cache] = processes
  while ((await cache.get('forecast:Oslo'))?.forecast !== 'number 2') await sleep(50)
  console.log('one of them has computed it anew:', texts(await ask()))
  console.log('computed in all:', forecasts.computed)
}

/** @param {PostgresAdapter[]} processes */
async function manyAtOnce([cache]) {
  await cache.setMany(
    [
      ['city:1', 'Oslo'],
      ['city:2', 'Rome'],
      ['city:3', 'Lima', 1],
    ],
    MINUTE,
  )
  await sleep(50)
  console.log('the third had a TTL of its own:', await cache.getMany(['city:1', 'city:2', 'city:3']))
  await cache.deleteMany(['city:1', 'city:2'])
  console.log('deleted:', await cache.getMany(['city:1', 'city:2']))
}

/** @param {PostgresAdapter[]} processes */
async function requestsPerHour(processes) {
  const requests = processes.flatMap((cache) => Array.from({ length: 4 }, () => cache))
  const counts = await Promise.all(requests.map((cache) => cache.increment('requests:Ada', 1, 60 * MINUTE)))
  const refused = counts.filter((count) => count > 10).length
  console.log(`12 requests, 10 an hour are allowed: ${refused} are refused`)
}

/** @param {PostgresAdapter[]} processes */
async function changesInTurn(processes) {
  await processes[0].set('page', { visitors: [] })
  const sign = async (/** @type {PostgresAdapter} */ cache, /** @type {string} */ name) => {
    for (;;) {
      const page = /** @type {{ visitors: string[] }} */ (await cache.get('page'))
      if (await cache.compareAndSet('page', page, { visitors: [...page.visitors, name].sort() })) return
    }
  }
  await Promise.all(processes.map((cache, index) => sign(cache, ['Ada', 'Bob', 'Cleo'][index])))
  console.log('three change one page at once:', await processes[0].get('page'))
}

/** @param {string} url */
async function forgetful(url) {
  const views = new PostgresCacheAdapter(url, { tableName: 'views', durability: 'unlogged' })
  await views.initialize()
  console.log('counted in a table that no crash need spare:', await views.increment('home'))
}

async function main() {
  const server = await startPostgres()
  const processes = [1, 2, 3].map(() => new PostgresAdapter(server.url))
  try {
    for (const cache of processes) await cache.connect()
    await sharedForecasts(processes, new Forecasts())
    await manyAtOnce(processes)
    await requestsPerHour(processes)
    await changesInTurn(processes)
    await forgetful(server.url)
  } finally {
    for (const cache of processes) await cache.disconnect()
    await server.stop()
  }
}

main()
