//! Circuit-breaker state: one row a breaker, shared by all processes.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::json::{Object, time};
use super::keys::Prefix;
use super::table::{Definition, Index, Table, Template};
use super::{Place, TableRef, nothing};
use crate::link::{Answer, Arg, Error, Link, Mode, Reply, Retry, Rows};

const GET: Template = Template {
    sql: r#"
SELECT call.item, circuit.state::text, circuit.failure_count::int8,
       round(extract(epoch FROM circuit.last_failure_time) * 1000)::float8,
       round(extract(epoch FROM circuit.last_success_time) * 1000)::float8
  FROM unnest($1::text[]) WITH ORDINALITY AS call (key, item)
  JOIN {table} AS circuit ON circuit.key = call.key"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

/// Last writer wins, as documented; the row lock makes it one whole state or the other.
const SET: Template = Template {
    sql: r#"
INSERT INTO {table} (key, state, failure_count, last_failure_time, last_success_time, updated_at)
SELECT key, state, failures, {epoch:last_failure_time} + failed * INTERVAL '1 millisecond',
       {epoch:last_success_time} + succeeded * INTERVAL '1 millisecond', {now:updated_at}
  FROM unnest($1::text[], $2::text[], $3::int8[], $4::float8[], $5::float8[])
       AS call (key, state, failures, failed, succeeded)
 ORDER BY key COLLATE "C"
ON CONFLICT (key) DO UPDATE
  SET state = excluded.state, failure_count = excluded.failure_count,
      last_failure_time = excluded.last_failure_time, last_success_time = excluded.last_success_time,
      updated_at = {now:updated_at}"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::FLOAT8_ARRAY, Type::FLOAT8_ARRAY],
    batched: true,
};

/// Counts under the row's lock: of N concurrent failures each adds one to what the one before committed, so each
/// gets a count of its own. (Read, add and write, as the pg-based adapter does, loses all but one.) The state
/// changes in the same step or stays what it is: a 'half-open' or 'open' breaker keeps its state below the limit.
/// The limit of a call is found by its key's place in the batch, because `SET` sees only the row and `excluded`.
/// The count stops at the column's last number instead of failing for ever after.
const RECORD_FAILURE: Template = Template {
    sql: r#"
WITH call AS (
  SELECT * FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS call (key, max_failures, item)
), counted AS (
  INSERT INTO {table} AS circuit (key, state, failure_count, last_failure_time, updated_at)
  SELECT key, CASE WHEN 1 >= max_failures THEN 'open' ELSE 'closed' END, 1, {now:last_failure_time}, {now:updated_at}
    FROM call ORDER BY key COLLATE "C"
  ON CONFLICT (key) DO UPDATE
    SET failure_count = least(circuit.failure_count::int8 + 1, 2147483647),
        state = CASE WHEN circuit.failure_count::int8 + 1 >= ($2::float8[])[array_position($1::text[], excluded.key::text)]
                     THEN 'open' ELSE circuit.state END,
        last_failure_time = {now:last_failure_time}, updated_at = {now:updated_at}
  RETURNING circuit.key, circuit.failure_count
)
SELECT call.item, counted.failure_count::int8 FROM counted JOIN call USING (key)"#,
    params: &[Type::TEXT_ARRAY, Type::FLOAT8_ARRAY],
    batched: true,
};

/// Closes the breaker whatever its state. A failure that waits for this row counts from 0 again.
const RECORD_SUCCESS: Template = Template {
    sql: r#"
INSERT INTO {table} (key, state, failure_count, last_success_time, updated_at)
SELECT key, 'closed', 0, {now:last_success_time}, {now:updated_at}
  FROM unnest($1::text[]) AS call (key) ORDER BY key COLLATE "C"
ON CONFLICT (key) DO UPDATE
  SET state = 'closed', failure_count = 0, last_failure_time = NULL,
      last_success_time = {now:last_success_time}, updated_at = {now:updated_at}"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

static DEFINITION: Definition = Definition {
    section: "circuits",
    indexes: &[Index { name: Some("idx_circuit_updated"), leads_with: "updated_at", on: "(updated_at)" }],
    touched: "",
    templates: &[GET, SET, RECORD_FAILURE, RECORD_SUCCESS],
};
const AT_GET: usize = 0;
const AT_SET: usize = 1;
const AT_RECORD_FAILURE: usize = 2;
const AT_RECORD_SUCCESS: usize = 3;

/// A breaker's state as the caller gives it; times are milliseconds since the epoch.
pub struct Circuit {
    pub state: String,
    pub failure_count: i64,
    pub last_failure_time: Option<f64>,
    pub last_success_time: Option<f64>,
}

pub struct Circuits {
    place: Place,
}

impl Circuits {
    pub fn new(link: &Arc<Link>, key_prefix: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, "go_goscope_circuit", create);
        Self { place: Place::new(link, table, Prefix::new(key_prefix, "circuit:")) }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    pub fn get_state(&self, key: String, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Read);
        let args = self.place.key_args(key, Vec::new());
        self.place.call(AT_GET, turns, args, read_state, Retry::Harmless, reply);
    }

    pub fn set_state(&self, key: String, circuit: Circuit, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Alone);
        let rest = vec![
            Arg::text(circuit.state),
            Arg::Int(Some(circuit.failure_count)),
            Arg::Float(circuit.last_failure_time),
            Arg::Float(circuit.last_success_time),
        ];
        self.place.call(AT_SET, turns, self.place.key_args(key, rest), nothing, Retry::Never, reply);
    }

    pub fn record_failure(&self, key: String, max_failures: f64, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Alone);
        let args = self.place.key_args(key, vec![Arg::Float(Some(max_failures))]);
        let read = |rows: Rows| {
            let count: i64 = rows.first().ok_or_else(|| Error::other("the failure was not counted"))?.get(1);
            Ok(Answer::Done(count.to_string()))
        };
        self.place.call(AT_RECORD_FAILURE, turns, args, read, Retry::Never, reply);
    }

    pub fn record_success(&self, key: String, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Alone);
        self.place.call(
            AT_RECORD_SUCCESS,
            turns,
            self.place.key_args(key, Vec::new()),
            nothing,
            Retry::Never,
            reply,
        );
    }
}

fn read_state(rows: Rows) -> Result<Answer, Error> {
    let Some(row) = rows.first() else { return Ok(Answer::Done("null".into())) };
    let json = Object::new()
        .raw("state", &serde_json::Value::from(row.get::<_, &str>(1)).to_string())
        .raw("failureCount", &row.get::<_, i64>(2).to_string())
        .optional("lastFailureTime", time(row.get(3)))
        .optional("lastSuccessTime", time(row.get(4)))
        .end();
    Ok(Answer::Done(json))
}
