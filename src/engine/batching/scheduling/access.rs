//! The resources that a request touches, and how.

use std::iter::repeat_n;

/// How a request uses a resource, as the modes of a lock table. Requests of one mode use it at once, unless that is
/// exclusive; of any other pair the later waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessMode {
    /// A call on one key, as seen by the table.
    Intent,
    /// A read of many keys, as seen by the table: after the writes that came before it, and together with those that
    /// follow.
    Scan,
    /// A read of a key.
    Shared,
    /// A write, or any other use that must not be shared.
    Exclusive,
}

impl AccessMode {
    pub(crate) fn shares_with(self, other: Self) -> bool {
        self == other && self != Self::Exclusive
    }
}

/// Resources are 64-bit hashes. If two collide, the only effect is that their calls are ordered needlessly.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub resource: u64,
    pub mode: AccessMode,
}

/// The resources of one request. Most requests have few, which need no allocation of their own, each once.
#[derive(Clone, Debug, Default)]
pub struct Accesses {
    accesses: [Option<Access>; MOST_ACCESSES],
    /// Of a request with items: the access of each. Each item also has the access above, for itself. So nothing changes for
    /// the resources if such a request is split, whether it waits or is under way.
    items: Vec<Access>,
    /// The request's place in the order of arrival, from 1.
    pub(crate) number: u64,
}

const MOST_ACCESSES: usize = 3;

impl Accesses {
    pub fn new(wanted: &[Access]) -> Self {
        let mut accesses = [None; MOST_ACCESSES];
        for (place, access) in accesses.iter_mut().zip(wanted) {
            *place = Some(*access);
        }
        assert!(wanted.len() <= MOST_ACCESSES, "a request touches at most {MOST_ACCESSES} resources");
        Self { accesses, items: Vec::new(), number: 0 }
    }

    /// Those of a read with several items: an access that each of them has, and one of its own for each.
    pub fn of_items(common: Access, items: Vec<Access>) -> Self {
        debug_assert!(
            items.iter().all(|item| item.mode.shares_with(item.mode)),
            "an item may be there twice"
        );
        Self { items, ..Self::new(&[common]) }
    }

    /// How many items the request has; one if it is a single call.
    pub(crate) fn items(&self) -> usize {
        self.items.len().max(1)
    }

    /// Those of each item.
    pub(crate) fn split(self) -> Vec<Self> {
        let Self { accesses: [common, ..], items, number } = self;
        let of_item = |item| Self { accesses: [common, Some(item), None], items: Vec::new(), number };
        items.into_iter().map(of_item).collect()
    }

    pub(crate) fn are_of_a_write(&self) -> bool {
        self.accesses.iter().flatten().any(|access| access.mode == AccessMode::Exclusive)
    }

    /// Whether they belong to a read of a whole table, which may take long.
    pub(crate) fn are_of_a_table_scan(&self) -> bool {
        matches!(self.accesses, [Some(Access { mode: AccessMode::Scan, .. }), None, None])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Access> {
        let of_each = self.accesses.iter().flatten().flat_map(|access| repeat_n(access, self.items()));
        of_each.chain(&self.items).copied()
    }

    /// Whether one of these must wait for one of those.
    pub(crate) fn conflict_with(&self, others: &[Access]) -> bool {
        let conflict = |a: Access, b: &Access| a.resource == b.resource && !a.mode.shares_with(b.mode);
        self.iter().any(|own| others.iter().any(|other| conflict(own, other)))
    }
}
