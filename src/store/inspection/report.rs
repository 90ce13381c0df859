//! What an inspection has found.

use tokio_postgres::Row;

use crate::engine::{Answer, Error};

/// What an inspection has found: JSON text that the server has made.
pub struct Report(String);

impl Report {
    pub fn into_json(self) -> String {
        self.0
    }
}

pub(super) fn answer(rows: &[Row]) -> Result<Answer<Option<Report>>, Error> {
    let text = rows.first().and_then(|row| row.get::<_, Option<&str>>(0));
    Ok(Answer::Done(text.map(|text| Report(text.to_owned()))))
}
