//! Properties of the scheduler in a [simulated world](super::simulation).

use std::time::Duration;

use proptest::prelude::*;

use crate::engine::batching::scheduling::simulated_requests::Shape;
use crate::engine::batching::scheduling::simulation::{Step, World};

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = prop_oneof![
        5 => (0..4u64).prop_map(Shape::Read),
        2 => prop::collection::vec(0..6u64, 1..5).prop_map(Shape::Reads),
        5 => (0..4u64).prop_map(Shape::Write),
        3 => (0..2u64).prop_map(Shape::Count),
        1 => Just(Shape::Scan),
        1 => Just(Shape::Clear),
        1 => (0..3u64, 0..3u64).prop_map(|(task, id)| Shape::Two(task, id)),
    ];
    prop_oneof![
        30 => prop::collection::vec(shape, 1..6),
        // More than a batch: all on different keys.
        1 => (250..600u64).prop_map(|most| (0..most).map(|key| Shape::Write(10_000 + key)).collect()),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => shapes().prop_map(Step::Submit),
        6 => (any::<usize>(), any::<u64>()).prop_map(|(which, outcomes)| Step::Answer { which, outcomes }),
        2 => (any::<usize>(), prop::bool::weighted(0.8))
            .prop_map(|(which, is_opened)| Step::Connection { which, is_opened }),
        1 => Just(Step::Handover),
        3 => (0..200_000u64).prop_map(|us| Step::Pass(Duration::from_micros(us))),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// See the assertions of [`World`]: order per key, bounded batches of one kind, at most two pipelines that carry
    /// requests and at most `max` in all, a connection that blocked requests leave to the others, no lost wake-up.
    #[test]
    fn whatever_happens_order_holds_and_everything_is_settled(
        max in 1..5usize,
        steps in steps(),
        refuses_connections in any::<bool>(),
        opens_connections in any::<bool>(),
    ) {
        let mut world = World::new(max);
        for step in &steps {
            world.step(step);
        }
        if refuses_connections {
            world.refuse_connections();
        }
        match opens_connections {
            true => world.finish(),
            false => world.finish_on_open_connections(),
        }
    }

    /// A blocked statement, or one that is retried, delays no unrelated request: that is sent within the time that a
    /// batch may take before another pipeline starts, as long as there is a connection.
    #[test]
    fn a_request_that_nothing_blocks_is_sent_though_others_never_end(
        max in 2..5usize,
        stuck in prop::collection::vec(0..3u64, 1..3),
        outcomes in any::<u64>(),
    ) {
        let mut world = World::new(max);
        for key in &stuck {
            world.submit(&[Shape::Write(*key)]);
            world.connection(0, true);
        }
        // Of those that the server has, some are blocked, or pause before a retry. The others never end.
        if stuck.len() > 1 {
            world.answer(0, outcomes);
        }
        world.pass(Duration::from_millis(20));
        world.submit(&[Shape::Read(3)]);
        let tag = world.submitted;
        for _ in 0..max {
            world.connection(0, true);
            world.pass(Duration::from_millis(20));
        }
        let busy = world.scheduler.pipelines().active();
        prop_assert!(world.begun.contains(&tag) || busy == max, "it is not sent, with {busy} of {max} pipelines");
    }
}

/// `PROPTEST_CASES` sets another number.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000)
}
