//! The table of faults.

use std::{io::Write as _, time::Duration};

use super::{Ends, ROWS, Story, Unbroken, all, balances, bill_lines, bills, tell};
use crate::support::{
    program::Workspace,
    server::{Fault, Framing, Object, Reply, Request, Server},
};

/// A later run may load it.
fn waiting(says: &'static str) -> Ends {
    Ends::Nothing {
        state: "waiting",
        exit: 3,
        says,
    }
}

/// Only a new announcement helps.
fn expired(says: &'static str) -> Ends {
    Ends::Nothing {
        state: "expired",
        exit: 3,
        says,
    }
}

/// A person must look at what was delivered.
fn failed(says: &'static str) -> Ends {
    Ends::Nothing {
        state: "failed",
        exit: 1,
        says,
    }
}

/// A rule forbids it.
fn refused(says: &'static str) -> Ends {
    Ends::Nothing {
        state: "failed",
        exit: 2,
        says,
    }
}

const LOADED: Ends = Ends::Loaded(0);

fn body() -> Vec<u8> {
    balances(ROWS, 0)
}

fn whole() -> Reply {
    Object::new(body()).whole()
}

/// The first answers are `faulty`, the others an honest store's.
fn mended(name: impl Into<String>, faulty: impl Into<Vec<Reply>>) -> Story {
    let faulty: Vec<Reply> = faulty.into();
    let requests = faulty.len() + 1;
    Story::new(name, LOADED, move || {
        let (faulty, object) = (faulty.clone(), Object::new(body()));
        Box::new(move |request: &Request| match faulty.get(request.number) {
            Some(reply) => reply.clone(),
            None => object.reply(request),
        })
    })
    .requests(requests)
}

/// A part that is none: what a server sends in answer to a Range.
fn part(from: usize, content_range: &str, etag: &str) -> Reply {
    Reply::new(206, &body()[from..])
        .header("ETag", etag)
        .header("Content-Range", content_range)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Stored blocks (RFC 1951, 3.2.4): no encoder needed, and a cut may be anywhere.
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let mut blocks = bytes.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32;
    out.extend(crc.to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

/// A small file that becomes a very large one.
fn bomb() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    let header = body();
    encoder.write_all(&header).expect("to write");
    let block = vec![b'0'; 1 << 20];
    for _ in 0..300 {
        encoder.write_all(&block).expect("to write");
    }
    encoder.finish().expect("to finish")
}

fn md5(bytes: &[u8]) -> String {
    use base64::Engine as _;
    use md5::Digest as _;
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(bytes))
}

fn store_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::new(
        status,
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    )
    .header("Content-Type", "application/xml")
}

/// An HTTP date so many seconds after RFC 9110's example, which `Date` is set to.
fn with_date(reply: Reply, later: u64) -> Reply {
    let start = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
    reply
        .header("Date", &httpdate::fmt_http_date(start))
        .header(
            "Retry-After",
            &httpdate::fmt_http_date(start + Duration::from_secs(later)),
        )
}

fn find(text: &str) -> usize {
    let body = body();
    body.windows(text.len())
        .position(|at| at == text.as_bytes())
        .expect("there")
}

/// Breaks that a download mends without the batch noticing.
fn mended_breaks() -> Vec<Story> {
    let body = body();
    let middle = body.len() / 2;
    let mut stories = vec![mended("unbroken file", [])];
    for (place, at) in [
        ("before the first byte", 0),
        ("after the first byte", 1),
        ("inside a character", find("名") + 1),
        ("inside a quoted field", find("second line")),
        ("between CR and LF", find("\r\n") + 1),
        ("in the middle", middle),
        ("before the last byte", body.len() - 1),
    ] {
        stories.push(mended(
            format!("cut {place}"),
            [whole().fault(Fault::Close(at))],
        ));
        stories.push(mended(
            format!("reset {place}"),
            [whole().fault(Fault::Reset(at))],
        ));
    }
    let total = body.len();
    let range = |from: usize, total: usize| format!("bytes {from}-{}/{total}", body.len() - 1);
    stories.extend([
        mended("stall", [whole().fault(Fault::Stall(middle))]).with("IDLE_TIMEOUT", "200ms"),
        mended(
            "drip",
            [whole().fault(Fault::Drip(middle, Duration::from_millis(20)))],
        )
        .with("IDLE_TIMEOUT", "200ms"),
        mended(
            "chunked body cut",
            [whole()
                .framing(Framing::Chunked(777))
                .fault(Fault::Close(middle))],
        ),
        mended(
            "chunked body cut twice without anything to recognise the object by",
            [5000, 3000].map(|at| {
                Object::anonymous(body.clone())
                    .whole()
                    .framing(Framing::Chunked(777))
                    .fault(Fault::Close(at))
            }),
        )
        // The honest store has an ETag, the others had none: that is another object.
        .requests(4),
        Story::script(
            "object without ETag is read again and compared",
            LOADED,
            [
                Object::anonymous(body.clone())
                    .whole()
                    .fault(Fault::Close(middle)),
                Object::anonymous(body.clone()).whole(),
            ],
        )
        .requests(2),
        mended(
            "206 at a wrong offset",
            [
                whole().fault(Fault::Close(5000)),
                part(5001, &range(5001, total), "\"v1\""),
            ],
        ),
        mended(
            "206 without a range",
            [
                whole().fault(Fault::Close(5000)),
                Reply::new(206, &body[5000..]).header("ETag", "\"v1\""),
            ],
        ),
        mended(
            "200 to a Range",
            [
                whole().fault(Fault::Close(5000)),
                whole().fault(Fault::Close(9000)),
            ],
        ),
        mended(
            "416 to a Range",
            [whole().fault(Fault::Close(5000)), Reply::new(416, "")],
        ),
        mended(
            "storm of 5xx",
            [500, 502, 503, 504, 599].map(|status| Reply::new(status, "busy")),
        ),
        mended(
            "408 and 425",
            [408, 425].map(|status| Reply::new(status, "")),
        ),
        mended(
            "429 with Retry-After in seconds",
            [Reply::new(429, "").header("Retry-After", "1")],
        ),
        mended(
            "503 with Retry-After as a date",
            [with_date(Reply::new(503, ""), 1)],
        ),
        mended(
            "store asks to slow down",
            [store_error(503, "SlowDown", "Reduce your rate")],
        ),
        mended(
            "break, then a storm, then another break",
            [
                whole().fault(Fault::Reset(5000)),
                Reply::new(503, ""),
                Reply::new(500, ""),
            ],
        ),
        mended(
            "redirect on the same server",
            [Reply::redirect("/elsewhere.csv?signature=SECRET")],
        ),
        Story::script(
            "gzip content encoding",
            LOADED,
            [Reply::new(200, gzip(&body)).header("Content-Encoding", "gzip")],
        ),
        {
            let object = Object::new(gzip(&body));
            Story::new("gzip object cut on the way", LOADED, move || {
                let object = object.clone();
                Box::new(move |request| match request.number {
                    0 => object.whole().fault(Fault::Close(7000)),
                    _ => object.reply(request),
                })
            })
            .requests(2)
        },
    ]);
    stories
}

/// An object that becomes another one.
fn changes() -> Vec<Story> {
    let object = |number: usize| {
        Object::anonymous(balances(ROWS, number)).with("ETag", &format!("\"v{number}\""))
    };
    let (old, new) = (object(0), object(1));
    let other_part = Reply::new(206, &new.body[5000..])
        .header("ETag", "\"v1\"")
        .header(
            "Content-Range",
            &format!("bytes 5000-{}/{}", new.body.len() - 1, new.body.len()),
        );
    let anonymous = |number| Object::anonymous(balances(ROWS, number));
    vec![
        Story::script(
            "object replaced while it is read is read from its beginning",
            Ends::Loaded(1),
            [old.whole().fault(Fault::Close(5000)), new.whole()],
        )
        .requests(3),
        Story::script(
            "part of another version is not joined",
            Ends::Loaded(1),
            [
                old.whole().fault(Fault::Close(5000)),
                other_part,
                new.whole(),
            ],
        )
        .requests(3),
        Story::script(
            "object without ETag replaced while it is read",
            Ends::Loaded(1),
            [
                anonymous(0).whole().fault(Fault::Close(5000)),
                anonymous(1).whole(),
            ],
        )
        .requests(3),
        Story::new(
            "object that is another one each time",
            waiting("the object changed while it was read"),
            move || {
                let objects = [object(0), object(1), object(2), object(3)];
                Box::new(move |request| {
                    objects[request.number % 4]
                        .whole()
                        .fault(Fault::Close(5000))
                })
            },
        )
        // Twice a beginning and another version.
        .requests(4),
    ]
}

/// Bodies whose end nothing shows, and ends that are wrong.
fn cuts() -> Vec<Story> {
    let body = body();
    let row = find("00000000-0000-4000-8000-000000000200");
    let last = find("00000000-0000-4000-8000-000000000299");
    let in_last_cell = body.len() - 4;
    let in_last_quotes = last
        + body[last..]
            .windows(2)
            .position(|at| at == b"\r\n")
            .expect("there")
        + 2;
    let open = |at: usize| Reply::new(200, &body[..at]).framing(Framing::Close);
    let sum = md5(&body);
    vec![
        Story::script(
            "body without length, whole, with announced total",
            LOADED,
            [open(body.len())],
        ),
        Story::script(
            "body without length, whole, without total",
            failed("nothing shows that the file is whole"),
            [open(body.len())],
        )
        .without_total(),
        Story::script(
            "body without length, HTTP/1.0, whole",
            LOADED,
            [open(body.len()).old()],
        ),
        Story::script(
            "body without length, whole by its checksum",
            LOADED,
            [open(body.len()).header("Content-MD5", &sum)],
        )
        .without_total(),
        Story::script(
            "body without length, cut between rows",
            failed("200 rows delivered where 300 were announced"),
            [open(row)],
        ),
        Story::script(
            "body without length, cut inside a row",
            failed("no line break"),
            [open(row + 40)],
        ),
        Story::script(
            "body without length, cut inside the last cell",
            failed("no line break"),
            [open(in_last_cell)],
        ),
        Story::script(
            "body without length, cut inside the last row's quotes after a line break",
            failed("may be cut"),
            [open(in_last_quotes)],
        ),
        Story::script(
            "body without length, cut before the last line break",
            failed("no line break"),
            [open(body.len() - 2)],
        ),
        Story::script(
            "body without length, cut between rows without total",
            failed("nothing shows that the file is whole"),
            [open(row)],
        )
        .without_total(),
        Story::script(
            "body without length that its checksum shows to be cut",
            failed("does not match its checksum"),
            [open(row).header("Content-MD5", &sum)],
        ),
        Story::script(
            "cut with length, every time",
            waiting("(after 8 attempts)"),
            [Object::anonymous(body.clone())
                .whole()
                .fault(Fault::Close(row))],
        )
        .requests(8),
        Story::script(
            "chunked body cut every time",
            waiting("(after 8 attempts)"),
            [Object::anonymous(body.clone())
                .whole()
                .framing(Framing::Chunked(999))
                .fault(Fault::Close(row))],
        )
        .requests(8),
        Story::script(
            "length too large",
            waiting("(after 8 attempts)"),
            [Reply::new(200, body.clone()).framing(Framing::Claims(body.len() + 100))],
        )
        .requests(8),
        Story::script(
            "length too small, between rows",
            failed("200 rows delivered where 300 were announced"),
            [Reply::new(200, body.clone()).framing(Framing::Claims(row))],
        ),
        Story::script(
            "length too small, inside a row",
            failed("201 rows delivered where 300 were announced"),
            [Reply::new(200, body.clone()).framing(Framing::Claims(row + 40))],
        ),
        Story::script(
            "wrong checksum",
            failed("does not match its checksum"),
            [Reply::new(200, body.clone()).header("Content-MD5", &md5(b"other"))],
        ),
        Story::script(
            "two rows too few",
            failed("300 rows delivered where 302 were announced"),
            [whole()],
        )
        .announced(ROWS + 2),
        Story::script(
            "empty body",
            failed("the file is empty"),
            [Reply::new(200, "")],
        ),
        Story::script(
            "large file cut again and again",
            waiting("(after 8 attempts)"),
            [Object::anonymous(balances(20_000, 0))
                .whole()
                .fault(Fault::Close(1_500_000))],
        )
        .announced(20_000),
    ]
}

/// Servers that are down, busy, slow or silent.
fn troubles() -> Vec<Story> {
    vec![
        Story::script("nobody listens", waiting("no connection"), [whole()])
            .announcing("http://127.0.0.1:1/a.csv?signature=SECRET")
            .requests(0),
        Story::script(
            "5xx without end",
            waiting("503 Service Unavailable (after 3 attempts)"),
            [Reply::new(503, "")],
        )
        .with("ATTEMPTS", "3")
        .requests(3),
        Story::script(
            "429 that asks for an hour",
            waiting("more than `max_retry_after`"),
            [Reply::new(429, "").header("Retry-After", "3600")],
        )
        .requests(1),
        Story::script(
            "503 that asks for an hour by date",
            waiting("more than `max_retry_after`"),
            [with_date(Reply::new(503, ""), 3600)],
        )
        .requests(1),
        Story::script(
            "stall every time",
            waiting("no byte for 100ms (after 3 attempts)"),
            [whole().fault(Fault::Stall(5000))],
        )
        .with("ATTEMPTS", "3")
        .with("IDLE_TIMEOUT", "100ms"),
        Story::script(
            "stall until the deadline",
            waiting("the deadline of 300ms"),
            [whole().fault(Fault::Stall(5000))],
        )
        .with("DEADLINE", "300ms"),
        Story::script(
            "drip every time",
            waiting("slower than 1KB/s"),
            [whole().fault(Fault::Drip(100, Duration::from_millis(20)))],
        )
        .with("ATTEMPTS", "2")
        .with("IDLE_TIMEOUT", "150ms"),
        Story::script(
            "endless head",
            waiting("(after 2 attempts)"),
            [Reply::endless_head()],
        )
        .with("ATTEMPTS", "2"),
    ]
}

/// Answers that are no CSV, or more than anybody wants.
fn contents() -> Vec<Story> {
    let wide = (0..5000)
        .map(|column| format!("c{column}"))
        .collect::<Vec<_>>()
        .join(",");
    let mut long = body();
    long.extend_from_slice(b"\"");
    let squeezed = gzip(&body());
    vec![
        Story::script(
            "HTML page",
            failed("an HTML page where a CSV file was due"),
            [Reply::new(200, "<!DOCTYPE html><html>log in</html>")
                .header("Content-Type", "text/html")],
        ),
        Story::script(
            "JSON error",
            failed("a JSON document where a CSV file was due"),
            [Reply::new(200, "{\"error\": \"x\"}").header("Content-Type", "application/json")],
        ),
        Story::script(
            "error document with status 200",
            expired("AccessDenied"),
            [store_error(200, "AccessDenied", "Request has expired")],
        ),
        Story::script(
            "gzip cut at the store",
            failed("the compressed data ends early"),
            [Reply::new(200, &squeezed[..squeezed.len() / 2])],
        ),
        Story::script(
            "gzip with a wrong checksum",
            failed("the compressed data is broken"),
            [{
                let mut broken = squeezed.clone();
                let at = broken.len() - 6;
                broken[at] ^= 1;
                Reply::new(200, broken)
            }],
        ),
        Story::script(
            "compressed bomb",
            failed("`max_ratio`"),
            [Reply::new(200, bomb())],
        ),
        Story::script(
            "compressed bomb by size",
            failed("`max_bytes`"),
            [Reply::new(200, bomb())],
        )
        .with("MAX_RATIO", "100000000")
        .with("MAX_RECORD", "1GB")
        .with("MAX_BYTES", "50MB"),
        Story::script(
            "endless line",
            failed("a record of more than 1000000 bytes"),
            [Reply::new(200, long)
                .framing(Framing::Chunked(65_536))
                .endless(vec![b'x'; 1 << 18])],
        )
        .with("MAX_RECORD", "1MB"),
        Story::script(
            "endless header row",
            failed("a record of more than 1000000 bytes"),
            [Reply::new(200, "")
                .framing(Framing::Chunked(65_536))
                .endless(vec![b'x'; 1 << 18])],
        )
        .with("MAX_RECORD", "1MB"),
        Story::script(
            "endless rows",
            failed("larger than 5MB (`max_bytes`)"),
            [Reply::new(200, body())
                .framing(Framing::Chunked(65_536))
                .endless(balances(5_000, 0))],
        )
        .with("MAX_BYTES", "5MB"),
        Story::script(
            "length beyond what is allowed",
            failed("larger than 1KB (`max_bytes`)"),
            [whole()],
        )
        .with("MAX_BYTES", "1KB"),
        Story::script(
            "too many columns",
            failed("5000 columns"),
            [Reply::new(200, format!("{wide}\r\n"))],
        ),
    ]
}

/// Answers that are a no.
fn refusals() -> Vec<Story> {
    let here = |status: u16| Reply::new(status, "no");
    vec![
        Story::script("401", expired("401 Unauthorized"), [here(401)]).requests(1),
        Story::script(
            "403 of a store whose signature has expired",
            expired("403 Forbidden (AccessDenied)"),
            [store_error(403, "AccessDenied", "Request has expired")],
        )
        .requests(1),
        Story::script(
            "404 of a store",
            expired("404 Not Found (NoSuchKey)"),
            [store_error(404, "NoSuchKey", "x")],
        )
        .requests(1),
        Story::script("410", expired("410 Gone"), [here(410)]).requests(1),
        Story::script("400", failed("400 Bad Request"), [here(400)]).requests(1),
        Story::script(
            "signature that expires while the file is read",
            expired("403 Forbidden"),
            [
                whole().fault(Fault::Close(5000)),
                store_error(403, "AccessDenied", "Request has expired"),
            ],
        )
        .requests(2),
        Story::script(
            "redirects in a circle",
            refused("more than 5 redirects"),
            [Reply::redirect("/b.csv?signature=SECRET")],
        )
        .requests(6),
        Story::script(
            "redirect to a private address",
            refused("private"),
            [Reply::redirect("http://10.0.0.1/a.csv?signature=SECRET")],
        )
        .requests(1),
        Story::script(
            "redirect to another loopback",
            refused("loopback"),
            [Reply::redirect("http://[::1]:1/a.csv?signature=SECRET")],
        )
        .requests(1),
        Story::script(
            "redirect to the cloud's metadata",
            refused("link-local"),
            [Reply::redirect(
                "http://169.254.169.254/latest/meta-data/?signature=SECRET",
            )],
        )
        .requests(1),
        Story::script(
            "redirect to a file of this machine",
            refused("file"),
            [Reply::redirect("file:///etc/passwd")],
        )
        .requests(1),
        Story::script("private address announced", refused("private"), [whole()])
            .announcing("http://192.168.0.1/a.csv?signature=SECRET")
            .requests(0),
        Story::script(
            "plain http where it is not allowed",
            refused("http"),
            [whole()],
        )
        .with("ALLOW_HTTP", "false")
        .requests(0),
    ]
}

impl Story {
    fn announced(mut self, rows: usize) -> Self {
        self.total = Some(rows);
        self
    }
}

#[test]
fn every_fault_ends_in_the_right_rows_or_none() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let unbroken = Unbroken::load(&runtime, 4);
    let wanted = std::env::var("FAULT").unwrap_or_default();
    let mut stories: Vec<Story> = [
        mended_breaks(),
        changes(),
        cuts(),
        troubles(),
        contents(),
        refusals(),
    ]
    .into_iter()
    .flatten()
    .filter(|story| story.name.contains(&wanted))
    .collect();
    // Those that wait come first, so that the others fill the time.
    stories.sort_by_key(|story| !story.settings.iter().any(|(key, _)| *key == "IDLE_TIMEOUT"));
    println!("{} faults", stories.len());
    all(
        &stories,
        |story| story.name.clone(),
        |story| tell(story, &unbroken, &runtime),
    );
}

/// A bill's own file as it should be, or not.
struct BillStory {
    name: &'static str,
    /// Of each bill.
    lines: usize,
    /// What is wrong with the file of bill 7.
    answer: fn(&Request, &Object) -> Reply,
    /// Exit status and the ledger's state and words.
    ends: (i32, &'static str, &'static str),
}

#[test]
fn faulty_file_of_one_bill_keeps_the_whole_batch_out() {
    const BILLS: usize = 20;
    /// More than the channel to the loader holds, for each of the files that are read at once.
    const MANY: usize = 50_000;
    let stories = [
        BillStory {
            name: "all files whole",
            lines: 5,
            answer: |request, object| object.reply(request),
            ends: (0, "loaded", ""),
        },
        BillStory {
            name: "broken once",
            lines: 5,
            answer: |request, object| match request.from() {
                None => object.whole().fault(Fault::Reset(20)),
                Some(_) => object.reply(request),
            },
            ends: (0, "loaded", ""),
        },
        BillStory {
            name: "gone",
            lines: 5,
            answer: |_, _| Reply::new(404, ""),
            ends: (3, "expired", "404 Not Found"),
        },
        BillStory {
            name: "cut without length while all others are full of rows",
            lines: MANY,
            answer: |_, object| {
                let half = &object.body[..object.body.len() / 2];
                let end = half
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |end| end + 1);
                Reply::new(200, &half[..end]).framing(Framing::Close)
            },
            ends: (1, "failed", "lines where 50000 were stated"),
        },
        BillStory {
            name: "busy for ever",
            lines: 5,
            answer: |_, _| Reply::new(503, ""),
            ends: (3, "waiting", "after 8 attempts"),
        },
        BillStory {
            name: "cut without length between lines",
            lines: 5,
            answer: |_, object| {
                Reply::new(200, &object.body[..object.body.len() - 12]).framing(Framing::Close)
            },
            ends: (1, "failed", "4 lines where 5 were stated"),
        },
        BillStory {
            name: "cut without length inside the last cell",
            lines: 5,
            answer: |_, object| {
                Reply::new(200, &object.body[..object.body.len() - 2]).framing(Framing::Close)
            },
            ends: (1, "failed", "no line break"),
        },
        BillStory {
            name: "page of HTML",
            lines: 5,
            answer: |_, _| Reply::new(200, "<html>"),
            ends: (1, "failed", "an HTML page"),
        },
        BillStory {
            name: "redirect inside",
            lines: 5,
            answer: |_, _| Reply::redirect("http://10.0.0.1/b.csv?signature=SECRET"),
            ends: (2, "failed", "private"),
        },
    ];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    all(
        &stories,
        |story| story.name.to_owned(),
        |story| {
            let mut complaints = Vec::new();
            let lines = bill_lines(story.lines);
            let count = story.lines;
            let answer = story.answer;
            let server = runtime.block_on(Server::start(move |request| {
                let object = Object::new(lines.clone());
                if request.path.starts_with("/bills") {
                    let host = request.header("host").unwrap_or_default().to_owned();
                    Reply::new(
                        200,
                        bills(BILLS, count, |bill| {
                            format!("http://{host}/{bill}.csv?signature=SECRET")
                        }),
                    )
                } else if request.path.starts_with("/7.csv") {
                    answer(request, &object)
                } else {
                    object.reply(request)
                }
            }));
            let workspace = Workspace::new();
            let hook = workspace.announce(&server.url("/bills?signature=SECRET"), Some(BILLS));
            let ran = workspace.run(&["ingest", &hook, "--format", "json"]);
            let (exit, state, says) = story.ends;
            if ran.exit != Some(exit) {
                complaints.push(format!(
                    "exit {:?} instead of {exit}: {} {}",
                    ran.exit, ran.stdout, ran.stderr
                ));
            }
            let ledger = workspace.ledger();
            let right =
                |row: &(i32, String, String)| row.0 == 1 && row.1 == state && row.2.contains(says);
            if ledger.len() != 1 || !ledger.iter().all(right) {
                complaints.push(format!("ledger {ledger:?} instead of {:?}", story.ends));
            }
            let expected = if exit == 0 {
                (BILLS, BILLS * story.lines)
            } else {
                (0, 0)
            };
            let found = (
                workspace.rows("account_negative_bill").len(),
                workspace.rows("account_negative_bill_line").len(),
            );
            if found != expected {
                complaints.push(format!("{found:?} rows instead of {expected:?}"));
            }
            if !workspace.leftovers().is_empty() {
                complaints.push(format!("left behind: {:?}", workspace.leftovers()));
            }
            complaints
        },
    );
}
