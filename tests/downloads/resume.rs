//! Breaks that are mended below the stream, and changes that are not.

use std::time::Duration;

use redledger::error::FetchKind;
use redledger::source::Proof;

use super::{assert_fails, assert_whole, config, csv, fetch, fetch_with, fetcher, url};
use crate::support::{
    random::Random,
    server::{Fault, Framing, Object, Reply, Server},
};

/// Serves `object`, with `fault` in the first reply.
async fn breaks_once(object: Object, fault: Fault) -> Server {
    Server::start(move |request| {
        let reply = object.reply(request);
        if request.number == 0 {
            reply.fault(fault)
        } else {
            reply
        }
    })
    .await
}

#[tokio::test]
async fn unbroken_file_arrives_whole() {
    let body = csv(10_000);
    let server = Server::script([Object::new(body.clone()).whole()]).await;
    assert_whole(&fetch(&server).await, &body);
    let request = &server.requests()[0];
    assert_eq!(
        request.header("user-agent"),
        Some(concat!("redledger/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(request.header("range"), None);
    assert_eq!(request.header("referer"), None);
}

#[tokio::test]
async fn every_kind_of_break_is_continued_where_it_happened() {
    let body = csv(2_000);
    let text = String::from_utf8(body.clone()).expect("text");
    let places = [
        ("first byte", 1),
        ("inside a character", text.find('名').expect("there") + 1),
        ("inside a quoted field", text.find("second").expect("there")),
        ("between CR and LF", text.find("\r\n").expect("there") + 1),
        ("last byte", body.len() - 1),
        ("middle", body.len() / 2),
    ];
    for (place, at) in places {
        for fault in [Fault::Close(at), Fault::Reset(at), Fault::Stall(at)] {
            let server = breaks_once(Object::new(body.clone()), fault).await;
            assert_whole(&fetch(&server).await, &body);
            let requests = server.requests();
            assert_eq!(requests.len(), 2, "{place} {fault:?}");
            // A reset may take bytes with it that had not been read yet.
            if !matches!(fault, Fault::Reset(_)) {
                assert_eq!(requests[1].from(), Some(at), "{place} {fault:?}");
                assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
            }
        }
    }
}

#[tokio::test]
async fn break_before_the_first_byte_starts_again_without_a_range() {
    let body = csv(100);
    for fault in [Fault::Close(0), Fault::Reset(0), Fault::Stall(0)] {
        let server = breaks_once(Object::new(body.clone()), fault).await;
        assert_whole(&fetch(&server).await, &body);
        assert_eq!(server.requests()[1].from(), None);
    }
}

#[tokio::test]
async fn object_may_change_as_long_as_nothing_was_handed_on() {
    let (first, second) = (csv(100), csv(200));
    let server = Server::script([
        Object::new(first).whole().fault(Fault::Close(0)),
        Object::new(second.clone())
            .with("Last-Modified", "x")
            .whole(),
    ])
    .await;
    assert_whole(&fetch(&server).await, &second);
}

#[tokio::test]
async fn last_modified_stands_in_for_a_missing_or_weak_etag() {
    let body = csv(500);
    let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    let date = "Sun, 06 Nov 1994 08:50:37 GMT";
    for object in [
        Object::anonymous(body.clone()),
        Object::anonymous(body.clone()).with("ETag", "W/\"weak\""),
    ] {
        let object = object.with("Last-Modified", modified).with("Date", date);
        let server = breaks_once(object, Fault::Close(1000)).await;
        assert_whole(&fetch(&server).await, &body);
        let requests = server.requests();
        assert_eq!(requests[1].from(), Some(1000));
        assert_eq!(requests[1].header("if-range"), Some(modified));
    }
}

#[tokio::test]
async fn modification_date_of_this_very_second_is_no_validator() {
    let body = csv(500);
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let object = Object::anonymous(body.clone())
        .with("Last-Modified", date)
        .with("Date", date);
    let server = breaks_once(object, Fault::Close(1000)).await;
    assert_whole(&fetch(&server).await, &body);
    assert_eq!(server.requests()[1].from(), None);
}

#[tokio::test]
async fn object_without_validator_is_read_again_and_compared() {
    let body = csv(500);
    let server = breaks_once(Object::anonymous(body.clone()), Fault::Close(1000)).await;
    assert_whole(&fetch(&server).await, &body);
    assert_eq!(server.requests()[1].from(), None);
}

#[tokio::test]
async fn answer_200_to_a_range_is_compared_and_continued() {
    let body = csv(500);
    let object = Object::new(body.clone());
    let server = Server::start(move |request| {
        let reply = object.whole();
        match request.number {
            0 => reply.fault(Fault::Close(5000)),
            // Broken again before the old place is reached.
            1 => reply.fault(Fault::Close(3000)),
            _ => reply,
        }
    })
    .await;
    assert_whole(&fetch(&server).await, &body);
    let ranges: Vec<_> = server.requests().iter().map(|r| r.from()).collect();
    assert_eq!(ranges, [None, Some(5000), Some(5000)]);
}

#[tokio::test]
async fn other_bytes_at_the_start_of_a_reread_mean_changed() {
    let body = csv(500);
    let mut other = body.clone();
    other[100] ^= 1;
    let server = Server::script([
        Object::anonymous(body).whole().fault(Fault::Close(5000)),
        Object::anonymous(other).whole(),
    ])
    .await;
    assert_fails(
        fetch(&server).await,
        FetchKind::Changed,
        "other bytes at its start",
    );
}

#[tokio::test]
async fn shorter_reread_means_changed() {
    let body = csv(500);
    for framing in [Framing::Length, Framing::Chunked(1000)] {
        let server = Server::script([
            Object::anonymous(body.clone())
                .whole()
                .framing(Framing::Chunked(1000))
                .fault(Fault::Close(5000)),
            Object::anonymous(&body[..4000]).whole().framing(framing),
        ])
        .await;
        assert_fails(
            fetch(&server).await,
            FetchKind::Changed,
            "changed while it was read",
        );
    }
}

#[tokio::test]
async fn etag_changed_between_attempts_means_changed() {
    let body = csv(500);
    // Honest: If-Range does not match, so the whole new object comes.
    let new = Object::anonymous(body.clone()).with("ETag", "\"v2\"");
    for second in [
        new.whole(),
        // Dishonest: 206 of another version.
        Reply::new(206, &body[5000..])
            .header("ETag", "\"v2\"")
            .header(
                "Content-Range",
                &format!("bytes 5000-{}/{}", body.len() - 1, body.len()),
            ),
    ] {
        let server = Server::script([
            Object::new(body.clone()).whole().fault(Fault::Close(5000)),
            second,
        ])
        .await;
        assert_fails(fetch(&server).await, FetchKind::Changed, "another etag");
        assert_eq!(server.requests().len(), 2, "a change is not retried");
    }
}

#[tokio::test]
async fn other_total_in_a_continuation_means_changed() {
    let body = csv(500);
    let server = Server::script([
        Object::new(body.clone()).whole().fault(Fault::Close(5000)),
        Reply::new(206, &body[5000..])
            .header("ETag", "\"v1\"")
            .header(
                "Content-Range",
                &format!("bytes 5000-{}/{}", body.len() - 1, body.len() + 7),
            ),
    ])
    .await;
    assert_fails(fetch(&server).await, FetchKind::Changed, "bytes instead of");
}

#[tokio::test]
async fn continuation_at_a_wrong_offset_is_not_used() {
    let body = csv(500);
    for wrong in [
        "bytes 4999-9999/{}",
        "bytes 5001-9999/{}",
        "bytes x-y/z",
        "items 5000-9999/{}",
    ] {
        let total = body.len().to_string();
        let object = Object::new(body.clone());
        let part = Reply::new(206, &body[5000..])
            .header("ETag", "\"v1\"")
            .header("Content-Range", &wrong.replace("{}", &total));
        let server = Server::start(move |request| match request.number {
            0 => object.whole().fault(Fault::Close(5000)),
            1 => part.clone(),
            _ => object.reply(request),
        })
        .await;
        assert_whole(&fetch(&server).await, &body);
        assert_eq!(
            server.requests()[2].from(),
            None,
            "{wrong}: ranges are no longer asked for"
        );
    }
}

#[tokio::test]
async fn continuation_without_content_range_is_not_used() {
    let body = csv(500);
    let object = Object::new(body.clone());
    let part = Reply::new(206, &body[5000..]);
    let server = Server::start(move |request| match request.number {
        0 => object.whole().fault(Fault::Close(5000)),
        1 => part.clone(),
        _ => object.reply(request),
    })
    .await;
    assert_whole(&fetch(&server).await, &body);
}

#[tokio::test]
async fn answer_416_to_a_continuation_leads_to_a_reread() {
    let body = csv(500);
    let object = Object::new(body.clone());
    let server = Server::start(move |request| match request.number {
        0 => object.whole().fault(Fault::Close(5000)),
        1 => Reply::new(416, ""),
        _ => object.reply(request),
    })
    .await;
    assert_whole(&fetch(&server).await, &body);
}

#[tokio::test]
async fn unasked_206_is_refused() {
    let body = csv(10);
    let server = Server::script([Reply::new(206, body.clone()).header(
        "Content-Range",
        &format!("bytes 0-{}/{}", body.len() - 1, body.len()),
    )])
    .await;
    assert_fails(fetch(&server).await, FetchKind::Malformed, "206");
}

#[tokio::test]
async fn continuation_shorter_than_asked_is_continued_again() {
    let body = csv(2_000);
    let total = body.len();
    let server = Server::start({
        let body = body.clone();
        move |request| match request.from() {
            None => Object::new(body.clone()).whole().fault(Fault::Close(1000)),
            Some(from) => {
                let end = (from + 30_000).min(total);
                Reply::new(206, &body[from..end])
                    .header("ETag", "\"v1\"")
                    .header(
                        "Content-Range",
                        &format!("bytes {from}-{}/{total}", end - 1),
                    )
            }
        }
    })
    .await;
    assert_whole(&fetch(&server).await, &body);
}

#[tokio::test]
async fn cut_chunked_body_is_continued() {
    let body = csv(500);
    let object = Object::new(body.clone());
    let server = Server::start(move |request| {
        let reply = object.reply(request).framing(Framing::Chunked(777));
        if request.number == 0 {
            reply.fault(Fault::Close(7770))
        } else {
            reply
        }
    })
    .await;
    assert_whole(&fetch(&server).await, &body);
    assert_eq!(server.requests()[1].from(), Some(7770));
}

#[tokio::test]
async fn truncated_body_without_length_is_not_proven_whole() {
    let body = csv(500);
    for reply in [
        Reply::new(200, &body[..5000]).framing(Framing::Close),
        Reply::new(200, &body[..5000]).framing(Framing::Close).old(),
        Reply::new(200, &body[..5000])
            .framing(Framing::Close)
            .header("Transfer-Encoding", "identity"),
        Reply::new(200, &body[..5000])
            .framing(Framing::Close)
            .header("ETag", "\"25f9e794323b453885f5181f1b624d0b\""),
    ] {
        let server = Server::script([reply]).await;
        let arrived = fetch(&server).await.expect("the bytes are there");
        assert_eq!(arrived.bytes, &body[..5000]);
        assert!(matches!(arrived.proof, Proof::Unproven(why) if why.contains("neither a length")));
    }
}

#[tokio::test]
async fn checksum_proves_a_body_without_length() {
    for (name, value) in [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("Content-MD5", "JfnnlDI7RTiF9RgfG2JNCw=="),
        ("ETag", "\"25f9e794323b453885f5181f1b624d0b\""),
    ] {
        let server = Server::script([Reply::new(200, "123456789")
            .framing(Framing::Close)
            .header(name, value)])
        .await;
        assert_whole(&fetch(&server).await, b"123456789");
    }
}

#[tokio::test]
async fn wrong_checksum_is_an_error_however_the_body_ends() {
    for framing in [Framing::Length, Framing::Chunked(3), Framing::Close] {
        let server = Server::script([Reply::new(200, "123456780")
            .framing(framing)
            .header("x-amz-checksum-crc32", "y/Q5Jg==")])
        .await;
        assert_fails(
            fetch(&server).await,
            FetchKind::Malformed,
            "x-amz-checksum-crc32",
        );
    }
}

#[tokio::test]
async fn checksum_is_computed_across_connections() {
    let object = Object::new("123456789").with(
        "x-amz-checksum-sha256",
        "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
    );
    let server = breaks_once(object, Fault::Close(4)).await;
    assert_whole(&fetch(&server).await, b"123456789");
    // A continuation of another object that hides it: the checksum is what notices.
    let server = Server::script([
        Object::new("123456789")
            .with("x-amz-checksum-crc32", "y/Q5Jg==")
            .whole()
            .fault(Fault::Close(4)),
        Reply::new(206, "5678X").header("Content-Range", "bytes 4-8/9"),
    ])
    .await;
    assert_fails(
        fetch(&server).await,
        FetchKind::Changed,
        "does not match its checksum",
    );
}

#[tokio::test]
async fn length_longer_than_the_body_never_passes() {
    let body = csv(100);
    let server = Server::start({
        let object = Object::new(body.clone());
        move |_| {
            object
                .whole()
                .framing(Framing::Claims(object.body.len() + 10))
        }
    })
    .await;
    assert_fails(fetch(&server).await, FetchKind::Passing, "after 8 attempts");
}

#[tokio::test]
async fn contradicting_lengths_never_pass() {
    let server =
        Server::script([Reply::new(200, "a,b\n1,2\n").header("Content-Length", "4")]).await;
    assert_fails(fetch(&server).await, FetchKind::Passing, "");
}

#[tokio::test]
async fn attempts_are_bounded_and_waits_grow() {
    let server = Server::script([Reply::new(200, csv(10)).fault(Fault::Reset(5))]).await;
    let (fetcher, pace) = fetcher(&config());
    let opened = fetcher.open(&url(&server.url("/a.csv"))).await;
    let error = match opened {
        Ok(opened) => super::drain(opened).await.expect_err("it never ends"),
        Err(error) => error,
    };
    assert_eq!(error.kind, FetchKind::Passing);
    assert_eq!(server.requests().len(), 8);
    let waits: Vec<u128> = pace.sleeps().iter().map(Duration::as_millis).collect();
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000]);
}

#[tokio::test]
async fn elapsed_time_is_bounded() {
    let mut config = config();
    config.deadline = Duration::from_secs(10);
    config.attempts = 1000;
    let server = Server::script([Reply::new(503, "")]).await;
    assert_fails(
        fetch_with(&server, &config).await,
        FetchKind::Passing,
        "the deadline of 10s leaves no time",
    );
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn attempts_that_bring_the_download_on_by_a_range_are_not_counted() {
    let body = csv(1_000);
    let step = body.len() / 25;
    // Each reply breaks a little later than it began; every other one does before it has brought anything.
    let object = Object::new(body.clone());
    let server = Server::start(move |request| {
        let brings = if request.number % 2 == 0 { step } else { 0 };
        object.reply(request).fault(Fault::Close(brings))
    })
    .await;
    let mut config = config();
    config.attempts = 2;
    assert_whole(&fetch_with(&server, &config).await, &body);
    assert!(server.requests().len() > 40, "{}", server.requests().len());

    // Where nothing shows that it is the same object, each attempt begins at the first byte again.
    let object = Object::anonymous(body.clone());
    let server = Server::start(move |request| {
        object
            .reply(request)
            .fault(Fault::Close(step * (request.number + 1)))
    })
    .await;
    let failed = fetch_with(&server, &config).await;
    assert_fails(failed, FetchKind::Passing, "(after 2 attempts)");
}

#[tokio::test]
async fn a_server_that_gives_a_byte_at_a_time_is_left_at_the_deadline() {
    let object = Object::new(csv(1_000));
    let server = Server::start(move |request| object.reply(request).fault(Fault::Close(1))).await;
    let mut config = config();
    config.deadline = Duration::from_secs(20);
    let failed = fetch_with(&server, &config).await;
    assert_fails(failed, FetchKind::Passing, "the deadline of 20s");
}

#[tokio::test]
async fn random_breaks_always_give_the_same_bytes() {
    let seed = Random::seed();
    let body = csv(3_000);
    let packed = super::content::gzip(&body).await;
    for case in 0..150 {
        let seed = seed.wrapping_add(case);
        let mut random = Random::new(seed);
        let faults = 1 + random.below(6);
        let stored = if random.below(4) == 0 { &packed } else { &body };
        let mut object = if random.below(3) == 0 {
            Object::anonymous(stored.clone())
        } else {
            Object::new(stored.clone())
        };
        if random.below(3) == 0 {
            object = object.with("x-amz-checksum-crc64nvme", &crc64(stored));
        }
        let script: Vec<(usize, usize)> = (0..faults)
            .map(|_| (random.below(40), random.below(stored.len())))
            .collect();
        let server = Server::start({
            let object = object.clone();
            move |request| faulty(&object, request, script.get(request.number).copied())
        })
        .await;
        let mut config = config();
        config.attempts = 20;
        config.idle_timeout = Duration::from_millis(100);
        let result = fetch_with(&server, &config).await;
        match result {
            Ok(arrived) if arrived.bytes == body && arrived.proof == Proof::Proven => {}
            other => panic!(
                "REDLEDGER_TEST_SEED={seed}: {:?}\n{:#?}",
                other.map(|arrived| (arrived.bytes.len(), arrived.proof)),
                server.requests()
            ),
        }
    }
}

#[tokio::test]
async fn object_that_changes_at_random_gives_one_version_or_an_error() {
    let seed = Random::seed();
    let mut whole = 0;
    for case in 0..100 {
        let seed = seed.wrapping_add(case);
        let mut random = Random::new(seed);
        let tagged = random.below(2) == 0;
        // The versions have a beginning in common, so that a change may go unnoticed for long.
        let versions: Vec<Object> = (0..3)
            .map(|version| {
                let mut body = csv(500);
                body.extend_from_slice(format!("{version}").repeat(20_000).as_bytes());
                if tagged {
                    Object::anonymous(body).with("ETag", &format!("\"v{version}\""))
                } else {
                    Object::anonymous(body)
                }
            })
            .collect();
        let script: Vec<(usize, usize)> = (0..4)
            .map(|_| (random.below(3), random.below(versions[0].body.len())))
            .collect();
        let server = Server::start({
            let versions = versions.clone();
            move |request| match script.get(request.number) {
                Some((version, at)) => versions[*version].reply(request).fault(Fault::Close(*at)),
                None => versions[0].reply(request),
            }
        })
        .await;
        match fetch(&server).await {
            Ok(arrived) => {
                whole += 1;
                assert!(
                    versions.iter().any(|version| version.body == arrived.bytes),
                    "REDLEDGER_TEST_SEED={seed}: a mixture of versions arrived"
                );
            }
            Err(error) => assert_eq!(error.kind, FetchKind::Changed, "REDLEDGER_TEST_SEED={seed}"),
        }
    }
    assert!((1..100).contains(&whole), "both outcomes happen: {whole}");
}

#[tokio::test]
async fn nonsense_between_chunks_never_passes() {
    for body in [
        "5\r\nhello\r\nzz\r\n",
        "5\r\nhelloworld",
        "-1\r\n",
        "ffffffffffffffffff\r\nx",
    ] {
        let server = Server::script([Reply::new(200, body)
            .header("Transfer-Encoding", "chunked")
            .framing(Framing::Close)])
        .await;
        assert_fails(fetch(&server).await, FetchKind::Passing, "after 8 attempts");
    }
}

fn crc64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes())
}

fn faulty(
    object: &Object,
    request: &crate::support::server::Request,
    fault: Option<(usize, usize)>,
) -> Reply {
    let reply = object.reply(request);
    let Some((kind, at)) = fault else {
        return reply;
    };
    match kind {
        0..8 => reply.fault(Fault::Close(at)),
        8..16 => reply.fault(Fault::Reset(at)),
        16 => reply.fault(Fault::Stall(at)),
        17..20 => reply
            .framing(Framing::Chunked(1 + at % 9000))
            .fault(Fault::Close(at)),
        20..23 => object.whole().fault(Fault::Close(at)),
        23..26 => object.whole(),
        26..28 => Reply::new(503, "busy"),
        28 => Reply::new(429, "").header("Retry-After", "1"),
        29 => Reply::new(500, ""),
        30..33 if request.from().is_some() => Reply::new(416, ""),
        33..36 if request.from().is_some() => Reply::new(206, &object.body[at..]).header(
            "Content-Range",
            &format!("bytes {at}-{}/{}", object.body.len() - 1, object.body.len()),
        ),
        36 => reply
            .framing(Framing::Claims(object.body.len()))
            .fault(Fault::Reset(at)),
        _ => reply.fault(Fault::Close(0)),
    }
}
