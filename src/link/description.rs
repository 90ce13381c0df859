//! How to connect, in plain words: what JavaScript reads out of a `pg.Pool`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The settings of a pool, under pg-pool's names. Times are milliseconds; 0 or absent means no limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSettings {
    pub max: usize,
    #[serde(default)]
    pub min: usize,
    pub idle_timeout_millis: Option<f64>,
    pub connection_timeout_millis: Option<f64>,
    pub max_uses: Option<u64>,
    pub max_lifetime_seconds: Option<f64>,
}

impl PoolSettings {
    pub fn idle_timeout(&self) -> Option<Duration> {
        limit(self.idle_timeout_millis, 1e3)
    }

    pub fn connection_timeout(&self) -> Option<Duration> {
        limit(self.connection_timeout_millis, 1e3)
    }

    pub fn max_lifetime(&self) -> Option<Duration> {
        limit(self.max_lifetime_seconds, 1.0)
    }
}

fn limit(value: Option<f64>, per_second: f64) -> Option<Duration> {
    value.filter(|value| *value > 0.0).and_then(|value| Duration::try_from_secs_f64(value / per_second).ok())
}

/// One connection, resolved anew for each: names looked up, passwords asked for.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Tried in this order until one accepts.
    pub addresses: Vec<Address>,
    pub user: String,
    pub database: String,
    pub password: Option<String>,
    /// libpq's `options`: command-line arguments for the server process.
    pub options: Option<String>,
    pub application_name: Option<String>,
    #[serde(default)]
    pub keep_alive: bool,
    /// Idle time before the first TCP keepalive probe, in milliseconds; absent or 0, the system's.
    pub keep_alive_initial_delay_millis: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Address {
    Tcp { ip: IpAddr, port: u16 },
    Unix { path: PathBuf },
}

impl Description {
    pub fn keep_alive_initial_delay(&self) -> Option<Duration> {
        limit(self.keep_alive_initial_delay_millis, 1e3)
    }
}
