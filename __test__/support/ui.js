// @ts-check
// `goscope-postgres ui` as a process, and its server by plain HTTP: with any headers, as no browser would send them.
'use strict'

const http = require('node:http')
const { after } = require('node:test')
const { startCommand } = require('./command.js')
const { until } = require('./waiting.js')

/** A page is open for as long as its test file runs. */
const LIFETIME_MS = 600_000

/**
 * @typedef {{ status: number, headers: http.IncomingHttpHeaders, text: string, json: () => any }} Answer
 * @typedef {{ method?: string, headers?: Record<string, string>, body?: string, path?: string }} Asked
 */

/**
 * Starts the page, and stops it after the tests.
 *
 * @param {string[]} args
 * @param {Record<string, string | undefined>} env
 */
async function startPage(args, env) {
  const command = startCommand(['ui', ...args], env, { lifetimeMs: LIFETIME_MS })
  let isOver = false
  command.ended.then(() => (isOver = true))
  await until('the address is printed', () => command.output.stdout.includes('\n') || isOver)
  if (isOver) throw new Error(command.output.stderr)
  after(() => void command.child.kill('SIGTERM'))
  const printed = command.output.stdout.trim()
  const { origin, searchParams } = new URL(printed)
  const page = new Page(origin)
  const token = searchParams.get('token')
  if (token !== null) await page.signIn(token)
  return { command, printed, token, page }
}

class Page {
  /** @type {Record<string, string>} */
  #headers = {}

  /** @param {string} origin */
  constructor(origin) {
    this.origin = origin
  }

  /** @param {string} token */
  async signIn(token) {
    const answer = await this.ask(`/?token=${token}`)
    const [cookie] = answer.headers['set-cookie'] ?? []
    if (cookie !== undefined) this.#headers = { cookie: cookie.split(';')[0] }
    return answer
  }

  /**
   * @param {string} path as it is sent, whatever is in it
   * @param {Asked} [asked]
   * @returns {Promise<Answer>}
   */
  ask(path, { method = 'GET', headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(this.origin)
      const options = {
        hostname: hostname.replace(/[[\]]/g, ''),
        port,
        path,
        method,
        headers: { ...this.#headers, ...headers },
      }
      const request = http.request(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (data) => (text += data))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) }),
        )
      })
      request.on('error', reject)
      request.end(body)
    })
  }

  /**
   * @param {string} view
   * @param {Record<string, string>} [selection]
   */
  async rows(view, selection = {}) {
    return (await this.ask(`/api/rows?${new URLSearchParams({ view, ...selection })}`)).json()
  }

  /** What changes of this browser must show. */
  async changeToken() {
    return (await this.ask('/api/session')).json().changeToken
  }

  /** @param {Record<string, string>} wanted */
  async preview(wanted) {
    return (await this.ask(`/api/preview?${new URLSearchParams(wanted)}`)).json()
  }

  /**
   * @param {any} wanted
   * @param {Record<string, string | undefined>} [headers] in place of the page's own; undefined leaves one out
   */
  async change(wanted, headers = {}) {
    const own = {
      'content-type': 'application/json',
      origin: this.origin,
      'x-change-token': (await this.changeToken()) ?? '',
    }
    const sent = Object.entries({ ...own, ...headers }).filter(([, value]) => value !== undefined)
    const asked = { method: 'POST', headers: Object.fromEntries(sent), body: JSON.stringify(wanted) }
    return this.ask('/api/change', /** @type {Asked} */ (asked))
  }

  /**
   * A stream of events, which are collected until it is closed.
   *
   * @param {string} view
   * @param {Record<string, string>} [selection]
   */
  look(view, selection = {}) {
    /** @type {{ event: string, data: any }[]} */
    const events = []
    const path = `/api/events?${new URLSearchParams({ view, ...selection })}`
    let rest = ''
    let isOver = false
    const request = http.get(`${this.origin}${path}`, { headers: this.#headers }, (response) => {
      response.setEncoding('utf8').on('data', (data) => {
        const parts = (rest + data).split('\n\n')
        rest = parts.pop() ?? ''
        for (const part of parts) {
          const [, event, json] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? []
          if (event !== undefined) events.push({ event, data: JSON.parse(json) })
        }
      })
      response.on('close', () => (isOver = true))
    })
    request.on('error', () => (isOver = true))
    return {
      events,
      /** The last one of this name. @param {string} name */
      last: (name) => events.findLast(({ event }) => event === name)?.data,
      isOver: () => isOver,
      close: () => request.destroy(),
    }
  }
}

module.exports = { Page, startPage }
