//! The line of one resource: the requests that use it now, and those that wait for it in order of arrival.

use std::collections::VecDeque;

use crate::engine::batching::scheduling::access::AccessMode;
use crate::engine::batching::scheduling::scans::Scans;

#[derive(Default)]
pub(crate) struct Line {
    users: usize,
    mode: Option<AccessMode>,
    waiting: VecDeque<(u64, AccessMode)>,
    /// Scans are not users, and stand in no line.
    scans: Scans,
}

impl Line {
    /// Scans delay only requests that need the resource to themselves.
    pub(crate) fn admits(&self, mode: AccessMode) -> bool {
        match self.users {
            0 => mode != AccessMode::Exclusive || !self.scans.are_running(),
            _ => self.mode.is_some_and(|used| used.shares_with(mode)),
        }
    }

    /// Whether a request that comes now need not wait. Even a mode that could share waits behind earlier waiters.
    /// Otherwise a stream of reads would starve a write.
    pub(crate) fn admits_at_once(&self, mode: AccessMode) -> bool {
        self.waiting.is_empty() && self.admits(mode)
    }

    /// The number of the request that has come last, of those that wait.
    pub(crate) fn last_waiting(&self) -> Option<u64> {
        self.waiting.back().map(|(number, _)| *number)
    }

    /// Takes a request's place in line. Returns whether it need not wait.
    pub(crate) fn enter(&mut self, number: u64, mode: AccessMode, is_write: bool) -> bool {
        if mode == AccessMode::Scan {
            return self.scans.enter(number);
        }
        if is_write {
            self.scans.note_write();
        }
        let is_admitted = self.admits_at_once(mode);
        match is_admitted {
            true => self.admit(mode),
            false => self.waiting.push_back((number, mode)),
        }
        is_admitted
    }

    /// Ends a request's use. Returns the requests that this admits.
    pub(crate) fn leave(&mut self, number: u64, mode: AccessMode, is_write: bool) -> Vec<u64> {
        let mut admitted = Vec::new();
        if mode == AccessMode::Scan {
            self.scans.leave();
        } else {
            self.users -= 1;
            if is_write {
                // First the scans: a `clear` that came after them waits for them.
                admitted = self.scans.write_is_over(number);
            }
        }
        while let Some(&(next, mode)) = self.waiting.front()
            && self.admits(mode)
        {
            self.admit(mode);
            self.waiting.pop_front();
            admitted.push(next);
        }
        admitted
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.users == 0 && self.waiting.is_empty() && self.scans.is_empty()
    }

    fn admit(&mut self, mode: AccessMode) {
        self.users += 1;
        self.mode = Some(mode);
    }
}
