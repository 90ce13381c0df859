//! Numbers to which many callers add.

use std::sync::Arc;

use super::call::Found;
use super::cells::Cells;
use super::decimal::Decimal;
use super::entries::{Entry, SWEEP, Write, entries, entry, expiry};
use super::place::{Place, ttl_arg};
use super::template::{Template, one_or_many};
use super::value::Value;
use crate::engine::{Answer, Arg, Call, Error, Kind, Row, Statement};

/// Adds the number in `$2`, or starts with it if there is no live entry; only then is the TTL used.
///
/// What happens if the entry exists. The row is locked in its newest version, so each of N concurrent callers adds to
/// what the one before committed. An entry that has expired counts as absent. The clock is read once after the wait,
/// and decides about value and expiry together: for this, and for nothing else, there is a sub-select. A live entry
/// keeps its expiry.
///
/// The `WHERE` leaves an entry alone whose value is no number, or whose sum would be beyond the numbers of
/// JavaScript: the call gets no row. It is evaluated before `SET` adds; an entry that expires between the two starts
/// again.
///
/// Sums are decimal and exact, as JSONB's numbers are. The casts are for a column that is text.
///
/// `$before` and `$after` enclose a stored value, to get its number; `$open` and `$close` a sum, to get the value with it.
macro_rules! increment {
    (number: ($before:literal, $after:literal), sum: ($open:literal, $close:literal), returning: $returning:expr) => {
        one_or_many!(
    r#"
INSERT INTO {table} AS entry (key, value, expires_at, {touched}{created})"#,
    one: entry!(),
    many: entries!(),
    concat!(r#"
ON CONFLICT (key) DO UPDATE
  SET (value, expires_at, {touched}) = (
        SELECT CASE WHEN is_live
                    THEN "#, $open, "(", $before, "entry.value::jsonb", $after, ")::numeric + (",
                    $before, "excluded.value::jsonb", $after, ")::numeric", $close, r#"
                    ELSE excluded.value::jsonb END,
               CASE WHEN is_live THEN entry.expires_at
                    ELSE {counted_anew:expires_at} END,
               {noting now:touched}
          FROM (SELECT entry.expires_at IS NULL OR entry.expires_at > {now:expires_at} AS is_live) AS found)
  WHERE entry.expires_at <= {now:expires_at}
     OR CASE WHEN jsonb_typeof("#, $before, "entry.value::jsonb", $after, r#") = 'number'
             THEN abs(("#, $before, "entry.value::jsonb", $after, ")::numeric + (",
                $before, "excluded.value::jsonb", $after, r#")::numeric) <= 1.7976931348623157e308 END
RETURNING entry.key::text,
          {stale_expiry},
          entry.value::text"#, $returning, "{relaxed}"),
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(SWEEP)
    };
}

/// The value is the number.
macro_rules! increment_number {
    ($returning:expr) => {
        increment!(number: ("", ""), sum: ("to_jsonb(", ")"), returning: $returning)
    };
}

/// The number is beside its key: see [`with_key`](super::digested::with_key).
macro_rules! increment_beside_key {
    ($returning:expr) => {
        increment!(
            number: ("", "->'value'"),
            sum: ("jsonb_set(excluded.value::jsonb, ARRAY['value'], to_jsonb(", "))"),
            returning: $returning
        )
    };
}

static INCREMENT: Template = increment_number!("");

/// A statement of its own: one for both would look into each value for the number, which costs the server 30 µs of a
/// single call (of 190).
static INCREMENT_BESIDE_KEY: Template = increment_beside_key!("");

/// A statement of its own: reading the expiry costs, see [`GET`](super::entries::GET).
static INCREMENT_ENTRY: Template = increment_number!(concat!(", ", expiry!("entry.")));

static INCREMENT_ENTRY_BESIDE_KEY: Template = increment_beside_key!(concat!(", ", expiry!("entry.")));

/// What the caller of an addition gets.
pub(super) trait Sum: Send + Sized + 'static {
    fn write(place: &Arc<Place>, key: String, args: [Arg; 3]) -> Write<Option<Self>, 3>;
    fn value(&self) -> &Value;
    /// Of another call that the statement stands for.
    fn with(&self, value: Value) -> Self;
}

/// The sum alone.
impl Sum for Value {
    fn write(place: &Arc<Place>, key: String, args: [Arg; 3]) -> Write<Option<Self>, 3> {
        let read = |found: &Found<'_>| found.rows.first().map(|row| found.value(row, 2)).transpose();
        Write::new(place, &INCREMENT, key, args, read).for_digests(&INCREMENT_BESIDE_KEY)
    }

    fn value(&self) -> &Value {
        self
    }

    fn with(&self, value: Value) -> Self {
        value
    }
}

/// The sum with the end of the entry. An addition keeps the expiry, so it is the same for all calls of a statement.
impl Sum for Entry {
    fn write(place: &Arc<Place>, key: String, args: [Arg; 3]) -> Write<Option<Self>, 3> {
        let read = |found: &Found<'_>| {
            let entry = |row: &Row| Ok(Self { value: found.value(row, 2)?, expires_at: row.cell(3)? });
            found.rows.first().map(entry).transpose()
        };
        let write =
            Write::new(place, &INCREMENT_ENTRY, key, args, read).for_digests(&INCREMENT_ENTRY_BESIDE_KEY);
        write.reading_renewals(|sum, row| {
            if let Some(entry) = sum {
                entry.expires_at = row.cell(1)?;
            }
            Ok(())
        })
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn with(&self, value: Value) -> Self {
        Self { value, expires_at: self.expires_at }
    }
}

const NO_SUM: &str = "the sum is no number: a trigger of the table may change it";

/// Adds a number. Additions to one entry that wait in line for it are made as one:
///
/// * The statement adds the sum of their numbers. Each caller gets the sum as of its own addition: the new value, less
///   the numbers that came after. All of this is decimal and exact.
/// * They have equal TTLs, so it does not matter which of them starts the entry.
/// * Their numbers have the same sign, so every sum on the way lies between the old value and the new one. If the
///   statement leaves the entry alone, it does so for all of them: the entry holds no number, or the new value is
///   beyond the numbers of JavaScript. In that case one by one the first of them might still have been added. For
///   this the old value must be within 10^24 of the last number of JavaScript, which is about 10^308 and has its
///   neighbour 10^292 away. (A number that JavaScript writes with an exponent, as from 10^21, is added alone.)
///
/// A trigger or a constraint of the application's own sees one write of their sum, and refuses all of them or none.
pub(super) struct Increment<S> {
    write: Write<Option<S>, 3>,
    /// What the calls add, in their order; empty if there has been no other call to add up with.
    numbers: Vec<Decimal>,
    is_summed: bool,
}

impl<S: Sum> Increment<S> {
    /// `by` is a JSON number.
    pub(super) fn new(place: &Arc<Place>, key: String, by: String, ttl: Option<f64>) -> Self {
        let args = [Arg::Text(None), Arg::text(by), ttl_arg(ttl)];
        Self { write: S::write(place, key, args), numbers: Vec::new(), is_summed: false }
    }

    /// What this call adds; none if that has an exponent.
    fn by(&mut self) -> Option<Decimal> {
        match &self.write.given()[1] {
            Arg::Text(Some(by)) => Decimal::parse(by),
            _ => None,
        }
    }

    /// The sum of each call, given that of the last one.
    fn sums(&self, last: Option<S>) -> Result<Vec<Option<S>>, Error> {
        let Some(last) = last else { return Ok(self.numbers.iter().map(|_| None).collect()) };
        let mut sum = Decimal::parse(last.value().as_json()).ok_or_else(|| Error::other(NO_SUM))?;
        let mut sums = Vec::with_capacity(self.numbers.len());
        for number in self.numbers.iter().rev() {
            sums.push(Some(last.with(Value::new(sum.to_string()))));
            sum = sum.subtract(number);
        }
        sums.reverse();
        Ok(sums)
    }
}

impl<S: Sum> Call for Increment<S> {
    type Output = Option<S>;

    fn bind(&mut self) -> Arc<Statement> {
        // Once: a call may run again.
        if !self.is_summed
            && let Some(sum) = self.numbers.iter().cloned().reduce(|sum, number| sum.add(&number))
        {
            self.write.given()[1] = Arg::text(sum.to_string());
        }
        self.is_summed = true;
        self.write.bind()
    }

    fn args(&self) -> &[Arg] {
        self.write.args()
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<Option<S>>, Error> {
        let answer = self.write.read(rows)?;
        match answer {
            Answer::Done(sum) if !self.numbers.is_empty() => self.sums(sum).map(Answer::Each),
            answer => Ok(answer),
        }
    }

    fn is_coalescable(&self) -> bool {
        true
    }

    fn coalesce(&mut self, next: &mut Self) -> bool {
        let has_same_ttl = self.write.given()[2] == next.write.given()[2];
        if self.is_summed || !has_same_ttl || !self.write.is_on_key_of(&next.write) {
            return false;
        }
        if self.numbers.is_empty() {
            let own = self.by();
            self.numbers.extend(own);
        }
        let (Some(first), Some(by)) = (self.numbers.first(), next.by()) else { return false };
        let has_same_sign = first.is_negative() == by.is_negative();
        if has_same_sign {
            self.numbers.push(by);
        }
        has_same_sign
    }
}
