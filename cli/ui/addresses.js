// @ts-check
// Where the page is to be found, and by which names.
'use strict'

const net = require('node:net')
const os = require('node:os')

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** @param {string} address */
const isLoopback = (address) => address === '::1' || (net.isIPv4(address) && address.startsWith('127.'))

/** @param {string} address */
const isAny = (address) => address === '0.0.0.0' || address === '::'

/** As browsers send it, whatever its spelling: `127.1` is 127.0.0.1. @param {string} host */
function inUrl(host) {
  const written = net.isIPv6(host) ? `[${host}]` : host
  const url = `http://${written}/`
  return URL.canParse(url) ? new URL(url).hostname : written
}

/**
 * What browsers may call this server. A page of another site that has its own name lead here (DNS rebinding) is refused by
 * that name.
 *
 * @param {string} host as the user gives it
 * @param {string} address of that host, on which the server listens
 * @param {number} port
 */
function namesOf(host, address, port) {
  const addresses = Object.values(os.networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))
  const names = isAny(address)
    ? [...LOOPBACK, os.hostname().toLowerCase(), ...addresses.map(inUrl)]
    : [inUrl(host).toLowerCase(), ...(isLoopback(address) ? LOOPBACK : [])]
  return new Set(names.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])))
}

/**
 * An address to open.
 *
 * @param {string} host as the user gives it
 * @param {string} address of that host
 * @param {number} port
 */
function urlOf(host, address, port) {
  const name = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : host
  return `http://${inUrl(name)}:${port}/`
}

module.exports = { isLoopback, namesOf, urlOf }
