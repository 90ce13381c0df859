// @ts-check
// The web server of the page.
'use strict'

const http = require('node:http')
const { isLoopback, namesOf, urlOf } = require('./addresses.js')
const { Api } = require('./api.js')
const { Feeds } = require('./feeds.js')
const { fileAt } = require('./files.js')
const { Guard } = require('./guard.js')
const { secure } = require('./headers.js')
const { History } = require('./history.js')

/**
 * @typedef {object} Page
 * @property {string} host
 * @property {number} port 0 for a free one
 * @property {boolean} allowsChanges
 * @property {boolean} needsToken also where it is not needed
 * @property {string[]} caches
 * @property {import('./applications.js').Applications} applications
 */

/** A stored key in the query of an address may be long. */
const LIMITS = { maxHeaderSize: 64 << 10, headersTimeout: 10_000, requestTimeout: 20_000 }
const MOST_CONNECTIONS = 400

/**
 * @param {import('../session.js').Session} session that has reached the server
 * @param {import('../options.js').Given} given
 * @param {Page} page
 */
async function startServer(session, given, { host, port, allowsChanges, needsToken, caches, applications }) {
  const server = http.createServer(LIMITS)
  server.maxConnections = MOST_CONNECTIONS
  await listen(server, host, port)
  const { address, port: at } = /** @type {import('node:net').AddressInfo} */ (server.address())
  // Other users of this machine can reach loopback, too: reading may be theirs, changes are not.
  const guarded = needsToken || allowsChanges || !isLoopback(address)
  const [names, url] = [namesOf(host, address, at), urlOf(host, address, at)]
  const guard = new Guard({ names, own: new URL(url).hostname, port: at, needsToken: guarded })
  const [feeds, history] = [new Feeds(), new History()]
  const api = new Api({ session, given, caches, history, feeds, guard, applications, allowsChanges })
  server.on('request', (request, response) => respond({ guard, api }, request, response))
  applications.start()
  const withToken = (/** @type {string | undefined} */ token) => (token === undefined ? url : `${url}?token=${token}`)
  return {
    url: withToken(guard.token),
    /** An address that lets one browser in, and soon. */
    urlOnce: () => withToken(guard.token && guard.once()),
    async close() {
      applications.stop()
      api.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/**
 * @param {http.Server} server
 * @param {string} host
 * @param {number} port
 * @returns {Promise<void>}
 */
const listen = (server, host, port) =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })

/**
 * @param {{ guard: Guard, api: Api }} parts
 * @param {http.IncomingMessage} request
 * @param {http.ServerResponse} response
 */
function respond({ guard, api }, request, response) {
  secure(response)
  const refused = guard.refuseStranger(request)
  if (refused) return say(response, refused.status, refused.message)
  if (!URL.canParse(request.url ?? '', 'http://page')) return say(response, 400, 'This is no address')
  const url = new URL(request.url ?? '', 'http://page')
  const isChange = url.pathname === '/api/change'
  const methods = isChange ? ['POST'] : url.pathname.startsWith('/api/') ? ['GET'] : ['GET', 'HEAD']
  if (!methods.includes(request.method ?? '')) {
    response.setHeader('Allow', methods.join(', '))
    return say(response, 405, `${request.method} is not for this address`)
  }
  const token = url.searchParams.get('token')
  if (url.pathname === '/' && token !== null) return signIn(guard, token, request, response)
  const unknown = guard.refuseUnknown(request) ?? (isChange ? guard.refuseChange(request) : undefined)
  if (unknown && url.pathname === '/' && isFromElsewhere(request)) return letIn(response, unknown.status)
  if (unknown) return say(response, unknown.status, unknown.message)
  if (url.pathname.startsWith('/api/')) return void api.answer(request, response, url)
  const file = fileAt(url.pathname)
  if (file === undefined) return say(response, 404, 'There is nothing under this address')
  response.writeHead(200, { 'Content-Type': file.type })
  response.end(request.method === 'HEAD' ? undefined : file.text)
}

/**
 * The token leaves the address at once, so that it stands in no history and on no screen.
 *
 * @param {Guard} guard
 * @param {string} token
 * @param {http.IncomingMessage} request
 * @param {http.ServerResponse} response
 */
function signIn(guard, token, request, response) {
  const cookie = guard.signIn(token)
  if (cookie === undefined && guard.token !== undefined) return say(response, 403, 'This token lets nobody in')
  if (cookie !== undefined) response.setHeader('Set-Cookie', cookie)
  if (isFromElsewhere(request)) return letIn(response, 200)
  response.writeHead(303, { Location: '/' })
  response.end()
}

/**
 * Whether the browser has followed a link of another site: a terminal in a browser, or a chat. Then it sends no cookie that is
 * `SameSite=Strict`, also after a redirect, and also when this address is loaded again.
 *
 * @param {http.IncomingMessage} request
 */
const isFromElsewhere = ({ headers }) => ['cross-site', 'same-site'].includes(String(headers['sec-fetch-site']))

/**
 * A page of this server that goes on to the page itself: with the cookie, since it is no other site.
 *
 * @param {http.ServerResponse} response
 * @param {number} status
 */
function letIn(response, status) {
  const { type, text } = /** @type {{ type: string, text: string }} */ (fileAt('/assets/entrance.html'))
  response.writeHead(status, { 'Content-Type': type })
  response.end(text)
}

/**
 * @param {http.ServerResponse} response
 * @param {number} status
 * @param {string} message
 */
function say(response, status, message) {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
  response.end(`${message}.\n`)
}

module.exports = { startServer }
