//! Reads for the command `goscope-postgres`, or any other view for operators: one SELECT of the caller's, and what it
//! needs to find the rows of the adapters. The SQL itself is in `cli/queries/`.

use std::sync::Arc;

use super::citus::is_spread;
use super::definition::{Definition, Durability};
use super::keys::Prefix;
use super::owner::{is_superuser, is_trusted_owner};
use super::table::{Shape, Table};
use crate::engine::{
    Accesses, Answer, Arg, Call, Engine, Error, Kind, NothingToPrepare, Reply, Request, Retry, Row, Statement,
};

/// The most parameters of a query.
const PARAMS: &[Kind] = &[Kind::Text; 8];

/// An inspection reads no additions by their names.
static ANY: Definition = Definition { documented: "", additions: &[], touched: "" };

/// Conditions that the store's own statements have, too. `class` is a row of `pg_class`.
pub const IS_TRUSTED_OWNER: &str = is_trusted_owner!();
pub const IS_SUPERUSER: &str = is_superuser!();
/// Of a row of `pg_dist_partition`.
pub const IS_SPREAD: &str = is_spread!();

/// Rows that a query has found: JSON text that the server has made.
pub struct Report(String);

impl Report {
    pub fn into_json(self) -> String {
        self.0
    }
}

pub struct Inspection {
    engine: Arc<Engine>,
}

impl Inspection {
    pub fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone() }
    }

    /// The rows of one SELECT, as an array of objects. Its parameters are text.
    ///
    /// `as_application`: the statement is sent in the form of another application's read. It does not begin with the
    /// hint to proxies that it is for the primary.
    pub fn query(
        &self,
        sql: &str,
        params: Vec<Option<String>>,
        as_application: bool,
        reply: Reply<Option<Report>>,
    ) {
        let statement = reading(sql).and_then(|sql| {
            let kinds = PARAMS.get(..params.len());
            let kinds = kinds.ok_or_else(|| Error::other("a query takes at most 8 parameters"))?;
            let sql = if as_application { format!("({sql})") } else { sql };
            Ok(Statement::new(Some(sql), None, None, kinds, 0))
        });
        match statement {
            Ok(statement) => {
                let args = params.into_iter().map(Arg::Text).collect();
                let call = Query { statement: Arc::new(statement), args };
                // Without accesses: it waits for no other call, and none waits for it.
                let (accesses, prepare) = (Accesses::default(), Arc::new(NothingToPrepare));
                self.engine.submit(Request::new(accesses, prepare, call, Retry::Harmless, reply));
            }
            Err(error) => reply.settle(Err(error)),
        }
    }

    /// The name, in SQL, of the table that the adapters use under this name: the name as given, or folded. Fails if
    /// they refuse that table. If there is none, it is the name as given.
    pub fn table(&self, name: &[String], reply: Reply<String>) {
        self.find(name, reply, |shape| shape.sql_name().to_owned());
    }

    /// A key in the form in which the adapters store it: this depends on the width of the table's column `key`.
    pub fn stored_key(
        &self,
        table: &[String],
        key_prefix: &str,
        namespace: &str,
        key: String,
        reply: Reply<String>,
    ) {
        let prefix = Prefix::new(key_prefix, namespace);
        self.find(table, reply, move |shape| prefix.stored(&key, shape.max_chars("key")).text);
    }

    fn find(
        &self,
        name: &[String],
        reply: Reply<String>,
        read: impl FnOnce(&Shape) -> String + Send + 'static,
    ) {
        let table = Table::named(&ANY, name, false, Durability::Full);
        let found = table.clone();
        let done = Reply::new(move |outcome: Result<(), Error>| {
            reply.settle(outcome.map(|()| read(&found.shape())));
        });
        self.engine.submit(Request::preparation(table, done));
    }

    /// Whether a pooler gives the sessions of the calls so far to other clients, too. A connection decides that when
    /// it is opened.
    pub fn shares_sessions(&self) -> bool {
        self.engine.shares_sessions()
    }
}

/// The text before the keys of a prefix, and the text before digests instead if a narrow column has no room for both.
pub fn stored_prefixes(key_prefix: &str, namespace: &str) -> [String; 2] {
    let prefix = Prefix::new(key_prefix, namespace);
    [prefix.as_str().to_owned(), prefix.spare().to_owned()]
}

/// A statement whose answer is one JSON text: the rows of this SELECT. Its form lets the server refuse all else:
///
/// * In brackets after FROM, the grammar has room for a query and for nothing else (42601).
/// * A WITH that writes must be at the top level (0A000).
/// * INTO, which makes a table, must be in the first SELECT of a UNION. That one is ours, so INTO is refused even in SQL
///   that closes our bracket (42601).
/// * A message of the extended protocol has one statement, so nothing can follow (42601).
///
/// Functions that write are not refused, nor is a row lock (FOR UPDATE). A read-only transaction would refuse most of
/// these. But a pooler in statement mode refuses transactions, some proxies choose the server by them, and `doctor`
/// reads `transaction_read_only`. So a program that runs SQL of its users needs a role that can only read.
fn reading(sql: &str) -> Result<String, Error> {
    let sql = sql.trim();
    let verb = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if !verb.eq_ignore_ascii_case("SELECT") && !verb.eq_ignore_ascii_case("WITH") {
        return Err(Error::other(format!(
            "a query is one SELECT that only reads, and this begins with '{verb}'"
        )));
    }
    Ok(format!(
        "SELECT NULL WHERE false UNION ALL SELECT coalesce(json_agg(answer), '[]')::text FROM (\n{sql}\n) AS answer"
    ))
}

struct Query {
    statement: Arc<Statement>,
    args: Vec<Arg>,
}

impl Call for Query {
    type Output = Option<Report>;

    fn bind(&mut self) -> Arc<Statement> {
        self.statement.clone()
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<Option<Report>>, Error> {
        let text = rows.first().and_then(|row| row.value::<Option<&str>>(0).ok().flatten());
        Ok(Answer::Done(text.map(|text| Report(text.to_owned()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_select_in_the_brackets_of_another() {
        let sql = reading("\n  with a AS (SELECT 1) SELECT * FROM a -- it\n").unwrap();
        assert!(sql.starts_with("SELECT NULL WHERE false UNION ALL SELECT "));
        assert!(sql.ends_with("FROM (\nwith a AS (SELECT 1) SELECT * FROM a -- it\n) AS answer"));
        for other in ["DELETE FROM t", "", "SELECTED", "(SELECT 1)", "TABLE t"] {
            assert!(reading(other).is_err(), "{other}");
        }
    }
}
