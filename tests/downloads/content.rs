//! Encodings, bombs, and pages that are no CSV.

use std::io::Write as _;

use async_compression::tokio::write as encoders;
use redledger::{
    error::FetchKind,
    source::{Proof, open_file},
};
use tokio::io::AsyncWriteExt as _;

use super::{assert_fails, assert_whole, config, csv, drain, fetch, fetch_with, fetcher, url};
use crate::support::server::{Fault, Framing, Object, Reply, Server};

macro_rules! encode {
    ($encoder:ident, $bytes:expr) => {{
        let mut encoder = encoders::$encoder::new(Vec::new());
        encoder.write_all($bytes).await.expect("memory");
        encoder.shutdown().await.expect("memory");
        encoder.into_inner()
    }};
}

pub(crate) async fn gzip(bytes: &[u8]) -> Vec<u8> {
    encode!(GzipEncoder, bytes)
}

#[tokio::test]
async fn content_encodings_are_undone() {
    let body = csv(5_000);
    for (name, encoded) in [
        ("gzip", gzip(&body).await),
        ("x-gzip", gzip(&body).await),
        ("GZIP", gzip(&body).await),
        ("deflate", encode!(ZlibEncoder, &body)),
        ("deflate", encode!(DeflateEncoder, &body)),
        ("zstd", encode!(ZstdEncoder, &body)),
        ("br", encode!(BrotliEncoder, &body)),
        ("identity", body.clone()),
        ("aws-chunked", body.clone()),
        ("aws-chunked, gzip", gzip(&body).await),
        ("gzip, zstd", encode!(ZstdEncoder, &gzip(&body).await)),
        // An object that is itself compressed, compressed again on the way.
        ("gzip", gzip(&gzip(&body).await).await),
    ] {
        let object = Object::new(encoded).with("Content-Encoding", name);
        let server = Server::script([object.whole()]).await;
        assert_whole(&fetch(&server).await, &body);
        // Resuming happens below decoding.
        let server = Server::start(move |request| {
            let reply = object.reply(request);
            if request.number == 0 {
                reply.fault(Fault::Close(2000))
            } else {
                reply
            }
        })
        .await;
        assert_whole(&fetch(&server).await, &body);
        assert_eq!(server.requests()[1].from(), Some(2000), "{name}");
    }
}

#[tokio::test]
async fn compressed_objects_are_recognised_by_their_first_bytes() {
    let body = csv(5_000);
    let (first, second) = body.split_at(1_000);
    let two_members = [gzip(first).await, gzip(second).await].concat();
    let two_frames = [encode!(ZstdEncoder, first), encode!(ZstdEncoder, second)].concat();
    for object in [
        gzip(&body).await,
        two_members,
        encode!(ZstdEncoder, &body),
        two_frames,
    ] {
        let server = Server::script([Object::new(object.clone())
            .with("Content-Type", "text/csv")
            .whole()])
        .await;
        assert_whole(&fetch(&server).await, &body);
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&object).expect("to write");
        assert_whole(
            &drain(open_file(file.path()).await.expect("to open")).await,
            &body,
        );
    }
}

#[tokio::test]
async fn cut_compressed_data_is_an_error_even_when_the_length_matches() {
    let body = csv(5_000);
    for (name, encoded) in [
        ("gzip", gzip(&body).await),
        ("deflate", encode!(ZlibEncoder, &body)),
        ("deflate", encode!(DeflateEncoder, &body)),
        ("zstd", encode!(ZstdEncoder, &body)),
        ("br", encode!(BrotliEncoder, &body)),
    ] {
        for cut in [0, 1, 5, encoded.len() / 2, encoded.len() - 1] {
            let server =
                Server::script([Reply::new(200, &encoded[..cut]).header("Content-Encoding", name)])
                    .await;
            let result = fetch(&server).await;
            assert!(
                matches!(&result, Err(error) if error.kind == FetchKind::Malformed),
                "{name} cut at {cut}: {:?}",
                result.map(|a| a.bytes.len())
            );
        }
    }
}

#[tokio::test]
async fn broken_and_followed_compressed_data_is_an_error() {
    let body = csv(500);
    for (name, encoded) in [
        ("gzip", gzip(&body).await),
        ("deflate", encode!(ZlibEncoder, &body)),
        ("zstd", encode!(ZstdEncoder, &body)),
        ("br", encode!(BrotliEncoder, &body)),
    ] {
        let mut longer = encoded.clone();
        longer.extend_from_slice(b"more");
        let server =
            Server::script([Reply::new(200, longer).header("Content-Encoding", name)]).await;
        assert_fails(
            fetch(&server).await,
            FetchKind::Malformed,
            "compressed data",
        );
    }
    let mut broken = gzip(&body).await;
    let end = broken.len() - 6;
    broken[end] ^= 1;
    let server = Server::script([Reply::new(200, broken)]).await;
    assert_fails(
        fetch(&server).await,
        FetchKind::Malformed,
        "the compressed data is broken",
    );
    let server = Server::script([Reply::new(200, body).header("Content-Encoding", "gzip")]).await;
    assert_fails(
        fetch(&server).await,
        FetchKind::Malformed,
        "the compressed data is broken",
    );
}

#[tokio::test]
async fn unknown_content_encoding_is_said() {
    let server = Server::script([Reply::new(200, csv(1)).header("Content-Encoding", "sdch")]).await;
    assert_fails(
        fetch(&server).await,
        FetchKind::Malformed,
        "content encoding `sdch`",
    );
}

#[tokio::test]
async fn bombs_are_stopped_by_ratio_and_by_size() {
    let zeros = vec![b'0'; 40_000_000];
    for (name, bomb) in [
        ("gzip", gzip(&zeros).await),
        ("zstd", encode!(ZstdEncoder, &zeros)),
        ("br", encode!(BrotliEncoder, &zeros)),
        ("gzip", gzip(&gzip(&zeros).await).await),
    ] {
        let server =
            Server::script([Reply::new(200, bomb.clone()).header("Content-Encoding", name)]).await;
        assert_fails(fetch(&server).await, FetchKind::Malformed, "`max_ratio`");
        let mut config = config();
        config.max_ratio = u64::MAX;
        config.max_bytes = redledger::config::ByteSize(10_000_000);
        assert_fails(
            fetch_with(&server, &config).await,
            FetchKind::Malformed,
            "larger than 10MB (`max_bytes`)",
        );
    }
}

#[tokio::test]
async fn pages_and_documents_are_no_csv() {
    for (media_type, body, words) in [
        (
            "text/html; charset=utf-8",
            "<!DOCTYPE html><html></html>",
            "an HTML page",
        ),
        (
            "text/csv",
            "\u{feff}\r\n  <HTML><body>Sign in</body>",
            "an HTML page",
        ),
        ("text/html", "<div>session over</div>", "an HTML page"),
        (
            "application/xml",
            "<?xml version=\"1.0\"?><Rows/>",
            "an XML document",
        ),
        (
            "application/json",
            "{\"code\": 500, \"message\": \"x\"}",
            "a JSON document",
        ),
        ("text/csv", "{\"code\": 500}", "a JSON document"),
        ("text/plain", "[{\"accountId\": 1}]", "a JSON document"),
        ("application/json", "[]", "a JSON document"),
    ] {
        let server =
            Server::script([Reply::new(200, body).header("Content-Type", media_type)]).await;
        assert_fails(fetch(&server).await, FetchKind::Malformed, words);
    }
}

#[tokio::test]
async fn csv_is_taken_whatever_its_content_type() {
    for (media_type, body) in [
        ("text/html", "accountId,total\n1,2\n"),
        ("application/json", "accountId,total\n1,2\n"),
        ("application/octet-stream", "\"accountId\",\"total\"\n"),
        ("text/csv; charset=GB18030", "a,b\n"),
        ("text/csv", ""),
    ] {
        let server =
            Server::script([Reply::new(200, body).header("Content-Type", media_type)]).await;
        assert_whole(&fetch(&server).await, body.as_bytes());
    }
}

#[tokio::test]
async fn what_the_response_says_about_itself_is_passed_on() {
    let body = csv(100_000);
    let server = Server::script([Object::new(body.clone())
        .with(
            "Content-Type",
            "text/csv; header=present; Charset=\"GB18030\"",
        )
        .whole()])
    .await;
    let (fetcher, _) = fetcher(&config());
    let opened = fetcher
        .open(&url(&server.url("/a.csv?SECRET")))
        .await
        .expect("to open");
    assert_eq!(opened.provenance.etag.as_deref(), Some("\"v1\""));
    let content_type = opened.provenance.content_type.as_deref().expect("a type");
    assert_eq!(
        redledger::source::charset(content_type).as_deref(),
        Some("gb18030")
    );
    assert_eq!(opened.length, Some(body.len() as u64));
    assert_eq!(opened.origin, server.url("/a.csv"));
    assert!(
        matches!(opened.wholeness.get(), Proof::Unproven(_)),
        "not read yet"
    );
}

#[tokio::test]
async fn announcement_is_read_whole_within_its_limit() {
    let hook = b"{\"batchNo\": \"B1\"}";
    let server =
        Server::script([Reply::new(200, &hook[..]).header("Content-Type", "application/json")])
            .await;
    let (fetcher, _) = fetcher(&config());
    let address = url(&server.url("/hook.json"));
    assert_eq!(fetcher.read_all(&address, 100).await.expect("small"), hook);
    let error = fetcher.read_all(&address, 10).await.expect_err("too large");
    assert_eq!(error.kind, FetchKind::Malformed);
    let page = Server::script([Reply::new(200, "<html>")]).await;
    let error = fetcher
        .read_all(&url(&page.url("/")), 100)
        .await
        .expect_err("a page");
    assert!(
        error.message.contains("where an announcement was due"),
        "{error}"
    );
}

#[tokio::test]
async fn body_beyond_the_limit_is_stopped() {
    let mut config = config();
    config.max_bytes = redledger::config::ByteSize(1_000_000);
    for reply in [
        Reply::new(200, vec![b'x'; 1_000_001]),
        Reply::new(200, "a,b\n").framing(Framing::Claims(usize::MAX / 2)),
        Reply::new(200, "a,b\n")
            .framing(Framing::Chunked(50_000))
            .endless(vec![b'x'; 50_000]),
        Reply::new(200, "a,b\n")
            .framing(Framing::Close)
            .endless(vec![b'x'; 50_000]),
    ] {
        let server = Server::script([reply]).await;
        assert_fails(
            fetch_with(&server, &config).await,
            FetchKind::Malformed,
            "larger than 1MB",
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn local_file_that_is_not_there_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = open_file(&folder.path().join("neg.csv"))
        .await
        .expect_err("missing");
    assert_eq!(error.kind, FetchKind::Unreadable);
    assert!(
        error
            .to_string()
            .ends_with("neg.csv: can't be opened: there is no such file"),
        "{error}"
    );
    let error = open_file(folder.path()).await.expect_err("a folder");
    assert_eq!(error.kind, FetchKind::Unreadable);
    assert!(error.message.contains("a directory"), "{error}");
    let path = folder.path().join("a.csv");
    std::fs::write(&path, csv(20_000)).expect("to write");
    let opened = open_file(&path).await.expect("to open");
    assert_eq!(opened.length, Some(csv(20_000).len() as u64));
    assert_whole(&drain(opened).await, &csv(20_000));
}

/// A zip archive of `entries`, deflated or stored, as Info-ZIP or a streaming writer lays it out.
async fn zip(entries: &[&[u8]], stored: bool, streamed: bool) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (number, entry) in entries.iter().enumerate() {
        let name = format!("{number}.csv");
        let data = if stored {
            entry.to_vec()
        } else {
            encode!(DeflateEncoder, entry)
        };
        #[allow(clippy::cast_possible_truncation)]
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, entry) as u32;
        let sizes = [crc, data.len() as u32, entry.len() as u32];
        let offset = archive.len() as u32;
        let fields = |flags: u16, sizes: [u32; 3]| {
            let mut header = Vec::new();
            for value in [20, flags, if stored { 0 } else { 8 }, 0, 0] {
                header.extend_from_slice(&u16::to_le_bytes(value));
            }
            for value in sizes {
                header.extend_from_slice(&value.to_le_bytes());
            }
            header.extend_from_slice(&(name.len() as u32).to_le_bytes());
            header
        };
        let flags = if streamed { 8 } else { 0 };
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&fields(flags, if streamed { [0; 3] } else { sizes }));
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(&data);
        if streamed {
            archive.extend_from_slice(b"PK\x07\x08");
            archive.extend(sizes.iter().flat_map(|value| value.to_le_bytes()));
        }
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        directory.extend_from_slice(&fields(flags, sizes));
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let start = archive.len() as u32;
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        archive.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    }
    archive.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    archive.extend_from_slice(&start.to_le_bytes());
    archive.extend_from_slice(b"\x07\0comment");
    archive
}

#[tokio::test]
async fn zip_archive_with_one_entry_is_read_as_that_entry() {
    let body = csv(5_000);
    for (stored, streamed) in [(false, false), (false, true), (true, false)] {
        let archive = zip(&[&body], stored, streamed).await;
        let object = Object::new(archive.clone());
        let server = Server::start(move |request| {
            let reply = object.reply(request);
            if request.number == 0 {
                reply.fault(Fault::Close(5_000))
            } else {
                reply
            }
        })
        .await;
        assert_whole(&fetch(&server).await, &body);
        for cut in [5, 29, 33, 100, archive.len() - 100, archive.len() - 1] {
            let server = Server::script([Reply::new(200, &archive[..cut])]).await;
            assert_fails(fetch(&server).await, FetchKind::Malformed, "");
        }
        let mut broken = archive.clone();
        // The entry's checksum in the directory, 46 bytes and a name of 5 before the end record.
        let at = archive.len() - 7 - 22 - 51 + 16;
        broken[at] ^= 1;
        let server = Server::script([Reply::new(200, broken)]).await;
        assert_fails(
            fetch(&server).await,
            FetchKind::Malformed,
            "does not match its checksum",
        );
    }
}

#[tokio::test]
async fn zip_archives_of_other_shapes_are_refused() {
    let small = csv(3);
    let large = csv(20_000);
    let mut encrypted = zip(&[&small], false, false).await;
    encrypted[6] |= 1;
    let mut method = zip(&[&small], false, false).await;
    method[8] = 14;
    for (archive, words) in [
        (
            zip(&[&small, &small], false, false).await,
            "2 files where one is due",
        ),
        (
            zip(&[&small, &large], true, false).await,
            "2 files where one is due",
        ),
        (zip(&[], false, false).await, "nothing in it"),
        (zip(&[&small], true, true).await, "stored without its size"),
        (encrypted, "encrypted"),
        (method, "other than deflate"),
        (
            zip(&[&vec![b'0'; 30_000_000]], false, false).await,
            "`max_ratio`",
        ),
    ] {
        let server = Server::script([Reply::new(200, archive)]).await;
        assert_fails(fetch(&server).await, FetchKind::Malformed, words);
    }
}
