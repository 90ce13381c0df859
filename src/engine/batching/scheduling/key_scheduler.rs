//! Calls on one key take effect in the order in which they were made.
//!
//! A request names the resources it touches (a table, a key) and how. It runs when it may use all of them. Otherwise it
//! waits in line behind earlier requests. Requests that use a resource in the same shared mode use it together: reads
//! of one key, or calls on different keys of one table. A write of the whole table (`clear`, `prune`) waits for all
//! calls on the table that came before it, and delays those that come after. A read of the whole table (`keys`,
//! `stats`) waits for the writes that came before it, and delays nothing but such a write (see
//! [`scans`](crate::engine::batching::scheduling::scans)).
//!
//! A request takes its place in all of its lines at once, when it is submitted. So if two requests meet in several
//! lines, the earlier is ahead in each, and they cannot wait for each other in a circle. Resources are 64-bit hashes.
//! If two collide, the only effect is that their calls are ordered needlessly.
//!
//! Calls that add up (failures of one breaker, for example) need not wait for each other. The first that has to wait
//! also stands for the calls that follow it, as long as no other request is between them in any line.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use crate::engine::batching::request::Request;
use crate::engine::batching::scheduling::scans::Scans;

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
    fn shares_with(self, other: Self) -> bool {
        self == other && self != Self::Exclusive
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub resource: u64,
    pub mode: AccessMode,
}

/// The resources of one request, each once. There are few, so they need no allocation of their own.
#[derive(Clone, Debug, Default)]
pub struct Accesses {
    accesses: [Option<Access>; MOST_ACCESSES],
    /// The request's place in the order of arrival, from 1.
    number: u64,
}

const MOST_ACCESSES: usize = 3;

impl Accesses {
    pub fn new(wanted: &[Access]) -> Self {
        let mut accesses = [None; MOST_ACCESSES];
        for (place, access) in accesses.iter_mut().zip(wanted) {
            *place = Some(*access);
        }
        assert!(wanted.len() <= MOST_ACCESSES, "a request touches at most {MOST_ACCESSES} resources");
        Self { accesses, number: 0 }
    }

    pub(crate) fn are_of_a_write(&self) -> bool {
        self.iter().any(|access| access.mode == AccessMode::Exclusive)
    }

    /// Whether they belong to a read of a whole table, which may take long.
    pub(crate) fn are_of_a_table_scan(&self) -> bool {
        let [Some(access), None, None] = self.accesses else { return false };
        access.mode == AccessMode::Scan
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Access> + use<> {
        self.accesses.into_iter().flatten()
    }

    /// Whether one of these must wait for one of those.
    pub(crate) fn conflict_with(&self, others: &[Access]) -> bool {
        let conflict = |a: Access, b: &Access| a.resource == b.resource && !a.mode.shares_with(b.mode);
        self.iter().any(|own| others.iter().any(|other| conflict(own, other)))
    }
}

/// A value that is already a hash, or a count, serves as its own hash.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Numbered<T> = HashMap<u64, T, BuildHasherDefault<Itself>>;

#[derive(Default)]
pub(crate) struct KeyScheduler {
    lines: Numbered<Line>,
    /// Requests that are not admitted to all of their resources yet, and the number of resources still missing.
    waiting: Numbered<(Request, usize)>,
    submitted: u64,
}

/// The requests that use a resource now, and those that wait for it in order of arrival.
#[derive(Default)]
struct Line {
    users: usize,
    mode: Option<AccessMode>,
    waiting: VecDeque<(u64, AccessMode)>,
    /// Scans are not users, and stand in no line.
    scans: Scans,
}

impl Line {
    /// Scans delay only requests that need the resource to themselves.
    fn admits(&self, mode: AccessMode) -> bool {
        match self.users {
            0 => mode != AccessMode::Exclusive || !self.scans.are_running(),
            _ => self.mode.is_some_and(|used| used.shares_with(mode)),
        }
    }

    /// Takes a request's place in line. Returns whether it need not wait.
    fn enter(&mut self, number: u64, mode: AccessMode, is_write: bool) -> bool {
        if mode == AccessMode::Scan {
            return self.scans.enter(number);
        }
        if is_write {
            self.scans.note_write();
        }
        // Even a mode that could share waits behind earlier waiters. Otherwise a stream of reads would starve a
        // write.
        let is_admitted = self.waiting.is_empty() && self.admits(mode);
        match is_admitted {
            true => self.admit(mode),
            false => self.waiting.push_back((number, mode)),
        }
        is_admitted
    }

    /// Ends a request's use. Returns the requests that this admits.
    fn leave(&mut self, number: u64, mode: AccessMode, is_write: bool) -> Vec<u64> {
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

    fn is_unused(&self) -> bool {
        self.users == 0 && self.waiting.is_empty() && self.scans.is_empty()
    }

    fn admit(&mut self, mode: AccessMode) {
        self.users += 1;
        self.mode = Some(mode);
    }
}

fn make_ready(mut request: Request, ready: &mut VecDeque<Request>) {
    request.ready_since = Some(Instant::now());
    ready.push_back(request);
}

impl KeyScheduler {
    /// Gives `request` its place in every line, and adds it to `ready` if it need not wait in any.
    pub(crate) fn enter(&mut self, request: Request, ready: &mut VecDeque<Request>) {
        let Some(mut request) = self.try_coalesce(request) else { return };
        self.submitted += 1;
        let number = self.submitted;
        request.accesses.number = number;
        let is_write = request.writes();
        let mut lacking = 0;
        for access in request.accesses.iter() {
            let line = self.lines.entry(access.resource).or_default();
            lacking += usize::from(!line.enter(number, access.mode, is_write));
        }
        match lacking {
            0 => make_ready(request, ready),
            lacking => {
                self.waiting.insert(number, (request, lacking));
            }
        }
    }

    /// The requests that are not admitted to all of their resources.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.waiting.values().map(|(request, _)| request)
    }

    /// Returns the request if no waiting request can stand for it.
    fn try_coalesce(&mut self, request: Request) -> Option<Request> {
        if request.coalescing_key().is_none() {
            return Some(request);
        }
        match self.next_before(&request.accesses).and_then(|number| self.waiting.get_mut(&number)) {
            Some((waiting, _)) if waiting.may_coalesce(&request) => {
                waiting.coalesce(request);
                None
            }
            _ => Some(request),
        }
    }

    /// The waiting request directly ahead of a request with these accesses, in all lines in which that request would
    /// have to wait.
    fn next_before(&self, accesses: &Accesses) -> Option<u64> {
        let mut before = None;
        for access in accesses.iter() {
            let Some(line) = self.lines.get(&access.resource) else { continue };
            match line.waiting.back() {
                Some((number, _)) if before.is_none_or(|before| before == *number) => before = Some(*number),
                None if line.admits(access.mode) => {}
                _ => return None,
            }
        }
        before
    }

    /// Ends the accesses of a request that was ready, and admits the requests that waited for them.
    pub(crate) fn leave(&mut self, accesses: &Accesses, ready: &mut VecDeque<Request>) {
        let is_write = accesses.are_of_a_write();
        for access in accesses.iter() {
            let Some(line) = self.lines.get_mut(&access.resource) else { continue };
            let admitted = line.leave(accesses.number, access.mode, is_write);
            if line.is_unused() {
                self.lines.remove(&access.resource);
            }
            for number in admitted {
                let Some((_, lacking)) = self.waiting.get_mut(&number) else { continue };
                *lacking -= 1;
                if *lacking == 0
                    && let Some((request, _)) = self.waiting.remove(&number)
                {
                    make_ready(request, ready);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(tag: i64, accesses: &[(u64, AccessMode)]) -> Request {
        request_with_key(tag, accesses, None)
    }

    fn request_with_key(tag: i64, accesses: &[(u64, AccessMode)], coalescing_key: Option<&str>) -> Request {
        let accesses: Vec<_> = accesses.iter().map(|&(resource, mode)| Access { resource, mode }).collect();
        Request::for_test(tag, Accesses::new(&accesses), coalescing_key)
    }

    fn tags(ready: &VecDeque<Request>) -> Vec<i64> {
        ready.iter().map(Request::tag_for_test).collect()
    }

    #[test]
    fn reads_share_and_a_write_waits_for_them_and_holds_back_later_reads() {
        let (mut key_scheduler, mut ready) = (KeyScheduler::default(), VecDeque::new());
        for (tag, mode) in [
            (1, AccessMode::Shared),
            (2, AccessMode::Shared),
            (3, AccessMode::Exclusive),
            (4, AccessMode::Shared),
        ] {
            key_scheduler.enter(request(tag, &[(7, mode)]), &mut ready);
        }
        assert_eq!(tags(&ready), [1, 2]);
        let first = ready.pop_front().unwrap();
        key_scheduler.leave(&first.accesses, &mut ready);
        assert_eq!(tags(&ready), [2], "the write still waits for the second read");
        let second = ready.pop_front().unwrap();
        key_scheduler.leave(&second.accesses, &mut ready);
        assert_eq!(tags(&ready), [3]);
        let write = ready.pop_front().unwrap();
        key_scheduler.leave(&write.accesses, &mut ready);
        assert_eq!(tags(&ready), [4]);
    }

    #[test]
    fn a_scan_waits_for_earlier_writes_and_holds_back_nothing_but_a_write_of_the_whole_table() {
        let (mut key_scheduler, mut ready) = (KeyScheduler::default(), VecDeque::new());
        let leave = |key_scheduler: &mut KeyScheduler, ready: &mut VecDeque<Request>, tag: i64| {
            let at = ready.iter().position(|request| request.tag_for_test() == tag).expect("it is ready");
            let done = ready.remove(at).expect("it is there");
            key_scheduler.leave(&done.accesses, ready);
        };
        key_scheduler.enter(request(1, &[(0, AccessMode::Intent), (1, AccessMode::Exclusive)]), &mut ready);
        key_scheduler.enter(request(2, &[(0, AccessMode::Intent), (2, AccessMode::Shared)]), &mut ready);
        // A write that is itself waiting counts as well.
        key_scheduler.enter(request(3, &[(0, AccessMode::Intent), (1, AccessMode::Exclusive)]), &mut ready);
        key_scheduler.enter(request(4, &[(0, AccessMode::Scan)]), &mut ready);
        key_scheduler.enter(request(5, &[(0, AccessMode::Intent), (3, AccessMode::Exclusive)]), &mut ready);
        key_scheduler.enter(request(6, &[(0, AccessMode::Scan)]), &mut ready);
        assert_eq!(tags(&ready), [1, 2, 5], "nothing waits for a scan that waits");
        leave(&mut key_scheduler, &mut ready, 5);
        assert_eq!(
            tags(&ready),
            [1, 2],
            "the second scan has seen 5, and waits for what the first waits for"
        );
        leave(&mut key_scheduler, &mut ready, 1);
        assert_eq!(tags(&ready), [2, 3]);
        leave(&mut key_scheduler, &mut ready, 3);
        assert_eq!(tags(&ready), [2, 4, 6], "the read 2 is nothing that a scan would have to see");
        key_scheduler.enter(request(7, &[(0, AccessMode::Intent), (4, AccessMode::Exclusive)]), &mut ready);
        key_scheduler.enter(request(8, &[(0, AccessMode::Exclusive)]), &mut ready);
        key_scheduler.enter(request(9, &[(0, AccessMode::Intent), (5, AccessMode::Shared)]), &mut ready);
        key_scheduler.enter(request(10, &[(0, AccessMode::Scan)]), &mut ready);
        assert_eq!(tags(&ready), [2, 4, 6, 7], "nor does anything wait for a scan that runs");
        for tag in [2, 7, 4] {
            leave(&mut key_scheduler, &mut ready, tag);
        }
        assert_eq!(tags(&ready), [6], "`clear` waits for the scans before it");
        leave(&mut key_scheduler, &mut ready, 6);
        assert_eq!(tags(&ready), [8]);
        leave(&mut key_scheduler, &mut ready, 8);
        assert_eq!(tags(&ready), [10, 9]);
        for tag in [10, 9] {
            leave(&mut key_scheduler, &mut ready, tag);
        }
        assert!(key_scheduler.lines.is_empty() && key_scheduler.waiting.is_empty());
    }

    #[test]
    fn a_request_that_waits_in_one_line_keeps_its_place_in_the_others() {
        // Saves of one checkpoint id: the second waits for its task, and the third, of another task, for the second.
        let (mut key_scheduler, mut ready) = (KeyScheduler::default(), VecDeque::new());
        let (task_a, task_b, id) = (1, 2, 3);
        key_scheduler.enter(request(1, &[(task_a, AccessMode::Exclusive)]), &mut ready);
        key_scheduler
            .enter(request(2, &[(task_a, AccessMode::Exclusive), (id, AccessMode::Exclusive)]), &mut ready);
        key_scheduler
            .enter(request(3, &[(task_b, AccessMode::Exclusive), (id, AccessMode::Exclusive)]), &mut ready);
        for expected in 1..=3 {
            assert_eq!(tags(&ready), [expected]);
            let done = ready.pop_front().unwrap();
            key_scheduler.leave(&done.accesses, &mut ready);
        }
    }

    #[test]
    fn calls_that_add_up_coalesce_with_the_one_that_waits_unless_another_is_between_them() {
        let (mut key_scheduler, mut ready) = (KeyScheduler::default(), VecDeque::new());
        let on_key = [(0, AccessMode::Intent), (1, AccessMode::Exclusive)];
        for tag in 1..=4 {
            key_scheduler.enter(request_with_key(tag, &on_key, Some("k")), &mut ready);
        }
        key_scheduler.enter(request_with_key(5, &on_key, Some("other limit")), &mut ready);
        key_scheduler.enter(request(6, &[(0, AccessMode::Scan)]), &mut ready);
        // The scan does not separate them.
        key_scheduler.enter(request_with_key(7, &on_key, Some("other limit")), &mut ready);
        key_scheduler.enter(request(8, &[(0, AccessMode::Exclusive)]), &mut ready);
        // Behind request 8, which waits only for the table. So the requests ahead of request 8 do not stand for this
        // one.
        key_scheduler.enter(request_with_key(9, &on_key, Some("other limit")), &mut ready);
        let mut order = Vec::new();
        while let Some(request) = ready.pop_front() {
            order.push((request.tag_for_test(), request.calls()));
            key_scheduler.leave(&request.accesses, &mut ready);
        }
        assert_eq!(order, [(1, 1), (2, 3), (5, 2), (6, 1), (8, 1), (9, 1)]);
    }

    #[test]
    fn nothing_is_kept_of_keys_that_nobody_uses() {
        let (mut key_scheduler, mut ready) = (KeyScheduler::default(), VecDeque::new());
        for key in 0..1000 {
            key_scheduler
                .enter(request(1, &[(0, AccessMode::Intent), (key + 1, AccessMode::Exclusive)]), &mut ready);
        }
        while let Some(done) = ready.pop_front() {
            key_scheduler.leave(&done.accesses, &mut ready);
        }
        assert!(key_scheduler.lines.is_empty() && key_scheduler.waiting.is_empty());
    }
}
