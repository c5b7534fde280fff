//! Whether an announcement was signed by somebody who knows the secret.
//!
//! The provider's scheme is not publicly documented; its integrators describe `resource-hmac-sha256`.
//! All schemes compare in constant time and fail closed.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::SignatureScheme;

/// How far a `standard-webhooks` timestamp may be from the clock, in seconds.
const TOLERANCE: i64 = 5 * 60;

/// The parts of a request that schemes sign.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The body as received.
    pub body: &'a [u8],
    /// The `resource` of the envelope, decoded if it is a JSON string, else its JSON text.
    pub resource: Option<&'a [u8]>,
    /// The signature's header (its name depends on the configuration).
    pub signature: Option<&'a str>,
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// The clock, in epoch seconds.
    pub now: i64,
}

/// Whether `request` carries a signature made with one of `secrets`.
#[must_use]
pub fn is_genuine(scheme: SignatureScheme, secrets: &[Vec<u8>], request: &Signed<'_>) -> bool {
    let check = |message: &[&[u8]], given: &[u8]| {
        secrets.iter().any(|secret| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
                return false;
            };
            message.iter().for_each(|part| mac.update(part));
            mac.verify_slice(given).is_ok()
        })
    };
    match scheme {
        SignatureScheme::None => true,
        SignatureScheme::ResourceHmacSha256 => {
            let (Some(resource), Some(given)) = (request.resource, request.signature) else {
                return false;
            };
            BASE64_STANDARD
                .decode(given.trim())
                .is_ok_and(|given| check(&[resource], &given))
        }
        SignatureScheme::BodyHmacSha256 => {
            let Some(given) = request.signature else {
                return false;
            };
            let given = given.trim();
            // `sha256=` is how GitHub's and similar webhooks mark the digest.
            let given = given.strip_prefix("sha256=").unwrap_or(given);
            let decoded = if given.len() == 64 {
                unhex(given)
            } else {
                BASE64_STANDARD.decode(given).ok()
            };
            decoded.is_some_and(|given| check(&[request.body], &given))
        }
        SignatureScheme::StandardWebhooks => {
            let (Some(id), Some(timestamp), Some(given)) =
                (request.id, request.timestamp, request.signature)
            else {
                return false;
            };
            if !timestamp
                .parse::<i64>()
                .is_ok_and(|sent| request.now.abs_diff(sent) <= TOLERANCE as u64)
            {
                return false;
            }
            let message = [
                id.as_bytes(),
                b".",
                timestamp.as_bytes(),
                b".",
                request.body,
            ];
            // Several signatures, apart by blanks, each with its version in front.
            given
                .split_ascii_whitespace()
                .filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok())
                .any(|given| check(&message, &given))
        }
    }
}

/// A secret as configured: `whsec_` marks Base64 (Standard Webhooks), anything else is its own bytes.
#[must_use]
pub fn secret_bytes(text: &str) -> Vec<u8> {
    text.strip_prefix("whsec_")
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use SignatureScheme::{BodyHmacSha256, None as NoScheme, ResourceHmacSha256, StandardWebhooks};

    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const NOW: i64 = 1_614_265_330;

    fn request(signature: Option<&str>) -> Signed<'_> {
        Signed {
            body: BODY,
            resource: Some(b"{\"batchNo\":\"B1\"}"),
            signature,
            id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
            timestamp: Some("1614265330"),
            now: NOW,
        }
    }

    fn mac(secret: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }

    #[test]
    fn genuine_signatures_pass_with_any_of_the_secrets() {
        let secrets = [b"old".to_vec(), b"new".to_vec()];
        for secret in [&b"old"[..], b"new"] {
            let resource = BASE64_STANDARD.encode(mac(secret, b"{\"batchNo\":\"B1\"}"));
            assert!(is_genuine(
                ResourceHmacSha256,
                &secrets,
                &request(Some(&resource))
            ));
            let body = mac(secret, BODY);
            let hex: String = body.iter().map(|byte| format!("{byte:02X}")).collect();
            for given in [
                BASE64_STANDARD.encode(&body),
                hex.clone(),
                format!("sha256={}", hex.to_lowercase()),
            ] {
                assert!(
                    is_genuine(BodyHmacSha256, &secrets, &request(Some(&given))),
                    "{given}"
                );
            }
        }
        assert!(is_genuine(NoScheme, &[], &request(None)));
    }

    #[test]
    fn the_example_of_the_standard_webhooks_specification_passes() {
        // https://github.com/standard-webhooks/standard-webhooks, "Signature scheme", its published test vector.
        let secrets = [secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let given = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(is_genuine(
            StandardWebhooks,
            &secrets,
            &request(Some(given))
        ));
        let several = format!("v1,AAAA v2,zzzz {given}");
        assert!(is_genuine(
            StandardWebhooks,
            &secrets,
            &request(Some(&several))
        ));
        for now in [NOW - 301, NOW + 301] {
            let late = Signed {
                now,
                ..request(Some(given))
            };
            assert!(!is_genuine(StandardWebhooks, &secrets, &late), "at {now}");
        }
    }

    #[test]
    fn everything_else_fails() {
        let secrets = [b"secret".to_vec()];
        let wrong = BASE64_STANDARD.encode(mac(b"another", BODY));
        let other_message = BASE64_STANDARD.encode(mac(b"secret", b"another body"));
        for scheme in [ResourceHmacSha256, BodyHmacSha256, StandardWebhooks] {
            for given in [
                None,
                Some(""),
                Some("AAAA"),
                Some("not base64!"),
                Some(&*wrong),
                Some(&*other_message),
                Some("v1,"),
            ] {
                assert!(
                    !is_genuine(scheme, &secrets, &request(given)),
                    "{scheme:?} {given:?}"
                );
            }
            assert!(
                !is_genuine(scheme, &[], &request(Some(&wrong))),
                "{scheme:?} without secrets"
            );
        }
        let without_resource = Signed {
            resource: None,
            ..request(Some(&wrong))
        };
        assert!(!is_genuine(ResourceHmacSha256, &secrets, &without_resource));
    }
}
