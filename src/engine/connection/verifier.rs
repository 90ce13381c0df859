//! The server's certificate, and the proof that the server has its key.
//!
//! A certificate is accepted by its digest: Node has verified it before (its chain, dates, revocation and names). In
//! the handshake the server signs with the certificate's key. Signatures that ring cannot check (P-521, Ed448,
//! RSA-PSS keys, RSA keys of unusual sizes) are kept for Node's `crypto`. Only the rest of the handshake is sent
//! before Node has accepted them (see [`StartingTls`](crate::engine::connection::startup::StartingTls)).

use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::engine::connection::description::Trust;
use crate::engine::error::Error;
use crate::sync::lock;

/// The signatures that Node checks instead of ring. RSA-PSS keys (`rsa_pss_pss_*`) have no name in rustls.
const CHECKED_BY_NODE: [SignatureScheme; 5] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

/// The sizes of RSA keys that ring checks, in bits.
const SIZES_OF_RING: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A signature of the handshake that is still to be checked. All binary contents are base64.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// Its number in TLS.
    scheme: u16,
    is_tls13: bool,
    message: String,
    certificate: String,
    signature: String,
}

/// The proof of one handshake that is left to Node.
pub(crate) type Unchecked = Arc<Mutex<Option<Proof>>>;

/// Accepts, by digest, the certificates that Node has verified as trustworthy.
#[derive(Debug)]
pub(crate) struct OnlyTrusted {
    /// None if the application requested encryption without authentication.
    digests: Option<Vec<[u8; 32]>>,
    algorithms: WebPkiSupportedAlgorithms,
    unchecked: Unchecked,
}

impl OnlyTrusted {
    pub(crate) fn new(trust: &Trust, provider: &CryptoProvider, unchecked: Unchecked) -> Result<Self, Error> {
        let digest = |text: &String| {
            let binary = BASE64_STANDARD.decode(text).map_err(|error| error.to_string());
            let digest = binary.and_then(|binary| binary.try_into().map_err(|_| "its length".to_owned()));
            digest.map_err(|problem| Error::other(format!("not a SHA-256 digest: {problem}")))
        };
        let digests = match trust {
            Trust::Any => None,
            Trust::Only(trusted) => Some(trusted.iter().map(digest).collect::<Result<_, _>>()?),
        };
        Ok(Self { digests, algorithms: provider.signature_verification_algorithms, unchecked })
    }

    /// Keeps a signature for Node.
    fn leave_to_node(
        &self,
        is_tls13: bool,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> HandshakeSignatureValid {
        *lock(&self.unchecked) = Some(Proof {
            scheme: u16::from(signature.scheme),
            is_tls13,
            message: BASE64_STANDARD.encode(message),
            certificate: BASE64_STANDARD.encode(certificate),
            signature: BASE64_STANDARD.encode(signature.signature()),
        });
        HandshakeSignatureValid::assertion()
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
        if is_for_node(&key, signature.scheme) {
            return Ok(self.leave_to_node(false, message, cert, signature));
        }
        let identifier = key.algorithm.to_der().map_err(|_| CertificateError::BadEncoding)?;
        let schemes = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
        // In TLS 1.2 the scheme does not specify the curve; the key does.
        let algorithm = schemes
            .flat_map(|(_, algorithms)| *algorithms)
            .find(|algorithm| identifier.ends_with(algorithm.public_key_alg_id().as_ref()))
            .ok_or(CertificateError::BadSignature)?;
        algorithm
            .verify_signature(key.subject_public_key.raw_bytes(), message, signature.signature())
            .map_err(|_| CertificateError::BadSignature)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    /// By the certificate's bare key: PostgreSQL's documentation shows how to make X.509 v1 certificates. pg accepts
    /// those, and rustls' own parser does not.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(cert)?;
        if is_for_node(&key, signature.scheme) {
            return Ok(self.leave_to_node(true, message, cert, signature));
        }
        let key = key.to_der().map_err(|_| CertificateError::BadEncoding)?;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key.into(), signature, &self.algorithms)
    }

    /// ring's own first, so that a server that has a choice takes one of them.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        schemes.extend(CHECKED_BY_NODE);
        schemes
    }
}

fn is_for_node(key: &SubjectPublicKeyInfoOwned, scheme: SignatureScheme) -> bool {
    let is_rsa = matches!(
        scheme,
        SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    );
    CHECKED_BY_NODE.contains(&scheme)
        || (is_rsa
            && modulus_bits(key.subject_public_key.raw_bytes())
                .is_some_and(|bits| !SIZES_OF_RING.contains(&bits)))
}

/// Of an RSA public key in DER: a sequence of two integers, of which the modulus is the first.
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let (integers, _) = contents(key, 0x30)?;
    let (modulus, _) = contents(integers, 0x02)?;
    let modulus = &modulus[modulus.iter().position(|byte| *byte != 0)?..];
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// The contents of the element that DER begins with, and what follows it.
fn contents(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match head[1] {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if length.len() > 4 {
                return None;
            }
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    (head[0] == tag).then(|| rest.split_at_checked(length))?
}

fn public_key(certificate: &[u8]) -> Result<SubjectPublicKeyInfoOwned, CertificateError> {
    let certificate = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(certificate.tbs_certificate.subject_public_key_info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_rsa_key_is_that_of_its_modulus() {
        let key = |bytes: usize, first: u8| {
            let mut modulus = vec![0, first];
            modulus.resize(bytes + 1, 1);
            let mut integer = vec![0x02, 0x82, (modulus.len() >> 8) as u8, modulus.len() as u8];
            integer.extend(modulus);
            integer.extend([0x02, 3, 1, 0, 1]);
            let mut der = vec![0x30, 0x82, (integer.len() >> 8) as u8, integer.len() as u8];
            der.extend(integer);
            der
        };
        assert_eq!(modulus_bits(&key(128, 0xff)), Some(1024));
        assert_eq!(modulus_bits(&key(256, 0x80)), Some(2048));
        assert_eq!(modulus_bits(&key(256, 0x7f)), Some(2047));
        let whole = key(128, 0xff);
        for length in 0..whole.len() - 5 {
            assert_eq!(modulus_bits(&whole[..length]), None, "{length}");
        }
        assert_eq!(modulus_bits(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
    }
}
