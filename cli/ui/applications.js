// @ts-check
// Applications that serve their metrics as JSON: asked every few seconds, and remembered for an hour.
'use strict'

const { misuse } = require('../problem.js')
const { figuresOf, since, totalsOf } = require('./figures.js')
const { HOUR_MS } = require('./history.js')

const EVERY_MS = 5_000
const TIMEOUT_MS = 4_000
const MOST_BYTES = 4 << 20
const SAMPLES = HOUR_MS / EVERY_MS
/** The series of a plot. */
const SERIES = /** @type {const} */ (['calls', 'errors', 'p50', 'p95', 'p99'])
const STATES = ['open', 'idle', 'waiting', 'inFlight', 'queued']

/**
 * @typedef {import('./figures.js').Figures} Figures
 * @typedef {{ at: number, all: Figures, each: (Figures | undefined)[] }} Sample
 */

/** One application. */
class Application {
  #url
  /** @type {Record<string, string>} */
  #headers
  /** @type {import('./figures.js').Totals | undefined} */
  #before
  /** Why its last answer is missing. @type {string | null} */
  problem = null

  /** @param {string} text */
  constructor(text) {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol))
      throw misuse(`--metrics must be a URL of http or https, and is '${withoutSecrets(text)}'`)
    this.#headers = url.username === '' ? {} : { authorization: `Basic ${credentialsOf(url)}` }
    url.username = url.password = ''
    this.#url = url
    // A query may hold a secret.
    this.name = `${url.host}${url.pathname === '/' ? '' : url.pathname}`
  }

  /** What has happened since the last answer. @returns {Promise<import('./figures.js').Totals | undefined>} */
  async ask() {
    const before = this.#before
    try {
      this.#before = await this.#totals()
      this.problem = null
    } catch (error) {
      // What happens meanwhile is of no known length.
      this.#before = undefined
      this.problem = reasonOf(error)
    }
    return before && this.#before && since(this.#before, before)
  }

  async #totals() {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(this.#url, { headers: this.#headers, redirect: 'error', signal })
    if (!response.ok) throw new Error(`it answers with ${response.status}`)
    const totals = totalsOf(JSON.parse(await textOf(response)))
    if (totals === undefined) throw new Error('its answer is not what metrics() returns')
    return totals
  }
}

/** Of a text that may be no URL: without credentials, and without a query. @param {string} text */
const withoutSecrets = (text) => text.replace(/^.*@/s, '…@').replace(/[?#].*$/s, '')

/** @param {URL} url */
function credentialsOf({ username, password, host }) {
  try {
    return Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  } catch {
    throw misuse(`in --metrics of ${host}, a % of the user name or the password must be written as %25`)
  }
}

/** @param {Response} response */
async function textOf(response) {
  const parts = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.length
    if (bytes > MOST_BYTES) throw new Error(`its answer has more than ${MOST_BYTES >> 20} MiB`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

/** @param {any} error of `fetch`, which hides the reason in its cause; or of JSON.parse, which quotes the answer */
function reasonOf(error) {
  if (error instanceof SyntaxError) return 'its answer is not JSON'
  if (error?.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`
  return error?.cause?.message || error?.message || 'it failed'
}

class Applications {
  #applications
  /** @type {Sample[]} */
  #samples = []
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  #asked = performance.now()
  /** @type {Set<() => void>} */
  #listeners = new Set()

  /** @param {string[]} urls */
  constructor(urls) {
    this.#applications = urls.map((url) => new Application(url))
    // Two URLs may differ in what is not shown.
    for (const [at, each] of this.#applications.entries()) {
      const same = this.#applications.slice(0, at).filter(({ name }) => name === each.name)
      if (same.length > 0) each.name = `${each.name} (${at + 1})`
    }
  }

  get names() {
    return this.#applications.map(({ name }) => name)
  }

  /** Asks until it is stopped, whether a page looks or not: plots are of the last hour. */
  start() {
    if (this.#applications.length > 0) this.#sample()
  }

  stop() {
    clearTimeout(this.#timer)
    this.#applications = []
  }

  /** @param {() => void} listener is called after each sample */
  follow(listener) {
    this.#listeners.add(listener)
    listener()
    return () => this.#listeners.delete(listener)
  }

  async #sample() {
    const [asked, before] = [performance.now(), this.#asked]
    this.#asked = asked
    const each = await Promise.all(this.#applications.map((application) => application.ask()))
    if (this.#applications.length === 0) return
    const answers = each.filter((totals) => totals !== undefined)
    const seconds = (asked - before) / 1000
    if (answers.length > 0) {
      const figures = each.map((totals) => totals && figuresOf([totals], seconds))
      this.#samples.push({ at: Date.now(), all: figuresOf(answers, seconds), each: figures })
      if (this.#samples.length > SAMPLES) this.#samples.shift()
    }
    for (const listener of this.#listeners) listener()
    const pause = Math.max(0, EVERY_MS - (performance.now() - asked))
    this.#timer = setTimeout(() => this.#sample(), pause)
  }

  /** Of the applications' caches, lately; null if none of them serves it. */
  get hitRatio() {
    return this.#samples.findLast(({ all }) => all.hitRatio !== null)?.all.hitRatio ?? null
  }

  /**
   * What the page plots.
   *
   * @param {string | undefined} name of an application; all of them if absent
   * @param {string | undefined} operation all of them if absent
   */
  plots(name, operation) {
    const at = this.#applications.findIndex((application) => application.name === name)
    const samples = this.#samples.flatMap((sample) => {
      const figures = at < 0 ? sample.all : sample.each[at]
      return figures === undefined ? [] : [{ at: sample.at, figures }]
    })
    const rates = samples.map(({ figures }) => (operation === undefined ? figures.all : figures.operations[operation]))
    const series = {
      at: samples.map((sample) => sample.at / 1000),
      ...Object.fromEntries(SERIES.map((each) => [each, rates.map((rate) => rate?.[each] ?? null)])),
      ...Object.fromEntries(STATES.map((each) => [each, samples.map(({ figures }) => figures.now[each] ?? null)])),
      hitRatio: samples.map(({ figures }) => figures.hitRatio),
    }
    return {
      applications: this.#applications.map(({ name, problem }) => ({ name, problem })),
      operations: samples.at(-1)?.figures.operations ?? {},
      series,
    }
  }
}

module.exports = { Applications }
