//! The texts of statements for a driver of the application.
//!
//! Each driver has its own idea of how a JavaScript value becomes a parameter, and a column a JavaScript value. Settings
//! of its session (`DateStyle`, `bytea_output`, `extra_float_digits`) have a say as well. So all parameters are sent as
//! text, and cast in the SQL. And an answer has one column of text, `record`: each row as `record_send` writes it, in
//! PostgreSQL's own binary form, which no setting changes. [`Record`](crate::engine::Record) reads it.

use crate::engine::Kind;

/// Where the answer of a statement begins whose WITH writes: a WITH that writes must be at the top level.
const ANSWER: &str = "{answer}";

const SELECT_RECORDS: &str = "SELECT encode(record_send(answer), 'hex') AS record FROM answer";

/// A template's text for a driver. How the text takes a parameter is asked by its number, from 0; the last `shared` ones
/// are not arrays even in a text for many calls.
pub(super) fn for_one(sql: &str, params: &[Kind]) -> String {
    for_client(sql, |at| params.get(at).map(|kind| kind.sql_name().to_owned()))
}

pub(super) fn for_many(sql: &str, params: &[Kind], shared: usize) -> String {
    for_client(sql, |at| {
        let name = params.get(at)?.sql_name();
        Some(if at < params.len() - shared { format!("{name}[]") } else { name.to_owned() })
    })
}

fn for_client(sql: &str, type_of: impl Fn(usize) -> Option<String>) -> String {
    let sql = with_text_parameters(sql, type_of);
    match sql.split_once(ANSWER) {
        Some((writes, answer)) => format!("{}, answer AS ({answer})\n{SELECT_RECORDS}", writes.trim_end()),
        None if has_rows(&sql) => format!("WITH answer AS ({sql})\n{SELECT_RECORDS}"),
        None => sql,
    }
}

fn has_rows(sql: &str) -> bool {
    sql.trim_start().starts_with("SELECT") || sql.contains("RETURNING")
}

/// Each `$n` as text that is cast to the type of the parameter. To be called before the table's name is put in, which
/// may look like a parameter.
fn with_text_parameters(sql: &str, type_of: impl Fn(usize) -> Option<String>) -> String {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_at(part.bytes().take_while(u8::is_ascii_digit).count());
        let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let cast = match at.and_then(&type_of) {
            Some(name) if name == "text" => format!("CAST(${number} AS text)"),
            Some(name) => format!("CAST(CAST(${number} AS text) AS {name})"),
            None => format!("${number}"),
        };
        text.extend([cast.as_str(), rest]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &[Kind] = &[Kind::Text, Kind::Float];

    #[test]
    fn parameters_are_text() {
        let sql = "DELETE FROM {table} WHERE a = $1 AND b < $2 AND c = '$'";
        let casts = |first: &str, second: &str| {
            format!("DELETE FROM {{table}} WHERE a = {first} AND b < {second} AND c = '$'")
        };
        let float = "CAST(CAST($2 AS text) AS float8)";
        assert_eq!(for_one(sql, PARAMS), casts("CAST($1 AS text)", float));
        assert_eq!(for_many(sql, PARAMS, 1), casts("CAST(CAST($1 AS text) AS text[])", float));
    }

    #[test]
    fn rows_come_as_records() {
        let records = format!("\n{SELECT_RECORDS}");
        let text = |sql: &str| for_one(sql, &[]);
        assert_eq!(text("\nSELECT a FROM t"), format!("WITH answer AS (\nSELECT a FROM t){records}"));
        let insert = "INSERT INTO t VALUES (1) RETURNING a";
        assert_eq!(text(insert), format!("WITH answer AS ({insert}){records}"));
        assert_eq!(
            text("WITH pruned AS (DELETE FROM t RETURNING a)\n{answer}SELECT count(*) FROM pruned"),
            format!(
                "WITH pruned AS (DELETE FROM t RETURNING a), answer AS (SELECT count(*) FROM pruned){records}"
            )
        );
    }
}
