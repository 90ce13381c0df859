//! The tasks that have checkpoints, page by page, and a part of a task's checkpoints.

use super::checkpoints::{Checkpoints, SavedCheckpoint, read_list};
use super::pages::{Page, PageCall, PageRequest, PageStatements, digested_keys, plain_keys, read_page};
use super::template::Template;
use crate::engine::{AccessMode, Accesses, Arg, Kind, Reply, Retry};

/// The index on task and sequence gives the rows in the order of tasks, of which `DISTINCT` takes each once.
macro_rules! plain_tasks {
    () => {
        plain_keys!("SELECT DISTINCT", "task_id", "")
    };
}

/// Each checkpoint of a task whose id is stored as a digest has the task's id beside its data.
macro_rules! digested_tasks {
    () => {
        digested_keys!(
            "SELECT DISTINCT ON (task_id)",
            "task_id",
            "NULL::text",
            "to_jsonb(data)->>'taskId'",
            "",
            ""
        )
    };
}

/// `UNION ALL` runs its second part only if the first has not filled the page.
static TASKS: PageStatements = PageStatements {
    all: Template::of_one(
        concat!(
            "\nSELECT key::text, is_digest, name, literal FROM (\n  ",
            plain_tasks!(),
            "\n  UNION ALL\n  ",
            digested_tasks!(),
            ") AS page LIMIT $4"
        ),
        &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Text, Kind::Text, Kind::Text],
    ),
    digests: Template::of_one(
        concat!("\nSELECT key::text, is_digest, name, literal FROM ", digested_tasks!(), " AS page"),
        &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Text],
    ),
};

/// The first checkpoints of a task, in one direction, up to the sequence `$2` and at most `$3`. `<=` with a number in any
/// case bounds the scan of the index, as `$2 IS NULL OR …` could not. All calls of a statement have the two in common, so
/// two calls on one task have the same rows.
macro_rules! list_part {
    ($direction:literal) => {
        Template::of_both(
            concat!(
                r#"
SELECT task_id::text, id::text, {int:sequence}, {int:timestamp}, {float:progress}, data::text,
       {int:estimated_time_remaining}
  FROM (SELECT task_id, id, sequence, timestamp, progress, data, estimated_time_remaining
          FROM {table} WHERE task_id = $1 AND sequence <= $2
         ORDER BY sequence "#,
                $direction,
                ", timestamp ",
                $direction,
                r#", id COLLATE "C" "#,
                $direction,
                " LIMIT $3) AS saved"
            ),
            concat!(
                r#"
SELECT call.task_id, id::text, {int:sequence}, {int:timestamp}, {float:progress}, data::text,
       {int:estimated_time_remaining}
  FROM (SELECT DISTINCT task_id FROM unnest($1) AS given (task_id)) AS call
 CROSS JOIN LATERAL (SELECT id, sequence, timestamp, progress, data, estimated_time_remaining
                       FROM {table} AS saved WHERE saved.task_id = call.task_id AND saved.sequence <= $2
                      ORDER BY saved.sequence "#,
                $direction,
                ", saved.timestamp ",
                $direction,
                r#", saved.id COLLATE "C" "#,
                $direction,
                r#" LIMIT $3) AS saved
 ORDER BY call.task_id, saved.sequence "#,
                $direction,
                ", saved.timestamp ",
                $direction,
                r#", saved.id COLLATE "C" "#,
                $direction
            ),
            &[Kind::Text, Kind::Int, Kind::Int],
        )
        .sharing(2)
    };
}

static LIST_FIRST: Template = list_part!("ASC");
static LIST_LAST: Template = list_part!("DESC");

/// Which of a task's checkpoints, and in which order.
pub struct ListRequest {
    /// How many at most; none for all.
    pub limit: Option<i64>,
    /// Only those with a smaller sequence.
    pub before: Option<i64>,
    pub newest_first: bool,
}

impl Checkpoints {
    /// The ids of tasks that have checkpoints.
    pub fn tasks_page(&self, request: PageRequest, reply: Reply<Page>) {
        let call = PageCall::new(&self.place, &TASKS, "task_id", request, read_page);
        let accesses = Accesses::new(&[self.all_tasks(AccessMode::Scan)]);
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    pub fn list_part(&self, task_id: String, request: ListRequest, reply: Reply<Vec<SavedCheckpoint>>) {
        let ListRequest { limit, before, newest_first } = request;
        let statement = if newest_first { &LIST_LAST } else { &LIST_FIRST };
        let most = before.map_or(i64::MAX, |before| before.saturating_sub(1));
        let rest = [Arg::Int(Some(most)), Arg::Int(limit)];
        self.on_task(statement, AccessMode::Shared, task_id, rest, read_list, Retry::Harmless, reply);
    }
}
