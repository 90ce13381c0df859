//! What Node does with keys that ring does not know.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

use crate::engine::connection::verifier::Proof;
use crate::engine::error::Error;

/// An answer of the application's, which JavaScript gives.
pub type Answered<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

pub trait KeyOperations: Send + Sync {
    /// Whether a server has signed with its certificate's key, if the key is of a kind that only Node can check.
    fn check(&self, proof: Proof) -> Answered<'_, bool>;
    /// Signs with a client's key of a kind that only Node supports: base64.
    fn sign(&self, to_sign: ToSign) -> Answered<'_, String>;
}

/// What Node is to sign.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToSign {
    /// Its number in TLS.
    pub(crate) scheme: u16,
    /// Base64, as the key: PKCS#8 in DER.
    pub(crate) message: String,
    pub(crate) key: String,
}
