//! Reads the rows of the tables.
//!
//! Plain reads of one snapshot. Changes that others make meanwhile (an insert, an update, a delete, an expiry) show
//! in the next one. A row that another transaction has locked is read as it was committed last. No decision depends
//! on these reads: `release` checks again, in the statement that deletes.
//!
//! All statements about many rows take the same parameters. `$1` is the prefix with its namespace; `$2` is its
//! replacement before keys that had to be digested in a narrow column; both are NULL for every prefix. `$3` is a LIKE
//! pattern on the key as the caller knows it, or NULL. `$4` is the maximum number of rows. `$5` and `$6` are the
//! statement's own.
//!
//! Columns that only additions bring are read through `to_jsonb`, which gives NULL if there is no such column.

use super::super::definition::Definition;
use super::super::template::Template;
use crate::engine::Kind;

pub(super) const PARAMS: &[Kind] = &[Kind::Text; 6];

/// A `float8` in JSON as a `numeric`, since the text of a `float8` depends on `extra_float_digits`. It has 15 digits
/// under any setting of the role or the database. Infinite numbers come as text.
macro_rules! exact {
    ($float:expr) => {
        concat!(
            "(SELECT CASE WHEN float IN ('infinity', '-infinity') THEN to_json(float) ELSE to_json(float::numeric) END",
            " FROM (SELECT ",
            $float,
            ") AS inexact (float))"
        )
    };
}

macro_rules! float_ms {
    ($time:literal) => {
        concat!("round((extract(epoch FROM ", $time, ") * 1000)::float8)")
    };
}

/// A time as milliseconds since the epoch, for a column of any type.
macro_rules! ms {
    ($time:literal) => {
        exact!(float_ms!($time))
    };
}

/// The milliseconds from the second time to the first.
macro_rules! ms_between {
    ($later:literal, $earlier:literal) => {
        exact!(concat!(float_ms!($later), " - ", float_ms!($earlier)))
    };
}

/// The wanted rows, each beside its key as the caller knows it. If no prefix was given, the text before the first
/// namespace in a stored key is taken as the prefix. This is a guess, and wrong for a prefix that has the namespace
/// in it.
macro_rules! rows {
    ($column:literal, $namespace:literal) => {
        concat!(
            "{table} AS stored\n CROSS JOIN LATERAL (SELECT CASE",
            "\n         WHEN starts_with(stored.",
            $column,
            ", $1) THEN length($1)",
            "\n         WHEN starts_with(stored.",
            $column,
            ", $2) THEN length($2)",
            "\n         WHEN $1 IS NULL AND strpos(stored.",
            $column,
            ", '",
            $namespace,
            "') > 0",
            "\n              THEN strpos(stored.",
            $column,
            ", '",
            $namespace,
            "') + length('",
            $namespace,
            "') - 1",
            "\n         WHEN $1 IS NULL THEN 0 END AS length) AS head",
            "\n CROSS JOIN LATERAL (SELECT substr(stored.",
            $column,
            ", head.length + 1) AS key,",
            "\n         left(stored.",
            $column,
            ", greatest(head.length - length('",
            $namespace,
            "'), 0)) AS prefix) AS told"
        )
    };
}

/// A key that was stored as a digest, read from beside the value.
macro_rules! told_key {
    () => {
        "CASE WHEN starts_with(told.key, E'\\001#') THEN coalesce(to_jsonb(stored.value)->>'key', told.key) ELSE told.key END"
    };
}

macro_rules! list {
    ($columns:expr, $from:expr, $rest:expr) => {
        Template::of_one(
            concat!(
                "SELECT coalesce(json_agg(found), '[]')::text FROM (\nSELECT ",
                $columns,
                "\n  FROM ",
                $from,
                "\n",
                $rest,
                ") AS found"
            ),
            PARAMS,
        )
    };
}

/// A lock has waiters if either mark is set: the one of older versions is `awaited`.
macro_rules! lock_columns {
    () => {
        concat!(
            "stored.key AS \"storedKey\", stored.owner,\n       ",
            ms!("stored.expires_at"),
            " AS \"expiresAt\",\n       ",
            ms_between!("stored.expires_at", "{now:expires_at}"),
            " AS \"expiresInMs\",\n       ",
            "(to_jsonb(stored)->>'has_waiters')::bool OR (to_jsonb(stored)->>'awaited')::bool AS \"hasWaiters\""
        )
    };
}

/// `$5`: 'all' to include expired rows.
pub(super) static LOCK_LIST: Template = list!(
    concat!("told.key, told.prefix AS \"keyPrefix\", ", lock_columns!()),
    rows!("key", "lock:"),
    r#" WHERE head.length IS NOT NULL AND ($3 IS NULL OR told.key LIKE $3)
   AND ($5 = 'all' OR stored.expires_at > {now:expires_at})
 ORDER BY stored.key COLLATE "C" LIMIT $4::int8"#
);

pub(super) static LOCK_COUNTS: Template = Template::of_one(
    concat!(
        "SELECT json_build_object('held', count(*) FILTER (WHERE stored.expires_at > {now:expires_at}),\n",
        "       'expired', count(*) FILTER (WHERE stored.expires_at <= {now:expires_at}))::text FROM ",
        rows!("key", "lock:"),
        " WHERE head.length IS NOT NULL"
    ),
    PARAMS,
);

/// `$1` is the stored key.
pub(super) static LOCK: Template = Template::of_one(
    concat!(
        "SELECT coalesce(json_agg(found), '[]')::text\n  FROM (SELECT ",
        lock_columns!(),
        "\n          FROM {table} AS stored WHERE key = $1) AS found"
    ),
    &[Kind::Text],
);

pub(super) static LOCKS: Definition =
    Definition { documented: "go_goscope_locks", additions: &[], touched: "" };

/// `$5`: a state, or NULL for all. Rows that need attention come first.
pub(super) static CIRCUIT_LIST: Template = list!(
    concat!(
        "told.key, told.prefix AS \"keyPrefix\", stored.key AS \"storedKey\", stored.state,\n       ",
        "stored.failure_count AS \"failureCount\",\n       ",
        ms!("stored.last_failure_time"),
        " AS \"lastFailureAt\",\n       ",
        ms_between!("{now:last_failure_time}", "stored.last_failure_time"),
        " AS \"lastFailureAgoMs\",\n       ",
        ms!("stored.last_success_time"),
        " AS \"lastSuccessAt\",\n       ",
        ms_between!("{now:last_success_time}", "stored.last_success_time"),
        " AS \"lastSuccessAgoMs\",\n       ",
        ms!("stored.updated_at"),
        " AS \"updatedAt\""
    ),
    rows!("key", "circuit:"),
    r#" WHERE head.length IS NOT NULL AND ($3 IS NULL OR told.key LIKE $3) AND ($5 IS NULL OR stored.state = $5)
 ORDER BY CASE stored.state WHEN 'open' THEN 0 WHEN 'half-open' THEN 1 ELSE 2 END, stored.key COLLATE "C"
 LIMIT $4::int8"#
);

pub(super) static CIRCUIT_COUNTS: Template = Template::of_one(
    concat!(
        "SELECT json_build_object('open', count(*) FILTER (WHERE stored.state = 'open'),\n",
        "       'halfOpen', count(*) FILTER (WHERE stored.state = 'half-open'),\n",
        "       'closed', count(*) FILTER (WHERE stored.state = 'closed'))::text FROM ",
        rows!("key", "circuit:"),
        " WHERE head.length IS NOT NULL"
    ),
    PARAMS,
);

pub(super) static CIRCUITS: Definition =
    Definition { documented: "go_goscope_circuit", additions: &[], touched: "" };

/// `$5`: 'all' to include expired rows; `$6`: 'size' for the largest first.
macro_rules! entry_list {
    ($namespace:literal) => {
        list!(
            concat!(
                told_key!(), " AS key, told.prefix AS \"keyPrefix\", stored.key AS \"storedKey\",\n       ",
                "pg_column_size(stored.value) AS bytes, ",
                ms!("stored.expires_at"), " AS \"expiresAt\",\n       ",
                ms_between!("stored.expires_at", "{now:expires_at}"), " AS \"expiresInMs\""
            ),
            rows!("key", $namespace),
            concat!(
                " WHERE head.length IS NOT NULL AND ($3 IS NULL OR ", told_key!(), " LIKE $3)\n",
                "   AND ($5 = 'all' OR stored.expires_at IS NULL OR stored.expires_at > {now:expires_at})\n",
                " ORDER BY CASE WHEN $6 = 'size' THEN -pg_column_size(stored.value) END, stored.key COLLATE \"C\"\n",
                " LIMIT $4::int8"
            )
        )
    };
}

macro_rules! entry_counts {
    ($namespace:literal) => {
        Template::of_one(
            concat!(
                "SELECT json_build_object('live', count(*) FILTER (WHERE stored.expires_at IS NULL\n",
                "                                                     OR stored.expires_at > {now:expires_at}),\n",
                "       'withoutExpiry', count(*) FILTER (WHERE stored.expires_at IS NULL),\n",
                "       'expired', count(*) FILTER (WHERE stored.expires_at <= {now:expires_at}),\n",
                "       'bytes', coalesce(sum(pg_column_size(stored.value)), 0))::text FROM ",
                rows!("key", $namespace),
                " WHERE head.length IS NOT NULL"
            ),
            PARAMS,
        )
    };
}

pub(super) static ADAPTER_ENTRY_LIST: Template = entry_list!("cache:");
pub(super) static ADAPTER_ENTRY_COUNTS: Template = entry_counts!("cache:");
/// Of a table of `PostgresCacheAdapter`.
pub(super) static ENTRY_LIST: Template = entry_list!("");
/// Of a table of `PostgresCacheAdapter`, or of results.
pub(super) static ENTRY_COUNTS: Template = entry_counts!("");

pub(super) static CACHE: Definition =
    Definition { documented: "go_goscope_cache", additions: &[], touched: "" };

pub(super) static CACHE_TABLE: Definition = Definition { documented: "cache", additions: &[], touched: "" };

pub(super) static IDEMPOTENCY: Definition =
    Definition { documented: "go_goscope_idempotency", additions: &[], touched: "" };

/// An id that was stored as a digest, read from beside the data. It is a JSON literal, which is taken as the id if it
/// contains no escapes. (A cast would fail if another application has put invalid text there.)
macro_rules! told_id {
    ($id:literal, $field:literal) => {
        concat!(
            "CASE WHEN starts_with(",
            $id,
            ", E'\\001#')\n            THEN coalesce(regexp_replace(to_jsonb(stored.data)->>'",
            $field,
            "', E'^\"([^\"\\\\\\\\]*)\"$', E'\\\\1'), ",
            $id,
            ") ELSE ",
            $id,
            " END"
        )
    };
}

/// `$5`: a task whose checkpoints are wanted, the newest first; NULL for the newest of each task. `timestamp` is the
/// caller's clock, so an age by it may be off, and even negative.
pub(super) static CHECKPOINT_LIST: Template = Template::of_one(
    concat!(
        "SELECT coalesce(json_agg(to_jsonb(found) - 'place'), '[]')::text FROM (\nSELECT * FROM (\n",
        "SELECT ",
        told_id!("told.key", "taskId"),
        " AS \"taskId\",\n       ",
        told_id!("own.id", "id"),
        " AS id,\n",
        "       stored.sequence::int8 AS sequence, ",
        exact!("stored.progress::float8"),
        " AS progress,\n",
        "       stored.timestamp::numeric AS \"savedAt\",\n",
        "       round((extract(epoch FROM clock_timestamp()) * 1000)::numeric) - stored.timestamp::numeric AS \"savedAgoMs\",\n",
        "       stored.estimated_time_remaining::numeric AS \"estimatedTimeRemainingMs\",\n",
        "       pg_column_size(stored.data) AS bytes,\n",
        "       count(*) OVER (PARTITION BY stored.task_id) AS checkpoints,\n",
        "       row_number() OVER (PARTITION BY stored.task_id\n",
        "                          ORDER BY stored.sequence DESC, stored.timestamp DESC, stored.id COLLATE \"C\" DESC) AS place\n  FROM ",
        rows!("task_id", ""),
        // Only one of the two may have been too long for its prefix.
        "\n CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(stored.id, $1) THEN substr(stored.id, length($1) + 1)\n",
        "         WHEN starts_with(stored.id, $2) THEN substr(stored.id, length($2) + 1) ELSE stored.id END AS id) AS own",
        "\n WHERE head.length IS NOT NULL) AS each\n",
        " WHERE ($3 IS NULL OR \"taskId\" LIKE $3) AND CASE WHEN $5 IS NULL THEN place = 1 ELSE \"taskId\" = $5 END\n",
        " ORDER BY \"taskId\" COLLATE \"C\", place LIMIT $4::int8) AS found"
    ),
    PARAMS,
);

pub(super) static CHECKPOINT_COUNTS: Template = Template::of_one(
    concat!(
        "SELECT json_build_object('checkpoints', count(*), 'tasks', count(DISTINCT stored.task_id))::text FROM ",
        rows!("task_id", ""),
        " WHERE head.length IS NOT NULL"
    ),
    PARAMS,
);

pub(super) static CHECKPOINTS: Definition =
    Definition { documented: "go_goscope_checkpoints", additions: &[], touched: "" };
