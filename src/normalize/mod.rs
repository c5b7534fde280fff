//! Cell text → typed value: pure functions, one file per family of types.
//!
//! A cell is bytes as the CSV reader found them, already unquoted. Each function returns the value its
//! column stores or a [`CellFault`](crate::rejection::CellFault) that says what was expected and never
//! repeats the cell. Nothing is rounded, guessed or repaired, no bytes make a function panic, and nothing
//! is allocated for a cell that is fine: this runs nine times a row for millions of rows.
//!
//! | type | function | stored as |
//! | --- | --- | --- |
//! | decimal | [`decimal`] | units of 10^-scale |
//! | timestamp | [`timestamp`] | microseconds since 1970-01-01 UTC |
//! | integer | [`integer`] | itself |
//! | uuid | [`uuid`] | its 128 bits |
//! | enum | [`Codes`] | the number or the code |
//! | currency | [`Currencies`] | the cell |
//! | boolean | [`boolean`] | itself |
//! | text | [`text`] | the cell |
//! | url | [`url`] | the cell, secrets stripped by the caller |
//!
//! ASCII spaces around a value don't count, except in text and currencies, which are stored as they
//! were delivered. An empty cell is the caller's matter: it is NULL or a missing value, never a parse.

mod code;
mod decimal;
mod integer;
mod lookalike;
mod text;
mod timestamp;
mod uuid;

pub use code::{Codes, Currencies, boolean, iso_minor_units, minor_units};
pub use decimal::decimal;
pub use integer::integer;
pub use text::{text, unwrap_spreadsheet, url};
pub use timestamp::timestamp;
pub use uuid::uuid;

/// `cell` without the ASCII spaces around it; tabs and other blanks stay and are somebody's fault.
#[inline]
fn trimmed(mut cell: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = cell {
        cell = rest;
    }
    while let [rest @ .., b' '] = cell {
        cell = rest;
    }
    cell
}

/// `digits` without leading zeros.
fn without_leading_zeros(mut digits: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = digits {
        digits = rest;
    }
    digits
}
