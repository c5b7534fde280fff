//! The first record of a file: the names of its columns.

use bytes::Bytes;
use futures_util::Stream;

use super::{Chunk, Located, MAX_COLUMNS, RecordMeta, RecordReader, quoting, too_many_columns};
use crate::{
    error::{Error, FetchError, Result},
    rejection::raw_text,
};

/// The first record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its cells, trimmed.
    pub cells: Vec<String>,
    /// As delivered.
    pub raw: String,
}

impl Header {
    /// Its cells as another delimiter splits it, trimmed.
    #[must_use]
    pub fn split(&self, delimiter: u8) -> Vec<String> {
        split(&self.raw, delimiter)
    }

    /// The delimiter of a line such as `sep=;`, which some spreadsheets want before the header.
    fn named_delimiter(&self) -> Option<char> {
        let name = self.raw.get(..4)?;
        let rest = self.raw[4..].trim_end_matches(',');
        let mut rest = rest.chars();
        let delimiter = rest.next().unwrap_or(',');
        (name.eq_ignore_ascii_case("sep=") && rest.next().is_none()).then_some(delimiter)
    }
}

/// The cells of a row, trimmed.
fn split(row: &str, delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(row.as_bytes());
    let record = reader.records().next().and_then(Result::ok);
    record
        .unwrap_or_default()
        .iter()
        .map(|cell| cell.trim().to_owned())
        .collect()
}

/// An error of this header that says more, and what to do about that.
fn saying_more(error: Error, more: &str, instead: Option<String>) -> Error {
    match error {
        Error::File {
            origin,
            message,
            hint,
        } => Error::File {
            origin,
            message: format!("{message}; {more}"),
            hint: instead.or(hint),
        },
        Error::Announcement {
            origin,
            message,
            hint,
        } => Error::Announcement {
            origin,
            message: format!("{message}; {more}"),
            hint: instead.or(hint),
        },
        error => error,
    }
}

impl<S> RecordReader<S>
where
    S: Stream<Item = Result<Bytes, FetchError>> + Unpin + Send,
{
    /// What is wrong with the header if it is `,` that stands between its cells, which nobody has said.
    #[must_use]
    pub fn header_fault(&self) -> Option<Error> {
        let message = self.header_fault.as_deref()?;
        Some(self.file_error(message, None))
    }

    /// What is wrong with the header's names, and why that may be: the file begins with something else, or whoever
    /// named its encoding was wrong. `fits` says whether a row is a header; the rows of a chunk are looked at.
    pub async fn explained(&mut self, error: Error, fits: impl Fn(&[String]) -> bool) -> Error {
        let skipped = self.options.skip_lines;
        if let Some(delimiter) = self.header.named_delimiter() {
            let line = skipped + 1;
            let more = format!(
                "line {line} is `sep={delimiter}`, which is for spreadsheets and no header"
            );
            let mut hint = format!("set [csv] skip_lines = {line} in the dataset's contract");
            if self.options.delimiter != u8::try_from(delimiter).ok() {
                hint.push_str(&format!(", and delimiter = {:?}", delimiter.to_string()));
            }
            return saying_more(error, &more, Some(hint));
        }
        if let Some((line, delimiter)) = self.header_further_down(fits).await {
            let more = format!(
                "the header seems to be line {line}, behind {} that {} no part of the table",
                if line == 2 {
                    "a line".to_owned()
                } else {
                    format!("{} lines", line - 1)
                },
                if line == 2 { "is" } else { "are" },
            );
            let mut hint = format!(
                "set [csv] skip_lines = {} in the dataset's contract",
                line - 1
            );
            if delimiter != self.delimiter {
                hint.push_str(&format!(
                    ", and delimiter = {:?}",
                    char::from(delimiter).to_string()
                ));
            }
            return saying_more(error, &more, Some(hint));
        }
        match self.declared().filter(|_| !self.header.raw.is_ascii()) {
            Some(declared) => saying_more(error, &declared.to_string(), None),
            None => error,
        }
    }

    /// The line and the delimiter of the first row that is a header.
    async fn header_further_down(&mut self, fits: impl Fn(&[String]) -> bool) -> Option<(u64, u8)> {
        let mut chunk = Chunk::default();
        self.read_chunk(&mut chunk).await.ok()?;
        let faulty = chunk.faulty.iter().map(|record| record.meta);
        let mut rows: Vec<RecordMeta> = chunk.records.iter().copied().chain(faulty).collect();
        rows.sort_unstable_by_key(|row| row.line);
        rows.iter().find_map(|row| {
            let text = raw_text(chunk.raw(row));
            let mut delimiters = [self.delimiter, b',', b';', b'\t', b'|'].into_iter();
            let delimiter = delimiters.find(|delimiter| fits(&split(&text, *delimiter)))?;
            Some((row.line, delimiter))
        })
    }

    pub(super) async fn read_header(&mut self) -> Result<()> {
        let Some(Located { start, end, .. }) = self.next_record().await? else {
            if self.options.may_be_empty {
                return Ok(());
            }
            let (lines, missing) = (self.options.skip_lines, self.csv.get_ref().lines_missing());
            if lines > 0 {
                let there = lines - missing;
                return Err(self.file_error(
                    &format!("the file has no header behind its first {there} lines"),
                    Some("see [csv] skip_lines in the dataset's contract"),
                ));
            }
            return Err(self.file_error("the file is empty where a header row was expected", None));
        };
        let raw = self.csv.get_ref().text()[start..end].to_vec();
        match raw.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => {
                return Err(self.file_error(
                    "HTML or XML where CSV was expected",
                    Some("open the address in a browser: it may show an error or a login page"),
                ));
            }
            Some(b'{' | b'[') => {
                return Err(self.file_error(
                    "JSON where CSV was expected",
                    Some("an announcement is ingested without --dataset and --batch-no"),
                ));
            }
            _ => {}
        }
        if let Some(fault) = quoting::fault(&raw, self.delimiter) {
            self.header_fault = Some(format!("the header row: {}", fault.message));
        }
        if let (Some(_), Some(error)) = (self.options.delimiter, self.header_fault()) {
            return Err(error);
        }
        if self.record.len() > MAX_COLUMNS {
            return Err(too_many_columns(&self.options.origin, self.record.len()));
        }
        let Ok(raw) = String::from_utf8(raw) else {
            let said = self.declared().map(|declared| format!("; {declared}"));
            return Err(self.file_error(
                &format!(
                    "the header row is not text in {}{}",
                    self.encoding(),
                    said.unwrap_or_default()
                ),
                Some("set [csv] encoding in the dataset's contract"),
            ));
        };
        if self.record.as_slice().is_empty() {
            return Err(self.file_error(
                "the header row is nothing but delimiters",
                Some("ask for the file to be exported again"),
            ));
        }
        let cells = self
            .record
            .iter()
            .map(|cell| raw_text(cell).trim().to_owned());
        self.header = Header {
            cells: cells.collect(),
            raw,
        };
        // The one of a file that begins with blank lines.
        self.asides.marks = 0;
        let consumed = self
            .csv
            .get_ref()
            .offset_in_text(self.csv.position().byte());
        self.csv.get_mut().release_to(consumed, &mut Vec::new());
        Ok(())
    }
}
