//! TLS over a connection. Node judges certificates, so that what `pg` trusts is trusted here and nothing else; native
//! code accepts exactly the certificates that Node found trustworthy, and no handshake without proof of their key.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::description::{Tls, TlsVersions, Trust};
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
    let verifier = OnlyTrusted::new(&tls.trust, &provider)?;
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
    fn new(trust: &Trust, provider: &CryptoProvider) -> Result<Self, Error> {
        let digest = |text: &String| {
            binary(text)?.try_into().map_err(|_| Error::other("not the length of a SHA-256 digest"))
        };
        let digests = match trust {
            Trust::Any => None,
            Trust::Only(trusted) => Some(trusted.iter().map(digest).collect::<Result<_, _>>()?),
        };
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
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    /// By the certificate's bare key, as for TLS 1.3.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(cert)?;
        let identifier = key.algorithm.to_der().map_err(|_| CertificateError::BadEncoding)?;
        let schemes = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
        // In TLS 1.2 a scheme does not say which curve; the key does.
        let algorithm = schemes
            .flat_map(|(_, algorithms)| *algorithms)
            .find(|algorithm| identifier.ends_with(algorithm.public_key_alg_id().as_ref()))
            .ok_or(CertificateError::BadSignature)?;
        algorithm
            .verify_signature(key.subject_public_key.raw_bytes(), message, signature.signature())
            .map_err(|_| CertificateError::BadSignature)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    /// By the certificate's bare key: PostgreSQL's documentation shows how to make X.509 v1 certificates, which pg
    /// accepts and rustls' own parser does not.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(cert)?.to_der().map_err(|_| CertificateError::BadEncoding)?;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key.into(), signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn public_key(certificate: &[u8]) -> Result<SubjectPublicKeyInfoOwned, CertificateError> {
    let certificate = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(certificate.tbs_certificate.subject_public_key_info)
}

/// A failure of TLS, in OpenSSL's words, which are Node's and so pg's.
pub(super) fn failure(error: &rustls::Error, in_handshake: bool) -> Error {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Error::UnknownCertificate
        }
        rustls::Error::AlertReceived(alert) => match reason(*alert) {
            Some(reason) => Error::TlsAlert { reason, number: u8::from(*alert), in_handshake },
            None => Error::tls(format!("the server ended the TLS handshake: {alert:?}")),
        },
        other => Error::tls(format!("the TLS handshake failed: {other}")),
    }
}

/// What servers say of a client (OpenSSL's `ssl/ssl_err.c`).
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
