// @ts-check
// Where an application may find its server: what stands in between, and how the server is set up.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { certificate } = require('../scripts/servers/certificates.js')
const debian = require('../scripts/servers/debian-postgres.js')
const pooler = require('../scripts/servers/pooler.js')
const { TlsServer } = require('../scripts/servers/tls-server.js')
const { Server } = require('./server.js')

/**
 * @typedef {object} Opened
 * @property {Server} server
 * @property {(url: string) => string} route how the sides reach it
 * @property {() => Promise<void>} close
 *
 * @typedef {object} Environment
 * @property {string} title
 * @property {string} [missing] why it cannot be measured here
 * @property {(server: Server) => Promise<Opened>} open the benchmark's own server is given
 */

/** @type {Record<string, Environment>} */
const ENVIRONMENTS = {
  plain: {
    title: 'directly, the settings of PostgreSQL',
    open: async (server) => ({ server, route: (url) => url, close: async () => {} }),
  },
  jit: {
    title: 'Debian’s PostgreSQL 15, with JIT',
    missing: debian.missing,
    open: openDebian,
  },
  'session-pooler': {
    title: `${pooler.title} in session mode`,
    missing: pooler.missing,
    open: (server) => throughPooler(server, 'pool_mode = session'),
  },
  pooler: {
    title: `${pooler.title} in transaction mode`,
    missing: pooler.missing,
    open: (server) => throughPooler(server, 'pool_mode = transaction'),
  },
  'jit-pooler': {
    title: `${pooler.title} in transaction mode, before Debian’s PostgreSQL 15, with JIT`,
    missing: debian.missing || pooler.missing,
    async open() {
      const { server, close } = await openDebian()
      try {
        const pooled = await throughPooler(server, 'pool_mode = transaction')
        const closeBoth = async () => {
          await pooled.close()
          await close()
        }
        return { ...pooled, close: closeBoth }
      } catch (error) {
        await close()
        throw error
      }
    },
  },
  tls: {
    title: 'TLS, with the server’s certificate verified',
    open: overTls,
  },
}

/** @returns {Promise<Opened>} */
async function openDebian() {
  const carrier = debian.debianPackage()
  try {
    const server = await Server.start({ package: carrier.package })
    const close = async () => {
      await server.stop()
      carrier.remove()
    }
    return { server, route: (url) => url, close }
  } catch (error) {
    carrier.remove()
    throw error
  }
}

/**
 * It refuses the settings that our sessions ask for at first, so they have the server's.
 *
 * @param {Server} server
 * @param {string} mode
 * @returns {Promise<Opened>}
 */
async function throughPooler(server, mode) {
  const { port, stop } = await pooler.startPooler(server.postgres.url, mode)
  const route = (/** @type {string} */ direct) => {
    const url = new URL(direct)
    url.port = String(port)
    return url.href
  }
  return { server, route, close: stop }
}

/** @returns {Promise<Opened>} */
async function overTls() {
  const server = await Server.start()
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-bench-tls-'))
  const close = async () => {
    await server.stop()
    fs.rmSync(folder, { recursive: true, force: true })
  }
  try {
    const authority = certificate({ name: 'authority of the benchmark', ca: true })
    const identity = certificate({ name: 'database', issuer: authority, names: ['127.0.0.1'] })
    const file = path.join(folder, 'authority.pem')
    fs.writeFileSync(file, authority.pem)
    await new TlsServer(server.postgres).serve(identity)
    const route = (/** @type {string} */ direct) => {
      const url = new URL(direct)
      url.searchParams.set('sslmode', 'verify-full')
      url.searchParams.set('sslrootcert', file)
      return url.href
    }
    return { server, route, close }
  } catch (error) {
    await close()
    throw error
  }
}

module.exports = { ENVIRONMENTS }
