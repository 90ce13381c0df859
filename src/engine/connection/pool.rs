//! The native pool: opens lazily, at most `max`, reuses the most recently used, closes what has been idle too long.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, QueueMode, RecycleError, RecycleResult, Timeouts};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::connection::application::Application;
use crate::engine::connection::connect::Connection;
use crate::engine::connection::description::{Description, PoolSettings, TargetSession};
use crate::engine::connection::handshake::Payloads;
use crate::engine::connection::io_mode::Io;
use crate::engine::connection::key_operations::KeyOperations;
use crate::engine::connection::session::Mark;
use crate::engine::error::Error;
use crate::sync::lock;
use crate::tuning::connections;

#[derive(Serialize)]
pub(crate) struct PoolStats {
    pub(crate) open: usize,
    pub(crate) idle: usize,
    pub(crate) waiting: usize,
    pub(crate) max: usize,
}

/// deadpool-postgres' manager can only fail with tokio-postgres' errors. The reason that JavaScript gives for having
/// no password is none of those. Hence a manager of our own, on deadpool itself.
pub(crate) struct Manager {
    settings: PoolSettings,
    application: Arc<dyn Application>,
    io: Io,
    open: Mutex<Option<mpsc::Sender<()>>>,
    /// Set with the end of the pool, which gives up the connections that are being set up.
    ended: CancellationToken,
    refusals: Refusals,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        self.open(&self.io, None).await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        let is_used_up = self.settings.max_uses.is_some_and(|max| connection.count_use() >= max);
        let is_expired = self.settings.max_lifetime().is_some_and(|max| connection.age() >= max);
        if connection.is_usable() && !is_used_up && !is_expired {
            return Ok(());
        }
        Err(RecycleError::message("the connection is closed or has served its time"))
    }
}

impl Manager {
    /// A connection that serves calls.
    async fn open(&self, io: &Io, payloads: Option<Payloads>) -> Result<Connection, Error> {
        let connection = tokio::select! {
            biased;
            () = self.ended.cancelled() => return Err(Error::Closed),
            opened = self.of_hosts(io, payloads) => opened?,
        };
        connection.serve();
        Ok(connection)
    }

    async fn of_hosts(&self, io: &Io, payloads: Option<Payloads>) -> Result<Connection, Error> {
        let wanted = self.settings.target_session_attrs;
        if wanted != TargetSession::PreferStandby {
            return self.first_of_hosts(wanted, io, payloads).await;
        }
        match self.first_of_hosts(TargetSession::Standby, io, payloads.clone()).await {
            Err(error) if error.is_of_this_host() => {
                self.first_of_hosts(TargetSession::Any, io, payloads).await
            }
            found => found,
        }
    }

    /// A connection to the first host that accepts and is of the wanted kind.
    async fn first_of_hosts(
        &self,
        wanted: TargetSession,
        io: &Io,
        payloads: Option<Payloads>,
    ) -> Result<Connection, Error> {
        let mut failures = Vec::new();
        for host in 0..self.settings.hosts.max(1) {
            let connect = self.connect(host, wanted, io, payloads.clone());
            let connected = match self.settings.connection_timeout() {
                // For the whole attempt: the operating system's own limit covers only the TCP handshake. A server
                // that accepts and then sends nothing would block the caller for ever.
                Some(limit) => {
                    tokio::time::timeout(limit, connect).await.unwrap_or(Err(Error::ConnectTimeout))
                }
                None => connect.await,
            };
            match connected {
                Err(error) if error.is_of_this_host() => failures.push(error),
                decided => return decided,
            }
        }
        Err(Error::all_of(failures))
    }

    async fn connect(
        &self,
        host: u32,
        wanted: TargetSession,
        io: &Io,
        payloads: Option<Payloads>,
    ) -> Result<Connection, Error> {
        let open = lock(&self.open).clone();
        let Some(open) = open else { return Err(Error::Closed) };
        let mut is_explained = false;
        for verification in 0..connections::VERIFICATIONS {
            let description = self.application.describe(host, verification > 0).await?;
            match self.open_on(host, &description, wanted, io, &open, payloads.clone()).await {
                Err(Error::UnknownCertificate) => {}
                // Once more, so that Node can see what the server requires. The error then reports that.
                Err(Error::TlsRefused { seen: None, .. }) if !std::mem::replace(&mut is_explained, true) => {}
                Ok(connection) if description.has_connect_hooks => {
                    self.application.run_connect_hook(&connection).await?;
                    connection.refuse_open_transaction().await?;
                    connection.restore_session().await?;
                    return Ok(connection);
                }
                decided => return decided,
            }
        }
        Err(Error::tls(
            "the server shows another certificate at each connection than the one that was verified",
        ))
    }
}

impl Manager {
    /// With our settings, unless the host has refused them. In that case it may still serve, without prepared
    /// statements.
    async fn open_on(
        &self,
        host: u32,
        description: &Description,
        wanted: TargetSession,
        io: &Io,
        open: &mpsc::Sender<()>,
        payloads: Option<Payloads>,
    ) -> Result<Connection, Error> {
        let keys: Arc<dyn KeyOperations> = self.application.clone();
        let mark = Mark::new();
        let attempt = async |mark| {
            let (open, payloads) = (open.clone(), payloads.clone());
            Connection::open(description, &keys, wanted, io, mark, open, payloads).await
        };
        if !self.refusals.is_known(host) {
            match attempt(Some(&mark)).await {
                Err(failure) if failure.may_be_of_options() => {}
                decided => return decided.map_err(|failure| failure.error),
            }
        }
        let opened = attempt(None).await.map_err(|failure| failure.error)?;
        self.refusals.remember(host);
        Ok(opened)
    }
}

/// The hosts that accepted a session only without our settings, so that not every connection fails first.
#[derive(Default)]
struct Refusals(Mutex<HashMap<u32, Instant>>);

impl Refusals {
    /// Not for ever: the server may have had another reason, or may have been reconfigured since.
    const MEMORY: Duration = Duration::from_secs(600);

    fn is_known(&self, host: u32) -> bool {
        lock(&self.0).get(&host).is_some_and(|since| since.elapsed() < Self::MEMORY)
    }

    fn remember(&self, host: u32) {
        let mut hosts = lock(&self.0);
        let since = hosts.entry(host).or_insert_with(Instant::now);
        if since.elapsed() >= Self::MEMORY {
            *since = Instant::now();
        }
    }
}

pub(crate) type Checkout = managed::Object<Manager>;

/// See [`Pool::spare`].
pub(crate) enum Spare {
    Pooled(Checkout),
    Own(Connection),
}

impl Deref for Spare {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Pooled(checkout) => checkout,
            Self::Own(connection) => connection,
        }
    }
}

pub(crate) struct Pool {
    connections: managed::Pool<Manager>,
    /// Ends when the last connection has sent its Terminate: each holds a sender.
    farewells: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Pool {
    pub(crate) fn new(settings: PoolSettings, application: Arc<dyn Application>, io: Io) -> Self {
        let (open, farewells) = mpsc::channel(1);
        let max = settings.max.max(1);
        let manager = Manager {
            settings,
            application,
            io,
            open: Mutex::new(Some(open)),
            ended: CancellationToken::new(),
            refusals: Refusals::default(),
        };
        let connections = managed::Pool::builder(manager)
            .max_size(max)
            // As pg: the most recently used first, so that surplus connections grow idle and close.
            .queue_mode(QueueMode::Lifo)
            .build()
            .expect("a pool without deadpool's own timeouts needs no runtime to build");
        Self { connections, farewells: tokio::sync::Mutex::new(farewells) }
    }

    /// A connection that is open, as far as can be known without asking the server.
    pub(crate) async fn check_out(&self) -> Result<Checkout, Error> {
        self.connections.get().await.map_err(|error| match error {
            managed::PoolError::Backend(error) => error,
            managed::PoolError::Closed => Error::Closed,
            // Only deadpool's own timeouts and hooks are left, and this pool is built without them.
            other => Error::other(format!("the native pool failed: {other:?}")),
        })
    }

    /// A connection that must not wait for the calls under way: one of the pool's that is free, or else one of its own,
    /// outside of `max`. `is_fresh`: always the latter.
    pub(crate) async fn spare(&self, io: &Io, is_fresh: bool) -> Result<Spare, Error> {
        let at_once = Timeouts { wait: Some(Duration::ZERO), ..Timeouts::default() };
        if !is_fresh && let Ok(checkout) = self.connections.timeout_get(&at_once).await {
            return Ok(Spare::Pooled(checkout));
        }
        self.connections.manager().open(io, None).await.map(Spare::Own)
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let status = self.connections.status();
        PoolStats {
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
            // Not deadpool's own, which is 0 once the pool has been closed.
            max: self.connections.manager().settings.max.max(1),
        }
    }

    /// A connection of its own, outside of `max`, whose notifications go to `payloads`. It ends with the pool's, if not
    /// before.
    pub(crate) async fn open_for_notifications(
        &self,
        io: &Io,
        payloads: Payloads,
    ) -> Result<Connection, Error> {
        self.connections.manager().open(io, Some(payloads)).await
    }

    /// Closes idle connections in the background for as long as the pool lives.
    pub(crate) fn close_idle_connections(&self, runtime: &Handle) {
        let settings = &self.connections.manager().settings;
        let Some(idle_timeout) = settings.idle_timeout() else { return };
        let min = settings.min;
        // Checking four times in the span closes a connection at most a quarter late.
        let every = (idle_timeout / 4).clamp(Duration::from_millis(5), Duration::from_secs(60));
        let pool = self.connections.weak();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(pool) = pool.upgrade() else { return };
                if pool.is_closed() {
                    return;
                }
                let mut open = pool.status().size;
                pool.retain(|connection, _| {
                    let keep = connection.is_usable() && (connection.idle() < idle_timeout || open <= min);
                    open -= usize::from(!keep);
                    keep
                });
            }
        });
    }

    /// Closes the connections that are idle now. The next calls open others.
    pub(crate) fn close_idle(&self) {
        self.connections.retain(|_, _| false);
    }

    /// Closes every connection that is not checked out, and returns when all have sent their Terminate.
    pub(crate) async fn close(&self) {
        self.abandon();
        let mut farewells = self.farewells.lock().await;
        while farewells.recv().await.is_some() {}
    }

    /// Closes every connection that is not checked out. Opens no other connection, and gives up those that are being
    /// opened.
    pub(crate) fn abandon(&self) {
        self.connections.close();
        let manager = self.connections.manager();
        lock(&manager.open).take();
        manager.ended.cancel();
    }
}
