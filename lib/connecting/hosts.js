// @ts-check
// Several hosts in one configuration, as libpq has them:
// `postgres://a:5432,b:5433/db?target_session_attrs=read-write`, or `host: 'a,b'`. pg does not know them. So they
// work in configurations that this package reads itself, not for a `pg.Pool`.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
'use strict'

const { invalid } = require('../arguments.js')
const { coded } = require('../errors.js')

const TARGETS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby']

/**
 * What native code must know of a pool's hosts before it requests how to connect to one.
 *
 * @param {any} pool
 */
function hostsOf({ options, isOurs }) {
  if (!isOurs) return { hosts: 1 }
  const { query, authority } = parts(options.connectionString)
  const named = query.get('host') ?? authority ?? (options.connectionString ? '' : (options.host ?? process.env.PGHOST))
  const target =
    query.get('target_session_attrs') ?? options.target_session_attrs ?? process.env.PGTARGETSESSIONATTRS ?? 'any'
  if (!TARGETS.includes(target)) {
    throw invalid('target_session_attrs', `must be one of ${TARGETS.join(', ')}`, target)
  }
  return { hosts: String(named ?? '').split(',').length, targetSessionAttrs: target }
}

/**
 * One of the hosts, with its port. There may be as many ports as hosts, or one for all.
 *
 * @param {{ host: unknown, port: unknown }} parameters
 * @param {number} index
 */
function hostAt({ host, port }, index) {
  const hosts = String(host).split(',')
  const ports = String(port).split(',')
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw invalid('port', `must name one port, or one for each of the ${hosts.length} hosts`, port)
  }
  const at = index % hosts.length
  return { host: hosts[at] || 'localhost', port: portOf(ports[ports.length > 1 ? at : 0] || '5432') }
}

/**
 * As Node's own refusal, which pg passes on.
 *
 * @param {string} text
 */
function portOf(text) {
  const port = Number.parseInt(text, 10)
  if (port >= 0 && port < 65_536) return port
  const error = new RangeError(`Port should be >= 0 and < 65536. Received ${text}.`)
  throw coded(error, 'ERR_SOCKET_BAD_PORT')
}

/**
 * A connection string that pg-connection-string can read: the hosts of `a:1,b:2` become its `host` and `port`
 * parameters.
 *
 * @param {string} connectionString
 */
function withoutHostList(connectionString) {
  const { before, authority, after, fragment } = parts(connectionString)
  if (!authority?.includes(',')) return connectionString
  const hosts = authority.split(',').map((host) => /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host) ?? [host, host, ''])
  const list = new URLSearchParams({
    host: hosts.map(([, host]) => host.replace(/^\[(.*)\]$/, '$1')).join(','),
    port: hosts.map(([, , port]) => port || '5432').join(','),
  })
  return withQuery({ before, authority: 'localhost', after, fragment }, list)
}

/**
 * The connection string with more parameters, which count more than those that it has.
 *
 * @param {{ before: string, authority?: string, after: string, fragment: string }} parts
 * @param {URLSearchParams} more
 */
const withQuery = ({ before, authority, after, fragment }, more) =>
  `${before}${authority}${after}${after.includes('?') ? '&' : '?'}${more}${fragment}`

/** @param {string | undefined} connectionString */
function parts(connectionString) {
  const match = /^([a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?)([^/?#]*)([^#]*)(.*)$/i.exec(connectionString ?? '')
  if (!match) return { query: new URLSearchParams(), before: '', authority: undefined, after: '', fragment: '' }
  const [, before, authority, after, fragment] = match
  const query = new URLSearchParams(after.includes('?') ? after.slice(after.indexOf('?')) : '')
  return { query, before, authority, after, fragment }
}

module.exports = { hostAt, hostsOf, parts, portOf, withQuery, withoutHostList }
