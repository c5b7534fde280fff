//! A second reader of CSV, slow and strict: RFC 4180 and nothing else.

pub(crate) const BOM: &[u8] = "\u{feff}".as_bytes();

/// A text cut into its physical lines.
pub(crate) struct Lines<'t> {
    text: &'t [u8],
    delimiter: u8,
    /// Where each line starts; one more at the end of the text unless the last line is empty.
    starts: Vec<usize>,
}

/// A record as RFC 4180 has it.
pub(crate) struct Strict {
    pub(crate) cells: Vec<Vec<u8>>,
    /// Physical lines that it takes.
    pub(crate) lines: usize,
}

impl Strict {
    /// Whether it is nothing but delimiters, and so no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.iter().all(Vec::is_empty)
    }
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t [u8], delimiter: u8) -> Self {
        let mut starts = vec![0];
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'\r' if text.get(at + 1) == Some(&b'\n') => at += 2,
                b'\r' | b'\n' => at += 1,
                _ => {
                    at += 1;
                    continue;
                }
            }
            starts.push(at);
        }
        if starts.last() == Some(&text.len()) {
            starts.pop();
        }
        Self {
            text,
            delimiter,
            starts,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn is_blank(&self, line: usize) -> bool {
        matches!(self.text.get(self.start(line)), None | Some(b'\r' | b'\n'))
    }

    /// Where a line starts behind the byte order marks that other files have left before it.
    fn start(&self, line: usize) -> usize {
        let mut at = self.starts[line];
        while self.text[at..].starts_with(BOM) {
            at += BOM.len();
        }
        at
    }

    /// The record that begins with a line; `None` where no well-formed one does.
    pub(crate) fn record(&self, line: usize) -> Option<Strict> {
        let text = self.text;
        let (mut at, mut cells) = (self.start(line), Vec::new());
        loop {
            let mut cell = Vec::new();
            if text.get(at) == Some(&b'"') {
                at += 1;
                loop {
                    match (text.get(at)?, text.get(at + 1)) {
                        (b'"', Some(b'"')) => {
                            cell.push(b'"');
                            at += 2;
                        }
                        (b'"', _) => {
                            at += 1;
                            break;
                        }
                        (byte, _) => {
                            cell.push(*byte);
                            at += 1;
                        }
                    }
                }
            } else {
                while let Some(byte) = text
                    .get(at)
                    .filter(|byte| !b"\r\n".contains(byte) && **byte != self.delimiter)
                {
                    cell.push(*byte);
                    at += 1;
                }
                if cell.contains(&b'"') && !is_spreadsheet_text(&cell) {
                    return None;
                }
            }
            cells.push(cell);
            match text.get(at) {
                Some(byte) if *byte == self.delimiter => at += 1,
                None | Some(b'\r' | b'\n') => break,
                Some(_) => return None,
            }
        }
        let next = self.starts.partition_point(|start| *start <= at);
        Some(Strict {
            cells,
            lines: next - line,
        })
    }
}

/// `="0001"`, the one exception: spreadsheets are told so to keep leading zeros.
fn is_spreadsheet_text(mut cell: &[u8]) -> bool {
    while let [b'\t', rest @ ..] | [rest @ .., b'\t'] = cell {
        cell = rest;
    }
    cell.strip_prefix(b"=\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .is_some_and(|inner| !inner.contains(&b'"'))
}
