//! A row that was not loaded, and why.

use std::{borrow::Cow, fmt, sync::Arc};

/// Most rejections of one file that the ledger keeps; it counts all.
pub const KEPT_PER_FILE: u64 = 10_000;
/// Most bytes of records that are kept of one batch while its rows are read: it may name 100,000 files.
pub const KEPT_BYTES: usize = 64 << 20;
/// Most rows with a repeated key that are kept of one batch.
pub const KEPT_REPEATED: u64 = 200_000;

/// Declares the codes: each is said once, with its text.
macro_rules! codes {
    ($($(#[doc = $says:literal])+ $name:ident = $text:literal,)+) => {
        /// Why a row was rejected. The texts are part of the public interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RejectionCode {
            $($(#[doc = $says])+ $name,)+
        }

        impl RejectionCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as the ledger stores it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    /// A required cell is empty.
    MissingValue = "missing-value",
    /// The row has another number of cells than the header.
    FieldCount = "field-count",
    /// A cell holds bytes that are not text in the file's encoding.
    InvalidUtf8 = "invalid-utf8",
    /// A quote stands where CSV (RFC 4180, section 2) allows none, or is never closed.
    InvalidQuoting = "invalid-quoting",
    /// Not a UUID.
    InvalidUuid = "invalid-uuid",
    /// Not a whole number.
    InvalidInteger = "invalid-integer",
    /// Not a plain decimal number: exponent, thousands separator, currency sign, NaN, ….
    InvalidDecimal = "invalid-decimal",
    /// More significant decimals than the contract's scale.
    ExcessScale = "excess-scale",
    /// More digits before the point than the contract's precision leaves.
    ExcessPrecision = "excess-precision",
    /// Not an epoch timestamp.
    InvalidTimestamp = "invalid-timestamp",
    /// An epoch timestamp in another unit than the contract's.
    TimestampUnit = "timestamp-unit",
    /// A number outside the contract's or the column's bounds.
    OutOfRange = "out-of-range",
    /// Not one of the values allowed.
    NotAllowed = "not-allowed",
    /// Longer than the contract's limit.
    TooLong = "too-long",
    /// Another row of the batch has the same primary key and other content.
    DuplicateKey = "duplicate-key",
    /// The row repeats the header.
    RepeatedHeader = "repeated-header",
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with one cell. The message never holds the cell's value: it may reach a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellFault {
    /// The kind of fault.
    pub code: RejectionCode,
    /// What was expected and what was found, for a person.
    pub message: Cow<'static, str>,
}

impl CellFault {
    /// A fault of kind `code`.
    pub fn new(code: RejectionCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// A row that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The file's id in the ledger.
    pub file_id: i64,
    /// 1-based physical line on which the record starts; for an inline list the 1-based position.
    pub line: u64,
    /// Offset of the record's first byte in the decoded text (for a UTF-8 file: in the file); `None` when
    /// the row was taken out after it was loaded.
    pub byte_offset: Option<u64>,
    /// The contract's field, where one cell is at fault.
    pub field: Option<Arc<str>>,
    /// Why.
    pub code: RejectionCode,
    /// What was expected and found.
    pub message: Cow<'static, str>,
    /// The record as delivered, but for the queries of its URLs; bytes that are not UTF-8 appear as `\xNN`.
    pub record: String,
}

/// A record's bytes as text, with bytes that are not UTF-8 written as `\xNN`.
#[must_use]
pub fn raw_text(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}
