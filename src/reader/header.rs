//! The first record of a file: the names of its columns.

use bytes::Bytes;
use futures_util::Stream;

use super::{Located, MAX_COLUMNS, RecordReader, quoting, too_many_columns};
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
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(self.raw.as_bytes());
        let record = reader.records().next().and_then(Result::ok);
        record
            .unwrap_or_default()
            .iter()
            .map(|cell| cell.trim().to_owned())
            .collect()
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

    /// What is wrong with the header's names, with who named its encoding: they may be other names in another.
    #[must_use]
    pub fn explained(&self, error: Error) -> Error {
        let declared = self.declared().filter(|_| !self.header.raw.is_ascii());
        match (error, declared) {
            (
                Error::File {
                    origin,
                    message,
                    hint,
                },
                Some(declared),
            ) => Error::File {
                origin,
                message: format!("{message}; {declared}"),
                hint,
            },
            (
                Error::Announcement {
                    origin,
                    message,
                    hint,
                },
                Some(declared),
            ) => Error::Announcement {
                origin,
                message: format!("{message}; {declared}"),
                hint,
            },
            (error, _) => error,
        }
    }

    pub(super) async fn read_header(&mut self) -> Result<()> {
        let Some(Located { start, end, .. }) = self.next_record().await? else {
            if self.options.may_be_empty {
                return Ok(());
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
