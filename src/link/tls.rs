//! TLS over a connection. Node judges certificates, so that what `pg` trusts is trusted here and nothing else; native
//! code accepts exactly the certificates that Node found trustworthy, and no handshake without proof of their key.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::description::{Tls, TlsVersions};
use super::error::Error;
use super::reach::Transport;

/// The protocol's SSLRequest: its length, and a code where a startup packet has its version.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks the server to go on in TLS. Exactly one byte is read: what follows belongs to the handshake, and anything that
/// came with the answer in plaintext would be an injection (CVE-2021-23222).
pub(super) async fn request(transport: &mut Transport) -> Result<(), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Terminated,
        _ => Error::from_io(&error, "read", None),
    };
    transport.write_all(&SSL_REQUEST).await.map_err(failed)?;
    match transport.read_u8().await.map_err(failed)? {
        b'S' => Ok(()),
        b'N' => Err(Error::tls("The server does not support SSL connections")),
        _ => Err(Error::tls("There was an error establishing an SSL connection")),
    }
}

/// What performs the handshake, and the name to ask for.
pub(super) fn connector(tls: &Tls) -> Result<(MakeRustlsConnect, String), Error> {
    let mut config = configure(tls)?;
    if tls.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    let server_name = tls.server_name.clone().filter(|name| ServerName::try_from(name.as_str()).is_ok());
    config.enable_sni = server_name.is_some();
    Ok((MakeRustlsConnect::new(config), server_name.unwrap_or_else(|| "localhost".into())))
}

fn configure(tls: &Tls) -> Result<ClientConfig, Error> {
    let versions: &[&SupportedProtocolVersion] = match tls.versions {
        TlsVersions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersions::Only12 => &[&rustls::version::TLS12],
        TlsVersions::Only13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = OnlyTrusted::new(tls.trusted.as_deref(), &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| Error::tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(key) = &tls.key else { return Ok(config.with_no_client_auth()) };
    let chain = tls.certificates.iter().map(|der| Ok(CertificateDer::from(binary(der)?)));
    let chain = chain.collect::<Result<Vec<_>, Error>>()?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(binary(key)?));
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| Error::tls(format!("the client certificate: {error}")))
}

fn binary(base64: &str) -> Result<Vec<u8>, Error> {
    BASE64_STANDARD.decode(base64).map_err(|error| Error::other(format!("not base64: {error}")))
}

/// Accepts the certificates that Node has found trustworthy (their chain, dates, revocation and names), by digest.
#[derive(Debug)]
struct OnlyTrusted {
    /// None where the application asked for encryption without authentication.
    digests: Option<Vec<[u8; 32]>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OnlyTrusted {
    fn new(trusted: Option<&[String]>, provider: &CryptoProvider) -> Result<Self, Error> {
        let digest = |text: &String| {
            binary(text)?.try_into().map_err(|_| Error::other("not the length of a SHA-256 digest"))
        };
        let digests = trusted.map(|trusted| trusted.iter().map(digest).collect()).transpose()?;
        Ok(Self { digests, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for OnlyTrusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest: [u8; 32] = Sha256::digest(end_entity).into();
        match &self.digests {
            Some(trusted) if !trusted.contains(&digest) => {
                Err(rustls::CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    /// By the certificate's bare key: PostgreSQL's documentation shows how to make X.509 v1 certificates, which pg
    /// accepts and rustls' own parser does not.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(cert).ok_or(rustls::CertificateError::BadEncoding)?;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key.into(), signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The SubjectPublicKeyInfo of a certificate, in DER.
fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    use x509_cert::der::{Decode, Encode};
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    certificate.tbs_certificate.subject_public_key_info.to_der().ok()
}

/// A failure of the handshake, told as OpenSSL tells it to Node.
pub(super) fn failure(error: &rustls::Error) -> Error {
    use rustls::{CertificateError, Error as Tls};
    match error {
        Tls::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Error::UnknownCertificate
        }
        Tls::AlertReceived(alert) => match alert_name(*alert) {
            Some((message, code)) => Error::Tls { message: message.into(), code: Some(code) },
            None => Error::tls(format!("the server ended the TLS handshake: {alert:?}")),
        },
        other => Error::tls(format!("the TLS handshake failed: {other}")),
    }
}

/// OpenSSL's words and Node's codes for what servers say of a client (`ssl/ssl_stat.c`, `include/openssl/sslerr.h`).
fn alert_name(alert: AlertDescription) -> Option<(&'static str, &'static str)> {
    Some(match alert {
        AlertDescription::UnknownCA => ("tlsv1 alert unknown ca", "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"),
        AlertDescription::DecryptError => ("tlsv1 alert decrypt error", "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR"),
        AlertDescription::ProtocolVersion => {
            ("tlsv1 alert protocol version", "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")
        }
        AlertDescription::InternalError => {
            ("tlsv1 alert internal error", "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR")
        }
        AlertDescription::CertificateRequired => {
            ("tlsv13 alert certificate required", "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")
        }
        AlertDescription::CertificateExpired => {
            ("sslv3 alert certificate expired", "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED")
        }
        AlertDescription::CertificateRevoked => {
            ("sslv3 alert certificate revoked", "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED")
        }
        AlertDescription::BadCertificate => {
            ("sslv3 alert bad certificate", "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE")
        }
        AlertDescription::HandshakeFailure => {
            ("sslv3 alert handshake failure", "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE")
        }
        _ => return None,
    })
}
