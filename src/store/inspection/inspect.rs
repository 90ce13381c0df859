//! The inspections by name, and how each is asked.

use std::sync::Arc;

use tokio_postgres::Row;

use super::{catalogue, rows, server};
use crate::engine::{
    Accesses, Answer, Arg, Call, Engine, Error, Kind, NothingToPrepare, Prepare, Reply, Request, Retry,
    Statement,
};
use crate::store::call::{Found, KeyCall};
use crate::store::definition::Durability;
use crate::store::keys::Prefix;
use crate::store::place::Place;
use crate::store::table::Table;
use crate::store::template::Template;

/// What an inspection has found: JSON text that the server has made.
pub struct Report(String);

impl Report {
    pub fn into_json(self) -> String {
        self.0
    }
}

pub struct Inspection {
    engine: Arc<Engine>,
    locks: Source,
    circuits: Source,
    cache: Source,
    cache_table: Option<Source>,
    checkpoints: Source,
    idempotency: Source,
}

/// A table, and the prefix of the wanted rows.
struct Source {
    place: Arc<Place>,
    /// Rows of every prefix, if none was given.
    is_everybodys: bool,
}

impl Inspection {
    /// `cache_table`: the parts of the name of a `PostgresCacheAdapter` table, if one is to be inspected, too.
    pub fn new(engine: &Arc<Engine>, key_prefix: Option<&str>, cache_table: Option<&[String]>) -> Self {
        let source = |table, namespace| Source {
            place: Place::new(engine, table, Prefix::new(key_prefix.unwrap_or_default(), namespace)),
            is_everybodys: key_prefix.is_none(),
        };
        let documented =
            |definition, namespace| source(Table::documented(definition, false, Durability::Full), namespace);
        Self {
            engine: engine.clone(),
            locks: documented(&rows::LOCKS, "lock:"),
            circuits: documented(&rows::CIRCUITS, "circuit:"),
            cache: documented(&rows::CACHE, "cache:"),
            cache_table: cache_table
                .map(|name| source(Table::named(&rows::CACHE_TABLE, name, false, Durability::Full), "")),
            checkpoints: documented(&rows::CHECKPOINTS, ""),
            idempotency: documented(&rows::IDEMPOTENCY, ""),
        }
    }

    /// One of the named inspections; `args` are the arguments of its statement beyond the prefix.
    pub fn look(&self, what: &str, args: Vec<Option<String>>, reply: Reply<Option<Report>>) {
        if what == "server" {
            let (session, call) = server::look();
            return self.submit(session, call, reply);
        }
        let of_rows: Option<(&Source, &'static Template)> = match what {
            "locks" => Some((&self.locks, &rows::LOCK_LIST)),
            "lockCounts" => Some((&self.locks, &rows::LOCK_COUNTS)),
            "circuits" => Some((&self.circuits, &rows::CIRCUIT_LIST)),
            "circuitCounts" => Some((&self.circuits, &rows::CIRCUIT_COUNTS)),
            "cache" => Some((&self.cache, &rows::ADAPTER_ENTRY_LIST)),
            "cacheCounts" => Some((&self.cache, &rows::ADAPTER_ENTRY_COUNTS)),
            "cacheTable" => self.cache_table.as_ref().map(|source| (source, &rows::ENTRY_LIST)),
            "cacheTableCounts" => self.cache_table.as_ref().map(|source| (source, &rows::ENTRY_COUNTS)),
            "checkpoints" => Some((&self.checkpoints, &rows::CHECKPOINT_LIST)),
            "checkpointCounts" => Some((&self.checkpoints, &rows::CHECKPOINT_COUNTS)),
            "idempotencyCounts" => Some((&self.idempotency, &rows::ENTRY_COUNTS)),
            _ => None,
        };
        match of_rows {
            Some((source, statement)) => {
                self.submit(source.place.table.clone(), source.call(statement, args), reply)
            }
            None => match catalogue::statement(what) {
                Some(sql) => self.submit(Arc::new(NothingToPrepare), of_catalogue(sql, args), reply),
                None => reply.settle(Err(Error::other(format!("there is no inspection '{what}'")))),
            },
        }
    }

    /// The lock under this key as an application gives it, in a list of one or none.
    pub fn lock(&self, key: String, reply: Reply<Option<Report>>) {
        let read = |found: Found<'_>| answer(found.rows);
        let call = KeyCall::new(&self.locks.place, &rows::LOCK, "key", key, [], read);
        self.submit(self.locks.place.table.clone(), call, reply);
    }

    /// Without accesses: it waits for no other call, and none waits for it.
    fn submit(
        &self,
        prepare: Arc<dyn Prepare>,
        call: impl Call<Output = Option<Report>>,
        reply: Reply<Option<Report>>,
    ) {
        self.engine.submit(Request::new(Accesses::default(), prepare, call, Retry::Harmless, reply));
    }
}

impl Source {
    fn call(&self, statement: &'static Template, args: Vec<Option<String>>) -> OfTable {
        let prefix = |prefix: &str| Arg::Text((!self.is_everybodys).then(|| prefix.to_owned()));
        let prefixes = [prefix(self.place.prefix.as_str()), prefix(self.place.prefix.spare())];
        let args = prefixes.into_iter().chain(texts(args, rows::PARAMS.len() - 2)).collect();
        OfTable { table: self.place.table.clone(), statement, args }
    }
}

/// As many as a statement takes: those that were left out are NULL.
fn texts(args: Vec<Option<String>>, count: usize) -> impl Iterator<Item = Arg> {
    args.into_iter().chain(std::iter::repeat(None)).take(count).map(Arg::Text)
}

/// Reads a table's rows, with a statement that fits its columns.
struct OfTable {
    table: Arc<Table>,
    statement: &'static Template,
    args: Vec<Arg>,
}

impl Call for OfTable {
    type Output = Option<Report>;

    fn bind(&mut self) -> Arc<Statement> {
        self.table.shape().statement(self.statement)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<Option<Report>>, Error> {
        answer(rows)
    }
}

/// Reads the server and its catalogue.
struct OfCatalogue {
    statement: Arc<Statement>,
    args: Vec<Arg>,
}

fn of_catalogue(sql: &str, args: Vec<Option<String>>) -> OfCatalogue {
    const PARAMS: &[Kind] = &[Kind::Text];
    OfCatalogue {
        statement: Arc::new(Statement::new(Some(sql.into()), None, None, PARAMS, 0)),
        args: texts(args, PARAMS.len()).collect(),
    }
}

impl Call for OfCatalogue {
    type Output = Option<Report>;

    fn bind(&mut self) -> Arc<Statement> {
        self.statement.clone()
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<Option<Report>>, Error> {
        answer(rows)
    }
}

fn answer(rows: &[Row]) -> Result<Answer<Option<Report>>, Error> {
    let text = rows.first().and_then(|row| row.get::<_, Option<&str>>(0));
    Ok(Answer::Done(text.map(|text| Report(text.to_owned()))))
}
