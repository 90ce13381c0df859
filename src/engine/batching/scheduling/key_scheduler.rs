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
//! lines, the earlier is ahead in each, and they cannot wait for each other in a circle.
//!
//! A read of several keys, its items, is one request if it need wait for none of them. Otherwise it is split, and each item takes
//! its place by itself: the keys have nothing to do with each other, and while the read waits for one of them, it must not hold back
//! a later write of another.
//!
//! Calls that add up (failures of one breaker, for example) need not wait for each other. The first that has to wait
//! also stands for the calls that follow it, as long as no other request is between them in any line.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::engine::batching::scheduling::access::{Access, Accesses};
use crate::engine::batching::scheduling::line::Line;
use crate::engine::batching::scheduling::scheduled::Scheduled;

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

pub(crate) struct KeyScheduler<R> {
    lines: Numbered<Line>,
    /// Requests that are not admitted to all of their resources yet, and the number of resources still missing.
    waiting: Numbered<(R, usize)>,
    submitted: u64,
}

impl<R> Default for KeyScheduler<R> {
    fn default() -> Self {
        Self { lines: Numbered::default(), waiting: Numbered::default(), submitted: 0 }
    }
}

impl<R: Scheduled> KeyScheduler<R> {
    /// Gives `request` its place in every line, and adds it to `admitted` if it need not wait in any.
    pub(crate) fn enter(&mut self, request: R, admitted: &mut Vec<R>) {
        if request.items() > 1 && !self.admits_at_once(request.accesses()) {
            return request.split().into_iter().for_each(|item| self.enter(item, admitted));
        }
        let Some(mut request) = self.try_coalesce(request) else { return };
        self.submitted += 1;
        let number = self.submitted;
        request.accesses_mut().number = number;
        let is_write = request.accesses().are_of_a_write();
        let mut lacking = 0;
        for access in request.accesses().iter() {
            let line = self.lines.entry(access.resource).or_default();
            lacking += usize::from(!line.enter(number, access.mode, is_write));
        }
        match lacking {
            0 => admitted.push(request),
            lacking => {
                self.waiting.insert(number, (request, lacking));
            }
        }
    }

    fn admits_at_once(&self, accesses: &Accesses) -> bool {
        let admits = |access: Access| {
            self.lines.get(&access.resource).is_none_or(|line| line.admits_at_once(access.mode))
        };
        accesses.iter().all(admits)
    }

    /// The requests that are not admitted to all of their resources.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &R> {
        self.waiting.values().map(|(request, _)| request)
    }

    /// Returns the request if no waiting request can stand for it.
    fn try_coalesce(&mut self, request: R) -> Option<R> {
        if !request.is_coalescable() {
            return Some(request);
        }
        match self.next_before(request.accesses()).and_then(|number| self.waiting.get_mut(&number)) {
            Some((waiting, _)) => waiting.coalesce(request).err(),
            None => Some(request),
        }
    }

    /// The waiting request directly ahead of a request with these accesses, in all lines in which that request would
    /// have to wait.
    fn next_before(&self, accesses: &Accesses) -> Option<u64> {
        let mut before = None;
        for access in accesses.iter() {
            let Some(line) = self.lines.get(&access.resource) else { continue };
            match line.last_waiting() {
                Some(number) if before.is_none_or(|before| before == number) => before = Some(number),
                None if line.admits(access.mode) => {}
                _ => return None,
            }
        }
        before
    }

    /// Ends the accesses of a request that was admitted, and adds to `admitted` the requests that waited only for them.
    pub(crate) fn leave(&mut self, accesses: &Accesses, admitted: &mut Vec<R>) {
        let is_write = accesses.are_of_a_write();
        for access in accesses.iter() {
            let Some(line) = self.lines.get_mut(&access.resource) else { continue };
            let next = line.leave(accesses.number, access.mode, is_write);
            if line.is_unused() {
                self.lines.remove(&access.resource);
            }
            for number in next {
                let Some((_, lacking)) = self.waiting.get_mut(&number) else { continue };
                *lacking -= 1;
                if *lacking == 0
                    && let Some((request, _)) = self.waiting.remove(&number)
                {
                    admitted.push(request);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::batching::scheduling::access::AccessMode;
    use crate::engine::batching::scheduling::for_test::Tagged;

    fn request(tag: i64, accesses: &[(u64, AccessMode)]) -> Tagged {
        Tagged::new(tag, accesses)
    }

    fn request_with_key(tag: i64, accesses: &[(u64, AccessMode)], key: Option<&'static str>) -> Tagged {
        Tagged { key, ..Tagged::new(tag, accesses) }
    }

    fn tags(admitted: &[Tagged]) -> Vec<i64> {
        admitted.iter().map(|request| request.tag).collect()
    }

    #[test]
    fn reads_share_and_a_write_waits_for_them_and_holds_back_later_reads() {
        let (mut key_scheduler, mut admitted) = (KeyScheduler::default(), Vec::new());
        for (tag, mode) in [
            (1, AccessMode::Shared),
            (2, AccessMode::Shared),
            (3, AccessMode::Exclusive),
            (4, AccessMode::Shared),
        ] {
            key_scheduler.enter(request(tag, &[(7, mode)]), &mut admitted);
        }
        assert_eq!(tags(&admitted), [1, 2]);
        let first = admitted.remove(0);
        key_scheduler.leave(&first.accesses, &mut admitted);
        assert_eq!(tags(&admitted), [2], "the write still waits for the second read");
        let second = admitted.remove(0);
        key_scheduler.leave(&second.accesses, &mut admitted);
        assert_eq!(tags(&admitted), [3]);
        let write = admitted.remove(0);
        key_scheduler.leave(&write.accesses, &mut admitted);
        assert_eq!(tags(&admitted), [4]);
    }

    #[test]
    fn a_scan_waits_for_earlier_writes_and_holds_back_nothing_but_a_write_of_the_whole_table() {
        let (mut key_scheduler, mut admitted) = (KeyScheduler::default(), Vec::new());
        let leave = |key_scheduler: &mut KeyScheduler<Tagged>, admitted: &mut Vec<Tagged>, tag: i64| {
            let at = admitted.iter().position(|request| request.tag == tag).expect("it is admitted");
            let done = admitted.remove(at);
            key_scheduler.leave(&done.accesses, admitted);
        };
        key_scheduler
            .enter(request(1, &[(0, AccessMode::Intent), (1, AccessMode::Exclusive)]), &mut admitted);
        key_scheduler.enter(request(2, &[(0, AccessMode::Intent), (2, AccessMode::Shared)]), &mut admitted);
        // A write that is itself waiting counts as well.
        key_scheduler
            .enter(request(3, &[(0, AccessMode::Intent), (1, AccessMode::Exclusive)]), &mut admitted);
        key_scheduler.enter(request(4, &[(0, AccessMode::Scan)]), &mut admitted);
        key_scheduler
            .enter(request(5, &[(0, AccessMode::Intent), (3, AccessMode::Exclusive)]), &mut admitted);
        key_scheduler.enter(request(6, &[(0, AccessMode::Scan)]), &mut admitted);
        assert_eq!(tags(&admitted), [1, 2, 5], "nothing waits for a scan that waits");
        leave(&mut key_scheduler, &mut admitted, 5);
        assert_eq!(
            tags(&admitted),
            [1, 2],
            "the second scan has seen 5, and waits for what the first waits for"
        );
        leave(&mut key_scheduler, &mut admitted, 1);
        assert_eq!(tags(&admitted), [2, 3]);
        leave(&mut key_scheduler, &mut admitted, 3);
        assert_eq!(tags(&admitted), [2, 4, 6], "the read 2 is nothing that a scan would have to see");
        key_scheduler
            .enter(request(7, &[(0, AccessMode::Intent), (4, AccessMode::Exclusive)]), &mut admitted);
        key_scheduler.enter(request(8, &[(0, AccessMode::Exclusive)]), &mut admitted);
        key_scheduler.enter(request(9, &[(0, AccessMode::Intent), (5, AccessMode::Shared)]), &mut admitted);
        key_scheduler.enter(request(10, &[(0, AccessMode::Scan)]), &mut admitted);
        assert_eq!(tags(&admitted), [2, 4, 6, 7], "nor does anything wait for a scan that runs");
        for tag in [2, 7, 4] {
            leave(&mut key_scheduler, &mut admitted, tag);
        }
        assert_eq!(tags(&admitted), [6], "`clear` waits for the scans before it");
        leave(&mut key_scheduler, &mut admitted, 6);
        assert_eq!(tags(&admitted), [8]);
        leave(&mut key_scheduler, &mut admitted, 8);
        assert_eq!(tags(&admitted), [10, 9]);
        for tag in [10, 9] {
            leave(&mut key_scheduler, &mut admitted, tag);
        }
        assert!(key_scheduler.lines.is_empty() && key_scheduler.waiting.is_empty());
    }

    #[test]
    fn a_read_of_several_keys_is_split_if_it_waits_for_one_of_them() {
        let (mut key_scheduler, mut admitted) = (KeyScheduler::default(), Vec::new());
        let (table, busy, free) = (0, 1, 2);
        let write = |tag, key| request(tag, &[(table, AccessMode::Intent), (key, AccessMode::Exclusive)]);
        key_scheduler.enter(Tagged::of_items(1, table, &[busy, free, busy]), &mut admitted);
        assert_eq!(tags(&admitted), [1], "nothing is ahead of it");
        key_scheduler.leave(&admitted.remove(0).accesses, &mut admitted);

        key_scheduler.enter(write(4, busy), &mut admitted);
        key_scheduler.enter(Tagged::of_items(5, table, &[busy, free]), &mut admitted);
        assert_eq!(tags(&admitted), [4, 6]);
        // The write that 5 waits for may take long. A write of the other key does not wait with it.
        key_scheduler.leave(&admitted.remove(1).accesses, &mut admitted);
        key_scheduler.enter(write(7, free), &mut admitted);
        assert_eq!(tags(&admitted), [4, 7]);
        for tag in [4, 7, 5] {
            let done = admitted.remove(0);
            assert_eq!(done.tag, tag);
            key_scheduler.leave(&done.accesses, &mut admitted);
        }
        assert!(key_scheduler.lines.is_empty() && key_scheduler.waiting.is_empty());
    }

    #[test]
    fn a_request_that_waits_in_one_line_keeps_its_place_in_the_others() {
        // Saves of one checkpoint id: the second waits for its task, and the third, of another task, for the second.
        let (mut key_scheduler, mut admitted) = (KeyScheduler::default(), Vec::new());
        let (task_a, task_b, id) = (1, 2, 3);
        key_scheduler.enter(request(1, &[(task_a, AccessMode::Exclusive)]), &mut admitted);
        key_scheduler.enter(
            request(2, &[(task_a, AccessMode::Exclusive), (id, AccessMode::Exclusive)]),
            &mut admitted,
        );
        key_scheduler.enter(
            request(3, &[(task_b, AccessMode::Exclusive), (id, AccessMode::Exclusive)]),
            &mut admitted,
        );
        for expected in 1..=3 {
            assert_eq!(tags(&admitted), [expected]);
            let done = admitted.remove(0);
            key_scheduler.leave(&done.accesses, &mut admitted);
        }
    }

    #[test]
    fn calls_that_add_up_coalesce_with_the_one_that_waits_unless_another_is_between_them() {
        let (mut key_scheduler, mut admitted) = (KeyScheduler::default(), Vec::new());
        let on_key = [(0, AccessMode::Intent), (1, AccessMode::Exclusive)];
        for tag in 1..=4 {
            key_scheduler.enter(request_with_key(tag, &on_key, Some("k")), &mut admitted);
        }
        key_scheduler.enter(request_with_key(5, &on_key, Some("other limit")), &mut admitted);
        key_scheduler.enter(request(6, &[(0, AccessMode::Scan)]), &mut admitted);
        // The scan does not separate them.
        key_scheduler.enter(request_with_key(7, &on_key, Some("other limit")), &mut admitted);
        key_scheduler.enter(request(8, &[(0, AccessMode::Exclusive)]), &mut admitted);
        // Behind request 8, which waits only for the table. So the requests ahead of request 8 do not stand for this
        // one.
        key_scheduler.enter(request_with_key(9, &on_key, Some("other limit")), &mut admitted);
        let mut order = Vec::new();
        while !admitted.is_empty() {
            let request = admitted.remove(0);
            order.push((request.tag, request.calls));
            key_scheduler.leave(&request.accesses, &mut admitted);
        }
        assert_eq!(order, [(1, 1), (2, 3), (5, 2), (6, 1), (8, 1), (9, 1)]);
    }

    #[test]
    fn an_unused_key_leaves_nothing_behind() {
        let (mut key_scheduler, mut admitted) = (KeyScheduler::default(), Vec::new());
        for key in 0..1000 {
            key_scheduler.enter(
                request(1, &[(0, AccessMode::Intent), (key + 1, AccessMode::Exclusive)]),
                &mut admitted,
            );
        }
        while let Some(done) = admitted.pop() {
            key_scheduler.leave(&done.accesses, &mut admitted);
        }
        assert!(key_scheduler.lines.is_empty() && key_scheduler.waiting.is_empty());
    }
}
