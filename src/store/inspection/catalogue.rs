//! The surroundings of the tables: the server, its settings, the catalogue, and the rights of this role.
//!
//! No number in an answer is a `float8`, whose text depends on `extra_float_digits` of the role or the database.
//!
//! If a statement names tables, `$1` is a JSON array of their names, quoted as in SQL.

use super::super::citus::is_spread;
use super::super::owner::{is_superuser, is_trusted_owner};

pub(super) fn statement(what: &str) -> Option<&'static str> {
    match what {
        "clock" => Some(CLOCK),
        "backend" => Some("SELECT to_json(pg_backend_pid())::text"),
        "sessions" => Some(SESSIONS),
        "tables" => Some(TABLES),
        "objects" => Some(OBJECTS),
        "identity" => Some(IDENTITY),
        "reader" => Some(READER),
        "distributed" => Some(DISTRIBUTED),
        "obstacles" => Some(super::obstacles::OBSTACLES),
        _ => None,
    }
}

/// For `lock_timeout`, the value with which the session began: that is the user's, and the engine sets its own later.
///
/// `$1` says whether the connection alone uses its session, and whether the session takes transactions. The
/// connection decided that when it was opened; the server knows only that some client has started the session.
pub(super) const SERVER: &str = "
SELECT json_build_object(
         'version', current_setting('server_version'),
         'versionNumber', current_setting('server_version_num')::int,
         'database', current_database(), 'role', current_user, 'schema', current_schema(),
         'address', host(inet_server_addr()), 'port', inet_server_port(),
         'startedAt', (extract(epoch FROM pg_postmaster_start_time()) * 1000)::int8,
         'isStandby', pg_is_in_recovery(),
         'tls', (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),
         'isOwnSession', $1::json->>'isOwn' = 'true', 'takesTransactions', $1::json->>'takesTransactions' = 'true',
         'mayCreate', coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
         'settings', (SELECT json_object_agg(name, CASE name WHEN 'lock_timeout' THEN reset_val ELSE setting END)
                        FROM pg_settings WHERE name IN (
            'fsync', 'full_page_writes', 'synchronous_commit', 'max_connections', 'superuser_reserved_connections',
            'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_read_only',
            'default_transaction_read_only', 'TimeZone')))::text";

/// Which server answers, and whether it takes writes. It uses only stable functions: a proxy sends statements that
/// may write to the primary.
macro_rules! identity {
    () => {
        "SELECT json_build_object(
         'address', host(inet_server_addr()), 'port', inet_server_port(),
         'startedAt', (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8,
         'isReadOnly', current_setting('transaction_read_only') = 'on')::text"
    };
}
const IDENTITY: &str = identity!();

/// As [`IDENTITY`], in the form of another application's read: in brackets, so that it does not begin with our hint.
const READER: &str = concat!("(", identity!(), ")");

/// Those of the tables that Citus has distributed. Only for a server that has it.
const DISTRIBUTED: &str = concat!(
    "SELECT coalesce(json_agg(name), '[]')::text FROM json_array_elements_text($1::json) AS asked (name)
       JOIN pg_catalog.pg_dist_partition ON logicalrelid = to_regclass(name) AND ",
    is_spread!()
);

const CLOCK: &str = "SELECT to_json((extract(epoch FROM clock_timestamp()) * 1000)::numeric)::text";

/// Every role may see the names of applications, but not the activity of other roles' sessions.
const SESSIONS: &str = "
SELECT json_build_object(
         'total', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
         'ofDatabase', (
            SELECT coalesce(json_agg(found), '[]')
              FROM (SELECT coalesce(application_name, '') AS application, count(*) AS connections
                      FROM pg_stat_activity
                     WHERE backend_type = 'client backend' AND datname = current_database()
                     GROUP BY 1 ORDER BY 2 DESC, 1) AS found))::text";

/// `rows` is the planner's estimate, -1 if it has none yet. The counts of a partitioned table are those of its
/// partitions. A table lacks partitions if it has none. It also lacks some if it is partitioned by hash, at any
/// level, and its partitions do not add up to all remainders. Whether ranges or lists cover every key is not checked.
const TABLES: &str = concat!(
    "
SELECT coalesce(json_agg(found), '[]')::text
  FROM (SELECT wanted.name, space.nspname AS schema, class.relname AS table, whole.rows, whole.bytes, class.relkind = 'p' AS \"isPartitioned\",
               class.relkind::text AS kind, EXISTS (SELECT FROM pg_rewrite WHERE ev_class = class.oid AND ev_type IN ('2', '3') AND ev_enabled <> 'D') AS \"hasRules\", row_security_active(class.oid) AS \"hasPolicies\",
               row_security_active(class.oid) AND EXISTS (
                 SELECT FROM unnest(ARRAY['r', 'a']) AS needed
                  WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = class.oid AND polpermissive AND polcmd IN ('*', needed::\"char\")
                          AND (0 = ANY (polroles) OR EXISTS (SELECT FROM unnest(polroles) AS own WHERE own <> 0 AND pg_has_role(own, 'USAGE'))))
               ) AS \"lacksPolicies\",
               EXISTS (SELECT FROM pg_partition_tree(class.oid) JOIN pg_partitioned_table ON partrelid = relid
                        WHERE (SELECT CASE partstrat WHEN 'h' THEN coalesce(sum(share), 0) < 0.999999 ELSE count(*) = 0 END
                                 FROM (SELECT 1.0 / substring(pg_get_expr(relpartbound, oid) FROM 'modulus ([0-9]+)')::int AS share
                                         FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = partrelid) AS parts)
                      ) AS \"lacksPartitions\",
               to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL AS \"isBesideCitus\", pg_get_userbyid(class.relowner) AS owner,
               class.relpersistence = 't' AS \"isTemporary\",
               ",
    is_trusted_owner!(),
    "
                 OR pg_has_role(class.relowner, 'MEMBER') AND NOT ",
    is_superuser!(),
    " AS \"isExpected\", ",
    is_superuser!(),
    " AS \"isSuperuser\",
               class.relpersistence = 'u' AS \"isUnlogged\",
               has_schema_privilege(space.oid, 'USAGE') AS \"usesSchema\",
               array_remove(ARRAY[
                 CASE WHEN has_table_privilege(class.oid, 'SELECT') THEN 'SELECT' END,
                 CASE WHEN has_table_privilege(class.oid, 'INSERT') THEN 'INSERT' END,
                 CASE WHEN has_table_privilege(class.oid, 'UPDATE') THEN 'UPDATE' END,
                 CASE WHEN has_table_privilege(class.oid, 'DELETE') THEN 'DELETE' END], NULL) AS rights,
               whole.live AS \"liveRows\", whole.dead AS \"deadRows\",
               (extract(epoch FROM whole.vacuumed) * 1000)::int8 AS \"lastAutovacuumAt\"
          FROM json_array_elements_text($1::json) WITH ORDINALITY AS wanted (name, place)
          JOIN pg_class AS class ON class.oid = to_regclass(wanted.name)
          JOIN pg_namespace AS space ON space.oid = class.relnamespace
         CROSS JOIN LATERAL (
               SELECT sum(reltuples)::int8 AS rows, sum(pg_total_relation_size(part.oid))::int8 AS bytes,
                      sum(pg_stat_get_live_tuples(part.oid))::int8 AS live, sum(pg_stat_get_dead_tuples(part.oid))::int8 AS dead,
                      min(pg_stat_get_last_autovacuum_time(part.oid)) AS vacuumed
                 FROM pg_class AS part
                WHERE part.relkind <> 'p'
                  AND part.oid IN (SELECT class.oid UNION SELECT relid FROM pg_partition_tree(class.oid))) AS whole
         ORDER BY wanted.place) AS found"
);

/// By name, in the tables' schemas: what a migration would find there. `table` is the name as the caller gave it. A
/// function is trusted as in `Function` of `relation.rs`; if there are no tables yet, it is trusted if this role owns
/// it. A sequence is the table's own if it belongs to one of its columns. `partitions` has those of all levels, the
/// table itself first. Under quote_all_identifiers the server quotes the names of types and columns.
const OBJECTS: &str = "
WITH wanted AS (
  SELECT name, class.oid, class.relnamespace AS space, class.relowner AS owner
    FROM json_array_elements_text($1::json) AS asked (name)
    JOIN pg_class AS class ON class.oid = to_regclass(name)
), spaces AS (
  SELECT space FROM wanted UNION SELECT oid FROM pg_namespace WHERE nspname = current_schema()
), functions AS (
  SELECT pg_proc.oid, proname, pronamespace AS space, pg_get_userbyid(proowner) AS owner,
         proowner = 10 OR CASE WHEN EXISTS (SELECT FROM wanted WHERE space = pronamespace)
                               THEN proowner IN (SELECT owner FROM wanted WHERE space = pronamespace)
                               ELSE pg_get_userbyid(proowner) = current_user END AS trusted,
         coalesce(substring(prosrc FROM 'goscope-postgres additions ([0-9]{1,9})'), '0')::int AS version
    FROM pg_proc
   WHERE pronamespace IN (SELECT space FROM spaces) AND proname >= 'go_goscope_' AND proname < 'go_goscope`'
     AND (pronargs = 0 OR proname = 'go_goscope_check_fencing_token')
)
SELECT json_build_object(
         'columns', (
            SELECT coalesce(json_agg(json_build_object('table', wanted.name, 'name', attname,
                      'type', replace(CASE typtype WHEN 'd' THEN format_type(typbasetype, typtypmod)
                                                   ELSE format_type(atttypid, atttypmod) END, '\"', ''),
                      'notNull', attnotnull,
                      'isDeterministic', coalesce((SELECT collisdeterministic FROM pg_collation
                                                    WHERE pg_collation.oid = attcollation), true),
                      'lacksSequence', (SELECT min(refobjid::regclass::text) FROM pg_attrdef
                         JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid
                                       AND refclassid = 'pg_class'::regclass
                         JOIN pg_class ON pg_class.oid = refobjid
                        WHERE adrelid = wanted.oid AND adnum = attnum
                          AND CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(refobjid, 'USAGE, UPDATE') END), 'isGenerated', attgenerated <> '',
                      'hasDefault', atthasdef OR attidentity <> '') ORDER BY wanted.name, attnum), '[]')
              FROM wanted JOIN pg_attribute ON attrelid = wanted.oid AND attnum > 0 AND NOT attisdropped
              JOIN pg_type ON pg_type.oid = atttypid),
         'indexes', (
            SELECT coalesce(json_agg(json_build_object('table', wanted.name, 'name', relname, 'isValid', indisvalid,
                      'isUnique', indisunique AND indpred IS NULL AND indimmediate,
                      'columns', ARRAY(SELECT trim(BOTH '\"' FROM pg_get_indexdef(indexrelid, place, true))
                                         FROM generate_series(1, indnkeyatts) AS place))
                      ORDER BY wanted.name, relname), '[]')
              FROM wanted JOIN pg_index ON indrelid = wanted.oid JOIN pg_class ON pg_class.oid = indexrelid),
         'partitions', (
            SELECT coalesce(json_agg(json_build_object('table', wanted.name, 'schema', nspname, 'name', relname,
                      'number', relid::int8, 'parent', parentrelid::int8, 'isPartitioned', NOT isleaf)
                      ORDER BY wanted.name, level, relid), '[]')
              FROM wanted CROSS JOIN pg_partition_tree(wanted.oid)
              JOIN pg_class ON pg_class.oid = relid JOIN pg_namespace ON pg_namespace.oid = relnamespace),
         'triggers', (
            SELECT coalesce(json_agg(json_build_object('table', wanted.name, 'name', tgname,
                      'isEnabled', tgenabled IN ('O', 'A'), 'isTrusted', EXISTS (
                         SELECT FROM functions WHERE functions.oid = tgfoid AND trusted AND functions.space = wanted.space))
                      ORDER BY wanted.name, tgname), '[]')
              FROM wanted JOIN pg_trigger ON tgrelid = wanted.oid AND NOT tgisinternal),
         'functions', (
            SELECT coalesce(json_agg(json_build_object('name', proname, 'owner', owner, 'isTrusted', trusted,
                      'version', version, 'isExecutable', has_function_privilege(oid, 'EXECUTE'))
                      ORDER BY proname, version), '[]')
              FROM functions),
         'sequences', (
            SELECT coalesce(json_agg(json_build_object('name', relname,
                      'owner', pg_get_userbyid(relowner), 'isTrusted', EXISTS (
                         SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                            AND deptype IN ('a', 'i') AND refobjid IN (SELECT oid FROM wanted)),
                      'isUsable', has_sequence_privilege(oid, 'USAGE')) ORDER BY relname), '[]')
              FROM pg_class WHERE relkind = 'S' AND relnamespace IN (SELECT space FROM spaces)))::text";
