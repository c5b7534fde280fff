//! Documents whose rows are known, and ways to damage them.

use crate::support::random::Random;

/// Records as they are meant, the header first.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) records: Vec<Vec<String>>,
}

/// What a damage does to a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Harm {
    /// Every row must be loaded.
    None,
    /// Some files of the kind must be loaded, if only in part.
    #[default]
    Some,
    /// The columns can't be told any more: each file may be refused.
    All,
}

/// A damaged document.
pub(super) struct Damaged {
    pub(super) kind: &'static str,
    pub(super) bytes: Vec<u8>,
    /// The damage is to form alone: what is loaded can only be rows as they were meant.
    pub(super) rows_as_meant: bool,
    /// The bytes are not UTF-8 by intention.
    pub(super) other_encoding: bool,
    pub(super) harm: Harm,
}

const WORDS: [&str; 14] = [
    "plain",
    "with, comma",
    "with \"quotes\"",
    "two\nlines",
    "two\r\nlines",
    "账户名称",
    "café",
    "naïve, señor",
    "",
    "NULL",
    "=SUM(A1)",
    " blanks ",
    "0001",
    "\"",
];

impl Document {
    /// Some rows; with `latin` all text fits into Latin-1.
    pub(super) fn new(random: &mut Random, latin: bool) -> Self {
        let word = |random: &mut Random| loop {
            let word = WORDS[random.below(WORDS.len())];
            if !latin || word.chars().all(|c| u32::from(c) < 256) {
                return word.to_owned();
            }
        };
        let mut records = vec![
            ["id", "name", "amount", "at", "note"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for row in 0..3 + random.below(12) {
            let amount = random.next() as i64 % 1_000_000_000;
            let at = 1_700_000_000_000 + random.below(100_000_000);
            records.push(vec![
                format!("R{row:04}"),
                word(random),
                format!("{}.{:04}", amount / 10_000, amount.unsigned_abs() % 10_000),
                at.to_string(),
                word(random),
            ]);
        }
        Self { records }
    }

    pub(super) fn write(&self, delimiter: char, line_end: &str) -> String {
        let mut text = String::new();
        for record in &self.records {
            let cells: Vec<String> = record
                .iter()
                .map(|cell| {
                    let quoted = cell.contains(['"', '\n', '\r', delimiter, ',']);
                    match quoted {
                        true => format!("\"{}\"", cell.replace('"', "\"\"")),
                        false => cell.clone(),
                    }
                })
                .collect();
            text += &cells.join(&delimiter.to_string());
            text += line_end;
        }
        text
    }
}

/// A position of one of these bytes, if there is one.
fn some_of(random: &mut Random, bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|at| wanted.contains(&bytes[*at]))
        .collect();
    (!places.is_empty()).then(|| places[random.below(places.len())])
}

/// The position of a line's first byte.
fn some_line(random: &mut Random, bytes: &[u8]) -> usize {
    some_of(random, bytes, b"\n").map_or(0, |at| at + 1)
}

/// Ways to damage a document, and one that does not.
pub(super) const KINDS: usize = 25;
/// The one whose text must fit into Latin-1.
pub(super) const LATIN: usize = 15;

/// Damages the document in the way of this number.
pub(super) fn damage(document: &Document, kind: usize, random: &mut Random) -> Damaged {
    let text = document.write(',', "\n");
    let mut bytes = text.clone().into_bytes();
    let (mut rows_as_meant, mut other_encoding, mut harm) = (false, false, Harm::Some);
    let other = |delimiter: char| document.write(delimiter, "\n").into_bytes();
    let utf16 = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{text}")
            .encode_utf16()
            .flat_map(order)
            .collect()
    };
    let kind = match kind {
        0 => {
            if let Some(at) = some_of(random, &bytes, b",") {
                bytes.remove(at);
            }
            "a delimiter less"
        }
        1 => {
            let at = random.below(bytes.len() + 1);
            bytes.insert(at, b',');
            "a delimiter more"
        }
        2 => {
            if let Some(at) = some_of(random, &bytes, b"\"") {
                bytes.remove(at);
            }
            "a quote less"
        }
        3 => {
            let at = random.below(bytes.len() + 1);
            bytes.insert(at, b'"');
            "a quote more"
        }
        4 => {
            for _ in 0..2 + random.below(4) {
                let at = random.below(bytes.len() + 1);
                bytes.insert(at, b'"');
            }
            "several quotes more"
        }
        5 => {
            bytes = other([';', '\t', '|'][random.below(3)]);
            (rows_as_meant, harm) = (true, Harm::All);
            "another delimiter"
        }
        6 => {
            bytes = document
                .write(',', ["\r\n", "\r"][random.below(2)])
                .into_bytes();
            (rows_as_meant, harm) = (true, Harm::None);
            "another line end"
        }
        7 => {
            if let Some(at) = some_of(random, &bytes, b"\n") {
                bytes[at] = b'\r';
            }
            harm = Harm::None;
            "a line end changed"
        }
        8 => {
            bytes.splice(0..0, *b"Report of all accounts\n\nmade by hand\n");
            (rows_as_meant, harm) = (true, Harm::All);
            "lines before the header"
        }
        9 => {
            bytes.extend_from_slice(
                [&b"TOTAL,,12.5000,,\n"[..], b"12 rows\n", b"\n\n-- end --"][random.below(3)],
            );
            "lines after the rows"
        }
        10 => {
            let at = some_line(random, &bytes);
            bytes.splice(at..at, *b"id,name,amount,at,note\n");
            "the header again"
        }
        11 => {
            let end = text.find('\n').map_or(0, |at| at + 1);
            bytes.drain(..end);
            (rows_as_meant, harm) = (true, Harm::All);
            "no header"
        }
        12 => {
            bytes.truncate(random.below(bytes.len()));
            "cut"
        }
        13 => {
            let order = [u16::to_le_bytes, u16::to_be_bytes][random.below(2)];
            bytes = utf16(order, ["\u{feff}", ""][random.below(2)]);
            (rows_as_meant, other_encoding) = (true, true);
            "UTF-16"
        }
        14 => {
            bytes = encoding_rs::GB18030.encode(&text).0.into_owned();
            (rows_as_meant, other_encoding) = (true, true);
            "GB18030"
        }
        LATIN => {
            bytes = encoding_rs::WINDOWS_1252.encode(&text).0.into_owned();
            (rows_as_meant, other_encoding) = (true, true);
            "Latin-1"
        }
        16 => {
            bytes.splice(0..0, *b"\xEF\xBB\xBF");
            (rows_as_meant, harm) = (true, Harm::None);
            "a byte order mark"
        }
        17 => {
            let at = random.below(bytes.len() + 1);
            bytes.insert(at, 0);
            "a NUL more"
        }
        18 => {
            let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            let (one, two) = (random.below(lines.len()), random.below(lines.len()));
            lines.swap(one, two);
            bytes = lines.concat();
            "lines swapped"
        }
        19 => {
            let from = random.below(bytes.len());
            let to = bytes.len().min(from + 1 + random.below(40));
            bytes.drain(from..to);
            "bytes less"
        }
        20 => {
            let from = random.below(bytes.len());
            let to = bytes.len().min(from + 1 + random.below(80));
            let copy = bytes[from..to].to_vec();
            bytes.splice(to..to, copy);
            "bytes doubled"
        }
        21 => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            "a bit flipped"
        }
        22 => {
            let at = random.below(bytes.len() + 1);
            bytes.splice(
                at..at,
                b"\xED\xA0\x80\xFF"
                    .iter()
                    .copied()
                    .take(1 + random.below(4)),
            );
            "bytes that no text has"
        }
        23 => {
            let at = random.below(bytes.len() + 1);
            bytes.insert(at, b"\r\n;= '-0"[random.below(8)]);
            "a byte more"
        }
        _ => {
            (rows_as_meant, harm) = (true, Harm::None);
            "no damage"
        }
    };
    Damaged {
        kind,
        bytes,
        rows_as_meant,
        other_encoding,
        harm,
    }
}
