// @ts-check
// What the page asks the server: JSON, and one stream of events.
'use strict'

const { change, preview } = require('../row-changes.js')
const { FAILED, FINE, Problem, USAGE, misuse } = require('../problem.js')
const { wantedOf } = require('./changes.js')
const { failureOf } = require('./failure.js')
const { LONGEST_KEY, selectionOf, textOf } = require('./selection.js')
const { Stream } = require('./stream.js')
const { partsOf, rows } = require('./views.js')

const MOST_BYTES = 64 << 10
/** Pages that are open at a time. */
const MOST_STREAMS = 100

/**
 * @typedef {import('node:http').IncomingMessage} Request
 * @typedef {import('node:http').ServerResponse} Response
 * @typedef {import('./views.js').Context & {
 *   feeds: import('./feeds.js').Feeds, guard: import('./guard.js').Guard,
 *   applications: import('./applications.js').Applications, allowsChanges: boolean }} Context
 */

class Api {
  #context
  /** @type {Set<Response>} */
  #streams = new Set()

  /** @param {Context} context */
  constructor(context) {
    this.#context = context
  }

  /**
   * @param {Request} request
   * @param {Response} response
   * @param {URL} url
   */
  async answer(request, response, { pathname, searchParams }) {
    try {
      if (pathname === '/api/events') return this.#events(response, searchParams)
      const found = await this.#ask(request, pathname, searchParams)
      if (found === undefined)
        return json(response, 404, { failure: { message: 'There is nothing under this address' } })
      json(response, 200, found)
    } catch (error) {
      json(response, statusOf(error), { failure: error instanceof Problem ? ofProblem(error) : failureOf(error) })
    }
  }

  /**
   * @param {Request} request
   * @param {string} pathname
   * @param {URLSearchParams} query
   */
  async #ask(request, pathname, query) {
    const context = this.#context
    switch (pathname) {
      case '/api/session':
        return this.#session(request)
      case '/api/rows':
        return this.#rows(query)
      case '/api/preview': {
        this.#mayChange()
        const [kind, storedKey] = [query.get('kind'), query.get('storedKey')]
        const table = textOf(query, 'table', LONGEST_KEY)
        return preview(context.session, wantedOf({ kind, storedKey, table }, context.caches))
      }
      case '/api/change': {
        this.#mayChange()
        const body = await bodyOf(request)
        return change(context.session, wantedOf(body, context.caches), body.seen)
      }
      default:
        return undefined
    }
  }

  /** @param {Request} request */
  #session(request) {
    const { allowsChanges, applications, caches, guard, session, given } = this.#context
    const { version, database, role, address, port, isOwnSession } = session.server
    return {
      server: { version, database, role, address, port, isOwnSession },
      keyPrefix: given['key-prefix'] ?? null,
      caches,
      applications: applications.names,
      changeToken: allowsChanges ? (guard.changeToken(request) ?? null) : null,
    }
  }

  /** One page of a table, once. @param {URLSearchParams} query */
  async #rows(query) {
    const selection = selectionOf(query)
    const [page, counted] = rows(this.#context, selection.view, selection)
    const [found, count] = await Promise.all([page.source.read(), counted?.source.read()])
    return { ...found, count: count ?? null }
  }

  #mayChange() {
    if (!this.#context.allowsChanges)
      throw new Problem(FAILED, 'This page only reads: it was started without --allow-changes')
  }

  /**
   * The parts of a view, live, for as long as the page looks.
   *
   * @param {Response} response
   * @param {URLSearchParams} query
   */
  #events(response, query) {
    const { applications, feeds } = this.#context
    const selection = selectionOf(query)
    const parts = partsOf(this.#context, selection)
    if (this.#streams.size >= MOST_STREAMS) throw new Problem(FAILED, 'Too many pages are open')
    const stream = new Stream(response)
    this.#streams.add(response)
    const ends = parts.map(({ event, name, source }) =>
      feeds.follow(name, source, (found) => stream.send(event, found)),
    )
    if (selection.view === 'plots') {
      const [name, operation] = [textOf(query, 'application', 1_000), textOf(query, 'operation', 1_000)]
      ends.push(applications.follow(() => stream.send('plots', applications.plots(name, operation))))
    }
    if (selection.view === 'cache' && applications.names.length > 0) {
      ends.push(applications.follow(() => stream.send('hits', { hitRatio: applications.hitRatio })))
    }
    response.once('close', () => {
      this.#streams.delete(response)
      for (const end of ends) end()
    })
  }

  /** Ends all streams. */
  close() {
    for (const response of this.#streams) response.end()
  }
}

/** @param {unknown} error */
function statusOf(error) {
  if (!(error instanceof Problem)) return 503
  return error.exitCode === USAGE ? 400 : error.exitCode === FINE ? 200 : 409
}

/** @param {Problem} problem */
const ofProblem = ({ message, advice }) => ({ message, advice: advice ?? null, kind: 'refused' })

/**
 * @param {Response} response
 * @param {number} status
 * @param {any} data
 */
function json(response, status, data) {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' })
  response.end(JSON.stringify(data))
}

/** @param {Request} request */
async function bodyOf(request) {
  const parts = []
  let bytes = 0
  for await (const part of request) {
    bytes += part.length
    if (bytes > MOST_BYTES) throw misuse('the body is too long')
    parts.push(part)
  }
  try {
    const body = JSON.parse(Buffer.concat(parts).toString())
    if (typeof body === 'object' && body !== null) return body
  } catch {}
  throw misuse('the body is not a JSON object')
}

module.exports = { Api }
