//! Checksums that a store sends beside an object.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use crc_fast::CrcAlgorithm;
use md5::Md5;
use reqwest::header::HeaderMap;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// How the bytes received relate to the checksums announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was announced that says anything.
    Silent,
    /// At least one matched.
    Matched,
    /// The header named does not match.
    Mismatched(&'static str),
}

enum Hasher {
    Crc(crc_fast::Digest, usize),
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
}

struct Check {
    header: &'static str,
    expected: Vec<u8>,
    hasher: Hasher,
    /// Whether a mismatch is an error; an ETag only looks like an MD5.
    binding: bool,
}

/// The checks of one object, fed with its bytes in order.
#[derive(Default)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    /// Reads the checksums of a whole object from its response's headers.
    ///
    /// `unproven`: nothing else will show whether the body is whole, so that the ETag is worth an MD5.
    pub(super) fn from_headers(headers: &HeaderMap, unproven: bool) -> Self {
        let mut checks = Vec::new();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut add = |header, expected: Option<Vec<u8>>, hasher: Hasher, binding| {
            if let Some(expected) = expected.filter(|bytes| bytes.len() == hasher.length()) {
                checks.push(Check {
                    header,
                    expected,
                    hasher,
                    binding,
                });
            }
        };
        // A composite checksum is one of the parts' checksums: it can't be had from the bytes alone.
        let composite = text("x-amz-checksum-type")
            .is_some_and(|value| value.eq_ignore_ascii_case("COMPOSITE"));
        if !composite {
            for (header, hasher) in [
                (
                    "x-amz-checksum-crc64nvme",
                    Hasher::crc(CrcAlgorithm::Crc64Nvme, 8),
                ),
                (
                    "x-amz-checksum-crc32",
                    Hasher::crc(CrcAlgorithm::Crc32IsoHdlc, 4),
                ),
                (
                    "x-amz-checksum-crc32c",
                    Hasher::crc(CrcAlgorithm::Crc32Iscsi, 4),
                ),
                ("x-amz-checksum-sha1", Hasher::Sha1(Sha1::new())),
                ("x-amz-checksum-sha256", Hasher::Sha256(Sha256::new())),
            ] {
                add(header, text(header).and_then(decode), hasher, true);
            }
        }
        add(
            "content-md5",
            text("content-md5").and_then(decode),
            Hasher::Md5(Md5::new()),
            true,
        );
        // OSS writes its CRC-64 as a decimal number.
        add(
            "x-oss-hash-crc64ecma",
            text("x-oss-hash-crc64ecma")
                .and_then(|value| value.trim().parse::<u64>().ok())
                .map(|value| value.to_be_bytes().to_vec()),
            Hasher::crc(CrcAlgorithm::Crc64Xz, 8),
            true,
        );
        // GCS hashes what it stores; when it decompresses on the way, that is not what arrives.
        let transcoded = text("x-goog-stored-content-encoding")
            .is_some_and(|stored| stored != text("content-encoding").unwrap_or("identity"));
        if !transcoded {
            let hashes = headers
                .get_all("x-goog-hash")
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(str::trim);
            for hash in hashes {
                if let Some(value) = hash.strip_prefix("crc32c=") {
                    add(
                        "x-goog-hash",
                        decode(value),
                        Hasher::crc(CrcAlgorithm::Crc32Iscsi, 4),
                        true,
                    );
                } else if let Some(value) = hash.strip_prefix("md5=") {
                    add("x-goog-hash", decode(value), Hasher::Md5(Md5::new()), true);
                }
            }
        }
        // RFC 9530; a Repr-Digest and a Content-Digest are the same for a 200.
        for header in ["repr-digest", "content-digest"] {
            let sha256 = text(header).and_then(|value| {
                let value = value
                    .split(',')
                    .find_map(|item| item.trim().strip_prefix("sha-256="))?;
                decode(value.trim().strip_prefix(':')?.strip_suffix(':')?)
            });
            add(header, sha256, Hasher::Sha256(Sha256::new()), true);
        }
        if unproven {
            let md5 = text("etag")
                .and_then(|value| hexadecimal(value.trim().strip_prefix('"')?.strip_suffix('"')?));
            add("etag", md5, Hasher::Md5(Md5::new()), false);
        }
        Self(checks)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for check in &mut self.0 {
            match &mut check.hasher {
                Hasher::Crc(crc, _) => crc.update(bytes),
                Hasher::Md5(md5) => md5.update(bytes),
                Hasher::Sha1(sha1) => sha1.update(bytes),
                Hasher::Sha256(sha256) => sha256.update(bytes),
            }
        }
    }

    pub(super) fn verdict(&mut self) -> Verdict {
        let mut verdict = Verdict::Silent;
        for check in std::mem::take(&mut self.0) {
            let matched = check.hasher.finish() == check.expected;
            match (matched, check.binding) {
                (true, _) => verdict = Verdict::Matched,
                (false, true) => return Verdict::Mismatched(check.header),
                (false, false) => {}
            }
        }
        verdict
    }
}

impl Hasher {
    fn crc(algorithm: CrcAlgorithm, length: usize) -> Self {
        Self::Crc(crc_fast::Digest::new(algorithm), length)
    }

    fn length(&self) -> usize {
        match self {
            Self::Crc(_, length) => *length,
            Self::Md5(_) => 16,
            Self::Sha1(_) => 20,
            Self::Sha256(_) => 32,
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(crc, length) => crc.finalize().to_be_bytes()[8 - length..].to_vec(),
            Self::Md5(md5) => md5.finalize().to_vec(),
            Self::Sha1(sha1) => sha1.finalize().to_vec(),
            Self::Sha256(sha256) => sha256.finalize().to_vec(),
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD
        .decode(text.trim().trim_end_matches('='))
        .ok()
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(headers: &[(&'static str, &'static str)], unproven: bool, body: &[u8]) -> Verdict {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    reqwest::header::HeaderName::from_static(name),
                    reqwest::header::HeaderValue::from_static(value),
                )
            })
            .collect();
        let mut checks = Checks::from_headers(&headers, unproven);
        let (first, second) = body.split_at(body.len() / 2);
        checks.update(first);
        checks.update(second);
        checks.verdict()
    }

    #[test]
    fn each_store_checksum_matches_its_check_value() {
        // The CRC catalogue's check values are those of "123456789".
        for (header, value) in [
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (
                "x-amz-checksum-sha256",
                "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
            ),
            ("x-oss-hash-crc64ecma", "11051210869376104954"),
            ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
            (
                "x-goog-hash",
                "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==",
            ),
            (
                "repr-digest",
                "sha-512=:x:, sha-256=:FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=:",
            ),
        ] {
            assert_eq!(
                verdict(&[(header, value)], false, b"123456789"),
                Verdict::Matched,
                "{header}"
            );
            assert_eq!(
                verdict(&[(header, value)], false, b"123456780"),
                Verdict::Mismatched(header),
                "{header}"
            );
        }
    }

    #[test]
    fn an_etag_proves_only_when_nothing_else_does_and_never_disproves() {
        let etag = [("etag", "\"25F9E794323B453885F5181F1B624D0B\"")];
        assert_eq!(verdict(&etag, true, b"123456789"), Verdict::Matched);
        assert_eq!(verdict(&etag, true, b"12345678"), Verdict::Silent);
        assert_eq!(verdict(&etag, false, b"123456789"), Verdict::Silent);
        for other in [
            "W/\"25f9e794323b453885f5181f1b624d0b\"",
            "\"25f9e794323b453885f5181f1b624d0b-3\"",
            "\"abc\"",
        ] {
            assert_eq!(
                verdict(&[("etag", other)], true, b"123456789"),
                Verdict::Silent
            );
        }
    }

    #[test]
    fn composite_and_transcoded_checksums_say_nothing() {
        assert_eq!(
            verdict(
                &[
                    ("x-amz-checksum-crc32", "y/Q5Jg=="),
                    ("x-amz-checksum-type", "COMPOSITE")
                ],
                false,
                b"x"
            ),
            Verdict::Silent
        );
        assert_eq!(
            verdict(&[("x-amz-checksum-sha256", "y/Q5Jg==-3")], false, b"x"),
            Verdict::Silent
        );
        assert_eq!(
            verdict(
                &[
                    ("x-goog-hash", "crc32c=4waSgw=="),
                    ("x-goog-stored-content-encoding", "gzip")
                ],
                false,
                b"x"
            ),
            Verdict::Silent
        );
    }
}
