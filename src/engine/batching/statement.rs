//! A statement that carries one call or many, in the SQL text that is cheapest for their number.
//!
//! In the text for many calls, each parameter is an array, and item *i* of each array belongs to call *i*. The rows
//! start with the key of the call that they belong to. In the text for one call, the parameters are that call's own.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use crate::engine::batching::sweep::Sweep;
use crate::engine::connection::routing::to_primary;
use crate::engine::connection::sql::Sql;
use crate::engine::row::Row;

/// The type of a parameter, that is, of one call's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Float,
    Int,
}

impl Kind {
    fn one(self) -> Type {
        match self {
            Self::Text => Type::TEXT,
            Self::Float => Type::FLOAT8,
            Self::Int => Type::INT8,
        }
    }

    /// Its name in SQL.
    pub fn sql_name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Float => "float8",
            Self::Int => "int8",
        }
    }

    fn many(self) -> Type {
        match self {
            Self::Text => Type::TEXT_ARRAY,
            Self::Float => Type::FLOAT8_ARRAY,
            Self::Int => Type::INT8_ARRAY,
        }
    }
}

/// The texts for a driver of the application, whose parameters are all text. The text for many takes arrays as text.
#[derive(Debug, Default)]
pub struct ClientTexts {
    pub one: Option<String>,
    pub many: Option<String>,
}

/// Calls of the same statement may share a run, whichever adapter they belong to.
#[derive(Debug)]
pub struct Statement {
    one: Option<Sql>,
    many: Option<Sql>,
    /// The text for many calls, with a clause that removes expired rows.
    sweeping: Option<Sql>,
    for_client: ClientTexts,
    params: &'static [Kind],
    shared: usize,
    sweep: Sweep,
}

impl Statement {
    /// `shared`: how many parameters at the end are not an array for many calls but one value for all of them.
    pub fn new(
        one: Option<String>,
        many: Option<String>,
        sweeping: Option<String>,
        params: &'static [Kind],
        shared: usize,
    ) -> Self {
        let ones = || params.iter().map(|kind| kind.one()).collect();
        let (own, common) = params.split_at(params.len() - shared);
        let manys =
            || own.iter().map(|kind| kind.many()).chain(common.iter().map(|kind| kind.one())).collect();
        Self {
            one: one.map(|sql| Sql::new(sql, ones())),
            many: many.map(|sql| Sql::new(sql, manys())),
            sweeping: sweeping.map(|sql| Sql::new(sql, manys())),
            for_client: ClientTexts::default(),
            params,
            shared,
            sweep: Sweep::default(),
        }
    }

    /// With its texts for a driver of the application.
    pub fn with_client_texts(self, ClientTexts { one, many }: ClientTexts) -> Self {
        let routed = |sql: String| to_primary(&sql).into_owned();
        Self { for_client: ClientTexts { one: one.map(routed), many: many.map(routed) }, ..self }
    }

    /// With another pause after which a write sweeps.
    pub fn sweeping_after(self, pause: Duration) -> Self {
        Self { sweep: Sweep::after(pause), ..self }
    }

    /// Whether calls may share a run.
    pub(crate) fn is_shareable(&self) -> bool {
        self.many.is_some()
    }

    pub(crate) fn is_same(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let same = |a: &Option<Sql>, b: &Option<Sql>| match (a, b) {
            (Some(a), Some(b)) => a.id == b.id && a.text == b.text,
            (None, None) => true,
            _ => false,
        };
        Arc::ptr_eq(self, other) || (same(&self.many, &other.many) && same(&self.one, &other.one))
    }

    /// Whether two calls have equal values for the parameters that all calls of a run share.
    pub(crate) fn agree(&self, a: &[Arg], b: &[Arg]) -> bool {
        let own = self.params.len() - self.shared;
        a[own..] == b[own..]
    }

    /// The text for these calls, and its parameters.
    pub(crate) fn run<'a>(&self, calls: &[&'a [Arg]]) -> (&Sql, Vec<Param<'a>>) {
        if let Some(sweeping) = &self.sweeping
            && self.sweep.is_due(calls.len())
        {
            return (sweeping, self.arrays(calls));
        }
        match (&self.one, &self.many) {
            (Some(one), _) if calls.len() == 1 => (one, scalars(calls[0])),
            (_, Some(many)) => (many, self.arrays(calls)),
            _ => unreachable!("a statement has SQL for what it is given to carry"),
        }
    }

    /// As [`run`](Self::run), for a driver of the application.
    pub(crate) fn for_client(&self, calls: &[&[Arg]]) -> (String, Vec<Option<String>>) {
        match &self.for_client {
            ClientTexts { one: Some(one), .. } if calls.len() == 1 => {
                (one.clone(), calls[0].iter().map(Arg::to_text).collect())
            }
            ClientTexts { many: Some(many), .. } => {
                let own = self.params.len() - self.shared;
                let array = |at: usize| Some(array(calls.iter().map(|args| args[at].to_text())));
                let shared = calls[0][own..].iter().map(Arg::to_text);
                (many.clone(), (0..own).map(array).chain(shared).collect())
            }
            ClientTexts { .. } => unreachable!("a statement has SQL for what it is given to carry"),
        }
    }

    fn arrays<'a>(&self, calls: &[&'a [Arg]]) -> Vec<Param<'a>> {
        let own = self.params.len() - self.shared;
        let column = |index: usize| calls.iter().map(move |args| &args[index]);
        let array = |(index, kind): (usize, &Kind)| -> Param<'a> {
            match kind {
                Kind::Text => Box::new(column(index).map(Arg::as_text).collect::<Vec<_>>()),
                Kind::Float => Box::new(column(index).map(Arg::as_float).collect::<Vec<_>>()),
                Kind::Int => Box::new(column(index).map(Arg::as_int).collect::<Vec<_>>()),
            }
        };
        let mut params: Vec<Param<'a>> = self.params[..own].iter().enumerate().map(array).collect();
        params.extend(scalars(&calls[0][own..]));
        params
    }
}

/// An array as PostgreSQL reads it from text.
pub fn array(items: impl Iterator<Item = Option<String>>) -> String {
    let items = items.map(|item| match item {
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        None => "NULL".to_owned(),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

fn scalars(args: &[Arg]) -> Vec<Param<'_>> {
    args.iter()
        .map(|arg| -> Param<'_> {
            match arg {
                Arg::Text(text) => Box::new(text.as_deref()),
                Arg::Float(number) => Box::new(number),
                Arg::Int(number) => Box::new(number),
            }
        })
        .collect()
}

/// One argument of one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    Text(Option<String>),
    Float(Option<f64>),
    Int(Option<i64>),
}

impl Arg {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len(),
            _ => 8,
        }
    }

    fn to_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => text.clone(),
            Self::Float(number) => number.map(|number| number.to_string()),
            Self::Int(number) => number.map(|number| number.to_string()),
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.as_deref(),
            other => unreachable!("a text parameter was given {other:?}"),
        }
    }

    fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => *number,
            other => unreachable!("a float8 parameter was given {other:?}"),
        }
    }

    fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => *number,
            other => unreachable!("a bigint parameter was given {other:?}"),
        }
    }
}

pub(crate) type Param<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The rows of a run that belong to each of its calls. The rows of one key follow each other. A key without rows has
/// none of them. Calls on one key have the same rows.
pub(crate) fn deal<'a>(rows: &'a [Row], calls: &[&[Arg]]) -> Vec<&'a [Row]> {
    if let [_] = calls {
        return vec![rows];
    }
    let mut by_key: HashMap<&str, Range<usize>> = HashMap::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let key = row.value(0).expect("the rows for many calls begin with the key of their call");
        let range = by_key.entry(key).or_insert(index..index);
        // Not if a key comes again after others: it was requested twice, and already has its rows.
        if range.end == index {
            range.end += 1;
        }
    }
    let part = |args: &&[Arg]| args[0].as_text().and_then(|key| by_key.get(key)).cloned().unwrap_or(0..0);
    calls.iter().map(|args| &rows[part(args)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_quotes_its_items() {
        let items = [Some("a\"b\\".to_owned()), None, Some(String::new())];
        assert_eq!(array(items.into_iter()), r#"{"a\"b\\",NULL,""}"#);
    }
}
