//! JSON read without loss: numbers as their text, keys that repeat as an error.
//!
//! `serde_json::Value` would take `1.10` through a float and let the last of two equal keys win, both
//! in silence. A [`RawValue`] is the value's own text; one level is opened at a time, so depth costs no
//! stack.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
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

/// One byte of so many may be no UTF-8, and [`A_FEW`] in any case; more of them are another encoding.
const ONE_IN: usize = 64;
/// See [`ONE_IN`].
const A_FEW: usize = 64;

/// The text of a document, without its byte order mark.
///
/// A byte that is no UTF-8 becomes the escape of half a surrogate pair, `\udcXX`: where it stands in a row it costs that
/// row, as such an escape does, and not the others. Of many such bytes none is taken: they are a document in another
/// encoding.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text.strip_prefix('\u{feff}').unwrap_or(text).into()),
        Err(error) => error,
    };
    let invalid: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    if invalid <= A_FEW.max(bytes.len() / ONE_IN) {
        let text = with_escapes(bytes, bytes.len() + 5 * invalid);
        if serde_json::from_str::<&RawValue>(&text).is_ok() {
            return Ok(text.into());
        }
    }
    let before = &bytes[..error.valid_up_to()];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    Err(Fault::new(format!(
        "not JSON: not UTF-8 at line {line} column {}",
        before.len() - line_start + 1
    ))
    .hint("an announcement is JSON in UTF-8"))
}

/// The text of `length` bytes that has escapes for what is no UTF-8.
fn with_escapes(bytes: &[u8], length: usize) -> String {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut text = String::with_capacity(length);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\udc{byte:02x}");
        }
    }
    text
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
    serde_json::from_str(raw.get()).map_err(|_| {
        Fault::new("holds what is no character: bytes that are not UTF-8, or half a surrogate pair")
    })
}

/// Like [`text`], of a string that is a document itself: an escape that is no character stays one, for whatever
/// it stands in.
pub(super) fn inner_document(raw: &RawValue) -> Result<String, Fault> {
    text(raw).or_else(|fault| {
        let kept = with_halves_kept(raw.get());
        serde_json::from_str(&kept).map_err(|_| fault)
    })
}

/// A string's JSON in which escapes of half a surrogate pair have become the text of such an escape.
fn with_halves_kept(json: &str) -> String {
    let unit = |at: usize| unit(json.get(at..)?.strip_prefix('\\')?);
    let mut kept = String::with_capacity(json.len() + 64);
    let (mut from, mut at) = (0, 0);
    while let Some(found) = json[at..].find('\\') {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                kept.push_str(&json[from..at]);
                kept.push('\\');
                from = at;
                6
            }
            (Some(_), _) => 6,
            // An escape is of at least one character, which need not be one byte where this is no JSON.
            (None, _) => 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    kept.push_str(&json[from..]);
    kept
}

/// A string's bytes as its sender has them: in one that [`decode`] has written escapes into, with the bytes that these
/// stand for. `None` where half a surrogate pair is in it. Only for [`Kind::Text`].
pub(super) fn sent(raw: &RawValue, has_escaped_bytes: bool) -> Option<Vec<u8>> {
    let json = raw.get();
    let mut rest = &json[1..json.len() - 1];
    // Nothing is longer than its escape; more than one copy of a large body is too much for one whom nobody knows.
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = &escape[1..];
        bytes.push(match escape.as_bytes()[0] {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => match unit(escape)? {
                byte @ 0xdc80..=0xdcff if has_escaped_bytes => {
                    rest = &escape[5..];
                    byte.to_le_bytes()[0]
                }
                first => {
                    let second = rest[4..].strip_prefix('\\').and_then(unit);
                    let pair = [first, second.unwrap_or_default()];
                    let character = char::decode_utf16(pair).next()?.ok()?;
                    rest = &escape[1 + 4 + (character.len_utf16() - 1) * 6..];
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            },
            itself => itself,
        });
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// The UTF-16 unit of an escape, from its `u` on.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

/// The elements of an array. Only for [`Kind::Array`].
pub(super) fn array(raw: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_str(raw.get()).map_err(|error| Fault::new(format!("not JSON: {error}")))
}

/// What is wrong with a key that is no text.
const NO_KEY: &str = "a key holds what is no character";

/// The members of an object, in their order. Only for [`Kind::Object`].
pub(super) fn object(raw: &RawValue) -> Result<Vec<(String, &RawValue)>, Fault> {
    let members = members(raw)?;
    match repeated(&members) {
        Some(key) => Err(Fault::new(appears_twice(key))
            .hint("which of the two is meant can't be known: ask for it to be announced again")),
        None => Ok(members),
    }
}

/// The same, whether or not keys repeat.
pub(super) fn members(raw: &RawValue) -> Result<Vec<(String, &RawValue)>, Fault> {
    let Members(members) = serde_json::from_str(raw.get()).map_err(|_| Fault::new(NO_KEY))?;
    Ok(members)
}

/// Of an object's members those with these names; `None` for what is not there, or stands more than once. Nothing else
/// of it is kept, however much that is.
pub(super) fn named<'a, const N: usize>(
    raw: &'a RawValue,
    names: [&str; N],
) -> [Option<&'a RawValue>; N] {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let found = Named(names).deserialize(&mut deserializer);
    found.unwrap_or([None; N])
}

/// A key that stands more than once.
pub(super) fn repeated<'m>(members: &'m [(String, &RawValue)]) -> Option<&'m str> {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    let pair = keys.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(pair[0])
}

/// What is wrong with a key that stands more than once.
pub(super) fn appears_twice(key: &str) -> String {
    format!("{} appears twice in one object", shown(key))
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

/// Looks for [`named`] members.
struct Named<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Named<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Named<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [(0_usize, None); N];
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            if let Some(at) = self.0.iter().position(|name| *name == key) {
                found[at] = (found[at].0 + 1, Some(value));
            }
        }
        Ok(found.map(|(times, value)| value.filter(|_| times == 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn what_was_sent_is_what_a_string_says_byte_for_byte() {
        for (json, sent_bytes) in [
            (r#""""#, Some("")),
            (
                r#""a\u00e4\\\"\/\b\f\n\r\tz""#,
                Some("aä\\\"/\u{8}\u{c}\n\r\tz"),
            ),
            (r#""\ud83d\ude00x\u6c49\n""#, Some("\u{1f600}x汉\n")),
            (r#""\\ud83d""#, Some("\\ud83d")),
            (r#""\ud83d\ud83d\ude00""#, None),
            (r#""\udcff""#, None),
            (r#""\ud83d""#, None),
            (r#""\ud83d\u0041""#, None),
        ] {
            let sent_bytes = sent_bytes.map(|text| text.as_bytes().to_vec());
            assert_eq!(sent(raw(json), false), sent_bytes, "{json}");
        }
        let of_bytes = br#"\"x"#.iter().chain(&[0xff, 0xe4]).chain(b"\xc3\xa4");
        let of_bytes = Vec::from_iter(of_bytes.copied());
        let document = [b"\"", &of_bytes[..], b"\""].concat();
        let text = decode(&document).expect("text");
        assert_eq!(
            sent(raw(&text), true),
            Some(b"\"x\xff\xe4\xc3\xa4".to_vec())
        );
    }

    #[test]
    fn of_a_document_in_a_text_halves_of_pairs_stay_escapes() {
        for (json, document) in [
            (r#""{\"a\":\"x\"}""#, r#"{"a":"x"}"#),
            (r#""\"\ud83d\"""#, r#""\ud83d""#),
            (r#""\"\udcff\ud83d\ude00\n\"""#, "\"\\udcff\u{1f600}\n\""),
            (r#""\"\ud83d\ud83d\ude00\"""#, "\"\\ud83d\u{1f600}\""),
            (r#""\"\\ud83d\"""#, r#""\ud83d""#),
        ] {
            assert_eq!(inner_document(raw(json)).expect("text"), document, "{json}");
        }
    }

    #[test]
    fn a_byte_that_is_no_text_is_an_escape_in_a_string_and_a_fault_elsewhere() {
        assert_eq!(decode(b"\xef\xbb\xbf{}").expect("text"), "{}");
        assert_eq!(
            decode(b"\xef\xbb\xbf\"\xff\"").expect("text"),
            r#""\udcff""#
        );
        assert_eq!(decode(b"\"\xe4\xb8\"").expect("text"), r#""\udce4\udcb8""#);
        assert!(decode(b"\xff{}").is_err());
        let other_encoding = [b"\"", [0xc4].repeat(100).as_slice(), b"\""].concat();
        assert!(decode(&other_encoding).is_err());
    }
}
