// @ts-check
// @configurations last
// @without first: a browser, which docs/package.json installs
// The pictures of docs/ui.md, taken anew: they show what the page says there. `GOSCOPE_SCREENSHOTS=docs/images` keeps them.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { after, test } = require('node:test')
const { noBrowser: skip } = require('../support/browser.js')
const { temporaryFolder } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { adapterOn, show, useTabs } = require('../support/tabs.js')
const { startPage } = require('../support/ui.js')
const { until } = require('../support/waiting.js')

const shown = useDatabase()
const { faults, open } = useTabs()

const HOUR = 3_600_000
/** How long pictures wait for something to be seen on them. */
const isForDocs = process.env.GOSCOPE_SCREENSHOTS !== undefined
const MOST_BYTES = 150_000

/** Plausible contents. */
async function fillShown() {
  const where = await shown
  const own = await adapterOn(where)
  const leases = /** @type {[string, number, string][]} */ ([
    ['nightly-report', 36 * HOUR, 'worker-1'],
    ['import:products', 55_000, 'worker-4'],
    ['invoice:2041', 40_000, 'api-2'],
    ['invoice:2042', 29_000, 'api-1'],
    ['rebuild-search-index', 8 * 60_000, 'worker-2'],
    ['send-newsletter', 90_000, 'worker-3'],
  ])
  for (const [key, ms, owner] of leases) await own.acquire(key, ms, owner)
  void own.lock('send-newsletter', { ttl: 30_000, wait: 600_000 }).catch(() => {})
  for (const key of ['payments', 'mail', 'search', 'stock']) await own.recordSuccess(key)
  for (let failure = 0; failure < 5; failure++) await own.recordFailure('payments', 5)
  await own.recordFailure('mail', 5)
  const now = Date.now()
  for (const sequence of [1, 2, 3, 4]) {
    const timestamp = now - (5 - sequence) * 240_000
    await own.save({
      id: `p${sequence}`,
      taskId: 'import-products',
      sequence,
      timestamp,
      progress: 17 * sequence,
      data: 1,
    })
  }
  const estimatedTimeRemaining = 7 * 60_000
  await own.save({
    id: 'o',
    taskId: 'export-orders',
    sequence: 9,
    timestamp: now,
    progress: 91,
    data: 1,
    estimatedTimeRemaining,
  })
  return { where, own }
}

/**
 * An hour of a breaker's states, which the page would have seen.
 *
 * @param {Awaited<typeof shown>} where
 * @param {import('../support/ui.js').Page} page
 */
async function pastStates(where, page) {
  for (const [minutes, key, state] of /** @type {[number, string, string][]} */ ([
    [58, 'payments', 'closed'],
    [57, 'search', 'closed'],
    [55, 'mail', 'closed'],
    [54, 'stock', 'closed'],
    [41, 'search', 'open'],
    [33, 'payments', 'open'],
    [29, 'payments', 'half-open'],
    [26, 'payments', 'closed'],
    [12, 'search', 'half-open'],
    [9, 'payments', 'open'],
  ])) {
    const at = `timezone('UTC', now()) - interval '${minutes} min'`
    const failed = state === 'open' ? `, last_failure_time = ${at}, failure_count = 5` : ''
    await where.query(
      `UPDATE go_goscope_circuit SET state = '${state}', updated_at = ${at}${failed} WHERE key = 'shop:circuit:${key}'`,
    )
    // Not before each has its first state.
    if (minutes <= 54) await page.rows('circuits')
  }
}

/** @param {import('../support/ui.js').Page} page */
async function untilPlotted(page) {
  const stream = page.look('plots')
  await until('two samples give a line', () => stream.last('plots')?.series.at.length >= 2)
  // More of them give a picture.
  if (isForDocs) await new Promise((resolve) => setTimeout(resolve, 120_000))
  stream.close()
}

test('the pictures of docs/ui.md: small, and of what they are to show', { skip }, async () => {
  const { where, own } = await fillShown()
  const folder = isForDocs ? path.resolve(String(process.env.GOSCOPE_SCREENSHOTS)) : temporaryFolder()
  const working = setInterval(() => {
    for (let call = 0; call < 1 + Math.random() * 12; call++) void own.get(`user:${call}`)
    void own.set('user:1', 1)
    if (Math.random() < 0.05) void own.set('a', 'b\0').catch(() => {})
  }, 20)
  const application = http.createServer((_, response) => response.end(JSON.stringify(own.metrics())))
  after(() => void application.close().closeAllConnections())
  await new Promise((resolve) => application.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (application.address())
  const args = ['--allow-changes', '--metrics', `http://127.0.0.1:${port}`]
  const { page, printed, token } = await startPage(args, { DATABASE_URL: where.ownUrl })
  await pastStates(where, page)
  /**
   * @param {string} name
   * @param {string} view
   * @param {any} options
   * @param {(tab: any) => Promise<void>} look
   */
  const picture = async (name, view, options, look) => {
    const tab = await open(`${printed.split('?')[0]}?token=${token}`, options)
    await show(tab, view)
    await look(tab)
    await tab.evaluate("document.querySelector('#server').textContent = 'shop as shop_admin'")
    const file = path.join(folder, `${name}.png`)
    await tab.screenshot({ path: file })
    assert.ok(fs.statSync(file).size < MOST_BYTES, `${name} has ${fs.statSync(file).size} bytes`)
  }
  await picture('ui-locks', 'locks', { viewport: { width: 1000, height: 530 } }, async (tab) => {
    await tab.waitForSelector('.bar span')
    if (isForDocs) await new Promise((resolve) => setTimeout(resolve, 12_000))
    assert.match(await tab.textContent('tbody'), /send-newsletterworker-3.*yes/)
  })
  await picture('ui-release', 'locks', { viewport: { width: 1000, height: 530 } }, async (tab) => {
    await tab.click('[aria-label="Release nightly-report"]')
    await tab.waitForSelector('dialog[open]')
  })
  const dark = { viewport: { width: 1180, height: 470 }, colorScheme: 'dark' }
  await picture('ui-circuits-dark', 'circuits', dark, async (tab) => {
    assert.match(await tab.textContent('tbody'), /payments.*open for 9 min.*4 changes seen/)
    assert.equal(await tab.evaluate("document.querySelectorAll('tbody tr:first-child rect').length"), 5)
  })
  await picture('ui-tasks-phone', 'tasks', { viewport: { width: 360, height: 640 } }, async (tab) => {
    assert.match(await tab.textContent('tbody'), /export-orders.*91 %.*import-products.*68 %.*4\.\d % \/ minabout/)
  })
  await untilPlotted(page)
  await picture('ui-plots', 'plots', { viewport: { width: 1000, height: 780 } }, async (tab) => {
    await tab.waitForSelector('.plot canvas')
    const texts = await tab.evaluate("[...document.querySelectorAll('.plot p')].map((each) => each.textContent)")
    assert.match(texts[0], /^calls \d/)
    assert.match(texts[1], /^median [\d.]+95 % [\d.]+99 % [\d.]+$/)
    assert.match(await tab.textContent('tbody'), /cache\.get/)
  })
  clearInterval(working)
  await own.disconnect()
  assert.deepEqual(faults, [])
})
