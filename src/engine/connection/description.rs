//! How to connect, as plain data: what JavaScript reads from a pool's configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::time::{limit, millis, seconds};

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
    /// How many hosts the configuration names; tried in order.
    #[serde(default = "one")]
    pub hosts: u32,
    /// Which of them are acceptable.
    #[serde(default)]
    pub target_session_attrs: TargetSession,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetSession {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby, or any server if no host is a standby.
    PreferStandby,
}

impl PoolSettings {
    pub fn idle_timeout(&self) -> Option<Duration> {
        millis_limit(self.idle_timeout_millis)
    }

    pub fn connection_timeout(&self) -> Option<Duration> {
        millis_limit(self.connection_timeout_millis)
    }

    pub fn max_lifetime(&self) -> Option<Duration> {
        limit(seconds(self.max_lifetime_seconds?))
    }
}

fn one() -> u32 {
    1
}

fn millis_limit(value: Option<f64>) -> Option<Duration> {
    limit(millis(value?))
}

/// One connection to one host, resolved anew for each connection: names looked up, certificates verified, passwords
/// requested.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Tried in this order until one accepts.
    pub addresses: Vec<Address>,
    /// How long the attempt at one address may take before the next is tried, in milliseconds; absent for no limit.
    pub attempt_timeout_millis: Option<f64>,
    /// Absent for plaintext. There is no fallback from one to the other.
    pub tls: Option<Tls>,
    pub user: String,
    pub database: String,
    pub password: Option<String>,
    /// Whether SCRAM may bind itself to the TLS channel, if the server offers that.
    #[serde(default)]
    pub channel_binding: bool,
    /// libpq's `options`: command-line arguments for the server process.
    pub options: Option<String>,
    pub application_name: Option<String>,
    /// Further parameters of the start-up packet, as pg sends them: the pool's timeouts.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub keep_alive: bool,
    /// Idle time before the first TCP keepalive probe, in milliseconds; absent or 0, the system's.
    pub keep_alive_initial_delay_millis: Option<f64>,
    /// How long to wait for the answer to a statement, in milliseconds.
    pub query_timeout_millis: Option<f64>,
    /// Whether the application wants to see the session before it is used.
    #[serde(default)]
    pub has_connect_hooks: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Address {
    Tcp { ip: IpAddr, port: u16 },
    Unix { path: PathBuf },
}

/// TLS as the application's `ssl` asks for it. Binary contents are base64.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// As it was configured, for errors.
    pub host: String,
    /// The name to request (SNI); absent for an IP address.
    pub server_name: Option<String>,
    /// Never absent: a description that omits it must not mean that any certificate is accepted.
    pub trust: Trust,
    /// The client's certificate and its chain, in DER.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Its private key, as PKCS#8 in DER.
    pub key: Option<String>,
    /// The same key, if Node has to sign with it.
    pub nodes_key: Option<NodesKey>,
    /// What Node has seen of the server's TLS, for errors.
    pub seen: Option<String>,
    #[serde(default)]
    pub versions: TlsVersions,
    /// `sslnegotiation=direct`: without asking the server first whether it speaks TLS.
    #[serde(default)]
    pub direct: bool,
}

/// A private key that ring cannot sign with.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodesKey {
    /// PKCS#8 in DER.
    pub key: String,
    /// Its type and size, for errors.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it can sign, by the numbers of TLS, the best first.
    pub schemes: Vec<u16>,
    /// Whether TLS 1.3 has no signature of this kind.
    #[serde(default)]
    pub only_tls12: bool,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// Encryption without authentication, as the application requested.
    Any,
    /// The server certificates that have been verified as trustworthy, by their SHA-256.
    Only(Vec<String>),
}

#[derive(Clone, Copy, Default, Deserialize)]
pub enum TlsVersions {
    #[default]
    #[serde(rename = "1.2 or 1.3")]
    Both,
    #[serde(rename = "1.2")]
    Only12,
    #[serde(rename = "1.3")]
    Only13,
}

impl Description {
    pub fn keep_alive_initial_delay(&self) -> Option<Duration> {
        millis_limit(self.keep_alive_initial_delay_millis)
    }

    pub fn attempt_timeout(&self) -> Option<Duration> {
        millis_limit(self.attempt_timeout_millis)
    }

    pub fn query_timeout(&self) -> Option<Duration> {
        millis_limit(self.query_timeout_millis)
    }
}
