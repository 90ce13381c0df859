// @ts-check
// What happens to lock workers, their connections and their server, in random order.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { now } = require('./lock-workers.js')

const OFTEN = ['cut', 'cut', 'delivered late', 'delivered late', 'closed', 'silenced', 'frozen', 'killed']

/**
 * @typedef {object} Victims
 * @property {import('./lock-workers.js').LockWorkers} workers
 * @property {Awaited<ReturnType<typeof import('./proxy.js').startProxy>>} proxy before the server
 * @property {Awaited<ReturnType<typeof import('./restartable-server.js').startRestartableServer>>} server
 *
 * @typedef {object} Extent in ms
 * @property {number} freeze how long a process is stopped
 * @property {number} delivery how late bytes arrive, at most
 */

/**
 * Each fault resolves to false if there was nothing for it to happen to.
 *
 * @param {Victims} victims
 * @param {Extent} extent
 * @param {() => number} random
 * @returns {Record<string, () => Promise<unknown>>}
 */
function faultsOf({ workers, proxy, server }, { freeze, delivery }, random) {
  const pick = () => {
    const awake = workers.alive.filter(({ frozenUntil }) => frozenUntil < now())
    return awake[Math.floor(random() * awake.length)] ?? assert.fail('every process is frozen')
  }
  const cut = (/** @type {'reset' | 'end' | 'silence'} */ how) => async () =>
    proxy.cutOneAfter(random(), random() < 0.5 ? 'client' : 'server', Math.floor(random() * 400), how)
  return {
    cut: cut('reset'),
    closed: cut('end'),
    silenced: cut('silence'),
    // The client sees a reset, and its bytes arrive later: after its retry, and after later calls.
    'delivered late': async () =>
      proxy.cutOneAfter(random(), 'server', Math.floor(random() * 200), 'hold', random() * delivery),
    frozen: async () => workers.freeze(pick(), freeze),
    killed: async () => workers.kill(pick()),
    'server crash': async () => {
      await server.crash()
      await sleep(random() * 300)
      await server.start()
    },
    'session crash': async () => server.crashOneSession(),
    'server restart': async () => void (await server.restart()),
  }
}

/**
 * Lets faults happen for some time: each of them once, and then in random order. Afterwards nothing is frozen or held back.
 *
 * @param {Victims} victims
 * @param {Extent & { run: number }} extent
 * @param {() => number} random
 * @returns {Promise<Record<string, number>>} how many of each there were
 */
async function faultsHappen(victims, extent, random) {
  const faults = faultsOf(victims, extent, random)
  const first = Object.keys(faults)
  /** @type {Record<string, number>} */
  const done = {}
  const end = now() + extent.run
  while (now() < end || first.length > 0) {
    await sleep(100 + random() * 250)
    const names = random() < 0.9 ? OFTEN : Object.keys(faults)
    const name = first.shift() ?? names[Math.floor(random() * names.length)] ?? 'cut'
    if ((await faults[name]?.()) !== false) done[name] = (done[name] ?? 0) + 1
    else if (!done[name]) first.push(name)
  }
  await sleep(extent.freeze)
  victims.proxy.cutAll()
  return done
}

module.exports = { faultsHappen }
