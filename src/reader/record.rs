//! One record after the other, and where it stands.

use bytes::Bytes;
use csv_async::ByteRecord;
use futures_util::Stream;

use super::{
    MARK, RecordReader, quoting,
    window::{self, Located},
};
use crate::error::{Error, FetchError, Result};

/// The cells of one record; `None` where the text is none that is whole, or more than one.
fn split(text: &[u8], delimiter: u8) -> Option<ByteRecord> {
    if quoting::is_open(text, delimiter) {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text);
    let mut records = reader.byte_records();
    let first = records.next()?.ok()?;
    records.next().is_none().then(|| first.iter().collect())
}

impl<S> RecordReader<S>
where
    S: Stream<Item = Result<Bytes, FetchError>> + Unpin + Send,
{
    /// Reads the next record and says where it stands in the window, without line breaks around it and without
    /// the byte order mark that another file left before it.
    pub(super) async fn next_record(&mut self) -> Result<Option<Located>> {
        loop {
            let ended_with_line_break = self.ended_with_line_break;
            let Some(mut located) = self.next_located().await? else {
                return Ok(None);
            };
            let text = |located: &Located| &self.csv.get_ref().text()[located.start..located.end];
            if !text(&located).starts_with(MARK) {
                return Ok(Some(located));
            }
            while text(&located).starts_with(MARK) {
                located.start += MARK.len();
            }
            self.asides.marks += 1;
            if located.start == located.end {
                // Nothing but the mark: a blank line.
                self.ended_with_line_break = ended_with_line_break;
                continue;
            }
            let Some(record) = split(text(&located), self.delimiter) else {
                // It was split as if its first cell had no quotes: nobody knows any more which lines are rows.
                return Err(self.file_error(
                    &format!(
                        "line {}: a byte order mark stands before a quoted cell, and it can't be told where its row ends",
                        located.line
                    ),
                    Some("ask for the file to be exported again"),
                ));
            };
            self.record = record;
            return Ok(Some(located));
        }
    }

    async fn next_located(&mut self) -> Result<Option<Located>> {
        let before = self.csv.position().byte();
        match self.csv.read_byte_record(&mut self.record).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.read_error(error)),
        }
        let after = self.csv.position().byte();
        let window = self.csv.get_ref();
        let (mut start, mut end) = (window.offset_in_text(before), window.offset_in_text(after));
        let text = &window.text()[..end];
        // Line breaks before the record: the rest of the previous one's, and blank lines.
        while let Some(byte @ (b'\r' | b'\n')) = text.get(start).copied() {
            if byte == b'\n' && self.after_cr {
                self.after_cr = false;
            } else {
                self.line += 1;
                self.after_cr = byte == b'\r';
            }
            start += 1;
        }
        let line = self.line;
        self.after_cr = text[start..].last() == Some(&b'\r');
        self.ended_with_line_break = matches!(text[start..].last(), Some(b'\r' | b'\n'));
        if self.ended_with_line_break {
            // Where an open quote ends the file on a line break inside its cell, `read_chunk` takes this back.
            end -= if text[start..].ends_with(b"\r\n") {
                2
            } else {
                1
            };
            self.line += 1;
        }
        let quoted = memchr::memchr(b'"', &text[start..end]).is_some();
        if quoted {
            self.line += line_breaks_within(&text[start..end]);
        }
        self.csv.get_mut().mark_record(after);
        Ok(Some(Located {
            start,
            end,
            line,
            quoted,
        }))
    }

    fn read_error(&self, error: csv_async::Error) -> Error {
        let io = match error.into_kind() {
            csv_async::ErrorKind::Io(io) => io,
            other => return Error::Internal(format!("csv reader: {other:?}")),
        };
        match window::downcast(io) {
            window::ReadFault::Fetch(error) => Error::Fetch(error),
            window::ReadFault::RecordTooLong => Error::File {
                origin: format!("{}:{}", self.options.origin, self.line),
                message: format!(
                    "a record of more than {} bytes starts here",
                    self.options.max_record
                ),
                hint: Some(
                    "a quote may be open; if records are that long, raise [download] max_record"
                        .into(),
                ),
            },
            window::ReadFault::Io(error) => Error::Internal(format!("csv reader: {error}")),
        }
    }
}

/// Line breaks inside `text`; `\r\n` is one.
fn line_breaks_within(text: &[u8]) -> u64 {
    let mut breaks = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', text) {
        if text[at] == b'\n' && at > 0 && text[at - 1] == b'\r' {
            continue;
        }
        breaks += 1;
    }
    breaks
}
