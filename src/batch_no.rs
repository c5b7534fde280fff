//! A batch number that is safe in a path and in SQL.

use std::fmt;

use crate::characters::{code_point, is_invisible};

/// A batch number: `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
///
/// It names folders of the archive, so nothing else is let in: no slash, no quote, no leading dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchNo(String);

impl BatchNo {
    /// Longest batch number, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Takes `text` if it is a batch number.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without repeating the value.
    pub fn new(text: &str) -> Result<Self, InvalidBatchNo> {
        if text.is_empty() {
            return Err(InvalidBatchNo("is empty".into()));
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidBatchNo(format!(
                "has {} bytes where at most {} are allowed",
                text.len(),
                Self::MAX_LENGTH
            )));
        }
        if let Some((at, c)) = text.char_indices().find(|(_, c)| is_invisible(*c)) {
            return Err(InvalidBatchNo(format!(
                "has {}, which is not seen, at position {}: only letters, digits, `_`, `.` and `-` are allowed",
                code_point(c),
                text[..at].chars().count() + 1
            )));
        }
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
        if !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(InvalidBatchNo("must start with a letter or a digit".into()));
        }
        match text
            .char_indices()
            .find(|(_, c)| !u8::try_from(*c).is_ok_and(allowed))
        {
            Some((at, c)) => Err(InvalidBatchNo(format!(
                "has {c:?} at position {} where only letters, digits, `_`, `.` and `-` are allowed",
                at + 1
            ))),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The number as announced.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a batch's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidBatchNo(String);

impl InvalidBatchNo {
    /// In words, of a number that people know by this name.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        format!("{name} {}", self.0)
    }
}

/// As an announcement has it.
impl fmt::Display for InvalidBatchNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of("`batchNo`"))
    }
}

impl fmt::Display for BatchNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::BatchNo;

    #[test]
    fn characters_that_are_not_seen_are_named() {
        for (text, words) in [
            ("B1\u{200b}", "U+200B, which is not seen, at position 3"),
            ("\u{feff}B1", "U+FEFF, which is not seen, at position 1"),
            ("批\u{a0}1", "U+00A0, which is not seen, at position 2"),
        ] {
            let message = BatchNo::new(text)
                .expect_err("not a batch number")
                .to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn only_harmless_numbers_are_taken() {
        for good in ["BATCH_20260330163600", "1", "a.b-c_d", &"9".repeat(128)] {
            assert_eq!(
                BatchNo::new(good).map(|b| b.to_string()).as_deref(),
                Ok(good)
            );
        }
        for bad in [
            "",
            "../x",
            "a/b",
            "a'b",
            ".hidden",
            "-rf",
            "a b",
            "批次",
            "a\0",
            &"9".repeat(129),
        ] {
            assert!(BatchNo::new(bad).is_err(), "{bad:?} was taken");
        }
    }
}
