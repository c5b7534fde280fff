//! Reading a TOML file into a type, with errors that name file, line and the nearest valid key.

use serde::de::DeserializeOwned;

use crate::error::Error;

/// Reads `text` as a `T`; `place` names the file in errors.
///
/// # Errors
/// [`Error::Settings`] with `place:line`, what is wrong, and the nearest valid key where one is close.
pub(crate) fn parse<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, Error> {
    // Editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        settings_error(format!("{place}:{line}"), error.message())
    })
}

/// The 1-based line of byte `offset` in `text`.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// Turns serde's message about a key or a value into an error with a hint.
pub(crate) fn settings_error(place: String, message: &str) -> Error {
    let message = on_one_line(&message.trim().replace('\n', " "));
    let hint = nearest_in(&message);
    Error::Settings {
        place,
        message,
        hint,
    }
}

/// `message` with control characters written as escapes: it may quote what the file holds.
pub(crate) fn on_one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// serde says: unknown field `x`, expected one of `a`, `b`. Picks the expected word nearest to `x`.
fn nearest_in(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    nearest(found, quoted).map(|word| format!("did you mean `{word}`?"))
}

/// The candidate that is close enough to `word` to be meant, if any.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| {
            (
                strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
