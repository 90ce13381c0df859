//! TLS over a connection. Node verifies certificates, so that exactly those that `pg` trusts are trusted here. Native
//! code accepts exactly those (see [`verifier`](crate::engine::connection::verifier)), and no handshake without proof
//! of their key.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::connection::description::{Tls, TlsVersions};
use crate::engine::connection::key_operations::KeyOperations;
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
    keys: &Arc<dyn KeyOperations>,
    unchecked: &Unchecked,
) -> Result<(MakeRustlsConnect, String), Error> {
    let mut config = configure(tls, keys, unchecked)?;
    if tls.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    let server_name = tls.server_name.clone().filter(|name| ServerName::try_from(name.as_str()).is_ok());
    config.enable_sni = server_name.is_some();
    Ok((MakeRustlsConnect::new(config), server_name.unwrap_or_else(|| "localhost".into())))
}

fn configure(tls: &Tls, keys: &Arc<dyn KeyOperations>, unchecked: &Unchecked) -> Result<ClientConfig, Error> {
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
        let key = KeyOfNode { key, operations: keys.clone(), runtime: Handle::current() };
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
