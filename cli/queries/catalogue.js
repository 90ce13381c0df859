// @ts-check
// The tables and other objects in the catalogue, and the rights of this role. Names of tables are as SQL has them,
// quoted; answers repeat them as they were given.
'use strict'

/** @typedef {import('../session.js').Session} Session */

/** Of the adapters' own statements, too. Loaded only with a session: `--help` and `schema` need no addon. */
const conditions = () => require('../../lib/native.js')

/** The tables that are asked for, whose names are $1, a JSON array. */
const WANTED = `
WITH wanted AS (
  SELECT name, class.oid, class.relnamespace AS space, class.relowner AS owner
    FROM json_array_elements_text($1::json) AS asked (name)
    JOIN pg_class AS class ON class.oid = to_regclass(name)
)`

/**
 * Tables that exist, in the order of their names.
 *
 * * `rows`, like the other sums, is over the partitions of a partitioned table. It is the planner's estimate, -1 if there
 *   is none yet.
 * * `lacksPartitions`: the table has none, or it is partitioned by hash, at any level, and its partitions do not add up
 *   to all remainders. Whether ranges or lists cover every key is not checked.
 * * `lacksPolicies`: row-level security applies, and no policy lets this role read, or none lets it add a row.
 *
 * @param {Session} session
 * @param {string[]} names
 * @returns {Promise<any[]>}
 */
function tables(session, names) {
  const { IS_SUPERUSER, IS_TRUSTED_OWNER } = conditions()
  const hasRules = `
    EXISTS (SELECT FROM pg_rewrite WHERE ev_class = class.oid AND ev_type IN ('2', '3') AND ev_enabled <> 'D')`
  const isOfThisRole = `
    (0 = ANY (polroles) OR EXISTS (SELECT FROM unnest(polroles) AS own WHERE own <> 0 AND pg_has_role(own, 'USAGE')))`
  const lacksPolicies = `
    row_security_active(class.oid) AND EXISTS (
      SELECT FROM unnest(ARRAY['r', 'a']) AS needed
       WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = class.oid AND polpermissive
                            AND polcmd IN ('*', needed::"char") AND ${isOfThisRole}))`
  const shares = `
    SELECT 1.0 / substring(pg_get_expr(relpartbound, oid) FROM 'modulus ([0-9]+)')::int AS share
      FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = partrelid`
  const lacksPartitions = `
    EXISTS (SELECT FROM pg_partition_tree(class.oid) JOIN pg_partitioned_table ON partrelid = relid
             WHERE (SELECT CASE partstrat WHEN 'h' THEN coalesce(sum(share), 0) < 0.999999 ELSE count(*) = 0 END
                      FROM (${shares}) AS parts))`
  const rights = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map(
    (right) => `CASE WHEN has_table_privilege(class.oid, '${right}') THEN '${right}' END`,
  )
  const sql = `
SELECT wanted.name, space.nspname AS schema, class.relname AS table, whole.rows, whole.bytes,
       class.relkind = 'p' AS "isPartitioned", class.relkind::text AS kind,
       ${hasRules} AS "hasRules",
       row_security_active(class.oid) AS "hasPolicies", ${lacksPolicies} AS "lacksPolicies",
       ${lacksPartitions} AS "lacksPartitions",
       to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL AS "isBesideCitus",
       pg_get_userbyid(class.relowner) AS owner,
       ${IS_TRUSTED_OWNER} OR pg_has_role(class.relowner, 'MEMBER') AND NOT ${IS_SUPERUSER} AS "isExpected",
       ${IS_SUPERUSER} AS "isSuperuser",
       class.relpersistence = 't' AS "isTemporary", class.relpersistence = 'u' AS "isUnlogged",
       has_schema_privilege(space.oid, 'USAGE') AS "usesSchema",
       array_remove(ARRAY[${rights.join(', ')}], NULL) AS rights,
       whole.live AS "liveRows", whole.dead AS "deadRows",
       (extract(epoch FROM whole.vacuumed) * 1000)::int8 AS "lastAutovacuumAt"
  FROM json_array_elements_text($1::json) WITH ORDINALITY AS wanted (name, place)
  JOIN pg_class AS class ON class.oid = to_regclass(wanted.name)
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
 CROSS JOIN LATERAL (
       SELECT sum(reltuples)::int8 AS rows, sum(pg_total_relation_size(part.oid))::int8 AS bytes,
              sum(pg_stat_get_live_tuples(part.oid))::int8 AS live,
              sum(pg_stat_get_dead_tuples(part.oid))::int8 AS dead,
              min(pg_stat_get_last_autovacuum_time(part.oid)) AS vacuumed
         FROM pg_class AS part
        WHERE part.relkind <> 'p'
          AND part.oid IN (SELECT class.oid UNION SELECT relid FROM pg_partition_tree(class.oid))) AS whole
 ORDER BY wanted.place`
  return session.query(sql, [JSON.stringify(names)])
}

/**
 * Those of the tables that Citus has distributed. Only for a server that has it.
 *
 * @param {Session} session
 * @param {string[]} names
 * @returns {Promise<string[]>}
 */
async function distributed(session, names) {
  const sql = `
SELECT name FROM json_array_elements_text($1::json) AS asked (name)
  JOIN pg_catalog.pg_dist_partition ON logicalrelid = to_regclass(name) AND ${conditions().IS_SPREAD}`
  const found = await session.query(sql, [JSON.stringify(names)])
  return found.map(({ name }) => name)
}

const COLUMNS = `
  SELECT wanted.name AS table, attname AS name,
         replace(CASE typtype WHEN 'd' THEN format_type(typbasetype, typtypmod)
                              ELSE format_type(atttypid, atttypmod) END, '"', '') AS type,
         attnotnull AS "notNull",
         coalesce((SELECT collisdeterministic FROM pg_collation WHERE pg_collation.oid = attcollation), true)
           AS "isDeterministic",
         (SELECT min(refobjid::regclass::text)
            FROM pg_attrdef
            JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid
                          AND refclassid = 'pg_class'::regclass
            JOIN pg_class ON pg_class.oid = refobjid
           WHERE adrelid = wanted.oid AND adnum = attnum
             AND CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(refobjid, 'USAGE, UPDATE') END)
           AS "lacksSequence",
         attgenerated <> '' AS "isGenerated", atthasdef OR attidentity <> '' AS "hasDefault"
    FROM wanted JOIN pg_attribute ON attrelid = wanted.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_type ON pg_type.oid = atttypid
   ORDER BY wanted.name, attnum`

const INDEXES = `
  SELECT wanted.name AS table, relname AS name, indisvalid AS "isValid",
         indisunique AND indpred IS NULL AND indimmediate AS "isUnique",
         ARRAY(SELECT trim(BOTH '"' FROM pg_get_indexdef(indexrelid, place, true))
                 FROM generate_series(1, indnkeyatts) AS place) AS columns
    FROM wanted JOIN pg_index ON indrelid = wanted.oid JOIN pg_class ON pg_class.oid = indexrelid
   ORDER BY wanted.name, relname`

const PARTITIONS = `
  SELECT wanted.name AS table, nspname AS schema, relname AS name,
         relid::int8 AS number, parentrelid::int8 AS parent, NOT isleaf AS "isPartitioned"
    FROM wanted CROSS JOIN pg_partition_tree(wanted.oid)
    JOIN pg_class ON pg_class.oid = relid JOIN pg_namespace ON pg_namespace.oid = relnamespace
   ORDER BY wanted.name, level, relid`

const TRIGGERS = `
  SELECT wanted.name AS table, tgname AS name, tgenabled IN ('O', 'A') AS "isEnabled",
         EXISTS (SELECT FROM functions WHERE functions.oid = tgfoid AND trusted AND functions.space = wanted.space)
           AS "isTrusted"
    FROM wanted JOIN pg_trigger ON tgrelid = wanted.oid AND NOT tgisinternal
   ORDER BY wanted.name, tgname`

const FUNCTIONS = `
  SELECT proname AS name, owner, trusted AS "isTrusted", version,
         has_function_privilege(oid, 'EXECUTE') AS "isExecutable"
    FROM functions
   ORDER BY proname, version`

const SEQUENCES = `
  SELECT relname AS name, pg_get_userbyid(relowner) AS owner,
         EXISTS (SELECT FROM pg_depend
                  WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                    AND deptype IN ('a', 'i') AND refobjid IN (SELECT oid FROM wanted)) AS "isTrusted",
         has_sequence_privilege(oid, 'USAGE') AS "isUsable"
    FROM pg_class WHERE relkind = 'S' AND relnamespace IN (SELECT space FROM spaces)
   ORDER BY relname`

/** The rows of a query, in one column. @param {string} sql */
const listOf = (sql) => `(SELECT coalesce(json_agg(found), '[]') FROM (${sql}) AS found)`

/**
 * What a migration would find in the tables' schemas.
 *
 * * A function is trusted as in `Function` of src/store/relation.rs; if there are no tables yet, it is trusted if this
 *   role owns it.
 * * A sequence is trusted if it belongs to a column of a table.
 * * `partitions` has those of all levels, the table itself first.
 * * Under quote_all_identifiers the server quotes the names of types and columns.
 */
const OBJECTS = `${WANTED}, spaces AS (
  SELECT space FROM wanted UNION SELECT oid FROM pg_namespace WHERE nspname = current_schema()
), functions AS (
  SELECT pg_proc.oid, proname, pronamespace AS space, pg_get_userbyid(proowner) AS owner,
         proowner = 10 OR CASE WHEN EXISTS (SELECT FROM wanted WHERE space = pronamespace)
                               THEN proowner IN (SELECT owner FROM wanted WHERE space = pronamespace)
                               ELSE pg_get_userbyid(proowner) = current_user END AS trusted,
         coalesce(substring(prosrc FROM 'goscope-postgres additions ([0-9]{1,9})'), '0')::int AS version
    FROM pg_proc
   WHERE pronamespace IN (SELECT space FROM spaces) AND proname >= 'go_goscope_' AND proname < 'go_goscope\`'
     AND (pronargs = 0 OR proname = 'go_goscope_check_fencing_token')
)
SELECT ${listOf(COLUMNS)} AS columns, ${listOf(INDEXES)} AS indexes, ${listOf(PARTITIONS)} AS partitions,
       ${listOf(TRIGGERS)} AS triggers, ${listOf(FUNCTIONS)} AS functions, ${listOf(SEQUENCES)} AS sequences`

/**
 * @param {Session} session
 * @param {string[]} names
 * @returns {Promise<import('../missing.js').Objects>}
 */
const objects = (session, names) => session.row(OBJECTS, [JSON.stringify(names)])

module.exports = { WANTED, distributed, listOf, objects, tables }
