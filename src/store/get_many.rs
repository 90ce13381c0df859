//! `getMany`: reads of several keys, as few requests. With a request for each key it had 0.64 to 1.04 of the rate (see
//! docs/internals/performance.md).

use std::sync::Arc;

use super::call::Found;
use super::entries::GET;
use super::join::each;
use super::place::Place;
use super::value::Value;
use crate::engine::{Answer, Arg, Call, Error, ItemsCall, Reply, Row, Statement};
use crate::tuning::batches;

/// The values in the order of their keys; none for a miss.
pub(super) fn get_many(place: &Arc<Place>, keys: Vec<String>, reply: Reply<Vec<Option<Value>>>) {
    let requests = keys.len().div_ceil(batches::ITEMS_OF_REQUEST);
    if requests == 1 {
        return submit(place, keys, reply);
    }
    let of_request = keys.len().div_ceil(requests.max(1));
    let mut keys = keys.into_iter();
    let parts = (0..requests).map(|_| keys.by_ref().take(of_request).collect()).collect();
    each(parts, GetMany::join, reply, |keys, reply| submit(place, keys, reply));
}

fn submit(place: &Arc<Place>, keys: Vec<String>, reply: Reply<Vec<Option<Value>>>) {
    let accesses = place.on_each(&keys);
    place.submit_items(accesses, GetMany::new(place.clone(), keys), reply);
}

struct GetMany {
    place: Arc<Place>,
    keys: Vec<String>,
    /// The stored keys.
    args: Vec<Arg>,
    /// Whether each key is stored as a digest.
    are_digests: Vec<bool>,
}

impl GetMany {
    fn new(place: Arc<Place>, keys: Vec<String>) -> Self {
        Self { place, keys, args: Vec::new(), are_digests: Vec::new() }
    }
}

impl Call for GetMany {
    type Output = Vec<Option<Value>>;

    fn bind(&mut self) -> Arc<Statement> {
        let shape = self.place.table.shape();
        let max_chars = shape.max_chars("key");
        let stored = self.keys.iter().map(|key| self.place.prefix.stored(key, max_chars));
        (self.args, self.are_digests) =
            stored.map(|stored| (Arg::text(stored.text), stored.is_digest)).unzip();
        shape.statement(&GET)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<Self::Output>, Error> {
        self.read_items(&[rows])
    }

    fn read_items(&mut self, rows: &[&[Row]]) -> Result<Answer<Self::Output>, Error> {
        let value = |(rows, is_digest): (&&[Row], &bool)| {
            let found = Found { place: &self.place, rows, is_digest: *is_digest };
            rows.first().map(|row| found.value(row, 1)).transpose()
        };
        let values = rows.iter().zip(&self.are_digests).map(value).collect();
        self.place.name_row(values).map(Answer::Done)
    }
}

impl ItemsCall for GetMany {
    fn split(self) -> Vec<Self> {
        let Self { place, keys, .. } = self;
        keys.into_iter().map(|key| Self::new(place.clone(), vec![key])).collect()
    }

    fn join(values: Vec<Self::Output>) -> Self::Output {
        values.into_iter().flatten().collect()
    }
}
