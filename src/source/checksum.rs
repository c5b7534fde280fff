//! Checksums that a store sends beside an object.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use crc_fast::CrcAlgorithm;
use md5::Md5;
use reqwest::header::HeaderMap;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

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
    Sha512(Sha512),
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
pub(super) struct Checks {
    checks: Vec<Check>,
    /// Headers that announce a checksum of which nothing could be read.
    unread: Vec<&'static str>,
}

impl Checks {
    /// Reads the checksums of a whole object from its response's headers.
    ///
    /// `unproven`: nothing else will show whether the body is whole, so that the ETag is worth an MD5.
    pub(super) fn from_headers(headers: &HeaderMap, unproven: bool) -> Self {
        let mut found = Self::default();
        // A composite checksum is one of the parts' checksums: it can't be had from the bytes alone.
        let is_composite = text(headers, "x-amz-checksum-type")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("COMPOSITE"));
        if !is_composite {
            for (header, algorithm) in [
                ("x-amz-checksum-crc64nvme", "crc64nvme"),
                ("x-amz-checksum-crc32", "crc32"),
                ("x-amz-checksum-crc32c", "crc32c"),
                ("x-amz-checksum-sha1", "sha-1"),
                ("x-amz-checksum-sha256", "sha-256"),
            ] {
                found.add(headers, header, |value| {
                    // `…-3`: of three parts, where nothing else says so.
                    let is_of_parts = value
                        .rsplit_once('-')
                        .is_some_and(|(_, parts)| parts.bytes().all(|byte| byte.is_ascii_digit()));
                    if is_of_parts {
                        return None;
                    }
                    Some(vec![(algorithm.to_owned(), value.to_owned())])
                });
            }
        }
        found.add(headers, "content-md5", |value| {
            Some(vec![("md5".to_owned(), value.to_owned())])
        });
        found.add(headers, "x-oss-hash-crc64ecma", |value| {
            // OSS writes its CRC-64 as a decimal number.
            let number = value.trim().parse::<u64>();
            let bytes = number.map(|number| STANDARD_NO_PAD.encode(number.to_be_bytes()));
            Some(vec![("crc64ecma".to_owned(), bytes.unwrap_or_default())])
        });
        // GCS hashes what it stores; when it decompresses on the way, that is not what arrives.
        let encoding = text(headers, "content-encoding").unwrap_or("identity");
        let is_transcoded = text(headers, "x-goog-stored-content-encoding")
            .is_some_and(|stored| stored != encoding);
        if !is_transcoded {
            found.add(headers, "x-goog-hash", |value| Some(members(value)));
        }
        // RFC 9530, and RFC 3230 before it: of a 200, all three are of what arrives.
        for header in ["repr-digest", "content-digest", "digest"] {
            found.add(headers, header, |value| {
                let mut members = members(value);
                if encoding == "identity" {
                    for (algorithm, _) in &mut members {
                        // Of the file without content encoding (RFC 5843).
                        if let Some(plain) = algorithm.strip_prefix("id-") {
                            *algorithm = plain.to_owned();
                        }
                    }
                }
                Some(members)
            });
        }
        if unproven
            && let Some(expected) = text(headers, "etag")
                .and_then(|value| hexadecimal(value.trim().strip_prefix('"')?.strip_suffix('"')?))
                .filter(|bytes| bytes.len() == 16)
        {
            found.checks.push(Check {
                header: "etag",
                expected,
                hasher: Hasher::Md5(Md5::new()),
                binding: false,
            });
        }
        found
    }

    /// Headers whose checksums could not be read, so that nothing was compared with them.
    pub(super) fn unread(&self) -> &[&'static str] {
        &self.unread
    }

    /// Adds what `header` announces; `members` makes algorithms and values of its text, `None`: it says nothing.
    fn add(
        &mut self,
        headers: &HeaderMap,
        header: &'static str,
        members: impl FnOnce(&str) -> Option<Vec<(String, String)>>,
    ) {
        if !headers.contains_key(header) {
            return;
        }
        let lines: Option<Vec<&str>> = headers
            .get_all(header)
            .iter()
            .map(|value| value.to_str().ok())
            .collect();
        let found = match lines {
            Some(lines) => members(lines.join(",").trim()),
            None => Some(Vec::new()),
        };
        let Some(found) = found else {
            return;
        };
        let before = self.checks.len();
        for (algorithm, value) in found {
            let hasher = Hasher::of(&algorithm);
            let check = hasher.and_then(|hasher| Some((decode(&value, hasher.length())?, hasher)));
            self.checks.extend(check.map(|(expected, hasher)| Check {
                header,
                expected,
                hasher,
                binding: true,
            }));
        }
        if self.checks.len() == before {
            self.unread.push(header);
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for check in &mut self.checks {
            match &mut check.hasher {
                Hasher::Crc(crc, _) => crc.update(bytes),
                Hasher::Md5(md5) => md5.update(bytes),
                Hasher::Sha1(sha1) => sha1.update(bytes),
                Hasher::Sha256(sha256) => sha256.update(bytes),
                Hasher::Sha512(sha512) => sha512.update(bytes),
            }
        }
    }

    pub(super) fn verdict(&mut self) -> Verdict {
        let mut verdict = Verdict::Silent;
        for check in std::mem::take(&mut self.checks) {
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
    /// By the names that stores and RFC 9530 have for them, in lower case.
    fn of(algorithm: &str) -> Option<Self> {
        let crc = |algorithm, length| Self::Crc(crc_fast::Digest::new(algorithm), length);
        Some(match algorithm {
            "crc64nvme" => crc(CrcAlgorithm::Crc64Nvme, 8),
            "crc64ecma" => crc(CrcAlgorithm::Crc64Xz, 8),
            "crc32" => crc(CrcAlgorithm::Crc32IsoHdlc, 4),
            "crc32c" => crc(CrcAlgorithm::Crc32Iscsi, 4),
            "md5" => Self::Md5(Md5::new()),
            "sha" | "sha1" | "sha-1" => Self::Sha1(Sha1::new()),
            "sha256" | "sha-256" => Self::Sha256(Sha256::new()),
            "sha512" | "sha-512" => Self::Sha512(Sha512::new()),
            _ => return None,
        })
    }

    /// Bytes of the checksum.
    fn length(&self) -> usize {
        match self {
            Self::Crc(_, length) => *length,
            Self::Md5(_) => 16,
            Self::Sha1(_) => 20,
            Self::Sha256(_) => 32,
            Self::Sha512(_) => 64,
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(crc, length) => crc.finalize().to_be_bytes()[8 - length..].to_vec(),
            Self::Md5(md5) => md5.finalize().to_vec(),
            Self::Sha1(sha1) => sha1.finalize().to_vec(),
            Self::Sha256(sha256) => sha256.finalize().to_vec(),
            Self::Sha512(sha512) => sha512.finalize().to_vec(),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The members of a list such as `sha-256=:…:;note="a, b", MD5=…`: names in lower case, and values without what
/// follows them. Servers write it by RFC 9530, by RFC 3230 or by neither.
fn members(text: &str) -> Vec<(String, String)> {
    let mut is_quoted = false;
    let mut split = |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    };
    text.split(&mut split)
        .filter_map(|member| {
            let (name, value) = member.split_once('=')?;
            // No way to write a checksum has a semicolon.
            let value = value.split(';').next().unwrap_or_default();
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect()
}

/// A checksum of `length` bytes, in Base64 or hexadecimal, bare, quoted or between colons (RFC 8941, section 3.3.5).
///
/// The two can't be mistaken for each other: as many characters are another number of bytes.
fn decode(text: &str, length: usize) -> Option<Vec<u8>> {
    let text = text.trim();
    let bare = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark);
    let text = bare(':').or_else(|| bare('"')).unwrap_or(text).trim();
    let base64 = text.trim_end_matches('=');
    let fits = |bytes: &Vec<u8>| bytes.len() == length;
    STANDARD_NO_PAD
        .decode(base64)
        .or_else(|_| URL_SAFE_NO_PAD.decode(base64))
        .ok()
        .filter(fits)
        .or_else(|| hexadecimal(text).filter(fits))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(text).ok()
}

#[cfg(test)]
mod tests;
