//! Signatures over statements: DSSE envelopes (secure-systems-lab/dsse, protocol v1.0.2) with ECDSA P-256 and SHA-256,
//! by key and offline.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    SecretKey,
    ecdsa::{
        Signature, SigningKey, VerifyingKey,
        signature::{Signer as _, Verifier as _},
    },
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracer_core::fleet::{MAX_STATEMENT, Statement, StatementError};

/// The `payloadType` of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// How many signatures an envelope may have.
const MAX_SIGNATURES: usize = 16;

/// The largest envelope that is read: a statement in base64, and the signatures.
pub const MAX_ENVELOPE: u64 = 2 * MAX_STATEMENT as u64;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<OneSignature>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Why something is not signed, or cannot be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key.
    #[error("not a key of ECDSA P-256 in PEM: {0}")]
    Key(String),
    /// The key is encrypted.
    #[error(
        "the key is encrypted; give it as PKCS #8 without a password (openssl pkcs8 -topk8 -nocrypt)"
    )]
    Encrypted,
    /// The envelope.
    #[error("not a DSSE envelope: {0}")]
    Envelope(String),
    /// What is signed is not a statement.
    #[error("its payload is {0:?}, not {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    /// No signature is of the key.
    #[error("no signature is by this key: tampered with, or signed by another")]
    Signature,
    /// The statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// Signs a statement with a private key in PEM (PKCS #8 or SEC 1). The same statement and key give the same bytes
/// (RFC 6979).
///
/// # Errors
/// [`SignatureError::Key`].
pub fn sign(statement: &Statement, key: &str) -> Result<Vec<u8>, SignatureError> {
    if key.contains("ENCRYPTED") {
        return Err(SignatureError::Encrypted);
    }
    let wrong = |error: &dyn std::fmt::Display| SignatureError::Key(error.to_string());
    let secret = if key.contains("BEGIN EC PRIVATE KEY") {
        SecretKey::from_sec1_pem(key).map_err(|error| wrong(&error))?
    } else {
        SecretKey::from_pkcs8_pem(key).map_err(|error| wrong(&error))?
    };
    let payload = statement.to_json();
    let signature: Signature = SigningKey::from(secret).sign(&encoded(PAYLOAD_TYPE, &payload));
    let envelope = Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: STANDARD.encode(&payload),
        signatures: vec![OneSignature {
            keyid: String::new(),
            sig: STANDARD.encode(signature.to_der().as_bytes()),
        }],
    };
    let text = serde_json::to_vec(&envelope);
    text.map_err(|error| SignatureError::Envelope(error.to_string()))
}

/// Verifies that an envelope is signed by a public key in PEM (as `cosign.pub`), and says something of `profile`.
/// Returns that.
///
/// # Errors
/// [`SignatureError`].
pub fn verify(envelope: &[u8], key: &str, profile: &[u8]) -> Result<Statement, SignatureError> {
    let key = VerifyingKey::from_public_key_pem(key)
        .map_err(|error| SignatureError::Key(error.to_string()))?;
    let wrong = |error: &dyn std::fmt::Display| SignatureError::Envelope(error.to_string());
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|error| wrong(&error))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(SignatureError::PayloadType(envelope.payload_type));
    }
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(wrong(&"too many signatures"));
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|error| wrong(&error))?;
    let signed = encoded(PAYLOAD_TYPE, &payload);
    let is_signed = envelope.signatures.iter().any(|it| {
        let bytes = STANDARD.decode(&it.sig).unwrap_or_default();
        Signature::from_der(&bytes).is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
    });
    // Nothing of the payload is read before.
    if !is_signed {
        return Err(SignatureError::Signature);
    }
    Ok(Statement::parse_for(&payload, profile)?)
}

/// What is signed: DSSE's pre-authentication encoding.
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
