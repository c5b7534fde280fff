//! What a dataset looks like: declared in TOML, not coded.
//!
//! A [`Contract`] that exists is consistent: every column is there once, keys and controls name columns,
//! types have their bounds. Source names are what the provider writes; columns are what the warehouse has.

mod declaration;
mod identifier;
mod in_force;
mod layout;
mod shown;

use std::{fmt, sync::Arc};

pub(crate) use self::identifier::snake_case;
pub use self::{
    identifier::Identifier,
    in_force::{ContractText, Contracts},
    layout::Layout,
};

/// The unit of an epoch timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
}

impl TimeUnit {
    /// As contracts have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
        }
    }
}

/// What a cell of a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldType {
    /// Any text; `VARCHAR`.
    Text {
        /// Longest text in characters.
        max_length: Option<usize>,
    },
    /// `UUID`.
    Uuid,
    /// A whole number; `BIGINT`.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// An exact decimal; `DECIMAL(precision, scale)`.
    Decimal {
        /// All digits, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
        /// Smallest value, in units of 10^-scale.
        min: Option<i128>,
        /// Largest value, in units of 10^-scale.
        max: Option<i128>,
    },
    /// An epoch timestamp; `TIMESTAMP` in UTC.
    Timestamp {
        /// What one counts.
        unit: TimeUnit,
    },
    /// One of a few codes. `UTINYINT` when all codes are numbers from 0 to 255, else `VARCHAR`.
    Enum {
        /// The codes and what they mean, in the contract's order of keys.
        values: Vec<(String, String)>,
        /// Whether the codes are small numbers.
        numeric: bool,
    },
    /// An ISO 4217 code or one of the contract's own; `VARCHAR`.
    Currency {
        /// Codes beyond ISO 4217, upper case.
        also: Vec<String>,
    },
    /// A URL, stored without its query string; `VARCHAR`.
    Url,
    /// `BOOLEAN`.
    Boolean,
}

/// A DuckDB type that a column may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `VARCHAR`.
    Varchar,
    /// `UUID`.
    Uuid,
    /// `BIGINT`.
    BigInt,
    /// `DECIMAL`.
    Decimal(DecimalWidth),
    /// `TIMESTAMP`.
    Timestamp,
    /// `UTINYINT`.
    UTinyInt,
    /// `BOOLEAN`.
    Boolean,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Varchar => f.write_str("VARCHAR"),
            Self::Uuid => f.write_str("UUID"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Decimal(width) => width.fmt(f),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::UTinyInt => f.write_str("UTINYINT"),
            Self::Boolean => f.write_str("BOOLEAN"),
        }
    }
}

impl FieldType {
    /// The DuckDB type of the column.
    #[must_use]
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Text { .. } | Self::Currency { .. } | Self::Url => ColumnType::Varchar,
            Self::Uuid => ColumnType::Uuid,
            Self::Integer { .. } => ColumnType::BigInt,
            Self::Decimal {
                precision, scale, ..
            } => ColumnType::Decimal(DecimalWidth {
                precision: *precision,
                scale: *scale,
            }),
            Self::Timestamp { .. } => ColumnType::Timestamp,
            Self::Enum { numeric: true, .. } => ColumnType::UTinyInt,
            Self::Enum { numeric: false, .. } => ColumnType::Varchar,
            Self::Boolean => ColumnType::Boolean,
        }
    }

    /// The same as SQL.
    #[must_use]
    pub fn sql(&self) -> String {
        self.column_type().to_string()
    }

    /// The contract's word for the type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Uuid => "uuid",
            Self::Integer { .. } => "integer",
            Self::Decimal { .. } => "decimal",
            Self::Timestamp { .. } => "timestamp",
            Self::Enum { .. } => "enum",
            Self::Currency { .. } => "currency",
            Self::Url => "url",
            Self::Boolean => "boolean",
        }
    }
}

/// One declared field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The source's name.
    pub name: Arc<str>,
    /// The warehouse's name.
    pub column: Identifier,
    /// Other names a header may use.
    pub aliases: Vec<String>,
    /// What its cells hold.
    pub kind: FieldType,
    /// Whether the column must be in the header and every cell filled.
    pub required: bool,
    /// The `COMMENT ON` its column.
    pub comment: String,
}

impl Field {
    /// Whether a header cell (trimmed) names this field.
    #[must_use]
    pub fn is_named(&self, header: &str) -> bool {
        let header = header.trim().trim_start_matches('\u{feff}');
        *self.name == *header || self.aliases.iter().any(|alias| alias == header)
    }
}

/// How much may be rejected before the batch fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejected {
    /// A share of the rows read, in parts per million (exact for up to four decimals of a percentage).
    Share {
        /// Parts per million.
        ppm: u32,
    },
    /// A number of rows.
    Rows(u64),
}

impl MaxRejected {
    /// Whether `rejected` of `read` rows is too much.
    #[must_use]
    pub fn is_exceeded(self, rejected: u64, read: u64) -> bool {
        match self {
            Self::Share { ppm } => {
                u128::from(rejected) * 1_000_000 > u128::from(read) * u128::from(ppm)
            }
            Self::Rows(most) => rejected > most,
        }
    }
}

impl fmt::Display for MaxRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share { ppm } => {
                let (whole, rest) = (ppm / 10_000, ppm % 10_000);
                if rest == 0 {
                    write!(f, "{whole}%")
                } else {
                    write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0'))
                }
            }
            Self::Rows(rows) => write!(f, "{rows} rows"),
        }
    }
}

/// How a dataset's CSV files are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CsvFormat {
    /// Between cells.
    pub delimiter: u8,
    /// The files' encoding; `None` finds out (see the reader).
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// Physical lines before the header, which are no part of the table.
    pub skip_lines: u64,
    /// Every file ends with a line break: one that does not was cut, perhaps inside its last cell.
    pub ends_with_line_break: bool,
}

/// A sum that must hold in every row, such as `a + b = c`.
#[derive(Debug, Clone, PartialEq)]
pub struct RowControl {
    /// Its name in the ledger.
    pub name: String,
    /// The rule as written.
    pub rule: String,
    /// Left side: columns with their sign.
    pub left: Vec<(bool, Identifier)>,
    /// Right side: columns with their sign.
    pub right: Vec<(bool, Identifier)>,
    /// What holds the sum of either side, whatever its columns hold; never wider than the engine can have it.
    pub width: DecimalWidth,
    /// Whether one broken row fails the batch.
    pub enforce: bool,
}

/// The digits of a decimal: `DECIMAL(precision, scale)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalWidth {
    /// All digits.
    pub precision: u8,
    /// Digits after the point.
    pub scale: u8,
}

impl DecimalWidth {
    /// Most digits that the engine's decimals have.
    pub const MOST: u8 = 38;
}

impl fmt::Display for DecimalWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DECIMAL({},{})", self.precision, self.scale)
    }
}

/// A column that rows of a file take over from the row that named the file.
#[derive(Debug, Clone, PartialEq)]
pub struct InheritedColumn {
    /// The parent's field.
    pub field: String,
    /// The column in this dataset.
    pub column: Identifier,
}

/// For a dataset whose files are named by rows of another: who names them and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// The naming dataset.
    pub dataset: String,
    /// The parent's field that holds the file's URL.
    pub url_field: String,
    /// The parent's field that says how many rows the file has.
    pub rows_field: Option<String>,
    /// What every row takes over.
    pub inherit: Vec<InheritedColumn>,
}

/// A dataset's declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The dataset and table.
    pub name: Identifier,
    /// The `COMMENT ON` its table.
    pub comment: String,
    /// Indexes into `fields`; empty: no key.
    pub primary_key: Vec<usize>,
    /// When to fail the batch.
    pub max_rejected: MaxRejected,
    /// How files are written.
    pub csv: CsvFormat,
    /// The fields, in column order.
    pub fields: Vec<Field>,
    /// The column for cells no field declares.
    pub rest: Identifier,
    /// Sums to check.
    pub controls: Vec<RowControl>,
    /// Set when rows of another dataset name this one's files.
    pub parent: Option<Parent>,
}

impl Contract {
    /// The dataset that its batches are entered under: that of the rows which name its files, or its own.
    #[must_use]
    pub fn entered_under(&self) -> &str {
        self.parent
            .as_ref()
            .map_or(self.name.as_str(), |parent| &parent.dataset)
    }

    /// The field's index by source name.
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| *field.name == *name)
    }

    /// The index of the field that a header cell names.
    #[must_use]
    pub fn field_for_header(&self, header: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.is_named(header))
    }

    /// The names and aliases of all its fields.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flat_map(|field| {
            std::iter::once(&*field.name).chain(field.aliases.iter().map(String::as_str))
        })
    }

    /// The key's columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &Identifier> {
        self.primary_key
            .iter()
            .map(|index| &self.fields[*index].column)
    }

    /// Whether a header can show that a file is of this dataset: nothing that is required fits anything. Files that
    /// rows of another dataset name need not show it.
    #[must_use]
    pub fn can_be_detected(&self) -> bool {
        self.parent.is_none() && self.fields.iter().any(|field| field.required)
    }

    /// Whether a row is a header of this dataset: it has all that is required, and something of it.
    #[must_use]
    pub fn is_headed_by(&self, header: &[String]) -> bool {
        self.missing_from(header).is_empty()
            && header
                .iter()
                .any(|cell| self.field_for_header(cell).is_some())
    }

    /// Names of required fields that `header` lacks.
    #[must_use]
    pub fn missing_from(&self, header: &[String]) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|field| field.required && !header.iter().any(|cell| field.is_named(cell)))
            .map(|field| &*field.name)
            .collect()
    }
}
