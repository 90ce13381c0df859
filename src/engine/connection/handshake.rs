//! From an address to a session: stream, TLS, authentication, and the settings that our statements rely on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::engine::connection::description::Description;
use crate::engine::connection::io_mode::IoMode;
use crate::engine::connection::key_operations::KeyOperations;
use crate::engine::connection::readiness::OnWorker;
use crate::engine::connection::session::{MARK_SETTING, Mark};
use crate::engine::connection::socket::Socket;
use crate::engine::connection::startup::{StartUp, StartingTls};
use crate::engine::connection::verifier::Unchecked;
use crate::engine::connection::{stream, tls};
use crate::engine::error::{Error, is_of_handshake};
use crate::engine::sqlstate::may_refuse_options;

/// Set for each of our own sessions, after the user's own `options`, so these override them:
///
/// * `TimeZone=UTC`, so that a column default of `NOW()` in a `TIMESTAMP` column holds UTC as documented. The
///   statements themselves do not rely on it.
/// * Index plans. Each of our statements touches a few keys. The planner guesses ten keys for an array and has no
///   statistics for a young table, so it would scan small tables, and keep that plan when they have grown. For
///   statements over a whole table (`keys`, `clear`, the count of `stats`) it makes no difference: the clock that
///   they compare with moves, so no index serves them, and they scan the table in any case.
/// * The generic plan. A plan for an array of one key looks cheaper than that for any array, so the server would plan
///   anew at each run. Measured: twice the time of a call and more.
/// * No JIT compilation. A plan that must scan although scans are off has an estimated cost above `jit_above_cost`
///   for that reason alone. It would be compiled, for hundreds of milliseconds, at each run.
///
/// Beside these the start-up packet carries a [`Mark`], which no statement ever sets.
const SESSION: [(&str, &str); 6] = [
    ("jit", "off"),
    ("TimeZone", "UTC"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// What carries a session's messages until it ends.
pub(crate) type Carrier = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Takes the payloads of the notifications that a session receives. It is dropped when the session ends.
pub(crate) type Payloads = UnboundedSender<String>;

pub(crate) struct Handshake {
    pub(crate) client: Client,
    pub(crate) carrier: Carrier,
    pub(crate) on_worker: OnWorker,
}

/// Why there is no session.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether the password had been sent when it failed.
    pub(crate) was_answered: bool,
}

impl Failure {
    /// After the handshake.
    pub(crate) fn of_session(error: Error) -> Self {
        Self { error, was_answered: true }
    }

    /// Whether the server may have refused our options, and not the application.
    pub(crate) fn may_be_of_options(&self) -> bool {
        self.error.sqlstate().is_some_and(|code| may_refuse_options(code, self.was_answered))
    }
}

/// Starts a session, with our settings if there is a mark.
pub(crate) async fn shake_hands(
    description: &Description,
    keys: &Arc<dyn KeyOperations>,
    mode: &Arc<IoMode>,
    mark: Option<&Mark>,
    payloads: Option<Payloads>,
) -> Result<Handshake, Failure> {
    let start = StartUp::new(description.parameters.clone().into_iter().collect());
    let options = mark.map_or_else(String::new, session_options);
    try_hands(description, keys, mode, &options, &start, payloads)
        .await
        .map_err(|error| Failure { error, was_answered: start.was_answered() })
}

fn session_options(mark: &Mark) -> String {
    let settings = SESSION.map(|(name, value)| format!("-c {name}={value}")).join(" ");
    format!("{settings} -c {MARK_SETTING}={}", mark.value())
}

/// Every operation is one statement that is written for `read committed`: if a row changed while the statement waited
/// for it, the row is read again. Under `serializable` the same statement fails with 40001, and is retried.
///
/// Not among the start-up options, because its value has a space, and some poolers do not read an escaped one.
pub(crate) const ISOLATION: &str = "SET default_transaction_isolation = 'read committed'";

/// The settings of our own session as statements, for one that the application's hooks have used. Without the mark.
pub(crate) fn session_statements() -> String {
    let settings = SESSION.map(|(name, value)| format!("SET {name} = '{value}'")).join("; ");
    format!("{settings}; {ISOLATION}")
}

async fn try_hands(
    description: &Description,
    keys: &Arc<dyn KeyOperations>,
    mode: &Arc<IoMode>,
    session: &str,
    start: &StartUp,
    payloads: Option<Payloads>,
) -> Result<Handshake, Error> {
    let mut stream = stream::open(description).await?;
    let mut config = config(description, session);
    let socket = |stream| match mode.track(&stream) {
        Ok(on_worker) => Ok((Socket::new(stream, on_worker.readiness()), on_worker)),
        Err(error) => Err(Error::from_io(&error, "dup", None)),
    };
    let Some(tls) = &description.tls else {
        config.ssl_mode(SslMode::Disable);
        let (socket, on_worker) = socket(stream)?;
        let started = config.connect_raw(start.over(socket), NoTls).await;
        let (client, connection) = started.map_err(|error| Error::from_protocol(&error))?;
        return Ok(Handshake { client, carrier: carrier(connection, payloads), on_worker });
    };
    if !tls.direct {
        tls::request(&mut stream).await?;
    }
    // The server's answer has been read. From here tokio-postgres starts the handshake directly.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let unchecked = Unchecked::default();
    let (mut connector, server_name) = tls::connector(tls, keys, &unchecked)?;
    let connect = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector, &server_name);
    let connect = connect.map_err(|error| Error::tls(error.to_string()))?;
    let waits_for_node = tls.nodes_key.is_some();
    let connect =
        StartingTls { tls: connect, start: start.clone(), unchecked, keys: keys.clone(), waits_for_node };
    let (socket, on_worker) = socket(stream)?;
    match config.connect_raw(socket, connect).await {
        Ok((client, connection)) => {
            Ok(Handshake { client, carrier: carrier(connection, payloads), on_worker })
        }
        Err(error) => Err(match Error::from_protocol(&error) {
            Error::Terminated if is_of_handshake(&error) => Error::TlsEnded { host: tls.host.clone() },
            // "alert 40" and the like: each side lacks what the other requires.
            Error::TlsAlert { reason, number: 40 | 70 | 71, in_handshake: true } => {
                Error::TlsRefused { reason: reason.into(), seen: tls.seen.clone() }
            }
            Error::Tls { message } if tls.seen.is_some() => {
                let seen = tls.seen.as_deref().unwrap_or_default();
                Error::tls(format!("{message}. The server chose {seen} for Node"))
            }
            Error::TlsRefused { reason, .. } => Error::TlsRefused { reason, seen: tls.seen.clone() },
            error => error,
        }),
    }
}

fn carrier<S, T>(mut connection: tokio_postgres::Connection<S, T>, payloads: Option<Payloads>) -> Carrier
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(payloads) = payloads else { return Box::pin(connection) };
    Box::pin(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message? {
                let _ = payloads.send(notification.payload().to_owned());
            }
        }
        Ok(())
    })
}

fn config(description: &Description, session: &str) -> Config {
    let mut config = Config::new();
    config.user(&description.user).dbname(&description.database);
    config.channel_binding(match description.channel_binding {
        true => ChannelBinding::Prefer,
        false => ChannelBinding::Disable,
    });
    if let Some(password) = &description.password {
        config.password(password);
    }
    if let Some(name) = &description.application_name {
        config.application_name(name);
    }
    let options = description.options.as_deref().unwrap_or_default();
    let options = format!("{options} {session}");
    // An empty parameter would be sent, too, and a pooler that supports no options refuses even that.
    if !options.trim().is_empty() {
        config.options(options.trim());
    }
    config
}
