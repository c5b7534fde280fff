//! What a trace is made of.

use std::{fmt, str::FromStr};

use crate::{
    archive::Delivery,
    cells::Record,
    ledger::{BatchRecord, FileEntry, RejectionRecord},
};

/// A line of a file: where rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// See `redledger.file`.
    pub(crate) file_id: i64,
    /// From 1.
    pub(crate) line: u64,
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (file_id, line) = text.split_once(':').ok_or(())?;
        Ok(Self {
            file_id: file_id.parse().map_err(|_| ())?,
            line: line.parse().map_err(|_| ())?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file_id, self.line)
    }
}

/// What has become of a delivered record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowIs {
    /// In the table: its columns and their text.
    Loaded(Vec<(String, Option<String>)>),
    /// Rejected: why, more than once if several cells are at fault.
    Rejected(Vec<RejectionRecord>),
    /// Neither: its revision is not loaded, or no record begins on that line.
    Nowhere,
}

/// The second reading of the file, as far as it goes.
pub(super) struct Reread {
    /// The record that begins on the line.
    pub(super) record: Option<Record>,
    /// The file's bytes.
    pub(super) hash: String,
    pub(super) differing: usize,
}

/// What the checks are about.
pub(super) struct Facts<'a> {
    pub(super) file: &'a FileEntry,
    pub(super) row: &'a RowIs,
    pub(super) reread: &'a Result<Reread, Unread>,
    pub(super) revision: Option<&'a BatchRecord>,
    pub(super) delivery: Option<&'a Delivery>,
    pub(super) rows_found: u64,
}

/// Why there is no second reading.
pub(super) enum Unread {
    /// The archive does not have the bytes.
    NotKept(String),
    /// It has them, and they can't be read.
    Damaged(String),
}

impl Unread {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::NotKept(why) | Self::Damaged(why) => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_file_is_told_from_a_dataset() {
        assert_eq!(
            "3:17".parse(),
            Ok(Place {
                file_id: 3,
                line: 17
            })
        );
        for text in ["account_negative", "3", ":", "3:", "3:x", "-:1"] {
            assert_eq!(text.parse::<Place>(), Err(()), "{text}");
        }
    }
}
