//! From an address to a session: transport, TLS, authentication, and the settings that our statements rely on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::description::{Description, TargetSession};
use super::direct::Direct;
use super::error::{Error, is_of_handshake};
use super::reach::reach;
use super::tls;
use super::wire::Wire;

/// Set for each of our connections after the user's own `options`, so these win:
///
/// * `read committed`, because every operation is one statement that is written for it (a row that changed under a
///   wait is looked at again). Under `serializable` the same statements fail with 40001 instead of waiting.
/// * `TimeZone=UTC`, so that a column default of `NOW()` in a `TIMESTAMP` column holds UTC as documented. The
///   statements themselves do not rely on it.
/// * Index plans. Each of our statements touches a few keys, and the planner, which guesses ten keys for an array
///   and has no statistics for a young table, would scan small tables and keep that plan when they have grown.
/// * The generic plan. A plan for an array of one key looks cheaper than that for any array, so the server would plan
///   anew at each run: measured, twice the time of a call and more.
/// * A mark of our own, by which [`Connection::keeps_session`](super::Connection) tells a session of ours from a
///   pooler's.
const SESSION: [(&str, &str); 7] = [
    ("default_transaction_isolation", "read committed"),
    ("TimeZone", "UTC"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("goscope_postgres.session", "own"),
];

/// What carries a session's messages until it ends.
pub(super) type Carrier = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Takes the payloads of the notices that a session hears. It goes when the session ends.
pub(super) type Told = UnboundedSender<String>;

pub(super) struct Handshake {
    pub(super) client: Client,
    pub(super) carrier: Carrier,
    /// Whether the server took the settings of [`SESSION`].
    pub(super) has_settings: bool,
}

pub(super) async fn shake_hands(
    description: &Description,
    direct: &Arc<Direct>,
    told: Option<Told>,
) -> Result<Handshake, Error> {
    let first = try_hands(description, direct, &session_options(), told.clone()).await;
    let (started, has_settings) = match first {
        // A pooler that will not pass our settings on; it may still serve, without prepared statements.
        Err(error) if error.sqlstate() == Some("08P01") => {
            (try_hands(description, direct, "", told).await, false)
        }
        started => (started, true),
    };
    started.map(|(client, carrier)| Handshake { client, carrier, has_settings })
}

fn session_options() -> String {
    SESSION.map(|(name, value)| format!("-c {name}={}", value.replace(' ', "\\ "))).join(" ")
}

/// The same settings as statements, for a session that the application has had in its hands.
pub(super) fn session_statements() -> String {
    SESSION.map(|(name, value)| format!("SET {name} = '{value}'")).join("; ")
}

async fn try_hands(
    description: &Description,
    direct: &Arc<Direct>,
    session: &str,
    told: Option<Told>,
) -> Result<(Client, Carrier), Error> {
    let mut transport = reach(description).await?;
    let mut config = config(description, session);
    let wire = |transport| Wire::new(transport, direct).map_err(|error| Error::from_io(&error, "dup", None));
    let Some(tls) = &description.tls else {
        config.ssl_mode(SslMode::Disable);
        let started = config.connect_raw(wire(transport)?, NoTls).await;
        let (client, connection) = started.map_err(|error| Error::from_protocol(&error))?;
        return Ok((client, carrier(connection, told)));
    };
    if !tls.direct {
        tls::request(&mut transport).await?;
    }
    // The server's answer has been read; from here tokio-postgres goes straight into the handshake.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let (mut connector, server_name) = tls::connector(tls)?;
    let connect = MakeTlsConnect::<Wire>::make_tls_connect(&mut connector, &server_name);
    let connect = connect.map_err(|error| Error::tls(error.to_string()))?;
    match config.connect_raw(wire(transport)?, connect).await {
        Ok((client, connection)) => Ok((client, carrier(connection, told))),
        Err(error) => Err(match Error::from_protocol(&error) {
            Error::Terminated if is_of_handshake(&error) => Error::TlsEnded { host: tls.host.clone() },
            error => error,
        }),
    }
}

fn carrier<S, T>(mut connection: tokio_postgres::Connection<S, T>, told: Option<Told>) -> Carrier
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(told) = told else { return Box::pin(connection) };
    Box::pin(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notice) = message? {
                let _ = told.send(notice.payload().to_owned());
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
    // An empty parameter would be sent, too, and a pooler that knows no options refuses even that.
    if !options.trim().is_empty() {
        config.options(options.trim());
    }
    config
}

/// Refuses a session that is not what the configuration asks for.
pub(super) async fn inspect(client: &Client, wanted: TargetSession) -> Result<(), Error> {
    if matches!(wanted, TargetSession::Any | TargetSession::PreferStandby) {
        return Ok(());
    }
    let sql = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let rows = client.query_typed(sql, &[]).await.map_err(|error| Error::from_protocol(&error))?;
    let (in_recovery, read_only): (bool, bool) =
        rows.first().map_or((false, false), |row| (row.get(0), row.get(1)));
    let (fits, wanted) = match wanted {
        TargetSession::ReadWrite => (!read_only, "read-write"),
        TargetSession::ReadOnly => (read_only, "read-only"),
        TargetSession::Primary => (!in_recovery, "primary"),
        TargetSession::Standby => (in_recovery, "standby"),
        TargetSession::Any | TargetSession::PreferStandby => (true, ""),
    };
    let found = match (in_recovery, read_only) {
        (true, _) => "a standby",
        (false, true) => "a read-only primary",
        (false, false) => "a primary",
    };
    match fits {
        true => Ok(()),
        false => Err(Error::Unfit {
            message: format!("the server is {found}, and target_session_attrs is {wanted}"),
        }),
    }
}
