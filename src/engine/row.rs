//! The rows of an answer: from a session of ours, or from a connection of the application.

use tokio_postgres::types::{FromSql, Kind, Type, WasNull};

/// One row. Its values are in PostgreSQL's binary form, whoever has read them.
pub enum Row {
    /// From a session of ours.
    Session(tokio_postgres::Row),
    /// From a connection of the application.
    Record(Record),
}

/// Why a value cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    Null,
    Otherwise(String),
}

impl Row {
    /// The value of a column, by its place in the statement's list.
    pub fn value<'a, T: FromSql<'a>>(&'a self, at: usize) -> Result<T, Unreadable> {
        match self {
            Self::Session(row) => row.try_get(at).map_err(|error| match std::error::Error::source(&error) {
                Some(source) => Unreadable::of(source),
                None => Unreadable::Otherwise(error.to_string()),
            }),
            Self::Record(record) => record.value(at),
        }
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        match self {
            Self::Session(row) => row.len(),
            Self::Record(record) => record.values.len(),
        }
    }

    pub fn data_type(&self, at: usize) -> &Type {
        match self {
            Self::Session(row) => row.columns()[at].type_(),
            Self::Record(record) => &record.values[at].0,
        }
    }

    /// The name of a column. A record has none: its columns are known by their places, from 1.
    pub fn column_name(&self, at: usize) -> String {
        match self {
            Self::Session(row) => row.columns()[at].name().to_owned(),
            Self::Record(_) => format!("{} of the answer", at + 1),
        }
    }
}

impl From<tokio_postgres::Row> for Row {
    fn from(row: tokio_postgres::Row) -> Self {
        Self::Session(row)
    }
}

impl Unreadable {
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        if error.is::<WasNull>() { Self::Null } else { Self::Otherwise(error.to_string()) }
    }
}

/// A row as PostgreSQL's `record_send` writes it: the number of columns, then the type, the length and the bytes of each
/// value. All numbers have 32 bits, in network order; the length of NULL is -1. (The source of the format:
/// `src/backend/utils/adt/rowtypes.c` of PostgreSQL.)
pub struct Record {
    values: Vec<(Type, Option<Vec<u8>>)>,
}

impl Record {
    /// From the bytes in hexadecimal digits, as `encode(record_send(…), 'hex')` writes them. None if they are no such
    /// record.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = bytes_of(text)?;
        let mut rest = bytes.as_slice();
        let columns = u32::from_be_bytes(take(&mut rest)?);
        let values = (0..columns).map(|_| {
            let oid = u32::from_be_bytes(take(&mut rest)?);
            let length = i32::from_be_bytes(take(&mut rest)?);
            let value = match usize::try_from(length) {
                Ok(length) => {
                    let (value, after) = rest.split_at_checked(length)?;
                    rest = after;
                    Some(value.to_vec())
                }
                Err(_) => None,
            };
            Some((data_type(oid), value))
        });
        let values = values.collect::<Option<_>>()?;
        rest.is_empty().then_some(Self { values })
    }

    fn value<'a, T: FromSql<'a>>(&'a self, at: usize) -> Result<T, Unreadable> {
        let (data_type, value) =
            self.values.get(at).ok_or_else(|| Unreadable::Otherwise("there is no such column".to_owned()))?;
        if !T::accepts(data_type) {
            return Err(Unreadable::Otherwise(format!("has the type {data_type}")));
        }
        T::from_sql_nullable(data_type, value.as_deref()).map_err(|error| Unreadable::of(&*error))
    }
}

fn data_type(oid: u32) -> Type {
    Type::from_oid(oid)
        .unwrap_or_else(|| Type::new(format!("oid {oid}"), oid, Kind::Simple, "pg_catalog".to_owned()))
}

fn take(bytes: &mut &[u8]) -> Option<[u8; 4]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| (digit as char).to_digit(16);
    let (pairs, odd) = hex.as_bytes().as_chunks();
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    odd.is_empty().then(|| pairs.iter().map(byte).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SELECT encode(record_send(ROW('é'::text, 7::int8, NULL::float8, true)), 'hex')`, as PostgreSQL 15 answers.
    const RECORD: &str = "00000004\
                          0000001900000002c3a9\
                          00000014000000080000000000000007\
                          000002bdffffffff\
                          000000100000000101";

    #[test]
    fn a_record_has_the_values_of_its_columns() {
        let row = Row::Record(Record::from_hex(RECORD).expect("a record"));
        assert_eq!(row.value::<&str>(0).ok(), Some("é"));
        assert_eq!(row.value::<i64>(1).ok(), Some(7));
        assert_eq!(row.value::<Option<f64>>(2).ok(), Some(None));
        assert!(matches!(row.value::<f64>(2), Err(Unreadable::Null)));
        assert_eq!(row.value::<bool>(3).ok(), Some(true));
        assert!(matches!(row.value::<i64>(0), Err(Unreadable::Otherwise(_))));
        assert!(matches!(row.value::<bool>(4), Err(Unreadable::Otherwise(_))));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert!(Record::from_hex("00000000").is_some());
        for text in ["", "0", "zz", "00000001", &RECORD[2..], &RECORD[..20], &format!("{RECORD}00")] {
            assert!(Record::from_hex(text).is_none(), "{text}");
        }
    }
}
