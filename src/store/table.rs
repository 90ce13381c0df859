//! A table as it exists on the server: it is found in the catalogue, or made if it is missing. Its statements are
//! written for its columns.

use std::borrow::Cow;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Mutex};

use super::definition::{Definition, Durability};
use super::relation::{Relation, usable_additions};
use super::template::{RELAXED, Template, render};
use super::{citus, indexes, owner, schema};
use crate::engine::{Access, AccessMode, Connection, Error, Prepare, Statement};
use crate::sync::lock;

/// A table whose columns are known, and its statements for these columns.
pub(crate) struct Shape {
    definition: &'static Definition,
    /// Quoted.
    name: String,
    /// Whether the table exists; it may be missing, and not be made. Then the columns are unknown.
    exists: bool,
    relation: Relation,
    /// The names of the additions that the table has, and the role may use.
    additions: Vec<&'static str>,
    /// Those that have been wanted so far.
    statements: Mutex<Vec<(&'static Template, Arc<Statement>)>>,
}

impl Shape {
    fn new(definition: &'static Definition, name: &str, durability: Durability, relation: Relation) -> Self {
        let mut additions = usable_additions(definition.additions, &relation);
        additions.extend((durability == Durability::Async).then_some(RELAXED));
        Self {
            definition,
            name: name.to_owned(),
            exists: true,
            relation,
            additions,
            statements: Mutex::default(),
        }
    }

    /// The documented shape of a table that does not exist.
    fn missing(definition: &'static Definition, name: &str, durability: Durability) -> Self {
        Self { exists: false, ..Self::new(definition, name, durability, Relation::default()) }
    }

    fn relation(&self) -> Option<&Relation> {
        self.exists.then_some(&self.relation)
    }

    /// The table's name, if it exists and a crash of the server would leave it unchanged.
    pub(super) fn logged_name(&self) -> Option<String> {
        let relation = self.relation().filter(|relation| relation.is_logged)?;
        Some(format!("{}.{}", relation.schema, relation.name))
    }

    /// A statement, with its text for this table's columns. A template is known by its address, so each is a static.
    pub(super) fn statement(&self, template: &'static Template) -> Arc<Statement> {
        let mut statements = lock(&self.statements);
        let known = statements.iter().find(|(known, _)| ptr::eq(*known, template));
        if let Some((_, statement)) = known {
            return statement.clone();
        }
        let Self { definition, name, relation, additions, .. } = self;
        // Sessions of the application have a search path of their own. And how its transactions commit is its own affair.
        let full_name = self.relation().map_or_else(|| name.clone(), |_| self.name());
        let theirs: Vec<_> = additions.iter().copied().filter(|addition| *addition != RELAXED).collect();
        let statement = Arc::new(template.statement(
            |sql| render(sql, name, definition.touched, relation, additions),
            |sql| render(sql, &full_name, definition.touched, relation, &theirs),
        ));
        statements.push((template, statement.clone()));
        statement
    }

    /// Whether the table has this addition, and the role may use it.
    pub(super) fn has(&self, addition: &str) -> bool {
        self.additions.contains(&addition)
    }

    /// The text that `go_goscope_notify` sends when the row of a stored key has changed.
    ///
    /// Names are unquoted: how the server quotes them depends on the session's settings. The text has the table's
    /// name, not its oid: a server that was upgraded under our connections, or restored, has another oid.
    pub(super) fn topic(&self, stored: &str) -> String {
        match self.relation() {
            Some(Relation { schema, name, .. }) => {
                format!("{}.{}:{stored}", unquoted(schema), unquoted(name))
            }
            None => stored.to_owned(),
        }
    }

    /// The table's name as statements have it, without the schema if the application named none.
    pub(super) fn sql_name(&self) -> &str {
        &self.name
    }

    /// The table's name in errors, quoted as in SQL.
    pub(super) fn name(&self) -> String {
        self.relation().map_or_else(String::new, |Relation { schema, name, .. }| format!("{schema}.{name}"))
    }

    /// Whether the server accepts only JSON in this column.
    pub(super) fn holds_json(&self, column: &str) -> bool {
        let column = self.relation().and_then(|relation| relation.column(column));
        column.is_some_and(|column| matches!(column.data_type.as_str(), "jsonb" | "json"))
    }

    /// The width that a column was declared with, in characters.
    pub(super) fn max_chars(&self, column: &str) -> Option<usize> {
        self.relation()?.column(column)?.max_chars
    }
}

/// A table of one adapter.
pub(crate) struct Table {
    definition: &'static Definition,
    /// Quoted; the first is created if none exists.
    names: Vec<String>,
    create: bool,
    durability: Durability,
    shape: Mutex<Option<Arc<Shape>>>,
    /// A hasher that has taken the table's name; every resource's hash continues from it. It takes the folded name, if
    /// there is one: two spellings may mean one table.
    hasher: DefaultHasher,
    whole: u64,
}

impl Table {
    /// A table under its documented name.
    pub(super) fn documented(
        definition: &'static Definition,
        create: bool,
        durability: Durability,
    ) -> Arc<Self> {
        Self::named(definition, &[definition.documented.to_owned()], create, durability)
    }

    /// A table under a name that the application chose, in its parts: `schema.table` or `table`.
    ///
    /// The name is taken literally. But the pg-based adapter puts it into its SQL without quotes, where upper case
    /// folds to lower. So if a table exists under the folded name only, that table is used.
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
        let mut hasher = DefaultHasher::new();
        names.last().hash(&mut hasher);
        let whole = hasher.finish();
        Arc::new(Self { definition, names, create, durability, shape: Mutex::default(), hasher, whole })
    }

    /// The shape, once the table is prepared. Before that, it is the documented shape, also if the table is missing
    /// and may not be made: the statement then fails with the server's own error.
    pub(super) fn shape(&self) -> Arc<Shape> {
        let known = lock(&self.shape).clone();
        known.unwrap_or_else(|| Arc::new(Shape::missing(self.definition, &self.names[0], self.durability)))
    }

    /// The access of a call to the table as a whole.
    pub(super) fn access(&self, mode: AccessMode) -> Access {
        Access { resource: self.whole, mode }
    }

    /// The access of a call to a key. `space` keeps ids and task ids apart. Prefix and key count as one text,
    /// as in the table: adapters whose namespaces overlap keep their order, too.
    pub(super) fn access_on(&self, space: &str, prefix: &str, key: &str, mode: AccessMode) -> Access {
        let mut hasher = self.hasher.clone();
        space.hash(&mut hasher);
        hasher.write(prefix.as_bytes());
        hasher.write(key.as_bytes());
        Access { resource: hasher.finish(), mode }
    }

    /// Takes the table as it was found under its first name, or looks for it under the folded one, or makes it.
    /// `mend` also makes what an existing table lacks. Returns whether this may have outdated what was found of other
    /// tables.
    async fn settle(
        &self,
        connection: &Connection,
        found: Option<Relation>,
        mend: bool,
    ) -> Result<bool, Error> {
        let mut found = found.map(|relation| (&self.names[0], relation));
        // Read only here: the table may be in a schema that the role must not look into, which is an error.
        if found.is_none()
            && let Some(folded) = self.names.get(1)
        {
            found = schema::find(connection, folded).await?.map(|relation| (folded, relation));
        }
        if let Some((_, relation)) = &found {
            owner::check(connection, relation).await?;
            citus::check(connection, relation).await?;
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

/// A name without the quotes that the server has put around it.
fn unquoted(name: &str) -> Cow<'_, str> {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => Cow::Owned(quoted.replace("\"\"", "\"")),
        None => Cow::Borrowed(name),
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

/// The work of `connect()`: reads every table of an adapter again, whatever was known.
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
                // An addition to one table may be part of another's additions, and making an index may take long.
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
    use super::*;

    #[test]
    fn a_table_name_is_never_sql() {
        assert_eq!(quote(&["a\"; DROP TABLE x; --".into()]), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(quote(&["s".into(), "t".into()]), "\"s\".\"t\"");
    }

    #[test]
    fn a_topic_has_names_without_quotes() {
        assert_eq!(unquoted("plain"), "plain");
        assert_eq!(unquoted("\"it's \"\"quoted\"\"\""), "it's \"quoted\"");
    }
}
