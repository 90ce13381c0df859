//! A table as the server has it: found in the catalogue, made where it is missing, and its statements in the words
//! that fit its columns.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::schema;
use crate::link::{Connection, Error, Kind, Mode, Prepare, Statement, Turn};
use crate::sync::lock;

/// A statement of a table before its columns' types are known: in words for one call, for many, or for both. Words for
/// many take an array for each parameter (see [`Statement`]), and their rows begin with the key of the call that each
/// belongs to.
///
/// * `{table}` is the quoted name, `{touched}` the column that holds the time of the last write.
/// * `{relaxed}`, at the end of a `RETURNING`, has the commit not wait for the disk, where the table's [`Durability`] allows
///   that; `{returning_relaxed}` is a `RETURNING` of its own. In a sub-select it is evaluated once, and only where a row
///   was written.
/// * `{now:column}` is the present by the server's clock, read whenever the expression is evaluated, so after a wait
///   for a row. `{start:column}` is the moment the server began the statement: it does not move, so it can bound an
///   index scan. `{epoch:column}` is 1970. Each comes in the type of the column: a `TIMESTAMP` holds UTC.
pub(super) struct Template {
    pub(super) one: Option<&'static str>,
    pub(super) many: Option<&'static str>,
    /// Removes expired rows, in the same statement as the words for many and after them: what those return, it can read
    /// as `written`.
    pub(super) sweep: Option<&'static str>,
    pub(super) params: &'static [Kind],
    /// How many parameters, of the last, all calls of a run have in common.
    pub(super) shared: usize,
}

impl Template {
    pub(super) const fn of_one(one: &'static str, params: &'static [Kind]) -> Self {
        Self { one: Some(one), many: None, sweep: None, params, shared: 0 }
    }

    pub(super) const fn of_many(many: &'static str, params: &'static [Kind]) -> Self {
        Self { one: None, many: Some(many), sweep: None, params, shared: 0 }
    }

    pub(super) const fn of_both(one: &'static str, many: &'static str, params: &'static [Kind]) -> Self {
        Self { one: Some(one), many: Some(many), sweep: None, params, shared: 0 }
    }

    pub(super) const fn sweeping(self, sweep: &'static str) -> Self {
        Self { sweep: Some(sweep), ..self }
    }

    pub(super) const fn sharing(self, shared: usize) -> Self {
        Self { shared, ..self }
    }

    fn statement(&self, render: impl Fn(&str) -> String) -> Statement {
        let sweeping = self.many.zip(self.sweep).map(|(many, sweep)| {
            render(&format!("WITH written AS ({many}\n), swept AS ({sweep}\n)\nSELECT * FROM written"))
        });
        Statement::new(self.one.map(&render), self.many.map(&render), sweeping, self.params, self.shared)
    }
}

/// What a crash of the server may take of a table, in exchange for quicker writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Nothing that was acknowledged.
    Full,
    /// The last moments: commits do not wait for the disk.
    Async,
    /// All of it: the table is made without a log of its changes.
    Unlogged,
}

/// A sub-select, so that many rows set it once.
const RELAX: &str = "(SELECT set_config('synchronous_commit', 'off', true))";

/// Deletes the rows under these keys, whoever wrote them, in the order in which each can be locked.
pub(super) const DELETE_BY_KEY: Template = Template::of_both(
    "DELETE FROM {table} WHERE key = $1{returning_relaxed}",
    r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table} WHERE key = ANY ($1) ORDER BY key COLLATE "C" FOR UPDATE)){returning_relaxed}"#,
    &[Kind::Text],
);

/// What the store knows of a table before it has looked.
pub(super) struct Definition {
    /// Its section in `schema.sql`.
    pub(super) section: &'static str,
    pub(super) indexes: &'static [Index],
    /// The column that holds the time of the last write, where the templates name it.
    pub(super) touched: &'static str,
    pub(super) templates: &'static [Template],
}

pub(super) struct Index {
    /// The documented name; the server picks one where none is documented or the name is taken.
    pub(super) name: Option<&'static str>,
    /// The column that a present index must lead with to serve.
    pub(super) leads_with: &'static str,
    /// What follows `ON table`.
    pub(super) on: &'static str,
}

pub(super) struct Column {
    pub(super) name: String,
    pub(super) has_time_zone: bool,
    /// The `n` of a `VARCHAR(n)`.
    pub(super) max_chars: Option<usize>,
    pub(super) leads_an_index: bool,
}

/// A table whose columns are known, and its statements in their words.
pub(crate) struct Shape {
    name: String,
    columns: Vec<Column>,
    statements: Vec<Arc<Statement>>,
}

impl Shape {
    fn new(definition: &Definition, name: &str, durability: Durability, columns: Vec<Column>) -> Self {
        let words = |sql: &str| render(sql, name, definition.touched, durability, &columns);
        let statements =
            definition.templates.iter().map(|template| Arc::new(template.statement(words))).collect();
        Self { name: name.to_owned(), columns, statements }
    }

    /// The table's name, quoted.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn statement(&self, index: usize) -> Arc<Statement> {
        self.statements[index].clone()
    }

    /// The width that a column was declared with, in characters.
    pub(super) fn max_chars(&self, column: &str) -> Option<usize> {
        self.columns.iter().find(|known| known.name == column)?.max_chars
    }
}

fn render(sql: &str, name: &str, touched: &str, durability: Durability, columns: &[Column]) -> String {
    let mut text = String::with_capacity(sql.len() + 256);
    let mut rest = sql;
    // One pass from left to right: the name is the application's, and may itself look like a token.
    while let Some((before, token_and_after)) = rest.split_once('{') {
        let (token, after) = token_and_after.split_once('}').expect("a token is closed");
        text.push_str(before);
        match (token, durability) {
            ("table", _) => text.push_str(name),
            ("touched", _) => text.push_str(touched),
            ("relaxed", Durability::Async) => text.extend([", ", RELAX]),
            ("returning_relaxed", Durability::Async) => text.extend([" RETURNING key::text, ", RELAX]),
            ("relaxed" | "returning_relaxed", _) => {}
            (token, _) => text.push_str(clock(token, touched, columns)),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn clock(token: &str, touched: &str, columns: &[Column]) -> &'static str {
    let (what, column) = token.split_once(':').expect("a token names its column");
    let column = if column == "touched" { touched } else { column };
    let zoned = columns.iter().any(|known| known.name == column && known.has_time_zone);
    match (what, zoned) {
        ("now", true) => "clock_timestamp()",
        ("now", false) => "timezone('UTC', clock_timestamp())",
        ("start", true) => "statement_timestamp()",
        ("start", false) => "timezone('UTC', statement_timestamp())",
        ("epoch", true) => "TIMESTAMPTZ 'epoch'",
        ("epoch", false) => "TIMESTAMP 'epoch'",
        _ => unreachable!("no such token: {what}"),
    }
}

/// A table of one adapter.
pub(crate) struct Table {
    definition: &'static Definition,
    /// Quoted; the first is what is created where none exists.
    names: Vec<String>,
    create: bool,
    durability: Durability,
    shape: Mutex<Option<Arc<Shape>>>,
    /// Has seen the table's name, and so begins every turn's hash. The folded name, where there is one: two spellings may
    /// mean one table.
    turns: DefaultHasher,
    whole: u64,
}

impl Table {
    /// A table under its documented name.
    pub(super) fn documented(definition: &'static Definition, name: &str, create: bool) -> Arc<Self> {
        Self::named(definition, &[name.to_owned()], create, Durability::Full)
    }

    /// A table under a name that the application chose, in its parts: `schema.table` or `table`.
    ///
    /// The name is taken to the letter. But the pg-based adapter puts it into its SQL without quotes, where upper case
    /// folds to lower, so a table that exists under the folded name only is the one that is meant.
    pub(super) fn named(
        definition: &'static Definition,
        parts: &[String],
        create: bool,
        durability: Durability,
    ) -> Arc<Self> {
        let mut names = vec![quote(parts)];
        let plain = |part: &String| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
        if parts.iter().all(plain) {
            let folded = quote(&parts.iter().map(|part| part.to_ascii_lowercase()).collect::<Vec<_>>());
            names.push(folded);
            names.dedup();
        }
        let mut turns = DefaultHasher::new();
        names.last().hash(&mut turns);
        let whole = turns.finish();
        Arc::new(Self { definition, names, create, durability, shape: Mutex::default(), turns, whole })
    }

    /// The shape, once the table is prepared. Before, or where the table is missing and may not be made, the
    /// documented one: the statement then fails with the server's own words.
    pub(super) fn shape(&self) -> Arc<Shape> {
        let known = lock(&self.shape).clone();
        let documented = || Shape::new(self.definition, &self.names[0], self.durability, Vec::new());
        known.unwrap_or_else(|| Arc::new(documented()))
    }

    /// The turn that a call takes on the table as a whole.
    pub(super) fn turn(&self, mode: Mode) -> Turn {
        Turn { resource: self.whole, mode }
    }

    /// The turn that a call takes on a key. `space` keeps ids and task ids apart. Prefix and key count as one text, as
    /// they do in the table: adapters whose namespaces overlap keep their order, too.
    pub(super) fn turn_on(&self, space: &str, prefix: &str, key: &str, mode: Mode) -> Turn {
        let mut hasher = self.turns.clone();
        space.hash(&mut hasher);
        hasher.write(prefix.as_bytes());
        hasher.write(key.as_bytes());
        Turn { resource: hasher.finish(), mode }
    }

    /// Finds the table or makes it. `mend` also makes an index that an existing table lacks.
    async fn look(&self, connection: &Connection, mend: bool) -> Result<(), Error> {
        let mut found = None;
        for name in &self.names {
            let columns = schema::columns(connection, name).await?;
            if !columns.is_empty() {
                found = Some((name, columns));
                break;
            }
        }
        if found.is_none() && self.create {
            let columns =
                schema::create(connection, &self.names[0], self.definition, self.durability).await?;
            found = Some((&self.names[0], columns));
        } else if let (Some((name, columns)), true, true) = (&found, mend, self.create) {
            schema::mend(connection, name, self.definition, columns).await?;
        }
        if let Some((name, columns)) = found {
            let shape = Arc::new(Shape::new(self.definition, name, self.durability, columns));
            *lock(&self.shape) = Some(shape);
        }
        Ok(())
    }
}

fn quote(parts: &[String]) -> String {
    parts.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

impl Prepare for Table {
    fn is_prepared(&self) -> bool {
        lock(&self.shape).is_some()
    }

    fn prepare<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(self.look(connection, false))
    }

    fn invalidate(&self) -> bool {
        let known = lock(&self.shape).take();
        known.is_some() || self.create
    }
}

/// What `connect()` does: looks at every table of an adapter anew, whatever was known.
pub(crate) struct Connect(pub(crate) Vec<Arc<Table>>);

impl Prepare for Connect {
    fn is_prepared(&self) -> bool {
        false
    }

    fn prepare<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async move {
            for table in &self.0 {
                table.look(connection, true).await?;
            }
            Ok(())
        })
    }

    fn invalidate(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_take_the_type_of_their_column() {
        let column = |name: &str, has_time_zone| Column {
            name: name.into(),
            has_time_zone,
            max_chars: None,
            leads_an_index: false,
        };
        let columns = [column("a", true), column("b", false)];
        let sql = render(
            "SELECT {now:a}, {now:b}, {epoch:a}, {start:b} FROM {table}",
            "\"t\"",
            "",
            Durability::Full,
            &columns,
        );
        assert_eq!(
            sql,
            "SELECT clock_timestamp(), timezone('UTC', clock_timestamp()), TIMESTAMPTZ 'epoch', \
             timezone('UTC', statement_timestamp()) FROM \"t\""
        );
    }

    #[test]
    fn a_table_name_is_never_sql() {
        assert_eq!(quote(&["a\"; DROP TABLE x; --".into()]), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(render("{table}", "\"{now:a}\"", "", Durability::Full, &[]), "\"{now:a}\"");
        assert_eq!(quote(&["s".into(), "t".into()]), "\"s\".\"t\"");
    }

    #[test]
    fn a_commit_is_relaxed_where_the_table_says_so() {
        let words = |durability| render("a{relaxed}; b{returning_relaxed}", "t", "", durability, &[]);
        assert_eq!(words(Durability::Full), "a; b");
        assert_eq!(words(Durability::Unlogged), "a; b");
        assert_eq!(words(Durability::Async), format!("a, {RELAX}; b RETURNING key::text, {RELAX}"));
    }
}
