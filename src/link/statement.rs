//! A statement that carries one call or many.
//!
//! A batched statement takes one array per parameter, and item *i* of each array belongs to call *i*; its rows start
//! with the call's ordinal (`bigint`, from 1). An unbatched one takes the arguments of its only call as they are.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};

use super::job::Rows;

/// A statement's text and parameter types. Calls of the same statement may share a run, whichever adapter they are of.
#[derive(Debug)]
pub struct Statement {
    /// A hash of the text.
    pub(super) id: u64,
    pub(super) sql: String,
    pub(super) params: &'static [Type],
    pub(super) batched: bool,
}

impl Statement {
    pub fn new(sql: String, params: &'static [Type], batched: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        Self { id: hasher.finish(), sql, params, batched }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.sql == other.sql
    }
}

/// One argument of one call.
#[derive(Clone, Debug)]
pub enum Arg {
    Text(Option<String>),
    Float(Option<f64>),
    Int(Option<i64>),
}

impl Arg {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len(),
            _ => 8,
        }
    }

    fn as_text(&self) -> Option<&str> {
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

type Param<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The parameters of one run, given the arguments of each call that it carries.
pub(super) fn parameters<'a>(statement: &Statement, calls: &[&'a [Arg]]) -> Vec<Param<'a>> {
    let column = |index: usize| calls.iter().map(move |args| &args[index]);
    statement
        .params
        .iter()
        .enumerate()
        .map(|(index, ty)| -> Param<'a> {
            match *ty {
                Type::TEXT_ARRAY => Box::new(column(index).map(Arg::as_text).collect::<Vec<_>>()),
                Type::FLOAT8_ARRAY => Box::new(column(index).map(Arg::as_float).collect::<Vec<_>>()),
                Type::INT8_ARRAY => Box::new(column(index).map(Arg::as_int).collect::<Vec<_>>()),
                Type::TEXT => Box::new(calls[0][index].as_text()),
                Type::FLOAT8 => Box::new(calls[0][index].as_float()),
                Type::INT8 => Box::new(calls[0][index].as_int()),
                ref other => unreachable!("no statement has a parameter of type {other}"),
            }
        })
        .collect()
}

/// Deals the rows of a batched run out to its calls, by the ordinal in the first column.
pub(super) fn deal(statement: &Arc<Statement>, rows: Rows, calls: usize) -> Vec<Rows> {
    if !statement.batched {
        return vec![rows];
    }
    let mut dealt: Vec<Rows> = (0..calls).map(|_| Rows::new()).collect();
    for row in rows {
        let ordinal: i64 = row.get(0);
        dealt[ordinal as usize - 1].push(row);
    }
    dealt
}
