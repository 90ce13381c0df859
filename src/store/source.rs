//! The SQL that makes tables and their additions: `sql/source/`, object by object.

use std::sync::LazyLock;

const TABLES: &str = include_str!("../../sql/source/tables.sql");
const ADDITIONS: &str = include_str!("../../sql/source/additions.sql");

/// An object begins at a line with this, its kind, its name, and more: see `tables.sql`.
const HEAD: &str = "-- @";

static OBJECTS: LazyLock<Vec<Object>> =
    LazyLock::new(|| [TABLES, ADDITIONS].into_iter().flat_map(read).collect());

/// The version of the additions.
pub(super) static ADDITIONS_VERSION: LazyLock<u32> = LazyLock::new(|| {
    let version = of_kind("version").next().expect("the additions have a version");
    version.name.parse().expect("a version is a number")
});

#[derive(Clone, Copy)]
struct Object {
    kind: &'static str,
    /// Of a function with the types of its arguments; empty if the server picks one.
    name: &'static str,
    /// The names of its tables, with commas in between.
    tables: &'static str,
    /// Of an index: the text after `ON table`.
    on: &'static str,
    sql: &'static str,
}

/// An index of a table.
pub(super) struct Index {
    /// The documented name; the server picks one if none is documented or the name is taken.
    pub(super) name: Option<&'static str>,
    /// The column with which an existing index must begin to be suitable.
    pub(super) leads_with: &'static str,
    /// The text after `ON table`.
    pub(super) on: &'static str,
}

fn read(file: &'static str) -> impl Iterator<Item = Object> {
    let starts = file.match_indices(HEAD).map(|(start, _)| start);
    let ends = starts.clone().skip(1).chain([file.len()]);
    starts.zip(ends).map(|(start, end)| object(&file[start + HEAD.len()..end]))
}

fn object(text: &'static str) -> Object {
    let (head, sql) = text.split_once('\n').unwrap_or((text, ""));
    let (head, on) = head.split_once(" on ").unwrap_or((head, ""));
    let (kind, rest) = head.split_once(' ').expect("an object has a kind and a name");
    let (name, tables) = match rest.strip_prefix("of ") {
        Some(tables) => ("", tables),
        None => rest.split_once(" of ").unwrap_or((rest, rest)),
    };
    Object { kind, name, tables, on, sql: sql.trim_end() }
}

fn of_kind(kind: &str) -> impl Iterator<Item = &'static Object> {
    OBJECTS.iter().filter(move |object| object.kind == kind)
}

/// The statement that makes a documented table, by the documented name. `name` is its quoted name.
pub(super) fn table(documented: &str, name: &str, is_unlogged: bool) -> String {
    let table = of_kind("table").find(|table| table.name == documented).expect("the table is documented");
    let unlogged = if is_unlogged { "UNLOGGED " } else { "" };
    fill(table.sql, &[("table", name), ("unlogged", unlogged), ("unless_exists", "")])
}

/// The indexes of a documented table.
pub(super) fn indexes(documented: &str) -> impl Iterator<Item = Index> {
    of_kind("index").filter(move |index| index.tables == documented).map(|index| {
        let columns = index.on.trim_start_matches('(');
        let end = columns.find([',', ')']).expect("an index has columns");
        let name = (!index.name.is_empty()).then_some(index.name);
        Index { name, leads_with: &columns[..end], on: index.on }
    })
}

/// The statements that make these objects of a table, each given by its kind and its name, in the order of the file.
/// `schema` is quoted, `table` is quoted and has its schema.
pub(super) fn additions(wanted: &[(&str, &str)], schema: &str, table: &str) -> String {
    let version = ADDITIONS_VERSION.to_string();
    let values = [("schema", &*format!("{schema}.")), ("table", table), ("version", &*version)];
    let is_wanted = |object: &Object| {
        let name = object.name.split('(').next().unwrap_or_default();
        wanted.contains(&(object.kind, name))
    };
    let found: Vec<_> = OBJECTS.iter().filter(|object| is_wanted(object)).collect();
    assert_eq!(found.len(), wanted.len(), "each addition is in sql/source/additions.sql once: {wanted:?}");
    found.iter().map(|object| fill(object.sql, &values) + "\n").collect()
}

/// Puts values in the places of tokens. One pass: a table's name is the application's, and may look like a token.
fn fill(sql: &str, values: &[(&str, &str)]) -> String {
    let parts = sql.split(['{', '}']).enumerate();
    parts
        .map(|(number, part)| match number % 2 {
            0 => part,
            _ => values.iter().find(|(token, _)| *token == part).expect("a token has a value").1,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_indexes_are_read() {
        let made = table("go_goscope_locks", "\"{table}\"", false);
        assert!(made.starts_with("CREATE TABLE \"{table}\" (\n") && made.ends_with(");"), "{made}");
        assert!(table("cache", "c", true).starts_with("CREATE UNLOGGED TABLE c ("));
        let indexes =
            |name| indexes(name).map(|index| (index.name, index.leads_with, index.on)).collect::<Vec<_>>();
        assert_eq!(
            indexes("go_goscope_checkpoints"),
            [(Some("idx_checkpoints_task"), "task_id", "(task_id, sequence)")]
        );
        assert_eq!(indexes("cache"), [(None, "expires_at", "(expires_at) WHERE expires_at IS NOT NULL")]);
    }

    #[test]
    fn additions_come_in_the_order_of_the_file() {
        let wanted = [("trigger", "go_goscope_lock_released"), ("function", "go_goscope_notify")];
        let sql = additions(&wanted, "s", "s.t");
        let function = sql.find("FUNCTION s.go_goscope_notify()").expect("the function");
        let trigger =
            sql.find("CREATE TRIGGER go_goscope_lock_released AFTER DELETE ON s.t").expect("the trigger");
        assert!(function < trigger);
        assert!(sql.contains(&format!("-- goscope-postgres additions {}\n", *ADDITIONS_VERSION)));
    }

    #[test]
    fn each_function_has_the_version() {
        for function in of_kind("function") {
            assert!(function.sql.contains("-- goscope-postgres additions {version}\n"), "{}", function.name);
        }
    }
}
