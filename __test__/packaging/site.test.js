// @ts-check
// @configurations last
// @without first: the whole site in a browser
// The documentation site, in Chromium: each page in light and in dark, every link and anchor, the search, and text that has
// enough contrast. Nothing is loaded from another host. Of the reference, whose pages are generated, a page of each kind.
'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { build, docs, serve } = require('../../scripts/docs.js')
const { axe, launch, lowContrast, noBrowser: skip } = require('../support/browser.js')
const { temporaryFolder } = require('../support/consumer.js')
const { until } = require('../support/waiting.js')

/** As it is published: below a path. */
const BASE = '/goscope-postgres/'
const TABS = 3
const SCHEMES = /** @type {const} */ (['light', 'dark'])

const folder = temporaryFolder()
const site = path.join(folder, BASE)
/** @type {Awaited<ReturnType<typeof serve>>} */
let server
/** @type {any} */
let browser
/** What the pages do in the browser that they should not. @type {string[]} */
const faults = []

before(async () => {
  if (skip) return
  build({ out: site, base: BASE, shown: 'failures' })
  server = await serve(folder, 0)
  browser = await launch()
})

after(async () => {
  await browser?.close()
  server?.close()
})

/** @param {'light' | 'dark'} colorScheme */
async function newTab(colorScheme = 'light') {
  const tab = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' })
  const note = (/** @type {string} */ what) => faults.push(`${tab.url()}: ${what}`)
  tab.on('console', (/** @type {any} */ message) => message.type() === 'error' && note(message.text()))
  tab.on('pageerror', (/** @type {Error} */ error) => note(error.message))
  tab.on('request', (/** @type {any} */ request) => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && `${origin}/` !== server.url) note(`loads ${request.url()}`)
  })
  tab.on('response', (/** @type {any} */ response) => response.status() >= 400 && note(`lacks ${response.url()}`))
  return tab
}

/** The addresses of all pages, below the site. */
const pages = () =>
  fs
    .readdirSync(site, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.html') && name !== '404.html')

/** @param {string} page */
const urlOf = (page) => new URL(`${BASE.slice(1)}${page}`, server.url).href

/** @typedef {{ links: string[], ids: string[], title: string }} Content */

/**
 * What a page has when its scripts have run. It is called in the browser.
 *
 * @returns {Content & { brokenImages: string[] }}
 */
const contentOf = () => {
  const { document } = /** @type {any} */ (globalThis)
  const all = (/** @type {string} */ selector) => /** @type {any[]} */ ([...document.querySelectorAll(selector)])
  return {
    links: all('a[href]').map((each) => each.href),
    ids: all('[id]').map((each) => each.id),
    title: document.querySelector('h1')?.textContent ?? '',
    brokenImages: all('img').flatMap((each) => (each.complete && each.naturalWidth === 0 ? [each.src] : [])),
  }
}

/** Pages of each kind. What they show has the same colours on all others. */
const KINDS = ['index', 'locks', 'benchmarks', 'examples/leases', 'reference/goscope-postgres/classes/PostgresAdapter']
/** By address, whether in the browser or as a file. @type {Map<string, Content>} */
const contents = new Map()

/**
 * The pages that a browser opens, and those of the reference that are read as files.
 *
 * @returns {{ opened: string[], read: string[] }}
 */
function divided() {
  /** @type {Set<string>} */
  const folders = new Set()
  const isOpened = (/** @type {string} */ page) => {
    const folder = path.posix.dirname(page)
    const isFirst = !folders.has(folder)
    folders.add(folder)
    return isFirst || !page.startsWith('reference/') || KINDS.includes(page.replace(/\.html$/, ''))
  }
  const opened = pages().sort().filter(isOpened)
  return { opened, read: pages().filter((page) => !opened.includes(page)) }
}

/**
 * What a page has without its scripts.
 *
 * @param {string} page
 * @returns {Content}
 */
function contentOfFile(page) {
  const html = fs.readFileSync(path.join(site, page), 'utf8')
  const all = (/** @type {RegExp} */ pattern) =>
    [...html.matchAll(pattern)].map(([, found = '']) => found.replaceAll('&amp;', '&'))
  return {
    links: all(/<a\s[^>]*?href="([^"]*)"/g).map((link) => new URL(link, urlOf(page)).href),
    ids: all(/\sid="([^"]*)"/g),
    title: all(/<h1[^>]*>([^<]+)/g)[0] ?? '',
  }
}

test('each page opens in light and in dark without errors, and has enough contrast', { skip }, async (t) => {
  /** @type {string[]} */
  const unreadable = []
  const { opened, read } = divided()
  const waiting = [...opened]
  await Promise.all(
    Array.from({ length: TABS }, async () => {
      const tab = await newTab()
      for (let page = waiting.pop(); page !== undefined; page = waiting.pop()) {
        await tab.emulateMedia({ colorScheme: 'light' })
        await tab.goto(urlOf(page))
        const isOfKind = KINDS.some((kind) => page === `${kind}.html`)
        if (isOfKind) await tab.evaluate(axe())
        for (const scheme of SCHEMES) {
          await tab.emulateMedia({ colorScheme: scheme })
          // The page's own script changes this, so it has started.
          await tab.waitForFunction(`document.documentElement.classList.contains('dark') === ${scheme === 'dark'}`)
          const low = isOfKind ? await tab.evaluate(lowContrast) : []
          unreadable.push(...low.map((/** @type {string} */ each) => `${page}, ${scheme}: ${each}`))
        }
        const content = await tab.evaluate(contentOf)
        assert.ok(content.title, page)
        assert.deepEqual(content.brokenImages, [], page)
        contents.set(urlOf(page), content)
      }
    }),
  )
  for (const page of read) contents.set(urlOf(page), contentOfFile(page))
  assert.ok(opened.length > 60 && read.length > 80, `${opened.length} pages opened, ${read.length} read`)
  for (const [page, { title }] of contents) assert.ok(title, page)
  assert.deepEqual(faults.slice(0, 20), [])
  assert.deepEqual([...new Set(unreadable)].slice(0, 20), [])
  t.diagnostic(`figure: ${opened.length} pages in light and dark, ${read.length} of the reference as files`)
})

test('each link leads to a page, and to an anchor of it', { skip }, () => {
  assert.deepEqual(brokenLinks(), [])
})

test('every page is within reach of the first page', { skip }, () => {
  const seen = new Set([urlOf('index.html')])
  for (const url of seen) {
    for (const link of contents.get(url)?.links ?? []) {
      const { origin, pathname } = new URL(link)
      const page = pathname.endsWith('/') ? `${pathname}index.html` : pathname
      if (`${origin}/` === server.url && page.endsWith('.html')) seen.add(origin + page)
    }
  }
  assert.deepEqual(
    pages()
      .map(urlOf)
      .filter((url) => !seen.has(url)),
    [],
  )
})

function brokenLinks() {
  /** @type {Set<string>} */
  const broken = new Set()
  for (const [page, { links }] of contents) {
    for (const link of links) {
      const url = new URL(link)
      if (`${url.origin}/` !== server.url) {
        if (url.protocol !== 'https:') broken.add(`${page}: ${link}`)
        continue
      }
      const anchor = decodeURIComponent(url.hash.slice(1))
      url.hash = ''
      const target = contents.get(url.pathname.endsWith('/') ? `${url.href}index.html` : url.href)
      const isFile = fs.existsSync(path.join(folder, decodeURIComponent(url.pathname)))
      if (target ? anchor && !target.ids.includes(anchor) : !isFile) broken.add(`${page}: ${link}`)
    }
  }
  return [...broken]
}

test('the search finds a page, and opens it at the heading', { skip }, async () => {
  const tab = await newTab()
  await tab.goto(urlOf('index.html'), { waitUntil: 'networkidle' })
  const box = tab.locator('.VPLocalSearchBox')
  // The page listens to the keys some time after it is loaded.
  await until('the search', async () => {
    await tab.keyboard.press('Control+k')
    return await box.isVisible()
  })
  await box.locator('input').fill('fencing tokens')
  await box.locator('.result', { hasText: 'Fencing tokens' }).first().click()
  await tab.waitForURL(/locks\.html#fencing-tokens$/)
  assert.deepEqual(faults.slice(0, 20), [])
})

test('the site is built without what the package installs, and the package without it', () => {
  const root = path.join(docs, '..')
  const own = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const { devDependencies } = JSON.parse(fs.readFileSync(path.join(docs, 'package.json'), 'utf8'))
  for (const name of Object.keys(devDependencies).filter((name) => name !== 'typescript')) {
    assert.equal({ ...own.dependencies, ...own.devDependencies }[name], undefined, name)
  }
  assert.doesNotMatch(fs.readFileSync(path.join(docs, 'package-lock.json'), 'utf8'), /"resolved"/)
  const ignored = execFileSync('git', ['check-ignore', 'docs/node_modules', 'docs/.vitepress/dist'], { cwd: root })
  assert.equal(ignored.toString().trim().split('\n').length, 2)
})
