//! The listening connection: opened for the first subscription, kept while there is a subscription, and reopened when
//! it is lost.
//!
//! * It uses the pool's description, but is not one of the connections that carry calls. It comes on top of `max`,
//!   and only the runtime polls it.
//! * A session that a pooler shares among its clients receives the notifications of all of them, or of none. So
//!   `LISTEN` is sent only if the session is known to be its own.
//! * A server that has disappeared silently sends no notifications either. So it is asked for a sign of life from time
//!   to time.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::engine::connection::connect::Connection;
use crate::engine::connection::executor::Executor;
use crate::engine::connection::handshake::Payloads;
use crate::engine::connection::io_mode::{Io, IoMode};
use crate::engine::error::Error;
use crate::engine::notifications::notifier::Notifier;
use crate::time::any_part;
use crate::tuning::notifications;

/// Notifier are sent on this channel. Its name is in the triggers, too.
const CHANNEL: &str = "go_goscope";

/// Why no notifications are received any more, though there is still a subscription.
enum End {
    Lost,
    /// The session is others' as well.
    Shared,
}

/// Reports when no task attends to the connection any more, also after a panic.
struct Running(Arc<Notifier>, Io);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abandon();
        self.1.executor.end();
    }
}

/// Attends to the connection until it is not wanted any more.
///
/// `open` opens a connection whose notifications go to the given sender. It must keep nothing beyond that: an engine
/// that only this connection refers to must end.
pub(crate) async fn run<F: Future<Output = Result<Connection, Error>>>(
    runtime: Handle,
    notifier: Arc<Notifier>,
    open: impl Fn(Io, Payloads) -> F,
) {
    let io = Io { executor: Executor::start(&runtime), mode: Arc::new(IoMode::default()) };
    let running = Running(notifier, io);
    let Running(notifier, io) = &running;
    let listening = async {
        let mut pause = notifications::FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let end = listen_until_end(&open, notifier, io).await;
            notifier.set_connected(false);
            if began.elapsed() > notifications::LAST_PAUSE {
                pause = notifications::FIRST_PAUSE;
            }
            let length = match end {
                End::Lost => pause,
                End::Shared => notifications::SHARED_SESSION_PAUSE,
            };
            // From a half to all of it.
            sleep(length.mul_f64(0.5 + any_part() / 2.0)).await;
            pause = (pause * 2).min(notifications::LAST_PAUSE);
        }
    };
    tokio::select! {
        () = listening => {}
        () = notifier.unwanted() => {}
    }
}

async fn listen_until_end<F: Future<Output = Result<Connection, Error>>>(
    open: &impl Fn(Io, Payloads) -> F,
    notifier: &Notifier,
    io: &Io,
) -> End {
    let (sender, mut payloads) = mpsc::unbounded_channel();
    let Ok(connection) = open(io.clone(), sender).await else { return End::Lost };
    if !connection.is_own() {
        return End::Shared;
    }
    let listen = format!("LISTEN {CHANNEL}");
    if !matches!(timeout(notifications::ANSWER, connection.execute(&listen)).await, Ok(Ok(()))) {
        return End::Lost;
    }
    notifier.set_connected(true);
    loop {
        match timeout(notifications::SILENCE, payloads.recv()).await {
            Ok(Some(payload)) => notifier.notify(&payload),
            Ok(None) => return End::Lost,
            // Repeating it changes nothing, and shows in the server's list of sessions what this one is for.
            Err(_) => match timeout(notifications::ANSWER, connection.execute(&listen)).await {
                Ok(Ok(_)) => {}
                _ => return End::Lost,
            },
        }
    }
}
