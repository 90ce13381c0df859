//! Between how many pipelines the reads are divided that become ready at one moment.

use std::time::Instant;

use crate::engine::batching::scheduling::access::AccessMode;
use crate::engine::batching::scheduling::events::{Decision, Event};
use crate::engine::batching::scheduling::for_test::Tagged;
use crate::engine::batching::scheduling::joined_call::JoinedCall;
use crate::engine::batching::scheduling::scheduler::Scheduler;
use crate::tuning::batches;

const ITEMS: usize = 20;

/// So many reads, of one call or each of its own.
fn reads(count: usize, item_of: Option<JoinedCall>) -> Vec<Tagged> {
    let read = |tag| Tagged { item_of, ..Tagged::new(tag, &[(1, AccessMode::Shared)]) };
    (0..count as i64).map(read).collect()
}

/// How many requests are in the first batch, if these are submitted to a pool of two connections.
fn first_batch(requests: Vec<Tagged>) -> usize {
    let decisions = Scheduler::new(2, None).on(Event::Submitted(requests), Instant::now());
    let batch = |decision: &Decision<Tagged>| match decision {
        Decision::Run { batch, .. } => Some(batch.len()),
        _ => None,
    };
    decisions.iter().find_map(batch).expect("a batch starts")
}

#[test]
fn calls_are_divided_between_the_pipelines() {
    assert_eq!(first_batch(reads(ITEMS, None)), ITEMS / 2);
    let few = batches::DIVIDED_FROM - 1;
    assert_eq!(first_batch(reads(few, None)), few, "a statement costs more than these");
}

#[test]
fn the_items_of_a_call_that_is_alone_are_not_unless_they_are_many() {
    let of_one_call = |items| reads(items, Some(JoinedCall::begin()));
    assert_eq!(first_batch(of_one_call(ITEMS)), ITEMS);
    assert_eq!(first_batch(of_one_call(batches::CALL_DIVIDED_FROM)), batches::CALL_DIVIDED_FROM / 2);
}

#[test]
fn two_such_calls_are_divided() {
    let two = [JoinedCall::begin(), JoinedCall::begin()].map(|call| reads(ITEMS, Some(call))).concat();
    assert_eq!(first_batch(two), ITEMS);
    let with_another = [reads(ITEMS, Some(JoinedCall::begin())), reads(2, None)].concat();
    assert_eq!(first_batch(with_another), ITEMS / 2 + 1);
}
