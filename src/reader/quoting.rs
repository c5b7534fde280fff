//! Whether a record's quotes stand where RFC 4180 (section 2, points 5 to 7) allows them.

use crate::rejection::RejectionCode;

/// What is wrong with a record's structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StructureFault {
    /// 0-based cell, where one is at fault.
    pub(super) cell: Option<usize>,
    pub(super) code: RejectionCode,
    pub(super) message: String,
}

/// Checks one record, given without its line break.
///
/// csv-core would read on in every one of these cases: it takes a quote inside an unquoted cell as text,
/// glues text after a closing quote to the cell, and lets an open quote run to the end of the file.
pub(super) fn fault(record: &[u8], delimiter: u8) -> Option<StructureFault> {
    let fault = |cell, message: &str| {
        Some(StructureFault {
            cell: Some(cell),
            code: RejectionCode::InvalidQuoting,
            message: message.into(),
        })
    };
    let mut at = 0;
    for cell in 0.. {
        if record.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match memchr::memchr(b'"', &record[at..]) {
                    None => return fault(cell, "a quote is opened and never closed"),
                    Some(quote) => at += quote + 1,
                }
                if record.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
            if record.get(at).is_some_and(|next| *next != delimiter) {
                return fault(cell, "text after a closing quote");
            }
        } else {
            let length = memchr::memchr(delimiter, &record[at..]).unwrap_or(record.len() - at);
            let text = &record[at..at + length];
            if memchr::memchr(b'"', text).is_some() && !is_spreadsheet_text(text) {
                return fault(cell, "a quote inside a cell that is not quoted");
            }
            at += length;
        }
        if at >= record.len() {
            return None;
        }
        at += 1;
    }
    None
}

/// Whether a quote is still open at the record's end, as csv-core reads it: a line break there is its cell's.
pub(super) fn is_open(record: &[u8], delimiter: u8) -> bool {
    let mut at = 0;
    while at < record.len() {
        if record[at] == b'"' {
            at += 1;
            loop {
                match memchr::memchr(b'"', &record[at..]) {
                    None => return true,
                    Some(quote) => at += quote + 1,
                }
                if record.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
        }
        // What follows a closing quote belongs to the cell, quotes included.
        match memchr::memchr(delimiter, &record[at..]) {
            None => return false,
            Some(length) => at += length + 1,
        }
    }
    false
}

/// `="0001234"`: how spreadsheets are told to keep leading zeros. It is written without CSV's own quotes
/// more often than with them, and it is unwrapped later, with the tabs around it.
fn is_spreadsheet_text(mut cell: &[u8]) -> bool {
    while let [b'\t', rest @ ..] | [rest @ .., b'\t'] = cell {
        cell = rest;
    }
    cell.strip_prefix(b"=\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .is_some_and(|inner| memchr::memchr(b'"', inner).is_none())
}

#[cfg(test)]
mod tests {
    use super::{fault, is_open};

    #[test]
    fn quotes_are_allowed_only_around_cells_and_doubled_within() {
        for good in [
            "a,b",
            "\"a\",b",
            "a,\"b\"",
            "\"a \"\" b\",c",
            "\"\",\"\"",
            "\"a,b\nc\",d",
            "",
            ",",
            "\"\"\"\"",
            "a,\"\",",
            "=\"0001\",b",
        ] {
            assert_eq!(fault(good.as_bytes(), b','), None, "{good}");
        }
        for (bad, cell) in [
            ("a\"b,c", 0),
            ("a,b\"", 1),
            ("a, \"b\"", 1),
            ("\"a\"b,c", 0),
            ("\"a\" ,c", 0),
            ("\"a,b", 0),
            ("x,\"a\nb,c", 1),
            ("x,\"a\"\"", 1),
            ("\"", 0),
            ("=\"a\"b\",c", 0),
            ("=\"a,b\"", 0),
        ] {
            assert_eq!(
                fault(bad.as_bytes(), b',').and_then(|fault| fault.cell),
                Some(cell),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_quote_is_open_where_a_cell_begins_with_it_and_nothing_closes_it() {
        for open in ["\"", "a,\"b", "\"a\"\"", "\"a\"b,\"c\nd", "a\"b,\"c,d"] {
            assert!(is_open(open.as_bytes(), b','), "{open}");
        }
        for closed in [
            "a\"b",
            "a,b\"",
            "\"a\"b",
            "a, \"b",
            "\"a\" \",c",
            "=\"a,b\"",
            "",
            ",",
        ] {
            assert!(!is_open(closed.as_bytes(), b','), "{closed}");
        }
    }
}
