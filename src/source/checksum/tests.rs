//! Check values of each algorithm, in every way that servers write them.

use super::*;

fn checks(headers: &[(&'static str, &str)], unproven: bool) -> Checks {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                reqwest::header::HeaderName::from_static(name),
                reqwest::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            )
        })
        .collect();
    Checks::from_headers(&headers, unproven)
}

fn verdict(headers: &[(&'static str, &'static str)], unproven: bool, body: &[u8]) -> Verdict {
    let mut checks = checks(headers, unproven);
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
fn checksums_are_read_however_servers_write_them() {
    let hex = "25f9e794323b453885f5181f1b624d0b";
    let sha256 = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=";
    let sha512 =
        "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==";
    for (header, value) in [
        ("content-md5", hex.to_owned()),
        ("content-md5", hex.to_uppercase()),
        ("content-md5", format!("\"{hex}\"")),
        ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw".to_owned()),
        ("x-amz-checksum-crc32", "cbf43926".to_owned()),
        (
            "x-amz-checksum-sha1",
            "f7c3bc1d808e04732adf679965ccc34ca7ae3441".to_owned(),
        ),
        ("repr-digest", format!("sha-512=:{sha512}:")),
        ("repr-digest", format!("SHA-256=:{sha256}:")),
        (
            "repr-digest",
            format!("sha-256=:{sha256}:;note=\"a, b\", unixsum=:AAAA:"),
        ),
        (
            "content-digest",
            format!("unixsum=:AAAA:;x=\"sha-256=:y:\", sha-512=:{sha512}:;q=1"),
        ),
        ("content-digest", format!("sha-256={sha256}")),
        ("digest", format!("SHA-512={sha512}")),
        ("digest", format!("UNIXsum=30637, SHA-256={sha256}")),
        ("digest", format!("md5={hex}")),
        ("digest", format!("id-sha-256={sha256}")),
        ("digest", "SHA=98O8HYCOBHMq32eZZczDTKeuNEE=".to_owned()),
        ("x-goog-hash", "CRC32C=4waSgw==".to_owned()),
    ] {
        for (body, expected) in [
            (b"123456789", Verdict::Matched),
            (b"123456780", Verdict::Mismatched(header)),
        ] {
            let mut checks = checks(&[(header, &value)], false);
            assert!(checks.unread().is_empty(), "{header}: {value}");
            checks.update(body);
            assert_eq!(checks.verdict(), expected, "{header}: {value}");
        }
    }
}

#[test]
fn checksums_that_can_not_be_read_are_told() {
    for (header, value) in [
        ("content-md5", "JfnnlDI7"),
        ("content-md5", "no checksum"),
        ("content-md5", ""),
        ("x-amz-checksum-sha256", "y/Q5Jg=="),
        ("x-oss-hash-crc64ecma", "rosUhgp5mIg="),
        ("x-goog-hash", "sha3=abc"),
        ("repr-digest", "sha-256=:short:"),
        ("repr-digest", "unixsum=:AAAA:"),
        ("content-digest", "what is this"),
        ("digest", "ADLER32=03da0195"),
        ("digest", "\u{e9}"),
    ] {
        let mut checks = checks(&[(header, value)], false);
        assert_eq!(checks.unread(), [header], "{value}");
        checks.update(b"123456789");
        assert_eq!(checks.verdict(), Verdict::Silent, "{header}: {value}");
    }
    // What is known to say nothing is no riddle.
    for header in [("x-amz-checksum-crc32", "y/Q5Jg==-3"), ("etag", "\"abc\"")] {
        assert!(checks(&[header], true).unread().is_empty());
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
