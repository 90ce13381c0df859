//! A request for the tests of the scheduler.

use std::time::Instant;

use crate::engine::batching::scheduling::access::{Access, AccessMode, Accesses};
use crate::engine::batching::scheduling::scheduled::Scheduled;

#[derive(Clone, Debug)]
pub(crate) struct Tagged {
    pub(crate) tag: i64,
    pub(crate) accesses: Accesses,
    pub(crate) calls: usize,
    /// Requests with equal keys may coalesce.
    pub(crate) key: Option<&'static str>,
    pub(crate) is_owed: bool,
    pub(crate) ready_since: Option<Instant>,
    pub(crate) failures: u32,
    pub(crate) retry_deadline: Option<Instant>,
    /// The tags of the requests for which it stands as well, or of its further items.
    pub(crate) coalesced: Vec<i64>,
}

impl Tagged {
    pub(crate) fn new(tag: i64, accesses: &[(u64, AccessMode)]) -> Self {
        let accesses: Vec<_> = accesses.iter().map(|&(resource, mode)| Access { resource, mode }).collect();
        Self {
            tag,
            accesses: Accesses::new(&accesses),
            calls: 1,
            key: None,
            is_owed: false,
            ready_since: None,
            failures: 0,
            retry_deadline: None,
            coalesced: Vec::new(),
        }
    }

    /// A read of several keys of a table. Its items have tags of their own, from this one on.
    pub(crate) fn of_items(tag: i64, table: u64, keys: &[u64]) -> Self {
        let access = |resource, mode| Access { resource, mode };
        let items = keys.iter().map(|key| access(*key, AccessMode::Shared)).collect();
        Self {
            accesses: Accesses::of_items(access(table, AccessMode::Intent), items),
            calls: keys.len(),
            coalesced: (tag + 1..).take(keys.len() - 1).collect(),
            ..Self::new(tag, &[])
        }
    }
}

impl Scheduled for Tagged {
    fn accesses(&self) -> &Accesses {
        &self.accesses
    }
    fn accesses_mut(&mut self) -> &mut Accesses {
        &mut self.accesses
    }
    fn calls(&self) -> usize {
        self.calls
    }
    fn split(self) -> Vec<Self> {
        let tags = [self.tag].into_iter().chain(self.coalesced.clone());
        let state = Self { calls: 1, coalesced: Vec::new(), accesses: Accesses::default(), ..self.clone() };
        let item = |(tag, accesses)| Self { tag, accesses, ..state.clone() };
        tags.zip(self.accesses.split()).map(item).collect()
    }
    fn is_owed(&self) -> bool {
        self.is_owed
    }

    fn has_caller(&self) -> bool {
        !self.is_owed
    }
    fn is_coalescable(&self) -> bool {
        self.key.is_some()
    }
    fn coalesce(&mut self, next: Self) -> Result<(), Self> {
        if self.key != next.key {
            return Err(next);
        }
        self.calls += next.calls;
        self.coalesced.push(next.tag);
        Ok(())
    }
    fn ready_since(&self) -> Option<Instant> {
        self.ready_since
    }
    fn set_ready_since(&mut self, since: Instant) {
        self.ready_since = Some(since);
    }
    fn has_failed(&self) -> bool {
        self.failures > 0
    }
    fn can_retry(&self, now: Instant) -> bool {
        self.retry_deadline.is_some_and(|deadline| now < deadline)
    }
}
