//! Attends to the end of [lost sessions](super::lost_sessions): asks the server to end them, until it has.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_postgres::types::{ToSql, Type};

use crate::engine::batching::engine::Engine;
use crate::engine::batching::lost_sessions::Waiting;
use crate::engine::batching::request::Request;
use crate::engine::batching::retrying::{is_hopeful, pause};
use crate::engine::batching::scheduling::events::Event;
use crate::engine::connection::connect::Connection;
use crate::engine::connection::session::{Backend, STARTED};
use crate::engine::error::Error;
use crate::engine::sqlstate::INSUFFICIENT_PRIVILEGE;
use crate::tuning::lost_sessions;

/// Terminates the lost sessions that the server still has, and returns them. A role may end the sessions that it has
/// logged in.
const TERMINATE: &str = "lost.number, pg_terminate_backend(lost.pid)";

/// As [`TERMINATE`], for a role that may not call that function.
const LOOK: &str = "lost.number";

/// A start time that is unknown, or not visible, counts as that of the lost session.
fn listed(columns: &str) -> String {
    format!(
        "SELECT {columns}
           FROM unnest($1, $2) WITH ORDINALITY AS lost (pid, started, number)
          CROSS JOIN LATERAL pg_stat_get_activity(lost.pid)
          WHERE lost.started = '' OR coalesce({STARTED} = lost.started, true)"
    )
}

/// Holds a call whose write may be under way in a lost session until the session is gone.
pub(crate) fn hold(engine: &Arc<Engine>, lost: &Connection, request: Request, outcome: Option<Error>) {
    if engine.lost_sessions.hold(lost, request, outcome) {
        engine.runtime.spawn(attend(Arc::downgrade(engine)));
    }
}

/// Asks the server to end the lost sessions, until it has.
async fn attend(engine: Weak<Engine>) {
    let mut pause = lost_sessions::FIRST_PAUSE;
    let mut limit = lost_sessions::FIRST_LIMIT;
    let mut is_fresh = false;
    loop {
        let Some(engine) = engine.upgrade() else { return };
        let lost = engine.lost_sessions.backends();
        if lost.is_empty() {
            return;
        }
        let asked = {
            let asked = terminate(&engine, &lost, is_fresh, limit);
            tokio::pin!(asked);
            loop {
                match timeout(lost_sessions::LONGEST_DELAY / 4, &mut asked).await {
                    Ok(asked) => break asked,
                    // However long the question takes, no call waits longer than it should.
                    Err(_) => settle(&engine, &[]),
                }
            }
        };
        is_fresh = !matches!(asked, Asked::Gone(_));
        match asked {
            Asked::Gone(gone) => {
                pause = if gone.is_empty() {
                    (pause * 2).min(lost_sessions::LAST_PAUSE)
                } else {
                    lost_sessions::FIRST_PAUSE
                };
                limit = lost_sessions::FIRST_LIMIT;
                settle(&engine, &gone);
                drop(engine);
                sleep(pause).await;
            }
            Asked::Lost => {
                limit = (limit * 2).min(lost_sessions::LAST_LIMIT);
                settle(&engine, &[]);
                drop(engine);
                sleep(lost_sessions::FIRST_PAUSE_UNREACHABLE).await;
            }
            Asked::Refused(error) => {
                pause = (pause * 2)
                    .clamp(lost_sessions::FIRST_PAUSE_UNREACHABLE, lost_sessions::LAST_PAUSE_UNREACHABLE);
                refuse(&engine, &error);
                sleep(lost_sessions::FIRST_PAUSE_UNREACHABLE).await;
                // A call that comes now tries at once.
                let _ = timeout(pause, engine.lost_sessions.wanted()).await;
            }
        }
    }
}

enum Asked {
    /// The sessions that the server no longer lists.
    Gone(Vec<Backend>),
    /// This connection was lost as well, or the time limit has passed.
    Lost,
    /// No connection is available, or the server does not allow the question.
    Refused(Error),
}

/// Asks once. `is_fresh`: over a new connection. `limit`: how long to open that may take, and how long the answer.
async fn terminate(engine: &Engine, lost: &[Backend], is_fresh: bool, limit: Duration) -> Asked {
    let connection = match timeout(limit, engine.pool.spare(&engine.io, is_fresh)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Asked::Refused(error),
        Err(_) => return Asked::Lost,
    };
    // JavaScript's thread may be busy, and these calls must not wait for it.
    let _on_worker = connection.keep_on_worker();
    let pids: Vec<i32> = lost.iter().map(|backend| backend.pid).collect();
    let starts: Vec<&str> = lost.iter().map(|backend| backend.started.as_str()).collect();
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(&pids, Type::INT4_ARRAY), (&starts, Type::TEXT_ARRAY)];
    let asked = async {
        match connection.look_as_login(&listed(TERMINATE), &params).await {
            Err(error) if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => {
                connection.look_as_login(&listed(LOOK), &params).await
            }
            asked => asked,
        }
    };
    let limit = connection.query_timeout().unwrap_or(limit).min(limit);
    let rows = match timeout(limit, asked).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) if !error.ends_connection() => return Asked::Refused(error),
        _ => {
            connection.mark_broken();
            return Asked::Lost;
        }
    };
    let listed: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let is_gone = |(number, _): &(i64, &Backend)| !listed.contains(number);
    Asked::Gone((1..).zip(lost).filter(is_gone).map(|(_, backend)| backend.clone()).collect())
}

/// The server has answered: `gone` are the sessions that it no longer lists.
fn settle(engine: &Arc<Engine>, gone: &[Backend]) {
    // Without a lock: a settled request admits the next one, which may need it.
    let (ended, late) = engine.lost_sessions.take_settled(gone);
    for Waiting { request, outcome, .. } in late {
        request.fail(outcome.unwrap_or(Error::QueryTimeout));
    }
    let mut again = Vec::new();
    for Waiting { request, outcome, .. } in ended {
        match outcome {
            Some(error) => request.fail(error),
            None => again.push(request),
        }
    }
    if !again.is_empty() {
        engine.on(Event::Resumed(again));
    }
}

/// The server could not be asked. Each call fails with the reason, as it would if it tried by itself.
fn refuse(engine: &Engine, error: &Error) {
    let now = Instant::now();
    let refused = engine.lost_sessions.take(|waiting| {
        if waiting.outcome.is_some() || !is_hopeful(engine, &waiting.request, error) {
            return true;
        }
        if waiting.due <= now {
            waiting.request.failures += 1;
            waiting.due = now + pause(&waiting.request);
        }
        false
    });
    for Waiting { request, outcome, .. } in refused {
        request.fail(outcome.unwrap_or_else(|| error.clone()));
    }
}
