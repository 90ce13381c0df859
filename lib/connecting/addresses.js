// @ts-check
'use strict'

const dns = require('node:dns')
const net = require('node:net')
const path = require('node:path')
const { HostError } = require('../error-registry.js')

/**
 * The addresses to try, in order. The lookup runs here to keep the error code of DNS, which Rust's standard library
 * loses.
 *
 * @param {string} host
 * @param {number} port
 */
async function addressesOf(host, port) {
  if (host.startsWith('/')) return [{ path: path.join(host, `.s.PGSQL.${port}`) }]
  try {
    const found = await dns.promises.lookup(host, { all: true })
    return alternating(found).map(({ address }) => ({ ip: address, port }))
  } catch (error) {
    throw new HostError(error)
  }
}

/**
 * The families in turn, beginning with that of the first address, as Node tries them. If one family does not work on
 * a network, the second attempt uses the other.
 *
 * @param {import('node:dns').LookupAddress[]} found
 */
function alternating(found) {
  const first = found.filter(({ family }) => family === found[0].family)
  const second = found.filter(({ family }) => family !== found[0].family)
  return found.flatMap((_, at) => [first.slice(at, at + 1), second.slice(at, at + 1)].flat())
}

/**
 * How long the attempt at an address may take before the next is tried, in milliseconds: Node's own setting
 * (`--network-family-autoselection-attempt-timeout`). None if the application has turned that off.
 *
 * @returns {number | undefined}
 */
function attemptTimeout() {
  const isOn = net.getDefaultAutoSelectFamily?.() ?? true
  return isOn ? (net.getDefaultAutoSelectFamilyAttemptTimeout?.() ?? ATTEMPT_TIMEOUT_MS) : undefined
}

/** Node's default, for runtimes that do not report theirs. */
const ATTEMPT_TIMEOUT_MS = 250

module.exports = { addressesOf, attemptTimeout }
