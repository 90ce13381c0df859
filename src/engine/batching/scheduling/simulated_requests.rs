//! The requests of the simulated world, and those of them that are not settled.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::batching::scheduling::access::AccessMode;
use crate::engine::batching::scheduling::for_test::Tagged;

/// A request that is about to be submitted.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Read(u64),
    /// A read of several keys, its items.
    Reads(Vec<u64>),
    Write(u64),
    /// A failure of a breaker: it may be coalesced.
    Count(u64),
    Scan,
    Clear,
    /// A checkpoint: its task and its id.
    Two(u64, u64),
}

const TABLE: u64 = 1000;

impl Shape {
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Reads(_) | Self::Scan)
    }

    pub(crate) fn keys(&self) -> Vec<u64> {
        match *self {
            Self::Read(key) | Self::Write(key) | Self::Count(key) => vec![key],
            Self::Reads(ref keys) => keys.clone(),
            Self::Two(task, id) => vec![task, 100 + id],
            Self::Scan | Self::Clear => Vec::new(),
        }
    }

    /// One for each of its items.
    pub(crate) fn split(&self) -> Vec<Self> {
        match self {
            Self::Reads(keys) => keys.iter().copied().map(Self::Read).collect(),
            other => vec![other.clone()],
        }
    }

    pub(crate) fn request(&self, tag: i64) -> Tagged {
        let on_key = |key, mode| Tagged::new(tag, &[(TABLE, AccessMode::Intent), (key, mode)]);
        match *self {
            Self::Read(key) => on_key(key, AccessMode::Shared),
            Self::Reads(ref keys) => Tagged::of_items(tag, TABLE, keys),
            Self::Write(key) => on_key(key, AccessMode::Exclusive),
            Self::Count(key) => {
                Tagged { key: Some(["a", "b"][key as usize % 2]), ..on_key(key, AccessMode::Exclusive) }
            }
            Self::Scan => Tagged::new(tag, &[(TABLE, AccessMode::Scan)]),
            Self::Clear => Tagged::new(tag, &[(TABLE, AccessMode::Exclusive)]),
            Self::Two(task, id) => Tagged::new(
                tag,
                &[
                    (TABLE, AccessMode::Intent),
                    (task, AccessMode::Exclusive),
                    (100 + id, AccessMode::Exclusive),
                ],
            ),
        }
    }
}

/// The requests that are not settled, by tag, which is the order of submission.
#[derive(Default)]
pub(crate) struct Unsettled {
    pub(crate) all: BTreeMap<i64, Shape>,
    writes: BTreeSet<i64>,
    clears: BTreeSet<i64>,
    /// The users of each key.
    keys: HashMap<u64, BTreeSet<i64>>,
}

impl Unsettled {
    pub(crate) fn add(&mut self, tag: i64, shape: &Shape) {
        self.all.insert(tag, shape.clone());
        if shape.writes() {
            self.writes.insert(tag);
        }
        if matches!(shape, Shape::Clear) {
            self.clears.insert(tag);
        }
        for key in shape.keys() {
            self.keys.entry(key).or_default().insert(tag);
        }
    }

    pub(crate) fn remove(&mut self, tag: i64) {
        let shape = self.all.remove(&tag).expect("it is settled once");
        self.writes.remove(&tag);
        self.clears.remove(&tag);
        for key in shape.keys() {
            self.keys.entry(key).or_default().remove(&tag);
        }
    }

    /// The earlier requests for which this one must wait. A scan waits only for writes, and only a write of everything
    /// waits for a scan.
    pub(crate) fn before(&self, tag: i64) -> Vec<i64> {
        let shape = &self.all[&tag];
        match shape {
            Shape::Scan => self.writes.range(..tag).copied().collect(),
            Shape::Clear => self.all.range(..tag).map(|(tag, _)| *tag).collect(),
            _ => {
                let conflicts = |other: &&i64| shape.writes() || self.all[*other].writes();
                let users = shape.keys().into_iter().filter_map(|key| self.keys.get(&key));
                let users = users.flat_map(|users| users.range(..tag).filter(conflicts));
                self.clears.range(..tag).chain(users).copied().collect()
            }
        }
    }
}
