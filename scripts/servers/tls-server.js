// @ts-check
// A PostgreSQL server whose certificates and access rules change while it runs.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const pg = require('pg')
const { startPostgres } = require('../../embedded.js')
const { until } = require('./until.js')

/** @param {Record<string, string | number>} [settings] */
async function startTlsServer(settings) {
  const server = await startPostgres({ settings })
  return new TlsServer(server)
}

class TlsServer {
  #server
  #data
  #turn = 0

  /** @param {Awaited<ReturnType<typeof startPostgres>>} server */
  constructor(server) {
    this.#server = server
    this.#data = path.join(server.socketDirectory, 'data')
    const url = new URL(server.url)
    this.port = server.port
    this.password = decodeURIComponent(url.password)
    /** What every client needs, except `ssl`. */
    this.config = {
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      password: this.password,
      database: 'postgres',
    }
  }

  /**
   * Serves with this certificate from now on; without one, no TLS.
   *
   * @param {import('./certificates.js').Identity | null} identity
   * @param {{ chain?: string, clientCa?: string, settings?: Record<string, string>, rules?: string[] }} [more]
   */
  async serve(identity, { chain = '', clientCa, settings = {}, rules = ['host all all all scram-sha-256'] } = {}) {
    const all = {
      ssl: identity ? 'on' : 'off',
      ssl_min_protocol_version: 'TLSv1.2',
      ssl_max_protocol_version: '',
      ...(identity && {
        ssl_cert_file: this.#write('server.crt', identity.pem + chain),
        ssl_key_file: this.#write('server.key', identity.keyPem),
      }),
      ssl_ca_file: clientCa ? this.#write('client-ca.crt', clientCa) : '',
      ...settings,
    }
    const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'\n`)
    // A setting that differs each time shows when the server has read the file.
    const turn = String(++this.#turn)
    this.#write('postgresql.auto.conf', `${lines.join('')}goscope.turn = '${turn}'\n`)
    this.#write('pg_hba.conf', ['local all all scram-sha-256', ...rules, ''].join('\n'))
    await this.query('SELECT pg_reload_conf()')
    await until(
      'the server has read its configuration',
      async () => (await this.query("SELECT current_setting('goscope.turn', true) AS turn"))[0].turn === turn,
    )
  }

  /**
   * Over the Unix socket, where neither certificates nor the rules of `serve` apply.
   *
   * @param {string} sql
   * @param {unknown[]} [params]
   */
  async query(sql, params) {
    const client = new pg.Client({ ...this.config, host: this.#server.socketDirectory })
    await client.connect()
    try {
      return (await client.query(sql, params)).rows
    } finally {
      await client.end()
    }
  }

  /** What the server has written to its log so far. */
  log() {
    return fs.readFileSync(this.#server.logFile, 'utf8')
  }

  /**
   * @param {string} name
   * @param {string} content
   */
  #write(name, content) {
    const file = path.join(this.#data, name)
    const { uid, gid } = fs.statSync(this.#data)
    fs.writeFileSync(file, content, { mode: 0o600 })
    fs.chmodSync(file, 0o600)
    fs.chownSync(file, uid, gid)
    return name
  }

  async stop() {
    await this.#server.stop()
  }
}

module.exports = { startTlsServer, TlsServer }
