//! One connection: opened, watched, and closed with a proper Terminate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};

use super::description::{Address, Description};
use super::error::Error;
use super::job::Rows;
use super::statement::Statement;
use crate::sync::lock;

/// Set for each of our connections after the user's own `options`, so these win:
///
/// * `read committed`, because every operation is one statement that is written for it (a row that changed under a
///   wait is looked at again). Under `serializable` the same statements fail with 40001 instead of waiting.
/// * `TimeZone=UTC`, so that a column default of `NOW()` in a `TIMESTAMP` column holds UTC as documented. The
///   statements themselves do not rely on it.
/// * Index plans. Each of our statements touches a few keys, and the planner, which guesses ten keys for an array
///   and has no statistics for a young table, would scan small tables and keep that plan when they have grown.
/// * A mark of our own, by which [`Connection::keeps_session`] tells a session of ours from a pooler's.
const SESSION: &str = "-c default_transaction_isolation=read\\ committed -c TimeZone=UTC \
                       -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
                       -c goscope_postgres.session=own";

trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// A client with its statement cache, and why its connection broke, once it has.
pub struct Connection {
    client: ClientWrapper,
    failure: Arc<OnceLock<Error>>,
    /// How often each statement has run here.
    runs: Mutex<HashMap<u64, u32>>,
    /// Whether what is set in one transaction is there in the next: [`UNKNOWN`], [`YES`] or [`NO`].
    keeps_session: AtomicU8,
    uses: AtomicU64,
    /// Set when the server's answer shows that this connection must not be used again.
    spoilt: AtomicBool,
    opened: Instant,
    /// When a statement was last sent, in milliseconds after `opened`.
    last_sent: AtomicU64,
}

impl Connection {
    /// Opens a connection to the first address that accepts. `open` is held by the connection until it has said
    /// goodbye to the server, so that a pool can wait for that.
    pub(super) async fn open(description: &Description, open: mpsc::Sender<()>) -> Result<Self, Error> {
        let (client, connection) = match shake_hands(description, SESSION).await {
            // A pooler that will not pass our settings on; it may still serve, without prepared statements.
            Err(error) if error.sqlstate() == Some("08P01") => shake_hands(description, "").await?,
            greeted => greeted?,
        };
        let failure = Arc::new(OnceLock::new());
        let watch = failure.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                let _ = watch.set(Error::from_protocol(&error));
            }
            drop(open);
        });
        // The wrapper aborts the task it is given when it is dropped. Were that the connection's own task, the socket
        // would close without a Terminate and the server would log an unexpected end; it ends by itself instead,
        // when the client is gone.
        let client = ClientWrapper::new(client, tokio::spawn(std::future::ready(())));
        Ok(Self {
            client,
            failure,
            runs: Mutex::default(),
            keeps_session: AtomicU8::new(UNKNOWN),
            uses: AtomicU64::new(0),
            spoilt: AtomicBool::new(false),
            opened: Instant::now(),
            last_sent: AtomicU64::new(0),
        })
    }

    /// Runs a statement. Its first run here is unnamed, which takes one round trip; from the second on it is prepared,
    /// which takes one more once and saves the parsing and planning ever after.
    pub(super) async fn run(
        &self,
        statement: &Arc<Statement>,
        params: &[&(dyn ToSql + Sync)],
        unnamed_only: bool,
    ) -> Result<Rows, Error> {
        self.last_sent.store(self.age().as_millis() as u64, Ordering::Relaxed);
        let seen = {
            let mut runs = lock(&self.runs);
            let runs = runs.entry(statement.id).or_default();
            *runs = runs.saturating_add(1);
            *runs
        };
        if self.client.is_closed() {
            return Err(Error::Unsent);
        }
        let rows = if unnamed_only || seen == 1 || !self.keeps_session().await? {
            let typed: Vec<_> = params.iter().copied().zip(statement.params.iter().cloned()).collect();
            self.client.query_typed(&statement.sql, &typed).await
        } else {
            match self.client.prepare_typed_cached(&statement.sql, statement.params).await {
                Ok(prepared) => self.client.query(&prepared, params).await,
                Err(error) => return Err(self.explain(&error).before_sending()),
            }
        };
        rows.map_err(|error| self.explain(&error))
    }

    /// Whether the server's session is this connection's own. Behind a pooler in transaction mode it is not, and a
    /// prepared statement could be another client's under the same name: tokio-postgres numbers them in each process
    /// from 0. (Seen with PgBouncer: one process's `has` ran another's `delete`.) Such a pooler has not passed on the
    /// settings of [`SESSION`], so their absence tells. Asked once, before a connection prepares its first statement.
    async fn keeps_session(&self) -> Result<bool, Error> {
        if self.keeps_session.load(Ordering::Relaxed) == UNKNOWN {
            let rows = self.look("SELECT current_setting('goscope_postgres.session', true)", &[]).await;
            let rows = rows.map_err(Error::before_sending)?;
            let ours = rows.first().is_some_and(|row| row.get::<_, Option<&str>>(0) == Some("own"));
            self.keeps_session.store(if ours { YES } else { NO }, Ordering::Relaxed);
        }
        Ok(self.keeps_session.load(Ordering::Relaxed) == YES)
    }

    /// Runs a query of the preparation phase: unnamed, one round trip.
    pub async fn look(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), tokio_postgres::types::Type)],
    ) -> Result<Rows, Error> {
        self.client.query_typed(sql, params).await.map_err(|error| self.explain(&error))
    }

    /// Runs statements that take no parameters and whose rows nobody wants.
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| self.explain(&error))
    }

    pub(super) fn forget_statements(&self) {
        self.client.statement_cache.clear();
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.spoilt.load(Ordering::Relaxed) && !self.client.is_closed()
    }

    pub(super) fn spoil(&self) {
        self.spoilt.store(true, Ordering::Relaxed);
    }

    pub(super) fn count_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// deadpool would count from the start of the last lease, which under load may be long ago.
    pub(super) fn idle(&self) -> Duration {
        self.age().saturating_sub(Duration::from_millis(self.last_sent.load(Ordering::Relaxed)))
    }

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// A client only learns that its connection is gone; the connection may know why (57P01, ECONNRESET).
    fn explain(&self, error: &tokio_postgres::Error) -> Error {
        match Error::from_protocol(error) {
            Error::Terminated => self.failure.get().cloned().unwrap_or(Error::Terminated),
            other => other,
        }
    }
}

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

async fn shake_hands(
    description: &Description,
    session: &str,
) -> Result<(Client, tokio_postgres::Connection<Box<dyn Transport>, NoTlsStream>), Error> {
    let transport = reach(description).await?;
    let greeted = config(description, session).connect_raw(transport, NoTls).await;
    greeted.map_err(|error| Error::from_protocol(&error))
}

fn config(description: &Description, session: &str) -> Config {
    let mut config = Config::new();
    config.user(&description.user).dbname(&description.database);
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

async fn reach(description: &Description) -> Result<Box<dyn Transport>, Error> {
    let mut last = Error::other("no address to connect to");
    for address in &description.addresses {
        match reach_one(address, description).await {
            Ok(transport) => return Ok(transport),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn reach_one(address: &Address, description: &Description) -> Result<Box<dyn Transport>, Error> {
    match address {
        Address::Tcp { ip, port } => {
            let refused = |error: std::io::Error| {
                Error::from_io(&error, "connect", Some((&ip.to_string(), Some(*port))))
            };
            let stream = TcpStream::connect((*ip, *port)).await.map_err(refused)?;
            // As Node's sockets for pg: small messages must not wait for an acknowledgement.
            stream.set_nodelay(true).map_err(refused)?;
            if description.keep_alive {
                let mut keepalive = socket2::TcpKeepalive::new();
                if let Some(delay) = description.keep_alive_initial_delay() {
                    keepalive = keepalive.with_time(delay);
                }
                socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(refused)?;
            }
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Address::Unix { path } => match tokio::net::UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(Error::from_io(&error, "connect", Some((&path.to_string_lossy(), None)))),
        },
        #[cfg(not(unix))]
        Address::Unix { .. } => Err(Error::other("Unix sockets are not to be had on this platform")),
    }
}
