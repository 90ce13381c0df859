// @ts-check
'use strict'

const dns = require('node:dns')
const path = require('node:path')
const { HostError } = require('../kept-errors.js')

/**
 * The addresses to try, in order. Looking up here keeps the error code of DNS, which Rust's standard library loses.
 *
 * @param {string} host
 * @param {number} port
 */
async function addressesOf(host, port) {
  if (host.startsWith('/')) return [{ path: path.join(host, `.s.PGSQL.${port}`) }]
  try {
    const found = await dns.promises.lookup(host, { all: true })
    return found.map(({ address }) => ({ ip: address, port }))
  } catch (error) {
    throw new HostError(error)
  }
}

module.exports = { addressesOf }
