//! What is signed is verified, and nothing else. The keys were made by openssl for these tests.

use proptest::{prelude::*, sample::Index};

use super::*;
use tracer_core::profile::seccomp::fixture::mixed;

const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzcQytOzExUtWdqoJ
YGYrndwOVGFHdbxQ8H6+orRiXn6hRANCAAQNyLmsP6MpaygRXcf53ux9TLCrq36v
YR+9nLg1AOHjgGg7yw78a7l455Eh0Q481My0FFLPkE1Dn95ejT11ntrl
-----END PRIVATE KEY-----
";

const PRIVATE_SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIM3EMrTsxMVLVnaqCWBmK53cDlRhR3W8UPB+vqK0Yl5+oAoGCCqGSM49
AwEHoUQDQgAEDci5rD+jKWsoEV3H+d7sfUywq6t+r2EfvZy4NQDh44BoO8sO/Gu5
eOeRIdEOPNTMtBRSz5BNQ5/eXo09dZ7a5Q==
-----END EC PRIVATE KEY-----
";

const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDci5rD+jKWsoEV3H+d7sfUywq6t+
r2EfvZy4NQDh44BoO8sO/Gu5eOeRIdEOPNTMtBRSz5BNQ5/eXo09dZ7a5Q==
-----END PUBLIC KEY-----
";

const OTHER: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENvmt5yqKICe3KQz7y64EcNN+eNOe
pKlhJxhBYvndSEbh7m6Vxqk/v6py9QH43R7jXnGNq8JVVMbjCp1sPsmeLg==
-----END PUBLIC KEY-----
";

const PROFILE: &[u8] = br#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[]}"#;

fn signed() -> Vec<u8> {
    let statement = Statement::new(("seccomp.json", PROFILE), &[], &mixed());
    sign(&statement, PRIVATE).unwrap()
}

#[test]
fn what_is_signed_is_verified_by_its_key_only() {
    let envelope = signed();
    let statement = verify(&envelope, PUBLIC, PROFILE).unwrap();
    assert_eq!(statement.predicate.workload, mixed().workload.name);
    assert_eq!(signed(), envelope, "the same bytes each time");
    assert_eq!(sign(&statement, PRIVATE_SEC1).unwrap(), envelope);
    let error = verify(&envelope, OTHER, PROFILE).unwrap_err();
    assert!(matches!(error, SignatureError::Signature), "{error}");
    let error = verify(&envelope, PUBLIC, b"{}").unwrap_err();
    assert!(matches!(error, SignatureError::Statement(_)), "{error}");
    for key in [
        "",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        PRIVATE,
    ] {
        assert!(matches!(
            verify(&envelope, key, PROFILE),
            Err(SignatureError::Key(_))
        ));
    }
    let encrypted = sign(&statement, "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----");
    assert!(matches!(encrypted, Err(SignatureError::Encrypted)));
}

#[test]
fn signatures_are_over_the_encoding_of_dsse() {
    // The example of the protocol.
    let text = encoded("http://example.com/HelloWorld", b"hello world");
    assert_eq!(
        text,
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn another_payload_with_the_same_signature_is_refused() {
    let mut envelope: Envelope = serde_json::from_slice(&signed()).unwrap();
    let mut payload = STANDARD.decode(&envelope.payload).unwrap();
    payload.push(b' ');
    envelope.payload = STANDARD.encode(payload);
    let text = serde_json::to_vec(&envelope).unwrap();
    assert!(matches!(
        verify(&text, PUBLIC, PROFILE),
        Err(SignatureError::Signature)
    ));
    envelope.payload_type = "text/plain".to_owned();
    let text = serde_json::to_vec(&envelope).unwrap();
    assert!(matches!(
        verify(&text, PUBLIC, PROFILE),
        Err(SignatureError::PayloadType(_))
    ));
    envelope.signatures.clear();
    envelope.payload_type = PAYLOAD_TYPE.to_owned();
    let text = serde_json::to_vec(&envelope).unwrap();
    assert!(matches!(
        verify(&text, PUBLIC, PROFILE),
        Err(SignatureError::Signature)
    ));
}

/// Where something was changed.
#[derive(Clone, Copy, Debug)]
enum Place {
    Profile,
    Envelope,
    Payload,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_thousand_tampered_artifacts_are_refused(
        place in prop_oneof![Just(Place::Profile), Just(Place::Envelope), Just(Place::Payload)],
        at in any::<Index>(),
        change in 1_u8..=255,
    ) {
        let (mut profile, mut envelope) = (PROFILE.to_vec(), signed());
        match place {
            Place::Profile => {
                let at = at.index(profile.len());
                profile[at] ^= change;
            }
            Place::Envelope => {
                let at = at.index(envelope.len());
                envelope[at] ^= change;
            }
            Place::Payload => {
                let mut parts: Envelope = serde_json::from_slice(&envelope).unwrap();
                let mut payload = STANDARD.decode(&parts.payload).unwrap();
                let at = at.index(payload.len());
                payload[at] ^= change;
                parts.payload = STANDARD.encode(payload);
                envelope = serde_json::to_vec(&parts).unwrap();
            }
        }
        prop_assert!(verify(&envelope, PUBLIC, &profile).is_err());
    }
}
