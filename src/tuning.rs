//! Every limit, pause and bound that was chosen, with the figure or the reason behind it. A constant that a protocol or
//! a format gives stands where it is used.

/// How many pipelines work, and when one more does.
pub(crate) mod pipelines {
    use std::time::Duration;

    /// Pipelines that work at once. Measured on two cores: one or two pipelines that fill their batches are faster than
    /// ten that do not, because each statement then carries many calls. More pipelines start only while these are
    /// blocked.
    pub(crate) const EAGER: usize = 2;

    /// A batch that takes longer than this no longer keeps another pipeline from starting.
    pub(crate) const BLOCKED_AFTER: Duration = Duration::from_millis(10);

    /// How long no further pipeline is tried after one got no connection.
    pub(crate) const NO_FURTHER_FOR: Duration = Duration::from_secs(1);
}

/// What a batch consists of, and when writes wait for company.
pub(crate) mod batches {
    use std::time::Duration;

    /// A batch's bound: what one answer may cost the calls that wait behind it.
    pub(crate) const MAX_ITEMS: usize = 256;

    /// How many items of a call one request has at most.
    pub(crate) const ITEMS_OF_REQUEST: usize = 64;

    /// A statement's bound in bytes. A batch of more becomes several statements.
    pub(crate) const MAX_BYTES: usize = 1 << 20;

    /// From this many items on, a batch leaves a part to an idle pipeline. The server then works on two statements
    /// at once, and this process handles one pipeline's answers while the server works for the other. A few
    /// are not divided: a statement costs the server more than a handful of further calls in it.
    pub(crate) const DIVIDED_FROM: usize = 8;

    /// Callers who call again at once do so within this time, or at most twice this time, after their answer: an event
    /// loop takes 1 to 2 ms for the continuations of 256. Until then a batch is divided in a way that leaves an idle
    /// pipeline to them. It is short compared to changes of the load.
    pub(crate) const CALL_AGAIN_WITHIN: Duration = Duration::from_millis(5);

    /// From this many on, writes are worth a pipeline: they take the server longer than a quick flush.
    pub(crate) const MANY_WRITES: usize = 64;

    /// Writes wait no longer than this behind the batch of another pipeline, or for the callers just answered: the
    /// server may be far away, with a disk that is not slow.
    pub(crate) const MAX_LINGER: Duration = Duration::from_millis(1);

    /// With fewer calls left than this, a batch that waits for the next calls of the callers just answered is worth
    /// more than one that continues while they make them. Measured on two cores with quick flushes, compared to a
    /// pipeline that does not wait: 1.6 times the rate with 2 to 8 `set`s in flight, 1.5 with 16, 1.25 with 32; with
    /// 256 `recordFailure`s, which few rows stand for, 0.6.
    pub(crate) const LINGER_BELOW_CALLS: usize = 32;

    /// How many calls one request may stand for.
    pub(crate) const MAX_COALESCED: usize = 1 << 10;
}

/// How often a call is run again.
pub(crate) mod retries {
    /// How often a statement that failed harmlessly is retried before its caller gets the error. The pauses between the
    /// runs (see [`pause`](crate::engine::batching::retrying::pause)) add up to about two and a half seconds: enough for a
    /// server that restarts.
    pub(crate) const MAX_FAILURES: u32 = 8;

    /// After how many runs a call ends whose answer asks for another run. The pauses between the runs add up as those
    /// of failures do; see [`pause`](crate::engine::batching::retrying::pause).
    pub(crate) const MAX_REPETITIONS: u32 = 8;
}

/// How long a statement waits for a lock that another transaction holds.
pub(crate) mod lock_waits {
    use std::time::Duration;

    /// For a statement that others depend on: it carries several calls, or others are sent behind it. Rows that many
    /// processes contend for become free within this time. The few statements of a batch take less than a second
    /// together.
    pub(crate) const SHARED: Duration = Duration::from_millis(150);

    /// The same if a batch has more statements than [`FEW_STATEMENTS`], or the statement more calls than [`FEW_CALLS`].
    pub(crate) const SHARED_BY_MANY: Duration = Duration::from_millis(50);

    pub(crate) const FEW_STATEMENTS: usize = 4;

    pub(crate) const FEW_CALLS: usize = 32;

    /// For each call of a blocked statement, to find the calls that are blocked. Up to 256 wait one after the other. So
    /// this is the shortest limit that PostgreSQL has; otherwise a call that is not blocked would wait for the others.
    /// (Measured with 500 blocked calls and one that is not, made at once, on one connection: that one waited 0.8 s. It
    /// waited 7.9 s with 10 ms, where the calls behind eight blocked ones were taken for blocked.)
    pub(crate) const PROBE: Duration = Duration::from_millis(1);

    /// How long a round waits for locks: a round of one request, and the first attempt of several. If that is too
    /// short, each of several waits for [`PROBE`].
    pub(crate) const ROUND_OF_ONE: Duration = Duration::from_millis(200);

    pub(crate) const ROUND_OF_SEVERAL: Duration = Duration::from_millis(50);

    /// How many of the requests that share a connection run in a round. Most of those that are no longer blocked then
    /// share a statement.
    pub(crate) const ROUND: usize = 16;

    /// The pause after a round in which any request was still blocked.
    pub(crate) const ROUND_PAUSE: Duration = Duration::from_millis(100);
}

/// When a write also removes expired rows.
pub(crate) mod sweeps {
    use std::time::Duration;

    /// After this many writes the next one sweeps. (Measured with 16 rows a statement: 26 µs of the server's CPU a row
    /// without a sweep, 32 with one. Where nothing can be prepared, its longer text is also parsed and planned.)
    pub(crate) const WRITES: usize = 256;

    /// What a sweep removes at most, beside two rows for each that its statement writes: more than the writes since the last
    /// sweep can have added.
    pub(crate) const MOST: usize = 2 * WRITES;

    /// After a pause like this the next write sweeps in any case: if there are few writes, expired rows are removed at
    /// once. A caller that awaits each write makes no pause that long, if the disk is quick. (Measured with one `set`
    /// in flight: sweeping once in a millisecond, which is with two writes of five, took a fifth of the rate.)
    pub(crate) const PAUSE: Duration = Duration::from_millis(5);

    /// The same for locks: each `acquire` is documented to remove expired ones, and most do not follow each other at once.
    pub(crate) const PAUSE_OF_LOCKS: Duration = Duration::from_millis(1);

    /// And after this time, however many writes there are.
    pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
}

/// How the end of a lost session is awaited.
pub(crate) mod lost_sessions {
    use std::time::Duration;

    /// How long the rejection of a call waits for the end of its session.
    pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(1);

    /// How long the server may take to answer, and to accept the connection that carries the question; doubled from the
    /// first to the last. After that another connection is tried: this one may be lost, too.
    pub(crate) const FIRST_LIMIT: Duration = Duration::from_secs(2);

    pub(crate) const LAST_LIMIT: Duration = Duration::from_secs(60);

    /// The pauses between two questions, doubled from the first to the last. A backend ends within about a millisecond,
    /// unless it is stalled.
    pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(1);

    pub(crate) const LAST_PAUSE: Duration = Duration::from_millis(100);

    /// The same if the server cannot be reached.
    pub(crate) const FIRST_PAUSE_UNREACHABLE: Duration = Duration::from_millis(20);

    pub(crate) const LAST_PAUSE_UNREACHABLE: Duration = Duration::from_secs(1);
}

/// How long the end of a pool waits.
pub(crate) mod closing {
    use std::time::Duration;

    /// How long one piece of work delays the end of the pool, or of the process. It may continue after that, for as
    /// long as its resources exist.
    pub(crate) const OWED_WORK: Duration = Duration::from_secs(5);

    /// How long `close` waits for connections to send their Terminate to the server before it leaves them to the
    /// runtime.
    pub(crate) const TERMINATE: Duration = Duration::from_secs(5);

    /// How long `close` waits for the server to end sessions whose connection was lost.
    pub(crate) const LOST_SESSIONS: Duration = Duration::from_secs(1);
}

/// Which thread works, and for how long.
pub(crate) mod threads {
    /// With more active calls than this, the worker does the work. Up to here the event loop's thread is the better
    /// choice whatever cores the server has: with 256 in flight the worker takes 10 to 35 % of a call's CPU from that
    /// thread, costs 12 to 18 % more in total, and the event loop's delay is the same (see the log in
    /// docs/internals/performance.md). More than that at once would keep an event loop from its other work.
    pub(crate) const MAX_ON_LOOP: usize = 256;

    /// How many times in a row calls must begin while few are active, before the event loop's thread takes over the
    /// work of others that are active. A change costs a few system calls for each connection.
    pub(crate) const LIGHT_FLUSHES: u32 = 8;

    /// How much text one drain hands over, in addition to its last message. V8's strings end at half a gigabyte, and a
    /// drain should not block the event loop longer than necessary.
    pub(crate) const DRAIN_BYTES: usize = 4 << 20;

    /// How many calls one drain settles. Their continuations run before the event loop continues.
    pub(crate) const DRAIN_MESSAGES: usize = 128;
}

/// How a connection is opened.
pub(crate) mod connections {
    /// How often a server may show a certificate other than the one that was verified, as a server behind a load
    /// balancer may do, before that is an error.
    pub(crate) const VERIFICATIONS: u32 = 4;
}

/// The connection that receives notifications.
pub(crate) mod notifications {
    use std::time::Duration;

    /// How long the connection stays open when there are no more subscribers: waits for a lock come and go.
    pub(crate) const LINGER: Duration = Duration::from_secs(10);

    /// How long there may be silence before the server is asked whether it is there.
    pub(crate) const SILENCE: Duration = Duration::from_secs(10);

    /// How long that answer may take, or the answer to an earlier message.
    pub(crate) const ANSWER: Duration = Duration::from_secs(5);

    /// The pauses between attempts: doubled from the first to the last, and different in each process, since all
    /// processes lost the same server at the same moment.
    pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);

    pub(crate) const LAST_PAUSE: Duration = Duration::from_secs(5);

    /// If there was a session, but a shared one, the next is likely to be shared, too.
    pub(crate) const SHARED_SESSION_PAUSE: Duration = Duration::from_secs(60);

    /// The longest time for which a change that is not announced may go unseen.
    pub(crate) const POLL: Duration = Duration::from_secs(1);
}

/// When a lock is tried, and a lease is extended.
pub(crate) mod leases {
    use std::time::Duration;

    /// When to check whether a lock is free if no notifications arrive: at first soon, then less often.
    pub(crate) const FIRST_POLL: Duration = Duration::from_millis(50);

    pub(crate) const LAST_POLL: Duration = Duration::from_millis(250);

    /// The same if releases are notified.
    pub(crate) const POLL_BESIDE_NOTIFICATIONS: Duration = Duration::from_secs(5);

    /// How often a lock is tried again at once if a try finds it busy and the following read finds it free. It may have
    /// been released in between.
    pub(crate) const TRIES_AT_ONCE: u32 = 8;

    /// By how many tries the number of contending processes is known; then half of them are forgotten.
    pub(crate) const COUNTED_TRIES: u32 = 64;

    /// Over how much time the tries of many processes are spread at most. It is what the last of a few waiters may wait in
    /// vain.
    pub(crate) const LONGEST_SPREAD: Duration = Duration::from_millis(50);

    /// For how long a process hands a lock over to its own waiters before it releases it to all. (Measured with 16 waiters in each
    /// of 1, 2 and 8 processes: 1.4, 1.4 and 1.6 times the hand-overs of 8 ms.)
    pub(crate) const LONGEST_RUN: Duration = Duration::from_millis(20);

    /// The shortest pause in which a process leaves a lock to others: longer than most of them pause before their tries.
    pub(crate) const SHORTEST_YIELD: Duration = Duration::from_millis(10);

    /// How many tries are assumed to have won beside those that have been counted. Without them, a process that has lost often pauses
    /// longer than the others, and loses again.
    pub(crate) const ASSUMED_WINS: u32 = 4;

    /// A process that meets no other makes that pause after one in two to the power of this of its releases.
    pub(crate) const SKIPPED_YIELDS: u32 = 5;

    /// A process that has lost `n` tries more than its share pauses `1 / (1 + n)` as long. This is the largest `n`.
    pub(crate) const MOST_OVERDUE: f64 = 2.0;

    /// When to try again to extend a lease after a failure that the extension's own retries did not overcome.
    pub(crate) const EXTEND_AGAIN: Duration = Duration::from_millis(50);

    /// How often an acquire runs again to renew a stale expiry. A server that is slower than that gives the lease that
    /// it can.
    pub(crate) const STALE_RENEWALS: u32 = 3;

    /// How often it runs again to draw a token, which the second run does under the row's lock.
    pub(crate) const TOKEN_DRAWS: u32 = 5;

    /// The part of its TTL for which an extension retries transient failures if the remaining time of the lease is
    /// unknown: go-go-scope renews at 0.6 of the TTL, and the rest must suffice for one more round trip.
    pub(crate) const RETRY_SHARE: f64 = 0.3;

    pub(crate) const MAX_RETRY_TIME: Duration = Duration::from_secs(30);
}

/// How tables are made.
pub(crate) mod tables {
    use std::time::Duration;

    /// How often creation is tried again when another session creates the same table at the same moment.
    pub(crate) const CREATION_TRIES: usize = 10;

    pub(crate) const CREATION_PAUSE: Duration = Duration::from_millis(10);

    pub(crate) const ADDITIONS_TRIES: u32 = 5;

    pub(crate) const ADDITIONS_PAUSE: Duration = Duration::from_millis(50);
}
