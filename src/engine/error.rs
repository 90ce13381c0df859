//! One error type for every failure between a call and its answer.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, PeerMisbehaved};
use serde::Serialize;
use tokio_postgres::error::{DbError, ErrorPosition, Severity};

use crate::engine::errno;
use crate::engine::sqlstate::{self, Recovery};

/// Crosses to JavaScript as JSON, where it becomes pg's `DatabaseError`, a network error with Node's code, or a plain
/// error: the `kind` says which.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Error {
    /// What the server reported, field by field.
    Server(#[serde(serialize_with = "behind_arc")] Arc<ServerError>),
    /// What the operating system reported, with Node's code for it.
    #[serde(rename_all = "camelCase")]
    Network { code: Cow<'static, str>, syscall: &'static str, address: Option<String>, port: Option<u16> },
    /// The server closed the connection without a message while a call was under way.
    Terminated,
    /// As [`Terminated`](Self::Terminated), but the statement had not been sent: running it again is safe.
    #[serde(rename = "terminated")]
    Unsent,
    /// Each address or host was tried, and each failed for its own reason.
    Aggregate { errors: Vec<Error> },
    /// No connection within `connectionTimeoutMillis`.
    ConnectTimeout,
    /// No turn on a connection within `connectionTimeoutMillis`: all of the pool's were busy.
    QueueTimeout,
    /// No answer within `query_timeout`. The server may still execute the statement.
    QueryTimeout,
    /// The server asks for a password, and there is none.
    NoPassword,
    /// TLS could not be agreed on.
    Tls { message: String },
    /// The server has ended TLS, and reports why.
    #[serde(rename_all = "camelCase")]
    TlsAlert { reason: &'static str, number: u8, in_handshake: bool },
    /// Native TLS and the server have no version, cipher or kind of key in common; `seen` is what Node has seen of it.
    TlsRefused { reason: String, seen: Option<String> },
    /// The server closed the connection before TLS was agreed on.
    TlsEnded { host: String },
    /// The server shows a certificate that has not been verified yet.
    #[serde(skip)]
    UnknownCertificate,
    /// A working session on a server that is not what `target_session_attrs` asks for.
    Unfit { message: String },
    /// A connect hook of the application has left a transaction open.
    OpenTransaction,
    /// A connect hook has begun a COPY to or from the client.
    CopyInHook,
    /// The pool has been ended.
    Closed,
    /// A row holds something that the adapter cannot read. It fails the calls that want this row, and no others.
    Row { table: String, column: String, problem: String },
    /// This session has a superuser's rights, and a role without them owns the table: its triggers would run with them.
    TableOwner { table: String, role: String },
    /// Citus has distributed this table.
    Distributed { table: String },
    /// Something that the protocol or the configuration does not allow.
    Other { message: String },
    /// Bytes from the server are not of the protocol, and the connection has ended because of that.
    #[serde(rename = "other")]
    Garbled { message: String },
    /// JavaScript could not provide the description of a connection. It keeps the reason, which may have a code,
    /// under this id.
    Application {
        id: u32,
        #[serde(skip)]
        code: Option<Arc<str>>,
    },
    /// Native code panicked. The call may or may not have reached the server.
    Panic { message: String },
}

/// The fields of an ErrorResponse, under the names that pg's `DatabaseError` gives them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerError {
    /// FATAL or PANIC, in the server's own term, not in the language of its messages.
    #[serde(skip)]
    pub is_fatal: bool,
    pub message: String,
    pub severity: String,
    pub code: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub position: Option<String>,
    pub internal_position: Option<String>,
    pub internal_query: Option<String>,
    #[serde(rename = "where")]
    pub where_: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
    pub file: Option<String>,
    pub line: Option<String>,
    pub routine: Option<String>,
}

impl Error {
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other { message: message.into() }
    }

    pub(crate) fn tls(message: impl Into<String>) -> Self {
        Self::Tls { message: message.into() }
    }

    /// One failure as it is, several as one.
    pub(crate) fn all_of(mut failures: Vec<Error>) -> Self {
        match failures.len() {
            0 => Self::other("no address to connect to"),
            1 => failures.remove(0),
            _ => Self::Aggregate { errors: failures },
        }
    }

    /// Whether another host of the same configuration may succeed. Not if this host has checked the client's identity
    /// and refused it.
    pub(crate) fn is_of_this_host(&self) -> bool {
        match self {
            Self::Server(error) => sqlstate::is_of_one_host(&error.code),
            Self::Closed | Self::Panic { .. } | Self::NoPassword => false,
            Self::OpenTransaction | Self::CopyInHook => false,
            _ => true,
        }
    }

    /// What the server reports at the end of `statement_timeout`, instead of its last message about the same
    /// statement.
    pub(crate) fn as_statement_timeout(&self) -> Self {
        let Self::Server(error) = self else { return self.clone() };
        let (code, message) = ("57014".into(), "canceling statement due to statement timeout".into());
        Self::Server(Arc::new(ServerError { code, message, ..error.as_ref().clone() }))
    }

    /// The SQLSTATE, if the server reported one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.code),
            _ => None,
        }
    }

    /// The `code` of the error that JavaScript makes of this, as `lib/errors.js` has it.
    pub fn code(&self) -> Option<Cow<'_, str>> {
        let code = match self {
            Self::Server(error) => error.code.as_str(),
            Self::Network { code, .. } => code.as_ref(),
            Self::Terminated | Self::Unsent | Self::TlsEnded { .. } => "ECONNRESET",
            Self::ConnectTimeout | Self::QueueTimeout | Self::QueryTimeout => "ETIMEDOUT",
            Self::TlsAlert { in_handshake: true, .. } => "EPROTO",
            Self::TlsRefused { .. } | Self::Tls { .. } => "ERR_GOSCOPE_TLS",
            Self::TlsAlert { reason, .. } => {
                return Some(format!("ERR_SSL_{}", reason.to_uppercase().replace(' ', "_")).into());
            }
            Self::Unfit { .. } => "ERR_GOSCOPE_TARGET_SESSION",
            Self::OpenTransaction | Self::CopyInHook => "ERR_GOSCOPE_HOOK",
            Self::Row { .. } => "ERR_GOSCOPE_ROW",
            Self::TableOwner { .. } => "ERR_GOSCOPE_TABLE_OWNER",
            Self::Distributed { .. } => "ERR_GOSCOPE_TABLE_DISTRIBUTED",
            Self::Other { .. } | Self::Garbled { .. } => "ERR_GOSCOPE_CONNECTION",
            Self::Panic { .. } => "ERR_INTERNAL_ASSERTION",
            Self::Aggregate { errors } => return errors.first()?.code(),
            Self::Application { code, .. } => code.as_deref()?,
            Self::NoPassword | Self::UnknownCertificate | Self::Closed => return None,
        };
        Some(code.into())
    }

    /// Whether the connection is lost with this error. It is then unknown what the server did with a statement under
    /// way: an ErrorResponse, of the server or of a pooler in between, may come after the commit.
    pub(crate) fn ends_connection(&self) -> bool {
        match self {
            Self::Terminated | Self::Unsent | Self::Network { .. } | Self::Garbled { .. } => true,
            Self::Server(error) => {
                error.is_fatal || sqlstate::recovery(&error.code) == Recovery::LoseConnection
            }
            _ => false,
        }
    }

    /// The same failure, if it came before the call's own statement was sent.
    pub(crate) fn before_sending(self) -> Self {
        match self {
            error if error.ends_connection() => Self::Unsent,
            other => other,
        }
    }

    pub(crate) fn from_io(
        error: &io::Error,
        syscall: &'static str,
        peer: Option<(&str, Option<u16>)>,
    ) -> Self {
        Self::Network {
            code: errno::code_of(error),
            syscall,
            address: peer.map(|(address, _)| address.to_owned()),
            port: peer.and_then(|(_, port)| port),
        }
    }

    /// An error that came out of the protocol. A broken connection reads as [`Error::Terminated`] here; the
    /// connection itself may know better why it broke.
    pub(crate) fn from_protocol(error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::Server(Arc::new(ServerError::from(db)));
        }
        if error.is_closed() {
            return Self::Terminated;
        }
        let source = std::error::Error::source(error);
        if let Some(tls) = source.and_then(tls_failure) {
            // An error after the handshake, such as the refusal of a client's certificate in TLS 1.3, fails a read.
            return of_tls(tls, is_of_handshake(error));
        }
        if source.is_some_and(|source| source.to_string() == "password missing") {
            return Self::NoPassword;
        }
        match source.and_then(|source| source.downcast_ref::<io::Error>()) {
            Some(io) if io.kind() == io::ErrorKind::UnexpectedEof => Self::Terminated,
            Some(io) if io.raw_os_error().is_some() => Self::from_io(io, "read", None),
            // Closed in mid-message, for which the decoder of frames has no kind.
            Some(io) if io.to_string() == "bytes remaining on stream" => Self::Terminated,
            Some(io) if is_of_connection(error) => Self::Garbled { message: format!("{error}: {io}") },
            _ => Self::other(match source {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }),
        }
    }
}

/// tokio-postgres reports the kind of a failure only in its message.
pub(crate) fn is_of_handshake(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

/// In the answer to a simple query, a COPY message is the only one that tokio-postgres does not expect.
pub(crate) fn is_of_copy(error: &tokio_postgres::Error) -> bool {
    error.to_string() == "unexpected message from server"
}

fn is_of_connection(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error communicating with the server")
}

/// rustls' own error, which reaches us inside one of the operating system's.
fn tls_failure<'a>(source: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

impl From<&DbError> for ServerError {
    fn from(error: &DbError) -> Self {
        let owned = |field: Option<&str>| field.map(str::to_owned);
        let (position, internal_position, internal_query) = match error.position() {
            Some(ErrorPosition::Original(at)) => (Some(at.to_string()), None, None),
            Some(ErrorPosition::Internal { position, query }) => {
                (None, Some(position.to_string()), Some(query.clone()))
            }
            None => (None, None, None),
        };
        Self {
            is_fatal: matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
            message: error.message().to_owned(),
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            position,
            internal_position,
            internal_query,
            where_: owned(error.where_()),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            data_type: owned(error.datatype()),
            constraint: owned(error.constraint()),
            file: owned(error.file()),
            line: error.line().map(|line| line.to_string()),
            routine: owned(error.routine()),
        }
    }
}

fn behind_arc<S: serde::Serializer>(error: &Arc<ServerError>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().serialize(serializer)
}

/// A failure of TLS, with OpenSSL's message, which is Node's and so pg's.
pub(crate) fn of_tls(error: &rustls::Error, in_handshake: bool) -> Error {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Error::UnknownCertificate
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => Error::tls(
            "The TLS handshake failed (BadSignature): the server has signed it by another key than its certificate's. \
             See that nothing between here and the server changes the handshake, and that certificate and key of the server are a pair",
        ),
        rustls::Error::AlertReceived(alert) => match alert_reason(*alert) {
            Some(reason) => Error::TlsAlert { reason, number: u8::from(*alert), in_handshake },
            None => Error::tls(format!(
                "The server ended TLS with the alert {alert:?}, number {}. Its log may say why",
                u8::from(*alert)
            )),
        },
        // Something that this side does not support. General errors are those of a client's key that Node holds.
        rustls::Error::General(reason) => Error::TlsRefused { reason: reason.clone(), seen: None },
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => {
            Error::TlsRefused { reason: error.to_string(), seen: None }
        }
        other => Error::tls(format!("The TLS handshake failed: {other}")),
    }
}

/// What servers report about a client (OpenSSL's `ssl/ssl_err.c`).
fn alert_reason(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::UnknownCA => "tlsv1 alert unknown ca",
        AlertDescription::AccessDenied => "tlsv1 alert access denied",
        AlertDescription::DecodeError => "tlsv1 alert decode error",
        AlertDescription::DecryptError => "tlsv1 alert decrypt error",
        AlertDescription::ProtocolVersion => "tlsv1 alert protocol version",
        AlertDescription::InsufficientSecurity => "tlsv1 alert insufficient security",
        AlertDescription::InternalError => "tlsv1 alert internal error",
        AlertDescription::UnrecognisedName => "tlsv1 unrecognized name",
        AlertDescription::CertificateRequired => "tlsv13 alert certificate required",
        AlertDescription::NoApplicationProtocol => "tlsv1 alert no application protocol",
        AlertDescription::UnexpectedMessage => "ssl/tls alert unexpected message",
        AlertDescription::HandshakeFailure => "ssl/tls alert handshake failure",
        AlertDescription::BadCertificate => "ssl/tls alert bad certificate",
        AlertDescription::UnsupportedCertificate => "ssl/tls alert unsupported certificate",
        AlertDescription::CertificateRevoked => "ssl/tls alert certificate revoked",
        AlertDescription::CertificateExpired => "ssl/tls alert certificate expired",
        AlertDescription::CertificateUnknown => "ssl/tls alert certificate unknown",
        AlertDescription::IllegalParameter => "ssl/tls alert illegal parameter",
        _ => return None,
    })
}
