//! Between how many pipelines the reads are divided that become ready at one moment.

use std::time::Instant;

use crate::engine::batching::scheduling::access::AccessMode;
use crate::engine::batching::scheduling::events::{Decision, Event};
use crate::engine::batching::scheduling::for_test::Tagged;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::batching::scheduling::scheduler::Scheduler;
use crate::tuning::batches;

const FEW: usize = 20;

/// So many reads of one key each.
fn reads(count: usize) -> Vec<Tagged> {
    (0..count as i64).map(|tag| Tagged::new(tag, &[(1, AccessMode::Shared)])).collect()
}

/// A read of so many keys.
fn read_of(items: usize) -> Tagged {
    let keys: Vec<_> = (1..=items as u64).collect();
    Tagged::of_items(0, 0, &keys)
}

/// How many items are in the first batch, if these are submitted to a pool of two connections.
fn first_batch(requests: Vec<Tagged>) -> usize {
    let decisions = Scheduler::new(2, None).on(Event::Submitted(requests), Instant::now());
    let batch = |decision: &Decision<Tagged>| match decision {
        Decision::Run { batch, .. } => Some(batch.iter().map(Scheduled::items).sum()),
        _ => None,
    };
    decisions.iter().find_map(batch).expect("a batch starts")
}

#[test]
fn calls_are_divided_between_the_pipelines() {
    assert_eq!(first_batch(reads(FEW)), FEW / 2);
    let few = batches::DIVIDED_FROM - 1;
    assert_eq!(first_batch(reads(few)), few, "a statement costs more than these");
}

#[test]
fn a_read_of_several_keys_is_not() {
    assert_eq!(first_batch(vec![read_of(FEW)]), FEW, "a part of it is of no use to its caller");
    assert_eq!(first_batch(vec![read_of(FEW), read_of(FEW)]), FEW);
}

#[test]
fn the_items_of_a_batch_are_bounded() {
    let many = batches::ITEMS_OF_REQUEST * 3 / 4;
    let requests = vec![read_of(many); 4 * batches::MAX_ITEMS / many];
    let of_one_connection = Scheduler::new(1, None).on(Event::Submitted(requests), Instant::now());
    let [Decision::Run { batch, .. }] = &of_one_connection[..] else { panic!("{of_one_connection:?}") };
    assert_eq!(batch.len(), batches::MAX_ITEMS / many, "as many as fit");
}
