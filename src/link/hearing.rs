//! The listening connection: opened for the first who listens, kept while anybody does, opened anew when it is lost.
//!
//! * It is one of the pool's by its description, but none of those that carry calls: it comes on top of `max`, and the
//!   runtime alone polls it.
//! * A session that a pooler shares among its clients hears the notices of all of them, or of none. So `LISTEN` is sent
//!   only where the session is known to be its own.
//! * A server that is gone without a word sends no notices either. So it is asked for a sign of life now and then.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::direct::{Direct, Way};
use super::drive::Drive;
use super::notices::Notices;
use super::{Error, Link};

/// What is said is heard under this name. It is in the triggers, too.
const CHANNEL: &str = "go_goscope";

/// How long nothing need be heard before the server is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(10);

/// How long it may take to say so, or to answer what comes before.
const ANSWER: Duration = Duration::from_secs(5);

/// The pauses between attempts: doubled from the first to the last, and never the same in two processes, which all lost
/// the same server at the same moment.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Where there was a session, but a shared one, the next is likely to be so, too.
const PAUSE_OF_THE_DEAF: Duration = Duration::from_secs(60);

/// Why nothing is heard any more, though somebody still listens.
enum End {
    Lost,
    /// The session is others' as well.
    Shared,
}

/// Says so if nobody sees to the connection any more, be it for a panic.
struct Attending(Arc<Notices>, Way);

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.forsake();
        self.1.drive.end();
    }
}

/// Sees to the connection until nobody wants it.
pub(super) async fn run(link: Weak<Link>, notices: Arc<Notices>) {
    let way = match link.upgrade() {
        Some(link) => Way { drive: Drive::start(&link.runtime), direct: Arc::new(Direct::default()) },
        None => return notices.forsake(),
    };
    let attending = Attending(notices, way);
    let Attending(notices, way) = &attending;
    let heard = async {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let end = hear(&link, notices, way).await;
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

async fn hear(link: &Weak<Link>, notices: &Notices, way: &Way) -> End {
    let (told, mut payloads) = mpsc::unbounded_channel();
    // Held no longer: a link that only this connection knows is to end.
    let opened = match link.upgrade() {
        Some(link) => link.pool.open_for_notices(way, told).await,
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
            // Said once more it changes nothing, and shows whoever looks at the server's sessions what this one is for.
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
