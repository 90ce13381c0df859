//! The listening connection: opened for the first listener, kept while there is a listener, and reopened when it is
//! lost.
//!
//! * It uses the pool's description, but is not one of the connections that carry calls. It comes on top of `max`,
//!   and only the runtime polls it.
//! * A session that a pooler shares among its clients receives the notices of all of them, or of none. So `LISTEN` is
//!   sent only if the session is known to be its own.
//! * A server that has disappeared silently sends no notices either. So it is asked for a sign of life from time to
//!   time.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::direct::{Direct, Way};
use super::drive::Drive;
use super::notices::Notices;
use super::{Engine, Error};

/// Notices are sent on this channel. Its name is in the triggers, too.
const CHANNEL: &str = "go_goscope";

/// How long there may be silence before the server is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(10);

/// How long that answer may take, or the answer to an earlier message.
const ANSWER: Duration = Duration::from_secs(5);

/// The pauses between attempts: doubled from the first to the last, and different in each process, since all
/// processes lost the same server at the same moment.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// If there was a session, but a shared one, the next is likely to be shared, too.
const PAUSE_OF_THE_DEAF: Duration = Duration::from_secs(60);

/// Why no notices are received any more, though there is still a listener.
enum End {
    Lost,
    /// The session is others' as well.
    Shared,
}

/// Reports when no task attends to the connection any more, also after a panic.
struct Attending(Arc<Notices>, Way);

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.forsake();
        self.1.drive.end();
    }
}

/// Attends to the connection until it is not wanted any more.
pub(super) async fn run(engine: Weak<Engine>, notices: Arc<Notices>) {
    let way = match engine.upgrade() {
        Some(engine) => Way { drive: Drive::start(&engine.runtime), direct: Arc::new(Direct::default()) },
        None => return notices.forsake(),
    };
    let attending = Attending(notices, way);
    let Attending(notices, way) = &attending;
    let heard = async {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let end = hear(&engine, notices, way).await;
            notices.turn(false);
            if began.elapsed() > LAST_PAUSE {
                pause = FIRST_PAUSE;
            }
            let length = match end {
                End::Lost => pause,
                End::Shared => PAUSE_OF_THE_DEAF,
            };
            sleep(length.mul_f64(jitter())).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    };
    tokio::select! {
        () = heard => {}
        () = notices.unwanted() => {}
    }
}

async fn hear(engine: &Weak<Engine>, notices: &Notices, way: &Way) -> End {
    let (told, mut payloads) = mpsc::unbounded_channel();
    // Not held any longer: an engine that only this connection refers to must end.
    let opened = match engine.upgrade() {
        Some(engine) => engine.pool.open_for_notices(way, told).await,
        None => Err(Error::Closed),
    };
    let Ok(connection) = opened else { return End::Lost };
    if !connection.is_own() {
        return End::Shared;
    }
    let listen = format!("LISTEN {CHANNEL}");
    if !matches!(timeout(ANSWER, connection.execute(&listen)).await, Ok(Ok(()))) {
        return End::Lost;
    }
    notices.turn(true);
    loop {
        match timeout(SILENCE, payloads.recv()).await {
            Ok(Some(payload)) => notices.tell(&payload),
            Ok(None) => return End::Lost,
            // Repeating it changes nothing, and shows in the server's list of sessions what this one is for.
            Err(_) => match timeout(ANSWER, connection.execute(&listen)).await {
                Ok(Ok(_)) => {}
                _ => return End::Lost,
            },
        }
    }
}

/// From a half to one.
fn jitter() -> f64 {
    let drawn = RandomState::new().hash_one(());
    0.5 + drawn as f64 / u64::MAX as f64 / 2.0
}
