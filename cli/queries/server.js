// @ts-check
// The server, its settings, and its sessions.
//
// No number in an answer is a `float8`, whose text depends on `extra_float_digits` of the role or the database.
'use strict'

/** @typedef {import('../session.js').Session} Session */

/** The settings that the checks read. */
const SETTINGS = [
  ...['fsync', 'full_page_writes', 'synchronous_commit', 'max_connections', 'superuser_reserved_connections'],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'],
  ...['transaction_read_only', 'default_transaction_read_only', 'TimeZone'],
]

/**
 * The server. For `lock_timeout` it is the value with which the session began: that is the user's, and native code sets
 * its own later.
 *
 * What the session is, only the connection knows. It decided that when it was opened; the server knows only that some
 * client has started the session.
 *
 * @param {Session} session
 */
async function server(session) {
  const { isOwn, takesTransactions } = await session.kind()
  const sql = `
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS "versionNumber",
       current_database() AS database, current_user AS role, current_schema() AS schema,
       host(inet_server_addr()) AS address, inet_server_port() AS port,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000)::int8 AS "startedAt",
       pg_is_in_recovery() AS "isStandby",
       (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls,
       $1::bool AS "isOwnSession", $2::bool AS "takesTransactions",
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS "mayCreate",
       (SELECT json_object_agg(name, CASE name WHEN 'lock_timeout' THEN reset_val ELSE setting END)
          FROM pg_settings WHERE name IN (${SETTINGS.map((name) => `'${name}'`).join(', ')})) AS settings`
  const [found] = await session.query(sql, [String(isOwn), String(takesTransactions)])
  return found
}

/**
 * Which server answers, and whether it takes writes. It uses only stable functions: a proxy sends statements that may
 * write to the primary.
 */
const IDENTITY = `
SELECT host(inet_server_addr()) AS address, inet_server_port() AS port,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8 AS "startedAt",
       current_setting('transaction_read_only') = 'on' AS "isReadOnly"`

/** @param {Session} session */
async function identity(session) {
  const [found] = await session.query(IDENTITY)
  return found
}

/** As {@link identity}, in the form of another application's read. @param {Session} session */
async function identityOfReader(session) {
  const [found] = await session.query(IDENTITY, [], { asApplication: true })
  return found
}

/** In milliseconds since 1970. @param {Session} session */
async function clock(session) {
  const sql = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::numeric AS now'
  const [{ now }] = await session.query(sql)
  return now
}

/** The process id of the session that answers. @param {Session} session */
async function backend(session) {
  const [{ pid }] = await session.query('SELECT pg_backend_pid() AS pid')
  return pid
}

/**
 * The connections. Every role may see the names of applications, but not the activity of other roles' sessions.
 *
 * @param {Session} session
 */
async function connections(session) {
  const sql = `
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS total,
       (SELECT coalesce(json_agg(found), '[]')
          FROM (SELECT coalesce(application_name, '') AS application, count(*) AS connections
                  FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND datname = current_database()
                 GROUP BY 1 ORDER BY 2 DESC, 1) AS found) AS "ofDatabase"`
  const [found] = await session.query(sql)
  return found
}

module.exports = { backend, clock, connections, identity, identityOfReader, server }
