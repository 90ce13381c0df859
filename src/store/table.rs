//! A table as the server has it: found in the catalogue, made where it is missing, and its statements in the words
//! that fit its columns.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::relation::{Addition, Relation};
use super::{indexes, owner, schema};
use crate::link::{Connection, Error, Kind, Mode, Prepare, Statement, Turn};
use crate::sync::lock;

/// A statement of a table before its columns' types are known: in words for one call, for many, or for both. Words for
/// many take an array for each parameter (see [`Statement`]), and their rows begin with the key of the call that each
/// belongs to.
///
/// * `{table}` is the quoted name, `{touched}` the column that holds the time of the last write.
/// * `{relaxed}`, at the end of a `RETURNING`, has the commit not wait for the disk, where the table's [`Durability`] allows
///   that; `{returning_relaxed}` is a `RETURNING` of its own. It is evaluated only where a row was written.
/// * `{with addition}`, `{without addition}` and `{end}` stand around what is said only where the table has the addition
///   and the role may use it, or not. `{draw:column}` is the next number of the column's sequence.
/// * `{int:column}` and `{float:column}` are the column as a number, or as text where its type has values that the server
///   refuses to cast, for [`Cells`](super::cells::Cells) to read.
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

/// A sub-select, so that it is evaluated once however many rows there are.
const RELAX: &str = "(SELECT set_config('synchronous_commit', 'off', true))";

/// What stands among the additions where [`RELAX`] is wanted.
const RELAXED: &str = "relaxed";

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
    /// What the table may have beyond the documented schema.
    pub(super) additions: &'static [Addition],
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

/// A table whose columns are known, and its statements in their words.
pub(crate) struct Shape {
    /// None where the table is missing, and may not be made.
    relation: Option<Relation>,
    /// The names of the additions that the table has, and the role may use.
    additions: Vec<&'static str>,
    statements: Vec<Arc<Statement>>,
}

impl Shape {
    fn new(definition: &Definition, name: &str, durability: Durability, relation: Relation) -> Self {
        let usable = definition.additions.iter().filter(|addition| addition.is_usable(&relation));
        let relaxed = (durability == Durability::Async).then_some(RELAXED);
        let additions: Vec<_> = usable.map(|addition| addition.name).chain(relaxed).collect();
        let statement = |template: &Template| {
            Arc::new(template.statement(|sql| render(sql, name, definition.touched, &relation, &additions)))
        };
        let statements = definition.templates.iter().map(statement).collect();
        Self { relation: Some(relation), additions, statements }
    }

    /// The documented shape of a table that is not there.
    fn missing(definition: &Definition, name: &str, durability: Durability) -> Self {
        let relation = Relation {
            schema: String::new(),
            name: String::new(),
            is_ours: false,
            is_logged: true,
            columns: Vec::new(),
            triggers: Vec::new(),
            functions: Vec::new(),
        };
        Self { relation: None, ..Self::new(definition, name, durability, relation) }
    }

    /// The table's name, where it is there and a crash of the server would leave it as it is.
    pub(super) fn logged_name(&self) -> Option<String> {
        let relation = self.relation.as_ref().filter(|relation| relation.is_logged)?;
        Some(format!("{}.{}", relation.schema, relation.name))
    }

    pub(super) fn statement(&self, index: usize) -> Arc<Statement> {
        self.statements[index].clone()
    }

    /// Whether the table has this addition, and the role may use it.
    pub(super) fn has(&self, addition: &str) -> bool {
        self.additions.contains(&addition)
    }

    /// What `go_goscope_notify` says when something has happened to the row of a stored key.
    ///
    /// By the table's name, not its oid: a server that was upgraded under our connections, or restored, has another.
    pub(super) fn topic(&self, stored: &str) -> String {
        match &self.relation {
            Some(Relation { schema, name, .. }) => format!("{schema}.{name}:{stored}"),
            None => stored.to_owned(),
        }
    }

    /// The table's name in errors, quoted as in SQL.
    pub(super) fn name(&self) -> String {
        self.relation
            .as_ref()
            .map_or_else(String::new, |Relation { schema, name, .. }| format!("{schema}.{name}"))
    }

    /// Whether the server lets nothing into this column that is not JSON.
    pub(super) fn holds_json(&self, column: &str) -> bool {
        let column = self.relation.as_ref().and_then(|relation| relation.column(column));
        column.is_some_and(|column| matches!(column.data_type.as_str(), "jsonb" | "json"))
    }

    /// The width that a column was declared with, in characters.
    pub(super) fn max_chars(&self, column: &str) -> Option<usize> {
        self.relation.as_ref()?.column(column)?.max_chars
    }
}

/// SQL for a table as it is: see [`Template`].
pub(super) fn render(
    sql: &str,
    name: &str,
    touched: &str,
    relation: &Relation,
    additions: &[&str],
) -> String {
    let mut text = String::with_capacity(sql.len() + 256);
    let mut rest = sql;
    let mut is_left_out = false;
    // One pass from left to right: the name is the application's, and may itself look like a token.
    while let Some((before, token_and_after)) = rest.split_once('{') {
        let (token, after) = token_and_after.split_once('}').expect("a token is closed");
        if !is_left_out {
            text.push_str(before);
        }
        match token.split_once(' ').unwrap_or((token, "")) {
            ("with", addition) => is_left_out = !additions.contains(&addition),
            ("without", addition) => is_left_out = additions.contains(&addition),
            ("end", _) => is_left_out = false,
            _ if is_left_out => {}
            ("table", _) => text.push_str(name),
            ("schema", _) => text.push_str(&format!("{}.", relation.schema)),
            ("touched", _) => text.push_str(touched),
            ("relaxed", _) if additions.contains(&RELAXED) => text.extend([", ", RELAX]),
            ("returning_relaxed", _) if additions.contains(&RELAXED) => {
                text.extend([" RETURNING key::text, ", RELAX]);
            }
            ("relaxed" | "returning_relaxed", _) => {}
            _ => text.push_str(&of_column(token, touched, relation)),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn of_column(token: &str, touched: &str, relation: &Relation) -> String {
    let (what, column) = token.split_once(':').expect("a token names its column");
    let name = if column == "touched" { touched } else { column };
    let column = relation.column(name);
    let zoned = column.is_some_and(|column| column.has_time_zone);
    let expression = match (what, zoned) {
        ("now", true) => "clock_timestamp()",
        ("now", false) => "timezone('UTC', clock_timestamp())",
        ("start", true) => "statement_timestamp()",
        ("start", false) => "timezone('UTC', statement_timestamp())",
        ("epoch", true) => "TIMESTAMPTZ 'epoch'",
        ("epoch", false) => "TIMESTAMP 'epoch'",
        ("draw", _) => {
            let sequence = column.and_then(|column| column.sequence.as_deref()).unwrap_or_default();
            return format!("nextval('{}'::regclass)", sequence.replace('\'', "''"));
        }
        ("int" | "float", _) => {
            let data_type = column.map_or("bigint", |column| column.data_type.as_str());
            let cast = match (what, data_type) {
                ("int", "bigint" | "integer" | "smallint") => "int8",
                ("float", "double precision" | "real" | "bigint" | "integer" | "smallint") => "float8",
                _ => "text",
            };
            return format!("{name}::{cast}");
        }
        _ => unreachable!("no such token: {what}"),
    };
    expression.to_owned()
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
        known.unwrap_or_else(|| Arc::new(Shape::missing(self.definition, &self.names[0], self.durability)))
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

    /// Takes the table as it was found under its first name, or looks for it under the folded one, or makes it. `mend` also
    /// makes what an existing table lacks. Says whether what was found of other tables may be out of date by that.
    async fn settle(
        &self,
        connection: &Connection,
        found: Option<Relation>,
        mend: bool,
    ) -> Result<bool, Error> {
        let mut found = found.map(|relation| (&self.names[0], relation));
        // Asked for only here: it may be in a schema that the role must not look into, which is an error.
        if found.is_none()
            && let Some(folded) = self.names.get(1)
        {
            found = schema::find(connection, folded).await?.map(|relation| (folded, relation));
        }
        if let Some((_, relation)) = &found {
            owner::check(connection, relation).await?;
        }
        let mut has_changed = false;
        if found.is_none() && self.create {
            let name = &self.names[0];
            found = schema::create(connection, name, self.definition, self.durability)
                .await?
                .map(|relation| (name, relation));
            has_changed = true;
        } else if let (Some((name, relation)), true, true) = (&mut found, mend, self.create) {
            has_changed = indexes::mend(connection, name, self.definition, relation).await?;
            if schema::supplement(connection, name, self.definition, relation).await? {
                has_changed = true;
                if let Some(supplemented) = schema::find(connection, name).await? {
                    *relation = supplemented;
                }
            }
        }
        if let Some((name, relation)) = found {
            *lock(&self.shape) = Some(Arc::new(Shape::new(self.definition, name, self.durability, relation)));
        }
        Ok(has_changed)
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
        Box::pin(async move {
            let found = schema::find(connection, &self.names[0]).await?;
            self.settle(connection, found, false).await.map(drop)
        })
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
            let names: Vec<_> = self.0.iter().map(|table| table.names[0].as_str()).collect();
            let all = schema::find_all(connection, &names).await?;
            let mut has_changed = false;
            for ((table, name), found) in self.0.iter().zip(names).zip(all) {
                // What one table is given may be part of another's additions, and to make an index may take long.
                let found = if has_changed { schema::find(connection, name).await? } else { found };
                has_changed |= table.settle(connection, found, true).await?;
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
    use super::super::relation::Column;
    use super::*;

    fn relation(columns: Vec<Column>) -> Relation {
        let (schema, name) = ("s".to_owned(), "t".to_owned());
        Relation {
            schema,
            name,
            is_ours: true,
            is_logged: true,
            columns,
            triggers: vec![],
            functions: vec![],
        }
    }

    fn column(name: &str, has_time_zone: bool) -> Column {
        Column {
            name: name.into(),
            data_type: if has_time_zone { "bigint" } else { "numeric" }.into(),
            has_time_zone,
            max_chars: None,
            leads_an_index: false,
            is_usable: true,
            sequence: Some("s.\"it's\"".into()),
            sequence_serves: true,
        }
    }

    #[test]
    fn tokens_take_the_type_of_their_column() {
        let table = relation(vec![column("a", true), column("b", false)]);
        let sql =
            render("SELECT {now:a}, {now:b}, {epoch:a}, {start:b} FROM {table}", "\"t\"", "", &table, &[]);
        assert_eq!(
            sql,
            "SELECT clock_timestamp(), timezone('UTC', clock_timestamp()), TIMESTAMPTZ 'epoch', \
             timezone('UTC', statement_timestamp()) FROM \"t\""
        );
        assert_eq!(render("{int:a}, {int:b}, {float:a}", "", "", &table, &[]), "a::int8, b::text, a::float8");
        assert_eq!(render("{draw:a} {schema}", "", "", &table, &[]), "nextval('s.\"it''s\"'::regclass) s.");
    }

    #[test]
    fn what_an_addition_is_needed_for_is_left_out_without_it() {
        let table = relation(vec![column("a", true)]);
        let sql = "SELECT 1{with more}, {now:a}{end}{without more}, 2{end} FROM {table}";
        assert_eq!(render(sql, "t", "", &table, &["more"]), "SELECT 1, clock_timestamp() FROM t");
        assert_eq!(render(sql, "t", "", &table, &["other"]), "SELECT 1, 2 FROM t");
    }

    #[test]
    fn a_table_name_is_never_sql() {
        assert_eq!(quote(&["a\"; DROP TABLE x; --".into()]), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(render("{table}", "\"{now:a}\"", "", &relation(vec![]), &[]), "\"{now:a}\"");
        assert_eq!(quote(&["s".into(), "t".into()]), "\"s\".\"t\"");
    }

    #[test]
    fn a_commit_is_relaxed_where_the_table_says_so() {
        let words = |additions: &[&str]| {
            render("a{relaxed}; b{returning_relaxed}", "t", "", &relation(vec![]), additions)
        };
        assert_eq!(words(&[]), "a; b");
        assert_eq!(words(&[RELAXED]), format!("a, {RELAX}; b RETURNING key::text, {RELAX}"));
    }
}
