//! Records of a CSV by RFC 4180, and where quotes break it.

use std::io;

use super::{record::Record, text::Characters};

/// What begins a file, and a file that was put behind another one.
const MARK: char = '\u{feff}';
/// With which old programs end a file.
const END_MARK: char = '\u{1a}';

/// Splits text into records.
pub(super) struct Csv {
    characters: Characters,
    delimiter: char,
    /// The physical line of the next character.
    line: u64,
}

/// Where in a cell one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Unquoted,
    Quoted,
    /// Behind a quote within quotes: the end of the cell, or half of a quote.
    Quote,
}

impl Csv {
    /// Begins behind so many physical lines.
    pub(super) fn new(characters: Characters, delimiter: u8, skip_lines: u64) -> io::Result<Self> {
        let mut csv = Self {
            characters,
            delimiter: char::from(delimiter),
            line: 1,
        };
        while csv.line <= skip_lines {
            let Some(character) = csv.characters.next()? else {
                break;
            };
            if matches!(character, '\r' | '\n') {
                csv.end_line(character)?;
            }
        }
        Ok(csv)
    }

    pub(super) fn into_characters(self) -> Characters {
        self.characters
    }

    /// The next record that is not a blank line.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            while self.characters.peek()? == Some(MARK) {
                self.characters.next()?;
            }
            match self.characters.peek()? {
                None => return Ok(None),
                Some(character @ ('\r' | '\n')) => {
                    self.characters.next()?;
                    self.end_line(character)?;
                }
                Some(_) => return self.record().map(Some),
            }
        }
    }

    /// Takes the second half of a line break; returns the break.
    fn end_line(&mut self, first: char) -> io::Result<&'static str> {
        self.line += 1;
        if first == '\n' {
            return Ok("\n");
        }
        if self.characters.peek()? == Some('\n') {
            self.characters.next()?;
            return Ok("\r\n");
        }
        Ok("\r")
    }

    fn record(&mut self) -> io::Result<Record> {
        let mut record = Record {
            line: self.line,
            last_line: self.line,
            raw: String::new(),
            cells: Vec::new(),
            is_broken: false,
        };
        let (mut cell, mut at) = (String::new(), At::Start);
        // Of the cell: a quote within text.
        let mut has_quote = false;
        while let Some(character) = self.characters.next()? {
            if matches!(character, '\r' | '\n') {
                let within = self.line;
                let line_break = self.end_line(character)?;
                if at != At::Quoted {
                    record.last_line = within;
                    break;
                }
                record.raw.push_str(line_break);
                cell.push_str(line_break);
                record.last_line = self.line;
                continue;
            }
            record.raw.push(character);
            record.last_line = self.line;
            match (at, character) {
                (At::Start, '"') => at = At::Quoted,
                (At::Quoted, '"') => at = At::Quote,
                (At::Quote, '"') => {
                    cell.push('"');
                    at = At::Quoted;
                }
                (At::Quoted, _) => cell.push(character),
                (_, delimiter) if delimiter == self.delimiter => {
                    record.is_broken |= std::mem::take(&mut has_quote) && !is_formula(&cell);
                    record.cells.push(Some(std::mem::take(&mut cell)));
                    at = At::Start;
                }
                (before, _) => {
                    // Text behind a closing quote breaks the record; a quote within text may be a spreadsheet's.
                    record.is_broken |= before == At::Quote;
                    has_quote |= character == '"';
                    cell.push(character);
                    at = At::Unquoted;
                }
            }
        }
        record.is_broken |= has_quote && !is_formula(&cell);
        record.is_broken |= at == At::Quoted || record.raw.chars().all(|of| of == END_MARK);
        record.cells.push(Some(cell));
        Ok(record)
    }
}

/// `="0001234"`, with which spreadsheets are kept from eating zeros; tabs may be around it.
fn is_formula(cell: &str) -> bool {
    let within = cell.trim_matches('\t');
    let inner = within
        .strip_prefix("=\"")
        .and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains('"'))
}
