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
 */
const SERVER = `
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS "versionNumber",
       current_database() AS database, current_user AS role, current_schema() AS schema,
       host(inet_server_addr()) AS address, inet_server_port() AS port,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000)::int8 AS "startedAt",
       pg_is_in_recovery() AS "isStandby",
       (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS "mayCreate",
       (SELECT json_object_agg(name, CASE name WHEN 'lock_timeout' THEN reset_val ELSE setting END)
          FROM pg_settings WHERE name IN (${SETTINGS.map((name) => `'${name}'`).join(', ')})) AS settings`

/** @param {Session} session */
async function server(session) {
  const { mayCreate, settings, ...found } = await session.row(SERVER)
  const isOwnSession = !session.isShared
  const takesTransactions = isOwnSession || (await session.takesTransactions())
  return { ...found, isOwnSession, takesTransactions, mayCreate, settings }
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
const identity = (session) => session.row(IDENTITY)

/** As {@link identity}, in the form of another application's read. @param {Session} session */
const identityOfReader = (session) => session.row(IDENTITY, [], { asApplication: true })

/** In milliseconds since 1970. @param {Session} session */
const clock = async (session) =>
  (await session.row('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::numeric AS now')).now

/** The process id of the session that answers. @param {Session} session */
const backend = async (session) => (await session.row('SELECT pg_backend_pid() AS pid')).pid

/** Every role may see the names of applications, but not the activity of other roles' sessions. */
const CONNECTIONS = `
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS total,
       (SELECT coalesce(json_agg(found), '[]')
          FROM (SELECT coalesce(application_name, '') AS application, count(*) AS connections
                  FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND datname = current_database()
                 GROUP BY 1 ORDER BY 2 DESC, 1) AS found) AS "ofDatabase"`

/** @param {Session} session */
const connections = (session) => session.row(CONNECTIONS)

module.exports = { backend, clock, connections, identity, identityOfReader, server }
