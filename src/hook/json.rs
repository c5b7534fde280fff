//! JSON read without loss: numbers as their text, keys that repeat as an error.
//!
//! `serde_json::Value` would take `1.10` through a float and let the last of two equal keys win, both
//! in silence. A [`RawValue`] is the value's own text; one level is opened at a time, so depth costs no
//! stack.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Fault;

/// What a value is, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    pub(super) fn of(raw: &RawValue) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    /// The kind with its article, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// The text of a document, without its byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        Fault::new(format!(
            "not JSON: not UTF-8 at line {line} column {}",
            before.len() - line_start + 1
        ))
        .hint("an announcement is JSON in UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The one value of a document.
pub(super) fn document(text: &str) -> Result<&RawValue, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("not JSON: it is empty"));
    }
    let not_json = |error: &serde_json::Error| Fault::new(format!("not JSON: {error}"));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = <&RawValue>::deserialize(&mut deserializer).map_err(|error| {
        let fault = not_json(&error);
        if text.trim_start().starts_with('<') {
            fault.hint("it looks like a web page; is this the right address?")
        } else {
            fault.hint(super::FORMS)
        }
    })?;
    deserializer.end().map_err(|error| {
        // `value` is a part of `text`, so what lies behind it is known without a second parse.
        let end = value.get().as_ptr() as usize + value.get().len() - text.as_ptr() as usize;
        if text[end..].trim_start().starts_with(['{', '[']) {
            Fault::new(format!(
                "more than one JSON document: the second starts at line {} column {}",
                error.line(),
                error.column()
            ))
            .hint("one JSON document is read, not a line each: put several hooks into an array")
        } else {
            not_json(&error)
        }
    })?;
    Ok(value)
}

/// A string's characters, unescaped. Only for [`Kind::Text`].
pub(super) fn text(raw: &RawValue) -> Result<String, Fault> {
    serde_json::from_str(raw.get())
        .map_err(|_| Fault::new("holds an escape that is no character (half a surrogate pair)"))
}

/// The elements of an array. Only for [`Kind::Array`].
pub(super) fn array(raw: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_str(raw.get()).map_err(|error| Fault::new(format!("not JSON: {error}")))
}

/// What is wrong with a key of half a surrogate pair.
pub(super) const NO_KEY: &str = "a key holds an escape that is no character";

/// Whether an object's keys are text. Only for [`Kind::Object`].
pub(super) fn has_text_for_keys(raw: &RawValue) -> bool {
    serde_json::from_str::<Members<'_>>(raw.get()).is_ok()
}

/// The members of an object, in their order. Only for [`Kind::Object`].
pub(super) fn object(raw: &RawValue) -> Result<Vec<(String, &RawValue)>, Fault> {
    let Members(members) = serde_json::from_str(raw.get()).map_err(|_| Fault::new(NO_KEY))?;
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(
            Fault::new(format!("{} appears twice in one object", shown(pair[0])))
                .hint("which of the two is meant can't be known: ask for it to be announced again"),
        ),
        None => Ok(members),
    }
}

/// A key as messages show it: on one line, of bounded length.
pub(super) fn shown(key: &str) -> String {
    const LONGEST: usize = 60;
    let escaped: String = key.escape_debug().take(LONGEST).collect();
    let more = if escaped.len() < key.len() { "…" } else { "" };
    format!("`{escaped}{more}`")
}

/// An object's members with repeated keys kept, for [`object`] to find.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
