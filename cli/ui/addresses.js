// @ts-check
// Where the page is to be found, and by which names.
'use strict'

const net = require('node:net')
const os = require('node:os')

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** @param {string} host a name or an address */
const isLoopback = (host) => host === 'localhost' || host === '::1' || (net.isIPv4(host) && host.startsWith('127.'))

/** As it stands in a URL. @param {string} host */
const inUrl = (host) => (net.isIPv6(host) ? `[${host}]` : host)

/**
 * What browsers may call this server. A page of another site that has its own name lead here (DNS rebinding) is refused by
 * that name.
 *
 * @param {string} host on which the server listens
 * @param {number} port
 */
function namesOf(host, port) {
  const isAny = host === '0.0.0.0' || host === '::'
  const addresses = Object.values(os.networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))
  const names = isAny
    ? [...LOOPBACK, os.hostname().toLowerCase(), ...addresses.map(inUrl)]
    : [inUrl(host).toLowerCase(), ...(isLoopback(host) ? LOOPBACK : [])]
  return new Set(names.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])))
}

/**
 * An address to open.
 *
 * @param {string} host
 * @param {number} port
 */
function urlOf(host, port) {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${inUrl(name)}:${port}/`
}

module.exports = { isLoopback, namesOf, urlOf }
