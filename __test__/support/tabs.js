// @ts-check
// The page of `goscope-postgres ui` in tabs of Chromium, for the test file that calls this while it loads.
'use strict'

const { after, afterEach, before } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { launch, noBrowser } = require('./browser.js')
const { until } = require('./waiting.js')

const DESK = { width: 1280, height: 860 }

function useTabs() {
  /** @type {any} */
  let browser
  /** @type {any[]} */
  const tabs = []
  /** What pages do that they should not. @type {string[]} */
  const faults = []

  before(async () => {
    if (!noBrowser) browser = await launch()
  })
  after(() => browser?.close())
  afterEach(async () => {
    for (const tab of tabs.splice(0)) await tab.close()
    faults.length = 0
  })

  /**
   * A tab that is closed after the test.
   *
   * @param {any} [options]
   */
  async function newTab(options = {}) {
    const tab = await browser.newPage({ viewport: DESK, locale: 'en-US', ...options })
    tabs.push(tab)
    return tab
  }

  /**
   * Opens the page, and waits until it is live.
   *
   * @param {string} url
   * @param {any} [options]
   */
  async function open(url, options) {
    const tab = await newTab(options)
    const { origin } = new URL(url)
    const note = (/** @type {string} */ what) => faults.push(`${tab.url()}: ${what}`)
    tab.on('console', (/** @type {any} */ message) => message.type() === 'error' && note(message.text()))
    tab.on('pageerror', (/** @type {Error} */ error) => note(error.message))
    tab.on('request', (/** @type {any} */ request) => new URL(request.url()).origin !== origin && note(request.url()))
    tab.on('dialog', (/** @type {any} */ dialog) => note(`says ${dialog.message()}`))
    await tab.goto(url)
    await tab.waitForSelector('#connection[data-state=live]')
    return tab
  }

  return { faults, newTab, open }
}

/**
 * Waits for a condition in the page. The browser's own way to do that is refused by the page's policy.
 *
 * @param {any} tab
 * @param {string} condition in JavaScript
 */
const when = (tab, condition) => until(condition, () => tab.evaluate(condition))

/**
 * Goes to a view.
 *
 * @param {any} tab
 * @param {string} view
 */
async function show(tab, view) {
  await tab.evaluate(`location.hash = '${view}'`)
  await tab.waitForSelector('#views a[aria-current]')
  await when(tab, "document.querySelector('tbody tr, .nothing:not([hidden]), pre')")
  if (view === 'connections') await when(tab, "/\\d+ checks/.test(document.querySelector('main').textContent)")
}

/**
 * An adapter whose tables are there, and those of idempotent runs.
 *
 * @param {{ ownUrl: string, pool: (config: any) => any }} database
 */
async function adapterOn(database) {
  const connectionString = database.ownUrl
  const adapter = new PostgresAdapter(database.pool({ connectionString }), { keyPrefix: 'shop:' })
  await adapter.connect()
  await new PostgresIdempotencyAdapter(database.pool({ connectionString })).connect()
  return adapter
}

module.exports = { DESK, adapterOn, show, useTabs, when }
