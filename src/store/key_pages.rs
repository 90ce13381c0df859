//! The keys of a cache in pages, and their deletion page by page.

use super::cache::Cache;
use super::cells::Cells;
use super::pages::{Page, PageCall, PageRequest, PageStatements, digested_keys, plain_keys, read_page};
use super::template::Template;
use crate::engine::{AccessMode, Kind, Reply, Retry};

const ALL: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Text, Kind::Text, Kind::Text];
const DIGESTS: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Text];

/// `coalesce`, so that the planner does not choose the index on the expiry, and sort the keys that it finds there.
macro_rules! live {
    () => {
        "\n       AND coalesce(expires_at > {now:expires_at}, true)"
    };
}

macro_rules! live_plain {
    () => {
        plain_keys!("SELECT", "key", live!())
    };
}

macro_rules! live_digested {
    () => {
        digested_keys!("SELECT", "key", "to_jsonb(value)->>'key'", "to_jsonb(value)->>'literal'", live!(), "")
    };
}

/// The live keys of a page. `UNION ALL` runs its second part only if the first has not filled the page.
static KEYS: PageStatements = PageStatements {
    all: Template::of_one(
        concat!(
            "\nSELECT key::text, is_digest, name, literal FROM (\n  ",
            live_plain!(),
            "\n  UNION ALL\n  ",
            live_digested!(),
            ") AS page LIMIT $4"
        ),
        ALL,
    ),
    digests: Template::of_one(
        concat!("\nSELECT key::text, is_digest, name, literal FROM ", live_digested!(), " AS page"),
        DIGESTS,
    ),
};

/// Of all rows, also expired ones. A mark of a computation under way knows no original of its digest: it goes with
/// every prefix, and at worst a value is computed once more (see [`super::computing`]).
macro_rules! all_plain {
    () => {
        plain_keys!("SELECT", "key", "")
    };
}

macro_rules! all_digested {
    () => {
        digested_keys!(
            "SELECT",
            "key",
            "to_jsonb(value)->>'key'",
            "to_jsonb(value)->>'literal'",
            "",
            " OR expires_at < '1500-01-01'"
        )
    };
}

/// Deletes the rows of `page`. `held` waits for them in the order of keys, as all writes of many keys do, so two
/// processes cannot wait for each other in a circle. A row that another transaction deletes meanwhile is not held any
/// more, and one that it changes is deleted in its newest version. A page of few rows is a short transaction, which
/// keeps its locks for a short time.
///
/// The answer is the last key of the page, if the page is full: the next one begins there, so that it does not read the
/// rows once more that this one has deleted.
macro_rules! delete_page {
    ($page:expr) => {
        concat!(
            "\nWITH page AS (\n  SELECT key FROM ",
            $page,
            " LIMIT $4\n), held AS (
  SELECT key FROM {table} WHERE key = ANY (ARRAY(SELECT key FROM page)) ORDER BY key COLLATE \"C\" FOR UPDATE
), deleted AS (
  DELETE FROM {table} WHERE key = ANY (ARRAY(SELECT key FROM held))
)
{answer}SELECT key::text FROM page OFFSET greatest($4 - 1, 0)"
        )
    };
}

static CLEAR: PageStatements = PageStatements {
    all: Template::of_one(
        delete_page!(concat!("(\n  ", all_plain!(), "\n  UNION ALL\n  ", all_digested!(), ") AS page")),
        ALL,
    ),
    digests: Template::of_one(delete_page!(concat!(all_digested!(), " AS page")), DIGESTS),
};

impl Cache {
    pub fn keys_page(&self, request: PageRequest, reply: Reply<Page>) {
        let call = PageCall::new(&self.place, &KEYS, "key", request, read_page);
        self.place.submit(self.place.on_table(AccessMode::Scan), call, Retry::Harmless, reply);
    }

    /// Deletes the entries of a page. The stored key at which the next page begins, if there may be one.
    pub fn clear_page(&self, request: PageRequest, reply: Reply<Option<String>>) {
        let call = PageCall::new(&self.place, &CLEAR, "key", request, |_, _, rows| {
            rows.first().map(|row| row.cell::<&str>(0).map(str::to_owned)).transpose()
        });
        self.place.submit(self.place.on_table(AccessMode::Exclusive), call, Retry::Never, reply);
    }
}
