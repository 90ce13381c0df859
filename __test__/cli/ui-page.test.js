// @ts-check
// @configurations last
// @without first: a browser, which docs/package.json installs
// The page of `goscope-postgres ui` in Chromium: hostile data, light and dark, the width of a phone, the keyboard, a screen
// reader's view, changes, and a database that goes away. `GOSCOPE_SCREENSHOTS=docs/images` renews the pictures of docs/ui.md.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { after, afterEach, before, test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { axe, launch, noBrowser: skip } = require('../support/browser.js')
const { temporaryFolder } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { startPage } = require('../support/ui.js')
const { until } = require('../support/waiting.js')

const [database, shown] = [useDatabase(), useDatabase()]

const HOUR = 3_600_000
const PHONE = { width: 360, height: 740 }
const DESK = { width: 1280, height: 860 }
const VIEWS = ['overview', 'locks', 'circuits', 'tasks', 'cache', 'results', 'claims', 'connections', 'plots']
/** Text that would be run, loaded, or mistaken for markup of the page, if it ever became markup. */
const HOSTILE = [
  '<img src=x onerror="window.hacked=1">',
  '<script>window.hacked=1</script>',
  '"><svg onload=window.hacked=1>',
  "javascript:window.hacked=1//' onclick='window.hacked=1",
  '{{constructor.constructor("window.hacked=1")()}}',
  '</td></table><h1>not ours</h1>',
  '\u202egnp.exe',
  '\x1b[2J',
  '__proto__',
  'x'.repeat(2_000),
]

/** @type {any} */
let browser
/** @type {Awaited<typeof database>} */
let db
/** @type {PostgresAdapter} */
let adapter
/** @type {any[]} */
const tabs = []
/** What pages do that they should not. @type {string[]} */
const faults = []

before(async () => {
  if (skip) return
  db = await database
  adapter = await fill(db)
  for (const text of HOSTILE) await hostile(text)
  browser = await launch()
})
after(() => browser?.close())

afterEach(async () => {
  for (const tab of tabs.splice(0)) await tab.close()
  faults.length = 0
})

/** @param {Awaited<typeof database>} where */
async function fill(where) {
  const own = new PostgresAdapter(where.pool({ connectionString: where.ownUrl }), { keyPrefix: 'shop:' })
  await own.connect()
  await new PostgresIdempotencyAdapter(where.pool({ connectionString: where.ownUrl })).connect()
  return own
}

/** A row of each table with this text. @param {string} text */
async function hostile(text) {
  const results = new PostgresIdempotencyAdapter(db.pool({ connectionString: db.ownUrl }))
  await adapter.acquire(text, HOUR, text)
  await adapter.recordFailure(text, 1)
  await adapter.set(text, text)
  await adapter.save({ id: text, taskId: text, sequence: 1, timestamp: Date.now(), progress: 5, data: text })
  await results.set(text, text)
}

/**
 * @param {string} url
 * @param {any} [options]
 */
async function open(url, options = {}) {
  const tab = await browser.newPage({ viewport: DESK, locale: 'en-US', ...options })
  tabs.push(tab)
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

/**
 * Waits for a condition in the page. The browser's own way to do that is refused by the page's policy.
 *
 * @param {any} tab
 * @param {string} condition in JavaScript
 */
const when = (tab, condition) => until(condition, () => tab.evaluate(condition))

/** @param {any} tab @param {string} view */
async function show(tab, view) {
  await tab.evaluate(`location.hash = '${view}'`)
  await tab.waitForSelector(`#views a[aria-current]`)
  await when(tab, "document.querySelector('tbody tr, .nothing:not([hidden]), pre')")
  if (view === 'connections') await when(tab, "/\\d+ checks/.test(document.querySelector('main').textContent)")
}

const violations = async () => {
  const { axe } = /** @type {any} */ (globalThis)
  const { violations } = await axe.run()
  return violations.flatMap((/** @type {any} */ { id, nodes }) =>
    nodes.map((/** @type {any} */ { html }) => `${id}: ${html.slice(0, 160)}`),
  )
}

test('keys and owners are text in each view, whatever they contain', { skip }, async () => {
  const { printed } = await startPage([], { DATABASE_URL: db.ownUrl })
  const tab = await open(printed)
  for (const view of ['locks', 'circuits', 'tasks', 'cache', 'results']) {
    await show(tab, view)
    const content = await tab.textContent('tbody')
    for (const text of HOSTILE) {
      const seen = text.replace('\u202e', '\\u202e').replace('\x1b', '\\x1b')
      assert.ok(content.includes(seen), `${view}: ${text.slice(0, 60)}`)
    }
    const markup = await tab.evaluate(
      "document.querySelectorAll('img, script:not([src]), tbody svg:not(.strip), h1').length",
    )
    assert.equal(markup, 1, view)
  }
  assert.equal(await tab.evaluate('window.hacked'), undefined)
  await tab.goto(`${printed}#checkpoints?task=${encodeURIComponent(HOSTILE[0])}`)
  await when(tab, "/Checkpoints of a task: <img/.test(document.querySelector('h1').textContent)")
  assert.equal(await tab.evaluate('window.hacked'), undefined)
  assert.deepEqual(faults, [])
  // The policy would have refused it, too.
  const refused = await tab.evaluate(
    "try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }",
  )
  assert.equal(refused, 'TypeError')
})

for (const colorScheme of ['light', 'dark']) {
  test(`each view is accessible, and fits a phone: ${colorScheme}`, { skip }, async () => {
    const { printed } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
    const tab = await open(printed, { colorScheme })
    await tab.evaluate(axe())
    /** @type {string[]} */
    const found = []
    for (const view of VIEWS) {
      for (const size of [DESK, PHONE]) {
        await tab.setViewportSize(size)
        await show(tab, view)
        found.push(
          ...(await tab.evaluate(violations)).map((/** @type {string} */ each) => `${view} ${size.width}: ${each}`),
        )
        const [whole, width] = await tab.evaluate('[document.documentElement.scrollWidth, window.innerWidth]')
        assert.ok(whole <= width, `${view} scrolls: ${whole} of ${width}`)
      }
    }
    const background = await tab.evaluate('getComputedStyle(document.body).backgroundColor')
    const [red] = background.match(/\d+/)
    assert.equal(Number(red) > 128, colorScheme === 'light', background)
    assert.deepEqual([...new Set(found)], [])
    assert.deepEqual(faults, [])
  })
}

test('by the keyboard alone: a filter, a page, and a change with its confirmation', { skip }, async () => {
  for (let number = 0; number < 120; number++)
    await adapter.acquire(`page:${String(number).padStart(3, '0')}`, HOUR, 'me')
  const { printed } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await open(printed)
  const focused = () => tab.evaluate('document.activeElement.id || document.activeElement.textContent')
  /** @param {string} name */
  const tabTo = async (name) => {
    for (let presses = 0; (await focused()) !== name; presses++) {
      assert.ok(presses < 400, `${name} cannot be reached`)
      await tab.keyboard.press('Tab')
    }
  }
  await tabTo('Locks')
  await tab.keyboard.press('Enter')
  await when(tab, "document.querySelector('h1').textContent === 'Locks'")
  assert.equal(await focused(), 'main')
  await tabTo('filter')
  await tab.keyboard.type('page:')
  await when(tab, "/^1 to 50 of 120 locks$/.test(document.querySelector('.found').textContent)")
  assert.equal(await focused(), 'filter')
  await tabTo('Next')
  await tab.keyboard.press('Enter')
  await when(tab, "/^51 to 100 of 120/.test(document.querySelector('.found').textContent)")
  assert.match(await tab.textContent('tbody'), /page:050/)
  await tab.goBack()
  await when(tab, "/page:000/.test(document.querySelector('tbody').textContent)")

  await tab.focus('tbody tr:first-child button')
  await tab.keyboard.press('Enter')
  await tab.waitForSelector('dialog[open]')
  assert.equal(await focused(), 'dialog-cancel')
  assert.match(await tab.textContent('dialog'), /Release this lock\?.*page:000.*held by me.*is not notified/s)
  await tab.keyboard.press('Escape')
  await tab.waitForSelector('dialog:not([open])', { state: 'attached' })
  assert.equal((await adapter.holder('page:000'))?.owner, 'me')
  // Back where it was.
  assert.equal(await tab.evaluate("document.activeElement.getAttribute('aria-label')"), 'Release page:000')

  await tab.keyboard.press('Enter')
  await tab.waitForSelector('dialog[open]')
  await tabTo('dialog-confirm')
  await tab.keyboard.press('Enter')
  await when(tab, "document.querySelector('#outcome').textContent === 'Released: page:000'")
  assert.equal(await adapter.holder('page:000'), null)
  await when(tab, "!/page:000/.test(document.querySelector('tbody').textContent)")
  assert.deepEqual(faults, [])
})

test('a change that comes too late says so, and a page that only reads has no buttons for changes', {
  skip,
}, async () => {
  await adapter.acquire('late', HOUR, 'first')
  const { printed } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await open(`${printed}#locks?filter=late`)
  await tab.click('[aria-label="Release late"]')
  await tab.waitForSelector('dialog[open]')
  await adapter.forceRelease('late')
  await adapter.acquire('late', HOUR, 'second')
  await tab.click('#dialog-confirm')
  await when(tab, "/Nothing was changed/.test(document.querySelector('#dialog-problem').textContent)")
  await tab.click('#dialog-cancel')
  assert.equal((await adapter.holder('late'))?.owner, 'second')
  // The browser reports the refusal.
  assert.ok(faults.every((fault) => /409 \(Conflict\)/.test(fault)))

  const reading = await startPage([], { DATABASE_URL: db.ownUrl })
  const other = await open(`${reading.printed}#locks`)
  await show(other, 'locks')
  assert.equal(await other.evaluate("document.querySelectorAll('td.action, tbody button').length"), 0)
})

test('rows come and go live, the focus stays, and a screen reader is left in peace', { skip }, async () => {
  await adapter.acquire('live:b', 20_000, 'me')
  const { printed } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await open(`${printed}#locks?filter=live:`, { reducedMotion: 'reduce' })
  await when(tab, "/1 locks/.test(document.querySelector('.found').textContent)")
  await tab.waitForSelector('.found[aria-live=off]')
  const button = '[aria-label="Release live:b"]'
  await tab.focus(button)
  await tab.evaluate(`
    window.said = 0
    const observer = new MutationObserver((all) => window.said += all.length)
    for (const element of document.querySelectorAll('[role=status]:not([aria-live=off]), [role=alert]'))
      observer.observe(element, { childList: true, characterData: true, subtree: true, attributes: true })`)
  const width = () => tab.evaluate("parseFloat(document.querySelector('tbody .bar span').style.width)")
  const before = await width()
  assert.equal(
    await tab.evaluate("getComputedStyle(document.querySelector('tbody .bar span')).transitionDuration"),
    '0s',
  )
  await adapter.acquire('live:a', HOUR, 'me')
  await adapter.acquire('live:c', HOUR, 'me')
  await when(tab, "document.querySelectorAll('tbody tr').length === 3")
  await adapter.forceRelease('live:a')
  await when(tab, "document.querySelectorAll('tbody tr').length === 2")
  assert.equal(await tab.evaluate("document.activeElement.getAttribute('aria-label')"), 'Release live:b')
  assert.ok((await width()) < before)
  assert.equal(await tab.evaluate('window.said'), 0)
  assert.deepEqual(faults, [])
})

test('a database that is away is shown, and so is the end of the command', { skip }, async () => {
  const proxy = await startProxy(db.ownUrl)
  const { printed, command } = await startPage(['--connect-timeout', '2'], { DATABASE_URL: proxy.url })
  const tab = await open(`${printed}#locks`)
  await show(tab, 'locks')
  proxy.refuse()
  proxy.cutAll()
  await tab.waitForSelector('#connection[data-state=lost]')
  await when(tab, "/cannot be reached/.test(document.querySelector('.notice').textContent)")
  assert.ok((await tab.evaluate("document.querySelectorAll('tbody tr').length")) > 0, 'what was seen last stays')
  proxy.refuse(false)
  await tab.waitForSelector('#connection[data-state=live]')
  await tab.waitForSelector('.notice', { state: 'hidden' })
  command.child.kill('SIGTERM')
  assert.equal((await command.ended).code, 0)
  await when(tab, "/command has ended/.test(document.querySelector('#connection').textContent)")
})

test('a browser that has not been let in is told how', { skip }, async () => {
  const { page } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await browser.newPage()
  tabs.push(tab)
  await tab.goto(`${page.origin}/`)
  assert.match(await tab.textContent('body'), /Open the address that the command has printed/)
})

test('the token leaves the address, and a reload keeps the view', { skip }, async () => {
  const { printed } = await startPage(['--token'], { DATABASE_URL: db.ownUrl })
  const tab = await open(printed)
  assert.doesNotMatch(tab.url(), /token/)
  await show(tab, 'cache')
  await tab.selectOption('select[name=order]', 'key')
  await when(tab, "location.hash === '#cache?order=key'")
  await tab.reload()
  await tab.waitForSelector('tbody tr')
  assert.equal(await tab.inputValue('select[name=order]'), 'key')
  assert.deepEqual(faults, [])
})

/** How long pictures wait for something to be seen on them. */
const isForDocs = process.env.GOSCOPE_SCREENSHOTS !== undefined
const MOST_BYTES = 150_000

/** Plausible contents. */
async function fillShown() {
  const where = await shown
  const own = await fill(where)
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
 * @param {Awaited<typeof database>} where
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
  const dark = { viewport: { width: 1000, height: 470 }, colorScheme: 'dark' }
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
