//! TLS over a connection. Node verifies certificates, so that exactly those that `pg` trusts are trusted here. Native
//! code accepts exactly those (see [`verifier`](crate::engine::connection::verifier)), and no handshake without proof of their key.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, PeerMisbehaved, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::connection::description::{Tls, TlsVersions};
use crate::engine::connection::pool::Application;
use crate::engine::connection::signing::{KeyOfNode, certified};
use crate::engine::connection::stream::Stream;
use crate::engine::connection::verifier::{OnlyTrusted, Unchecked};
use crate::engine::error::Error;

/// The protocol's SSLRequest: its length, and a code in the place of a startup packet's version.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks the server to continue in TLS. Exactly one byte is read: the bytes after it belong to the handshake, and any
/// plaintext that came with the answer would be an injection (CVE-2021-23222).
pub(crate) async fn request(stream: &mut Stream) -> Result<(), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Terminated,
        _ => Error::from_io(&error, "read", None),
    };
    stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
    match stream.read_u8().await.map_err(failed)? {
        b'S' => Ok(()),
        b'N' => Err(Error::tls("The server does not support SSL connections")),
        _ => Err(Error::tls("There was an error establishing an SSL connection")),
    }
}

/// The connector for the handshake, and the name to request. A signature that it cannot check is left in `unchecked`.
pub(crate) fn connector(
    tls: &Tls,
    application: &Arc<dyn Application>,
    unchecked: &Unchecked,
) -> Result<(MakeRustlsConnect, String), Error> {
    let mut config = configure(tls, application, unchecked)?;
    if tls.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    let server_name = tls.server_name.clone().filter(|name| ServerName::try_from(name.as_str()).is_ok());
    config.enable_sni = server_name.is_some();
    Ok((MakeRustlsConnect::new(config), server_name.unwrap_or_else(|| "localhost".into())))
}

fn configure(
    tls: &Tls,
    application: &Arc<dyn Application>,
    unchecked: &Unchecked,
) -> Result<ClientConfig, Error> {
    let versions: &[&SupportedProtocolVersion] = match tls.versions {
        TlsVersions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersions::Only12 => &[&rustls::version::TLS12],
        TlsVersions::Only13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = OnlyTrusted::new(&tls.trust, &provider, unchecked.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| Error::tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let chain = tls.certificates.iter().map(|der| Ok(CertificateDer::from(binary(der)?)));
    let chain = chain.collect::<Result<Vec<_>, Error>>()?;
    if let Some(key) = tls.nodes_key.clone() {
        let key = KeyOfNode { key, application: application.clone(), runtime: Handle::current() };
        return Ok(config.with_client_cert_resolver(certified(chain, key)));
    }
    let Some(key) = &tls.key else { return Ok(config.with_no_client_auth()) };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(binary(key)?));
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| Error::tls(format!("the client certificate: {error}")))
}

fn binary(base64: &str) -> Result<Vec<u8>, Error> {
    BASE64_STANDARD.decode(base64).map_err(|error| Error::other(format!("not base64: {error}")))
}

/// A failure of TLS, with OpenSSL's message, which is Node's and so pg's.
pub(crate) fn failure(error: &rustls::Error, in_handshake: bool) -> Error {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Error::UnknownCertificate
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => Error::tls(
            "The TLS handshake failed (BadSignature): the server has signed it by another key than its certificate's. \
             See that nothing between here and the server changes the handshake, and that certificate and key of the server are a pair",
        ),
        rustls::Error::AlertReceived(alert) => match reason(*alert) {
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
fn reason(alert: AlertDescription) -> Option<&'static str> {
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
