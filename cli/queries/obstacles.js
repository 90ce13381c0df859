// @ts-check
// Obstacles: writes fail, wait or get lost because of these although the tables are as documented.
'use strict'

const { WANTED, listOf } = require('./catalogue.js')

/** The functions of the server that the adapters call. */
const CALLED = `
  clock_timestamp statement_timestamp timezone date_part extract current_setting set_config nextval pg_notify
  pg_backend_pid pg_is_in_recovery pg_stat_get_activity pg_partition_root pg_get_serial_sequence pg_sequence_parameters
  pg_current_xact_id pg_get_indexdef pg_get_expr pg_get_userbyid pg_has_role has_schema_privilege has_column_privilege
  has_sequence_privilege pg_advisory_xact_lock to_regclass format_type format unnest array_agg count min max starts_with
  strpos substr left length octet_length quote_ident to_jsonb jsonb_build_object jsonb_typeof`

/** Those that this role may not execute. Every role may, unless an administrator has revoked it. */
const FUNCTIONS = `
  SELECT coalesce(json_agg(format('%s(%s)', proname, pg_get_function_identity_arguments(oid)) ORDER BY proname), '[]')
    FROM pg_proc
   WHERE pronamespace = 'pg_catalog'::regnamespace AND proacl IS NOT NULL
     AND NOT has_function_privilege(oid, 'EXECUTE')
     AND proname = ANY (regexp_split_to_array('${CALLED}', '[[:space:]]+'))`

/**
 * Triggers of the tables and their partitions that run before each row that is written, and may return NULL. A trigger
 * of a partition which was made with the one of its table is left out.
 */
const TRIGGERS = `
  SELECT parts.name AS table, tgname AS name, relname AS on
    FROM parts JOIN pg_trigger ON tgrelid = part JOIN pg_class ON pg_class.oid = part
   WHERE NOT tgisinternal AND tgparentid = 0 AND tgenabled IN ('O', 'A') AND tgtype & 3 = 3
   ORDER BY parts.name, tgname, relname`

/**
 * Constraints that a row of the adapters may violate: of a table; of a partition only its own; of the domain of a column.
 * PostgreSQL 18 has some that are not enforced.
 */
const CONSTRAINTS = `
  SELECT name AS table,
         conname || CASE WHEN part <> to_regclass(name) THEN ' on ' || part::regclass ELSE '' END AS name,
         pg_get_constraintdef(found.oid) AS definition
    FROM parts JOIN pg_constraint AS found ON conrelid = part
   WHERE contype IN ('c', 'f', 'x') AND (coninhcount = 0 OR part = to_regclass(name))
     AND to_json(found)->>'conenforced' IS DISTINCT FROM 'false'
  UNION
  SELECT name, conname, pg_get_constraintdef(found.oid)
    FROM wanted JOIN pg_attribute ON attrelid = wanted.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_constraint AS found ON contypid = atttypid AND contype = 'c'
   ORDER BY 1, 2`

/**
 * Sessions that stream the log. Every role sees that they exist; only some roles see their details. For other roles
 * `synchronous` is NULL.
 */
const STANDBYS = `
  SELECT json_build_object(
           'names', current_setting('synchronous_standby_names'), 'commit', current_setting('synchronous_commit'),
           'present', count(*), 'synchronous',
           CASE WHEN coalesce(bool_and(sync_state IS NOT NULL), true)
                THEN count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) END)
    FROM pg_stat_replication`

/** Limits to the number of connections: -1 for none. None holds for superusers. */
const LIMITS = `
  SELECT json_build_object('role', rolname, 'ofRole', CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END,
                           'ofDatabase', CASE WHEN rolsuper THEN -1 ELSE datconnlimit END)
    FROM pg_roles CROSS JOIN pg_database WHERE rolname = session_user AND datname = current_database()`

const OBSTACLES = `${WANTED}, parts AS (
  SELECT name, oid AS part FROM wanted
  UNION SELECT name, relid FROM wanted CROSS JOIN pg_partition_tree(wanted.oid)
)
SELECT (${FUNCTIONS}) AS functions, ${listOf(TRIGGERS)} AS triggers, ${listOf(CONSTRAINTS)} AS constraints,
       (${STANDBYS}) AS standbys, (${LIMITS}) AS limits`

/**
 * @param {import('../session.js').Session} session
 * @param {string[]} names of tables, as SQL has them
 * @returns {Promise<import('../doctor/obstacles.js').Obstacles>}
 */
const obstacles = (session, names) => session.row(OBSTACLES, [JSON.stringify(names)])

module.exports = { obstacles }
