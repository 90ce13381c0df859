// @ts-check
// @configurations last
// @without first: a browser, which docs/package.json installs
// The page of `goscope-postgres ui` in Chromium: hostile data, light and dark, the width of a phone, the keyboard, a screen
// reader's view, changes, and a database that goes away.
'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { before, test } = require('node:test')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')
const { axe, noBrowser: skip } = require('../support/browser.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { DESK, adapterOn, show, useTabs, when } = require('../support/tabs.js')
const { startPage } = require('../support/ui.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const { faults, newTab, open } = useTabs()

const HOUR = 3_600_000
const PHONE = { width: 360, height: 740 }
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

/** @type {Awaited<typeof database>} */
let db
/** @type {Awaited<ReturnType<typeof adapterOn>>} */
let adapter

before(async () => {
  if (skip) return
  db = await database
  adapter = await adapterOn(db)
  for (const text of HOSTILE) await hostile(text)
})

/** A row of each table with this text. @param {string} text */
async function hostile(text) {
  const results = new PostgresIdempotencyAdapter(db.pool({ connectionString: db.ownUrl }))
  await adapter.acquire(text, HOUR, text)
  await adapter.recordFailure(text, 1)
  await adapter.set(text, text)
  await adapter.save({ id: text, taskId: text, sequence: 1, timestamp: Date.now(), progress: 5, data: text })
  await results.set(text, text)
}

const violations = async () => {
  const { axe } = /** @type {any} */ (globalThis)
  const { violations } = await axe.run()
  return violations.flatMap((/** @type {any} */ { id, nodes }) =>
    nodes.map((/** @type {any} */ { html }) => `${id}: ${html.slice(0, 160)}`),
  )
}

test('keys and owners are text in each view, whatever they contain', { skip }, async () => {
  const { printed } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await open(printed)
  for (const view of ['locks', 'circuits', 'tasks', 'cache', 'results']) {
    await show(tab, view)
    const content = await tab.textContent('tbody')
    for (const text of HOSTILE) {
      const seen = text.replace('\u202e', '\\u202e').replace('\x1b', '\\x1b')
      assert.ok(content.includes(seen), `${view}: ${text.slice(0, 60)}`)
    }
    // What a screen reader says of the buttons.
    const labels = await tab.evaluate(
      "[...document.querySelectorAll('tbody button')].map((button) => button.getAttribute('aria-label')).join()",
    )
    assert.equal(labels.includes('\\u202egnp.exe'), view !== 'tasks', view)
    assert.ok(!labels.includes('\u202e') && !labels.includes('\x1b'), view)
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
  await tabTo('Previous')
  await tab.keyboard.press('Enter')
  await when(tab, "/^1 to 50 of 120/.test(document.querySelector('.found').textContent)")
  await tab.goBack()
  await when(tab, "/^51 to 100 of 120/.test(document.querySelector('.found').textContent)")
  await tab.reload()
  await when(tab, "/^51 to 100 of 120/.test(document.querySelector('.found')?.textContent)")
  await tab.click('.pager button:nth-child(3)')
  await when(tab, "/^101 to 120 of 120/.test(document.querySelector('.found').textContent)")
  await tab.reload()
  await when(tab, "/^101 to 120 of 120/.test(document.querySelector('.found')?.textContent)")
  await tab.click('.pager button:nth-child(2)')
  await when(tab, "/^51 to 100 of 120/.test(document.querySelector('.found').textContent)")
  assert.match(await tab.textContent('tbody'), /page:050/)
  await tab.click('.pager button:nth-child(3)')
  await when(tab, "/^101 to 120 of 120/.test(document.querySelector('.found').textContent)")
  // As a bookmark in another tab: the page before is not known.
  await tab.evaluate('sessionStorage.clear()')
  await tab.reload()
  await when(tab, "/^101 to 120 of 120/.test(document.querySelector('.found')?.textContent)")
  assert.equal(await tab.isDisabled('.pager button:nth-child(2)'), true)
  await tab.evaluate("location.hash = '#locks?filter=page:&page=abc'")
  await when(tab, "/^1 to 50 of 120/.test(document.querySelector('.found').textContent)")
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

test('a preview or an outcome that comes late changes nothing in the dialog of another row', { skip }, async () => {
  for (const key of ['slow:a', 'slow:b']) await adapter.acquire(key, HOUR, 'me')
  const { printed } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await open(`${printed}#locks?filter=slow:`)
  const hold = async (/** @type {string} */ address, /** @type {string} */ text) => {
    /** @type {(() => void)[]} */
    const waiting = []
    const isHeld = (/** @type {any} */ request) =>
      decodeURIComponent(request.url()).includes(text) || request.postData()?.includes(text)
    await tab.route(address, async (/** @type {any} */ route) => {
      if (isHeld(route.request())) await new Promise((resolve) => waiting.push(() => resolve(undefined)))
      await route.continue()
    })
    const letGo = async () => {
      const answered = tab.waitForResponse((/** @type {any} */ response) => isHeld(response.request()))
      for (const go of waiting.splice(0)) go()
      await (await answered).finished()
      // The page reads the answer.
      await tab.evaluate('new Promise((resolve) => setTimeout(resolve, 100))')
    }
    return { waiting, letGo }
  }
  const dialog = () =>
    tab.evaluate("[document.querySelector('dialog').open, document.querySelector('#dialog-key').textContent]")

  const preview = await hold('**/api/preview?*', 'slow:a')
  await tab.click('[aria-label="Release slow:a"]')
  await until('the first preview is on its way', () => preview.waiting.length === 1)
  await tab.click('[aria-label="Release slow:b"]')
  await tab.waitForSelector('dialog[open]')
  await preview.letGo()
  assert.deepEqual(await dialog(), [true, 'shop: slow:b'])

  const change = await hold('**/api/change', 'slow:b')
  await tab.click('#dialog-confirm')
  await until('the change is on its way', () => change.waiting.length === 1)
  assert.equal(await tab.isDisabled('#dialog-cancel'), true)
  await tab.keyboard.press('Escape')
  assert.deepEqual(await dialog(), [true, 'shop: slow:b'])
  // As the browser does after another Escape.
  await tab.evaluate("document.querySelector('dialog').close()")
  await adapter.forceRelease('slow:b')
  await tab.unroute('**/api/preview?*')
  await tab.click('[aria-label="Release slow:a"]')
  await tab.waitForSelector('dialog[open]')
  await change.letGo()
  assert.deepEqual(await dialog(), [true, 'shop: slow:a'])
  assert.equal(await tab.textContent('#dialog-problem'), '')
  assert.match(await tab.textContent('#outcome'), /^slow:b: .*Nothing was changed/)
  assert.equal(await tab.isDisabled('#dialog-confirm'), false)
  await tab.click('#dialog-confirm')
  await when(tab, "document.querySelector('#outcome').textContent === 'Released: slow:a'")
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

test('a stream that is refused is tried again, and a page of a proxy is not shown as text', { skip }, async () => {
  const { printed } = await startPage([], { DATABASE_URL: db.ownUrl })
  for (const [first, count] of /** @type {[string, number][]} */ ([
    ['events', 1],
    ['events', 2],
    ['session', 1],
  ])) {
    let refused = 0
    const tab = await newTab()
    await tab.route(`**/api/${first}*`, (/** @type {any} */ route) =>
      refused++ < count
        ? route.fulfill({ status: 502, contentType: 'text/html', body: '<html>Bad Gateway</html>' })
        : route.continue(),
    )
    const streams = new Set()
    tab.on('request', (/** @type {any} */ request) => {
      if (request.url().includes('/api/events')) streams.add(request)
    })
    for (const end of ['requestfinished', 'requestfailed']) {
      tab.on(end, (/** @type {any} */ request) => streams.delete(request))
    }
    await tab.goto(`${printed}#locks`)
    if (first === 'session' || count === 2) {
      await when(tab, "/answer is 502 .*proxy/.test(document.querySelector('#connection').textContent)")
    }
    await tab.waitForSelector('#connection[data-state=live]')
    await tab.waitForSelector('tbody tr')
    // The requests that only ask for the reason leave no stream behind.
    await until('one stream is open', () => streams.size === 1)
  }
})

test('a tab stays usable after the command was started anew, with a token for changes', { skip }, async () => {
  await adapter.acquire('anew', HOUR, 'me')
  const env = { DATABASE_URL: db.ownUrl }
  const first = await startPage(['--allow-changes'], env)
  const tab = await open(`${first.printed}#locks?filter=anew`)
  first.command.child.kill('SIGTERM')
  await first.command.ended
  const second = await startPage(['--allow-changes', '--port', new URL(first.page.origin).port], env)
  await when(tab, "/token in it lets you in/.test(document.querySelector('#connection').textContent)")
  // It stays: the message of the end of the command comes no more.
  await tab.evaluate('new Promise((resolve) => setTimeout(resolve, 4_000))')
  assert.match(await tab.textContent('#connection'), /token in it lets you in/)
  // As by another tab of the browser.
  await tab.evaluate(`fetch('/?token=${second.token}')`)
  await tab.waitForSelector('#connection[data-state=live]')
  await tab.click('[aria-label="Release anew"]')
  await tab.waitForSelector('dialog[open]')
  await tab.click('#dialog-confirm')
  await when(tab, "document.querySelector('#outcome').textContent === 'Released: anew'")
})

test('a browser that has not been let in is told how', { skip }, async () => {
  const { page } = await startPage(['--allow-changes'], { DATABASE_URL: db.ownUrl })
  const tab = await newTab()
  await tab.goto(`${page.origin}/`)
  assert.match(await tab.textContent('body'), /Open the address that the command has printed/)
})

test('a link of another site leads in, as in a terminal in a browser: with the token, and later without it', {
  skip,
}, async () => {
  const { printed, page } = await startPage(['--token'], { DATABASE_URL: db.ownUrl })
  const site = http.createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<a id=token href="${printed}">1</a> <a id=page href="${page.origin}/">2</a>`)
  })
  await once(site.listen(0, '127.0.0.1'), 'listening')
  // Another name of this machine is another site.
  const elsewhere = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (site.address()).port}/`
  const tab = await newTab()
  const follow = async (/** @type {string} */ link) => {
    await tab.goto(elsewhere)
    await tab.click(link)
  }
  await follow('#page')
  await tab.waitForSelector('text=Open the address that the command has printed')
  for (const link of ['#token', '#page']) {
    await follow(link)
    await tab.waitForSelector('#connection[data-state=live]')
    assert.equal(tab.url(), `${page.origin}/`)
  }
  site.close()
  site.closeAllConnections()
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
