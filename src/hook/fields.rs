//! The fields of a hook or an envelope: what each may hold.

use serde_json::value::RawValue;

use super::{
    FORMS, Fault, ListRow, RowFault,
    json::{self, Kind, shown},
};
use crate::source_url::SourceUrl;

/// The members of what should be a hook or an envelope.
pub(super) fn members(value: &RawValue) -> Result<Vec<(String, &RawValue)>, Fault> {
    match Kind::of(value) {
        Kind::Object => json::object(value),
        other => {
            Err(Fault::new(format!("{} where a Batch Hook was expected", other.name())).hint(FORMS))
        }
    }
}

/// The keys of an object that is no hook; the values may be anybody's secrets.
pub(super) fn keys(members: &[(String, &RawValue)]) -> String {
    const MOST: usize = 12;
    if members.is_empty() {
        return "an object without keys".into();
    }
    let names: Vec<String> = members
        .iter()
        .take(MOST)
        .map(|(key, _)| shown(key))
        .collect();
    let more = match members.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("an object with the keys {}{more}", names.join(", "))
}

/// Runs `read`, naming the field in what goes wrong.
pub(super) fn field(key: &str, read: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    read().map_err(|fault| fault.within(format_args!("{} ", shown(key))))
}

/// Text or a number's text; `None` for null.
pub(super) fn text(value: &RawValue) -> Result<Option<String>, Fault> {
    match Kind::of(value) {
        Kind::Null => Ok(None),
        Kind::Text => json::text(value).map(Some),
        Kind::Number => Ok(Some(value.get().to_owned())),
        other => Err(expected(other, "text or a number")),
    }
}

pub(super) fn expected(kind: Kind, expected: &str) -> Fault {
    Fault::new(format!("is {} where {expected} was expected", kind.name()))
}

/// Whether a text says nothing.
pub(super) fn is_blank(value: &RawValue) -> bool {
    json::text(value).is_ok_and(|text| text.trim().is_empty())
}

/// Like [`text`]; a text that says nothing is absent.
pub(super) fn said(value: &RawValue) -> Result<Option<String>, Fault> {
    Ok(text(value)?.filter(|text| !text.trim().is_empty()))
}

/// A whole number from 0 that the ledger's BIGINT can hold.
pub(super) fn whole_number(value: &RawValue) -> Result<Option<u64>, Fault> {
    said(value)?.map(|digits| number(&digits)).transpose()
}

pub(super) fn number(digits: &str) -> Result<u64, Fault> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = if digits.starts_with('-') {
            "is negative"
        } else {
            "is not a whole number"
        };
        return Err(Fault::new(what));
    }
    match digits.parse::<i64>() {
        Ok(number) => Ok(number.unsigned_abs()),
        Err(_) => Err(Fault::new("is larger than any number of rows")),
    }
}

pub(super) fn boolean(value: &RawValue) -> Result<Option<bool>, Fault> {
    if Kind::of(value) == Kind::Boolean {
        return Ok(Some(value.get() == "true"));
    }
    match said(value)?.as_deref() {
        None => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(Fault::new("is neither true nor false")),
    }
}

/// Epoch milliseconds, also of a time as RFC 3339 has it. Another unit would order announcements wrongly, so it is
/// refused, not guessed; so is a time without a zone.
pub(super) fn moment(value: &RawValue) -> Result<Option<i64>, Fault> {
    let Some(said) = said(value)? else {
        return Ok(None);
    };
    let wrong = |message: String| {
        Err(Fault::new(message).hint(
            "`createTime` is in epoch milliseconds, such as 1711785600000, or as RFC 3339 has it, such as \
             2024-03-30T08:00:00Z",
        ))
    };
    if said.bytes().any(|byte| matches!(byte, b'-' | b':')) && !said.starts_with('-') {
        return match said.trim().parse::<jiff::Timestamp>() {
            Ok(time) if time.as_millisecond() >= 0 => Ok(Some(time.as_millisecond())),
            Ok(_) => wrong("is a time before 1970".into()),
            Err(_) => wrong("is no time as RFC 3339 has it, with its zone".into()),
        };
    }
    match number(&said)? {
        // 9 and 10 digits: years 1973 to 2286 in seconds, January to April 1970 in milliseconds.
        100_000_000..=9_999_999_999 => wrong("has the digits of seconds".into()),
        number @ 0..=99_999_999_999_999 => Ok(i64::try_from(number).ok()),
        _ => wrong("has the digits of microseconds or nanoseconds".into()),
    }
}

pub(super) fn address(value: &RawValue) -> Result<Option<SourceUrl>, Fault> {
    let address = match Kind::of(value) {
        Kind::Null => return Ok(None),
        Kind::Text => json::text(value)?,
        other => return Err(expected(other, "a URL")),
    };
    if address.trim().is_empty() {
        return Ok(None);
    }
    let url = SourceUrl::parse(&address).map_err(|message| Fault::new(format!("is {message}")))?;
    if url.secret().scheme() == "file" {
        // Whoever can announce must not be able to have local files read.
        return Err(
            Fault::new("is a `file:` URL").hint("local files are taken only from the command line")
        );
    }
    Ok(Some(url))
}

pub(super) fn row(value: &RawValue) -> Result<ListRow, Fault> {
    if Kind::of(value) != Kind::Object {
        return Err(Fault::new(format!(
            "{} where an object was expected",
            Kind::of(value).name()
        )));
    }
    let mut row = ListRow {
        cells: Vec::new(),
        json: value.get().to_owned(),
        fault: None,
    };
    let fault = |key: Option<&str>, message: String| RowFault {
        is_repeated_key: false,
        key: key.map(str::to_owned),
        message,
    };
    let members = match json::members(value) {
        Ok(members) => members,
        Err(no_key) => {
            row.fault = Some(fault(None, no_key.message));
            return Ok(row);
        }
    };
    if let Some(key) = json::repeated(&members) {
        row.fault = Some(RowFault {
            is_repeated_key: true,
            ..fault(Some(key), json::appears_twice(key))
        });
        return Ok(row);
    }
    for (key, value) in members {
        let cell = match Kind::of(value) {
            Kind::Null => None,
            Kind::Text => match json::text(value) {
                Ok(text) => Some(text),
                Err(no_text) => {
                    let of = || fault(Some(&key), no_text.message);
                    row.fault.get_or_insert_with(of);
                    None
                }
            },
            Kind::Boolean | Kind::Number | Kind::Array | Kind::Object => {
                Some(value.get().to_owned())
            }
        };
        row.cells.push((key, cell));
    }
    Ok(row)
}
