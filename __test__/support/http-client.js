// @ts-check
// A browser as far as sessions need one: it keeps cookies.
'use strict'

const http = require('node:http')
const { after } = require('node:test')

/**
 * Listens until the tests end.
 *
 * @param {http.RequestListener} listener
 * @returns {Promise<string>} its URL
 */
async function serve(listener) {
  const server = http.createServer(listener)
  after(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return `http://127.0.0.1:${port}`
}

class Browser {
  /** @type {string | undefined} */
  cookie

  /**
   * @param {string} url
   * @returns {Promise<{ status: number, body: string, setCookie: string | null }>}
   */
  async get(url) {
    const response = await fetch(url, { headers: this.cookie ? { cookie: this.cookie } : {} })
    const setCookie = response.headers.get('set-cookie')
    if (setCookie) this.cookie = setCookie.split(';')[0]
    return { status: response.status, body: await response.text(), setCookie }
  }
}

module.exports = { Browser, serve }
