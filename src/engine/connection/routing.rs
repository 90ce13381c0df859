//! Reads go to the primary, also through a proxy that sends reads to replicas.
//!
//! A replica is behind the primary. A state, a checkpoint or a result that is read there may have been replaced
//! already, and work that was done may be done again. So each text that could be taken for a read begins with the
//! hint that makes Pgpool-II send a statement to the primary. Every other statement goes there anyway: proxies
//! recognize `INSERT`, `UPDATE` and `DELETE`. They do not recognize what is in the `WITH` of a `SELECT`, or which
//! functions write.
//!
//! Other proxies do not know this hint (PgCat, PgDog). With these, `doctor` finds sessions of several servers.

use std::borrow::Cow;

const HINT: &str = "/*NO LOAD BALANCE*/ ";

/// The statement, with the hint at its very beginning if it could be taken for a read.
pub(crate) fn to_primary(sql: &str) -> Cow<'_, str> {
    let trimmed = sql.trim_start();
    match trimmed.starts_with("SELECT") || trimmed.starts_with("WITH") {
        true => Cow::Owned(format!("{HINT}{trimmed}")),
        false => Cow::Borrowed(sql),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_a_read_begins_with_the_hint() {
        assert_eq!(to_primary("\nSELECT 1"), "/*NO LOAD BALANCE*/ SELECT 1");
        assert_eq!(to_primary("WITH a AS (SELECT 1)"), "/*NO LOAD BALANCE*/ WITH a AS (SELECT 1)");
        assert_eq!(to_primary("\nINSERT INTO t SELECT 1"), "\nINSERT INTO t SELECT 1");
    }
}
