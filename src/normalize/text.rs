//! Text as delivered, URLs, and the wrappings that spreadsheets put around ids.

use reqwest::Url;

use crate::{
    rejection::{CellFault, RejectionCode},
    source_url::ambiguity,
};

use super::trimmed;

/// A cell's text, byte for byte as delivered: nothing is trimmed or normalized.
///
/// `max_length` counts characters (Unicode scalar values), as DuckDB's `length` does.
///
/// # Errors
/// `invalid-utf8` with the position of the first wrong byte, `not-allowed` for a NUL character,
/// `too-long` beyond `max_length`.
#[inline]
pub fn text(cell: &[u8], max_length: Option<usize>) -> Result<&str, CellFault> {
    let text = utf8(cell)?;
    if memchr::memchr(0, cell).is_some() {
        return Err(CellFault::new(
            RejectionCode::NotAllowed,
            "a NUL character, which text can't hold",
        ));
    }
    // A text has at most as many characters as bytes.
    match max_length {
        Some(most) if text.len() > most => within(text, most),
        _ => Ok(text),
    }
}

#[inline]
fn utf8(cell: &[u8]) -> Result<&str, CellFault> {
    simdutf8::compat::from_utf8(cell).map_err(|error| invalid_utf8(error.valid_up_to()))
}

#[cold]
fn invalid_utf8(position: usize) -> CellFault {
    CellFault::new(
        RejectionCode::InvalidUtf8,
        format!("byte {} of the cell is not UTF-8", position + 1),
    )
}

fn within(text: &str, most: usize) -> Result<&str, CellFault> {
    match text.chars().count() {
        length if length > most => Err(CellFault::new(
            RejectionCode::TooLong,
            format!("{length} characters where {most} are allowed"),
        )),
        _ => Ok(text),
    }
}

/// A cell's text if the whole of it is an absolute `http` or `https` URL; spaces around it are left out.
///
/// What a request would be made for is what is stored: forms that programs read differently ([`ambiguity`]) are
/// rejected, also because the text operation that strips credentials (`source_url::without_secrets`) would look
/// for them in the wrong place. The result still holds its secrets.
///
/// # Errors
/// `invalid-utf8`, or `not-allowed` for anything that is not such a URL.
pub fn url(cell: &[u8]) -> Result<&str, CellFault> {
    let text = utf8(trimmed(cell))?;
    let Some(rest) = after_scheme(text) else {
        return Err(not_a_url("no http:// or https:// and host at its start"));
    };
    if has_plain_host(rest) && is_plain(rest) {
        return Ok(text);
    }
    let taken = Url::parse(text);
    if let Some(why) = ambiguity(text, taken.as_ref().ok()) {
        return Err(CellFault::new(RejectionCode::NotAllowed, why));
    }
    match taken {
        Ok(_) => Ok(text),
        Err(error) => Err(not_a_url(&error.to_string())),
    }
}

/// Whether no part of a URL can be read in two ways: only characters that a URL is made of, none of them an escape
/// of a dot.
fn is_plain(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != b'@';
    bytes.iter().all(|byte| plain(*byte))
        && !memchr::memchr_iter(b'%', bytes)
            .any(|at| matches!(bytes[at..], [_, b'2', b'e' | b'E', ..]))
}

#[cold]
fn not_a_url(why: &str) -> CellFault {
    CellFault::new(
        RejectionCode::NotAllowed,
        format!("not an absolute http or https URL: {why}"),
    )
}

/// What follows `http://` or `https://`, unless that is a slash or nothing.
#[inline]
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let http = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    (http && !rest.is_empty() && !rest.starts_with('/')).then_some(rest)
}

/// Whether the URL has a host that no parser can object to, so that parsing (which allocates) tells nothing
/// new: letters, digits and hyphens between single dots, the last label begins with a letter (or it could
/// be a broken IPv4 address), none is Punycode, and no port or credentials.
///
/// After such a host anything is a path, a query or a fragment (WHATWG URL Standard, section 4.4).
fn has_plain_host(rest: &str) -> bool {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let mut last_begins_with_letter = false;
    for label in rest[..end].split('.') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let punycode = label
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
        if label.is_empty() || !label.bytes().all(plain) || punycode {
            return false;
        }
        last_begins_with_letter = label.as_bytes()[0].is_ascii_alphabetic();
    }
    last_begins_with_letter
}

/// The id inside a spreadsheet's wrapping, if that is what a cell is; `None` leaves the cell alone.
///
/// People keep a spreadsheet from eating leading zeros by writing `="0001234"`, by tabs before or behind the id
/// or by an apostrophe before it. Text must not be touched otherwise: `'s-Hertogenbosch` is a town and
/// `=SUM(A1)` somebody's text. So the inside has to be a non-empty run of ASCII letters, digits, `_`, `.`
/// and `-`; within tabs or behind an apostrophe, which mean less than `="…"`, it has to begin with a digit or be
/// a UUID as well.
///
/// ```
/// use redledger::normalize::unwrap_spreadsheet;
/// assert_eq!(unwrap_spreadsheet(b"=\"0001234\""), Some(&b"0001234"[..]));
/// assert_eq!(unwrap_spreadsheet(b"'s-Hertogenbosch"), None);
/// ```
#[inline]
#[must_use]
pub fn unwrap_spreadsheet(cell: &[u8]) -> Option<&[u8]> {
    match cell {
        [b'=' | b'\t' | b'\'', ..] | [.., b'\t'] => unwrap(cell),
        _ => None,
    }
}

#[inline(never)]
fn unwrap(mut cell: &[u8]) -> Option<&[u8]> {
    let whole = cell.len();
    while let [b'\t', rest @ ..] | [rest @ .., b'\t'] = cell {
        cell = rest;
    }
    let inner = match cell {
        [b'=', b'"', inner @ .., b'"'] => inner,
        [b'\'', inner @ ..] if is_id(inner) => inner,
        inner if inner.len() < whole && is_id(inner) => inner,
        _ => return None,
    };
    let in_id = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    (!inner.is_empty() && inner.iter().all(in_id)).then_some(inner)
}

fn is_id(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_digit) || super::uuid(text).is_ok()
}

#[cfg(test)]
mod tests;
