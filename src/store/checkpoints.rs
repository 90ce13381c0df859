//! Checkpoints of long tasks.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::json::{Identified, Object, is_string, number};
use super::keys::{self, Prefix};
use super::table::{Definition, Index, Shape, Table, Template};
use super::{Place, TableRef, nothing};
use crate::link::{Answer, Arg, Error, Link, Mode, Reply, Retry, Rows, Turn};

/// Replaces every column of a checkpoint that is there already; last writer wins.
const SAVE: Template = Template {
    sql: r#"
INSERT INTO {table} (id, task_id, sequence, timestamp, progress, data, estimated_time_remaining)
SELECT id, task_id, sequence, "timestamp", progress, data::jsonb, remaining
  FROM unnest($1::text[], $2::text[], $3::int8[], $4::int8[], $5::float8[], $6::text[], $7::int8[])
       AS call (id, task_id, sequence, "timestamp", progress, data, remaining)
 ORDER BY id COLLATE "C"
ON CONFLICT (id) DO UPDATE
  SET task_id = excluded.task_id, sequence = excluded.sequence, timestamp = excluded.timestamp,
      progress = excluded.progress, data = excluded.data,
      estimated_time_remaining = excluded.estimated_time_remaining"#,
    params: &[
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::FLOAT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
    ],
    batched: true,
};

const LOAD: Template = Template {
    sql: r#"
SELECT call.item, saved.id::text, saved.task_id::text, saved.sequence::int8, saved.timestamp::int8,
       saved.progress::float8, saved.data::text, saved.estimated_time_remaining::int8
  FROM unnest($1::text[]) WITH ORDINALITY AS call (id, item)
  JOIN {table} AS saved ON saved.id = call.id"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

const LOAD_LATEST: Template = Template {
    sql: r#"
SELECT call.item, saved.id::text, saved.task_id::text, saved.sequence::int8, saved.timestamp::int8,
       saved.progress::float8, saved.data::text, saved.estimated_time_remaining::int8
  FROM unnest($1::text[]) WITH ORDINALITY AS call (task_id, item)
 CROSS JOIN LATERAL (SELECT * FROM {table} WHERE task_id = call.task_id
                      ORDER BY sequence DESC, timestamp DESC LIMIT 1) AS saved"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

const LIST: Template = Template {
    sql: r#"
SELECT call.item, saved.id::text, saved.task_id::text, saved.sequence::int8, saved.timestamp::int8,
       saved.progress::float8, saved.data::text, saved.estimated_time_remaining::int8
  FROM unnest($1::text[]) WITH ORDINALITY AS call (task_id, item)
  JOIN {table} AS saved ON saved.task_id = call.task_id
 ORDER BY call.item, saved.sequence, saved.timestamp"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

/// Deletes all but the newest. `locked` asks for task and sequence once more after the wait for a row: a checkpoint
/// that was saved again meanwhile, under a newer sequence or for another task, is no longer the old one that was
/// counted out, and stays.
const CLEANUP: Template = Template {
    sql: r#"
WITH ranked AS (
  SELECT saved.id, saved.task_id, saved.sequence, saved.timestamp, call.keep,
         row_number() OVER (PARTITION BY call.item ORDER BY saved.sequence DESC, saved.timestamp DESC) AS rank
    FROM unnest($1::text[], $2::int8[]) WITH ORDINALITY AS call (task_id, keep, item)
    JOIN {table} AS saved ON saved.task_id = call.task_id
), locked AS (
  SELECT saved.id FROM {table} AS saved
    JOIN ranked ON saved.id = ranked.id AND saved.task_id = ranked.task_id
               AND saved.sequence = ranked.sequence AND saved.timestamp = ranked.timestamp
   WHERE ranked.rank > ranked.keep
   ORDER BY saved.id COLLATE "C" FOR UPDATE OF saved
)
DELETE FROM {table} WHERE id = ANY (ARRAY(SELECT id FROM locked))"#,
    params: &[Type::TEXT_ARRAY, Type::INT8_ARRAY],
    batched: true,
};

const DELETE_ALL: Template = Template {
    sql: r#"
DELETE FROM {table} WHERE id = ANY (ARRAY(
  SELECT id FROM {table} WHERE task_id = ANY ($1) ORDER BY id COLLATE "C" FOR UPDATE))"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

static DEFINITION: Definition = Definition {
    section: "checkpoints",
    indexes: &[Index {
        name: Some("idx_checkpoints_task"),
        leads_with: "task_id",
        on: "(task_id, sequence)",
    }],
    touched: "",
    templates: &[SAVE, LOAD, LOAD_LATEST, LIST, CLEANUP, DELETE_ALL],
};
const AT_SAVE: usize = 0;
const AT_LOAD: usize = 1;
const AT_LOAD_LATEST: usize = 2;
const AT_LIST: usize = 3;
const AT_CLEANUP: usize = 4;
const AT_DELETE_ALL: usize = 5;

/// A checkpoint as the caller gives it; `data` is JSON text, times are milliseconds.
pub struct Checkpoint {
    pub id: String,
    pub task_id: String,
    pub sequence: i64,
    pub timestamp: i64,
    pub progress: f64,
    pub data: String,
    pub estimated_time_remaining: Option<i64>,
}

/// Calls on one task keep their order, and so do calls on one id: a `load` waits for the saves before it.
pub struct Checkpoints {
    place: Place,
}

impl Checkpoints {
    pub fn new(link: &Arc<Link>, key_prefix: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, "go_goscope_checkpoints", create);
        Self { place: Place::new(link, table, Prefix::new(key_prefix, "")) }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    pub fn save(&self, checkpoint: Checkpoint, reply: Reply) {
        let mut turns = self.on_task(&checkpoint.task_id, Mode::Alone);
        turns.push(self.place.key_turn("id", &checkpoint.id, Mode::Alone));
        let prefix = self.place.prefix.clone();
        let args = move |shape: &Shape| {
            let id = prefix.stored(&checkpoint.id, shape.max_chars("id"));
            let task = prefix.stored(&checkpoint.task_id, shape.max_chars("task_id"));
            let data = match id.is_digest || task.is_digest {
                true => identified(&checkpoint),
                false => checkpoint.data.clone(),
            };
            vec![
                Arg::text(id.text),
                Arg::text(task.text),
                Arg::Int(Some(checkpoint.sequence)),
                Arg::Int(Some(checkpoint.timestamp)),
                Arg::Float(Some(checkpoint.progress)),
                Arg::text(data),
                Arg::Int(checkpoint.estimated_time_remaining),
            ]
        };
        self.place.call(AT_SAVE, turns, args, nothing, Retry::Never, reply);
    }

    pub fn load(&self, id: String, reply: Reply) {
        // Which task's cleanup could take it away is not known here: it goes after every call that came before.
        let turns = vec![self.place.table.turn(Mode::Scan)];
        let prefix = self.place.prefix.clone();
        let args = move |shape: &Shape| vec![Arg::text(prefix.stored(&id, shape.max_chars("id")).text)];
        self.place.call(AT_LOAD, turns, args, self.read_one(), Retry::Harmless, reply);
    }

    pub fn load_latest(&self, task_id: String, reply: Reply) {
        let turns = self.on_task(&task_id, Mode::Read);
        let args = self.task_args(task_id, None);
        self.place.call(AT_LOAD_LATEST, turns, args, self.read_one(), Retry::Harmless, reply);
    }

    pub fn list(&self, task_id: String, reply: Reply) {
        let turns = self.on_task(&task_id, Mode::Read);
        let args = self.task_args(task_id, None);
        let prefix = self.place.prefix.clone();
        let read = move |rows: Rows| {
            let list: Vec<String> = rows.iter().map(|row| checkpoint_json(&prefix, row)).collect();
            Ok(Answer::Done(format!("[{}]", list.join(","))))
        };
        self.place.call(AT_LIST, turns, args, read, Retry::Harmless, reply);
    }

    pub fn cleanup(&self, task_id: String, keep: i64, reply: Reply) {
        let turns = self.on_task(&task_id, Mode::Alone);
        let args = self.task_args(task_id, Some(keep));
        self.place.call(AT_CLEANUP, turns, args, nothing, Retry::Never, reply);
    }

    pub fn delete_all(&self, task_id: String, reply: Reply) {
        let turns = self.on_task(&task_id, Mode::Alone);
        let args = self.task_args(task_id, None);
        self.place.call(AT_DELETE_ALL, turns, args, nothing, Retry::Never, reply);
    }

    fn on_task(&self, task_id: &str, mode: Mode) -> Vec<Turn> {
        vec![self.place.table.turn(Mode::Point), self.place.key_turn("task", task_id, mode)]
    }

    fn task_args(&self, task_id: String, keep: Option<i64>) -> impl Fn(&Shape) -> Vec<Arg> + Send + 'static {
        let prefix = self.place.prefix.clone();
        move |shape| {
            let mut args = vec![Arg::text(prefix.stored(&task_id, shape.max_chars("task_id")).text)];
            args.extend(keep.map(|keep| Arg::Int(Some(keep))));
            args
        }
    }

    fn read_one(&self) -> impl FnMut(Rows) -> Result<Answer, Error> + Send + 'static {
        let prefix = self.place.prefix.clone();
        move |rows| {
            let json = rows.first().map_or_else(|| "null".into(), |row| checkpoint_json(&prefix, row));
            Ok(Answer::Done(json))
        }
    }
}

/// The data beside id and task id, for a row whose columns hold digests of them.
fn identified(checkpoint: &Checkpoint) -> String {
    let data = RawValue::from_string(checkpoint.data.clone());
    let Ok(data) = data else { return checkpoint.data.clone() };
    let id = keys::json(&checkpoint.id);
    let task = keys::json(&checkpoint.task_id);
    serde_json::to_string(&Identified { id, task, data: &data }).unwrap_or_else(|_| checkpoint.data.clone())
}

fn checkpoint_json(prefix: &Prefix, row: &Row) -> String {
    let data: &str = row.get(6);
    let object = match prefix.strip(row.get(1)).zip(prefix.strip(row.get(2))) {
        Some((id, task)) => {
            Object::new().raw("id", &keys::json(id)).raw("taskId", &keys::json(task)).raw("data", data)
        }
        None => match serde_json::from_str::<Identified<'_>>(data) {
            Ok(identified) if is_string(&identified.id) && is_string(&identified.task) => Object::new()
                .raw("id", &identified.id)
                .raw("taskId", &identified.task)
                .raw("data", identified.data.get()),
            // Not written by this adapter: the names as they stand in the table.
            _ => Object::new()
                .raw("id", &keys::json(row.get(1)))
                .raw("taskId", &keys::json(row.get(2)))
                .raw("data", data),
        },
    };
    object
        .raw("sequence", &row.get::<_, i64>(3).to_string())
        .raw("timestamp", &row.get::<_, i64>(4).to_string())
        .raw("progress", &number(row.get(5)))
        .optional("estimatedTimeRemaining", row.get::<_, Option<i64>>(7))
        .end()
}
