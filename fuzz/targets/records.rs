//! Bytes → records, whatever the bytes and however they are cut: every line behind the header is a record's, a
//! rejection's or blank; a record is what a strict reader finds on its line, and where nothing is rejected, what the
//! `csv` crate reads.
#![cfg_attr(fuzzing, no_main)]

#[path = "../strict.rs"]
pub(crate) mod strict;

use std::collections::BTreeMap;

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, GB18030, UTF_8, UTF_16LE};
use futures_util::FutureExt as _;
use redledger::{
    error::{Error, FetchError},
    reader::{Chunk, ReaderOptions, RecordReader},
};
use strict::{BOM, Lines, Strict};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(bytes);
});

/// What the reader made of a file, by physical line.
#[derive(Default)]
struct Found {
    encoding: &'static str,
    records: BTreeMap<u64, Vec<Vec<u8>>>,
    faulty: BTreeMap<u64, usize>,
    /// Offset in the decoded text and bytes as delivered.
    raw: Vec<(u64, Vec<u8>)>,
}

/// `input` is a character for delimiter, encoding and limit (`0`: comma, UTF-8, none; `4`: encoding to be found
/// out), one for how long the pieces are, and the file. Says whether the file was read.
pub(crate) fn check(input: &[u8]) -> bool {
    let [settings, step, bytes @ ..] = input else {
        return false;
    };
    let delimiter = b",;\t|"[usize::from(settings % 4)];
    let is_limited = settings / 16 % 2 == 0;
    let options = ReaderOptions {
        origin: "x.csv".into(),
        delimiter: Some(delimiter),
        encoding: [Some(UTF_8), None, Some(GB18030), Some(UTF_16LE)][usize::from(settings / 4 % 4)],
        charset: None,
        skip_lines: 0,
        max_record: if is_limited { 64 } else { 1 << 20 },
        may_be_empty: false,
    };
    // After each piece one of nothing, which is no end.
    let pieces = bytes
        .chunks(usize::from(*step) + 1)
        .flat_map(|piece| [piece, &[]])
        .map(|piece| Ok(Bytes::copy_from_slice(piece)));
    let declared = options.encoding;
    match read(pieces, options) {
        Ok(found) => {
            let encoding = Encoding::for_label(found.encoding.as_bytes()).expect("an encoding");
            let mut text = decoded(encoding, bytes);
            if declared.is_none() && encoding == GB18030 {
                mark_utf8(bytes, &mut text);
            }
            check_places(&found, &text);
            check_lines(&found, &text, delimiter);
            if found.faulty.is_empty() {
                compare_with_csv(&found, &text, delimiter);
            }
            true
        }
        Err(Error::File { .. }) => {
            // What is sound is not refused.
            let encoding = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
            if !is_limited && let Some(encoding) = encoding.or(declared) {
                let text = decoded(encoding, bytes);
                assert!(
                    !has_sound_header(&text, delimiter),
                    "a good file is refused"
                );
            }
            false
        }
        Err(error) => panic!("{}", error.chain()),
    }
}

fn read(
    pieces: impl Iterator<Item = Result<Bytes, FetchError>> + Send,
    options: ReaderOptions,
) -> Result<Found, Error> {
    let reading = async {
        let mut reader = RecordReader::open(futures_util::stream::iter(pieces), options).await?;
        let columns = reader.header().cells.len();
        let mut found = Found::default();
        let mut chunk = Chunk::default();
        let mut count = 0;
        while reader.read_chunk(&mut chunk).await? {
            count += chunk.len();
            for record in &chunk.records {
                let cells: Vec<_> = (0..columns)
                    .map(|index| chunk.cell(record, index).to_vec())
                    .collect();
                if chunk.is_clean_utf8() {
                    // What the scan relies on to make text of them unchecked.
                    for cell in &cells {
                        assert!(std::str::from_utf8(cell).is_ok_and(|text| !text.contains('\0')));
                    }
                }
                assert!(
                    found.records.insert(record.line, cells).is_none(),
                    "two records on line {}",
                    record.line
                );
                let raw = chunk.raw(record).to_vec();
                found.raw.push((record.byte_offset, raw));
            }
            for faulty in &chunk.faulty {
                *found.faulty.entry(faulty.meta.line).or_default() += 1;
                let raw = chunk.raw(&faulty.meta).to_vec();
                found.raw.push((faulty.meta.byte_offset, raw));
            }
        }
        assert_eq!(reader.records(), count as u64);
        found.encoding = reader.encoding();
        Ok(found)
    };
    reading.now_or_never().expect("bytes that are all there")
}

/// The whole file decoded at once, without byte order marks, with the byte that stands for what can't be.
fn decoded(encoding: &'static Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut text = with_marks(encoding, bytes);
    while text.starts_with(BOM) {
        text.drain(..BOM.len());
    }
    text
}

fn with_marks(encoding: &'static Encoding, bytes: &[u8]) -> Vec<u8> {
    let mark = Encoding::for_bom(bytes).map_or(0, |(_, length)| length);
    let mut rest = &bytes[mark..];
    if encoding == UTF_8 {
        return rest.to_vec();
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = Vec::new();
    loop {
        let used = text.len();
        text.resize(used + rest.len() * 4 + 16, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(rest, &mut text[used..], true);
        text.truncate(used + written);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => text.push(0xFF),
        }
    }
}

/// Runs of UTF-8 in a file found to be GB18030 are no text.
fn mark_utf8(bytes: &[u8], text: &mut [u8]) {
    let left_out = with_marks(GB18030, bytes).len() - text.len();
    let mut from = 0;
    for run in bytes.chunk_by(|one, two| one.is_ascii() == two.is_ascii()) {
        let to = from + run.len();
        let letter = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_alphabetic)
        };
        let is_in_word = letter(from.checked_sub(1)) && letter(Some(to));
        if let Ok(run) = std::str::from_utf8(run)
            && !run.is_ascii()
            && (run.chars().filter(|c| c.len_utf8() > 2).count() > 1
                || is_in_word && run.chars().count() == 1)
        {
            let before = GB18030.decode_without_bom_handling(&bytes[..from]).0;
            text[before.len() - left_out] = 0xFF;
        }
        from = to;
    }
}

/// Every record's bytes stand where it says.
fn check_places(found: &Found, text: &[u8]) {
    for (offset, raw) in &found.raw {
        let at = usize::try_from(*offset).expect("an offset");
        let there = text.get(at..at + raw.len());
        assert_eq!(there, Some(raw.as_slice()), "at {offset}");
    }
}

fn has_sound_header(text: &[u8], delimiter: u8) -> bool {
    let lines = Lines::of(text, delimiter);
    let Some(first) = (0..lines.len()).find(|line| !lines.is_blank(*line)) else {
        return false;
    };
    let header = lines.record(first);
    let rows_from = first + header.as_ref().map_or(1, |header| header.lines);
    // A file of nothing but delimiters is refused, and one that is put together so that nobody can tell its rows.
    let is_row = |line: usize| lines.record(line).is_none_or(|record| !record.is_empty());
    let marks = text.windows(BOM.len()).any(|bytes| bytes == BOM);
    let has_rows = rows_from == lines.len() || (rows_from..lines.len()).any(is_row);
    header.is_some_and(|header| {
        let start = header
            .cells
            .iter()
            .flatten()
            .find(|byte| !byte.is_ascii_whitespace());
        let is_other_format = start.is_some_and(|byte| b"<{[".contains(byte));
        let is_text = |cell: &Vec<u8>| std::str::from_utf8(cell).is_ok();
        !is_other_format
            && !marks
            && has_rows
            && !header.is_empty()
            && header.cells.len() <= 4096
            && header.cells.iter().all(is_text)
    })
}

fn check_lines(found: &Found, text: &[u8], delimiter: u8) {
    let lines = Lines::of(text, delimiter);
    let first = (0..lines.len())
        .find(|line| !lines.is_blank(*line))
        .expect("a header");
    let header = lines.record(first).expect("a header that is well-formed");
    let mut line = first + header.lines;
    let (mut records, mut faulty) = (0, 0);
    while line < lines.len() {
        let number = line as u64 + 1;
        match (found.records.get(&number), found.faulty.get(&number)) {
            (Some(cells), None) => {
                let strict = lines.record(line).expect("a record that is well-formed");
                assert_eq!(*cells, strict.cells, "line {number}");
                assert_eq!(cells.len(), header.cells.len(), "line {number}");
                records += 1;
                line += strict.lines;
            }
            (None, Some(1)) => {
                faulty += 1;
                line += 1;
            }
            (None, None) => {
                let empty = lines.record(line).filter(Strict::is_empty);
                let is_no_row = lines.is_blank(line) || empty.is_some();
                assert!(is_no_row, "line {number} is lost");
                line += empty.map_or(1, |record| record.lines);
            }
            (_, count) => panic!("line {number} counts {count:?} times"),
        }
    }
    assert_eq!(
        (records, faulty),
        (found.records.len(), found.faulty.len()),
        "records on lines that begin none"
    );
}

fn compare_with_csv(found: &Found, text: &[u8], delimiter: u8) {
    if text.windows(BOM.len()).any(|bytes| bytes == BOM) {
        return;
    }
    let reference: Vec<Vec<Vec<u8>>> = csv::ReaderBuilder::new()
        .has_headers(true)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text)
        .byte_records()
        .map(|record| {
            let record = record.expect("bytes in memory");
            record.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
        })
        .filter(|cells| cells.iter().any(|cell| !cell.is_empty()))
        .collect();
    assert!(found.records.values().eq(&reference), "{reference:?}");
}
