//! Client keys that ring cannot sign with (P-521, secp256k1, Ed448, RSA-PSS and small RSA keys): Node's `crypto` signs.
//!
//! rustls waits for the signature, so such a handshake has a thread of its own, which may wait for JavaScript.

use std::sync::{Arc, mpsc};

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use tokio::runtime::Handle;

use crate::engine::connection::description::NodesKey;
use crate::engine::connection::key_operations::{KeyOperations, ToSign};

/// A key in Node's hands.
pub(crate) struct KeyOfNode {
    pub(crate) key: NodesKey,
    pub(crate) operations: Arc<dyn KeyOperations>,
    pub(crate) runtime: Handle,
}

impl std::fmt::Debug for KeyOfNode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyOfNode")
    }
}

impl SigningKey for KeyOfNode {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let Self { key, operations, runtime } = self;
        // TLS 1.3 offers none of these schemes, and servers of TLS 1.2 offer them.
        let is_tls13 = !offered.iter().any(|scheme| ONLY_TLS12.contains(scheme));
        if key.only_tls12 && is_tls13 {
            return None;
        }
        let own = || key.schemes.iter().map(|number| SignatureScheme::from(*number));
        let offered = own().find(|scheme| offered.contains(scheme));
        // rustls hides from us the schemes of TLS 1.2 that it does not support. Without a certificate the server
        // would report another error.
        let scheme = offered.or_else(|| own().next().filter(|_| !is_tls13))?;
        let (kind, key) = (key.kind.clone(), offered.map(|_| key.key.clone()));
        Some(Box::new(SignerOfNode {
            scheme,
            kind,
            key,
            operations: operations.clone(),
            runtime: runtime.clone(),
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        // Only servers choose by it.
        SignatureAlgorithm::Anonymous
    }
}

/// PKCS#1 v1.5.
const ONLY_TLS12: [SignatureScheme; 3] =
    [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PKCS1_SHA384, SignatureScheme::RSA_PKCS1_SHA512];

struct SignerOfNode {
    scheme: SignatureScheme,
    kind: String,
    /// None if it cannot sign in this version of TLS.
    key: Option<String>,
    operations: Arc<dyn KeyOperations>,
    runtime: Handle,
}

impl std::fmt::Debug for SignerOfNode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SignerOfNode")
    }
}

impl Signer for SignerOfNode {
    /// Waits for JavaScript.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let failed = |problem: &str| {
            rustls::Error::General(format!("the client's key of type {}: {problem}", self.kind))
        };
        let Some(key) = self.key.clone() else {
            return Err(failed("natively it signs in TLS 1.3 only"));
        };
        let to_sign =
            ToSign { scheme: u16::from(self.scheme), message: BASE64_STANDARD.encode(message), key };
        let (sender, signed) = mpsc::channel();
        let operations = self.operations.clone();
        self.runtime.spawn(async move { sender.send(operations.sign(to_sign).await) });
        match signed.recv() {
            Ok(Ok(signature)) => BASE64_STANDARD.decode(signature).map_err(|_| failed("not base64")),
            Ok(Err(error)) => Err(failed(&format!("{error:?}"))),
            Err(_) => Err(failed("the process is ending")),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// The chain with that key.
pub(crate) fn certified(
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: KeyOfNode,
) -> Arc<dyn rustls::client::ResolvesClientCert> {
    Arc::new(rustls::sign::SingleCertAndKey::from(CertifiedKey::new(chain, Arc::new(key))))
}
