//! An announcement is understood or refused with its origin, never with a value. Rows are what another JSON reader
//! finds, numbers as their text; the archive's form of them is the same rows; every announcement gets into one
//! batch; a signature does not show.
#![cfg_attr(fuzzing, no_main)]

use redledger::hook::{self, Announcement, Content, ListRow};
use serde_json::{Value, value::RawValue};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(bytes);
});

const SECRET: &str = "SECRETSIGNATURE";

/// `input` is a document; says whether it was understood.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // What serde_json refuses here and the hook's reader takes: depth, and numbers larger than a float.
    let value: Option<Value> = serde_json::from_str(text).ok();
    let pointed = hook::parse_at("hook.json", bytes, "");
    if !matches!(value, Some(Value::String(_))) {
        let plain = hook::parse("hook.json", bytes);
        assert_eq!(plain.ok(), pointed.as_ref().ok().cloned());
    }
    let _ = hook::parse_at("hook.json", bytes, "/data/hook");
    match hook::parse("hook.json", bytes) {
        Err(error) => {
            check_message(&error.chain(), text, value.as_ref());
            false
        }
        Ok(announcements) => {
            if let Some(value) = &value {
                check_rows(&announcements, value);
            }
            check_secret(&format!("{announcements:?}"), &announcements, text);
            check_batches(announcements, text, value.as_ref());
            true
        }
    }
}

/// Keys may show, values may not.
fn check_message(chain: &str, text: &str, value: Option<&Value>) {
    assert!(chain.starts_with("hook.json"), "{chain:?}");
    assert!(!chain.chars().any(char::is_control), "{chain:?}");
    // Half a surrogate pair keeps `value` from being read, but not the keys around it.
    let is_no_json = chain.starts_with("hook.json: not JSON");
    if text.contains(SECRET) && value.map_or(is_no_json, |value| !is_in_a_key(value)) {
        assert!(!chain.contains(SECRET), "{chain:?}");
    }
}

fn is_in_a_key(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| key.contains(SECRET) || is_in_a_key(value)),
        Value::Array(values) => values.iter().any(is_in_a_key),
        Value::String(text) => {
            serde_json::from_str(text).is_ok_and(|value: Value| is_in_a_key(&value))
        }
        _ => false,
    }
}

/// Every hook's list, in order, as `Value` has it.
fn lists(value: &Value) -> Vec<Option<Vec<Value>>> {
    let elements = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    };
    let list = |hook: &Value| hook.get("list").and_then(Value::as_array).cloned();
    let mut lists = Vec::new();
    for element in elements(value) {
        match element.get("resource") {
            None | Some(Value::Null) => lists.push(list(&element)),
            Some(Value::String(text)) => {
                let inner: Value = serde_json::from_str(text).unwrap_or_default();
                lists.extend(elements(&inner).iter().map(list));
            }
            Some(inner) => lists.extend(elements(inner).iter().map(list)),
        }
    }
    lists
}

fn check_rows(announcements: &[Announcement], value: &Value) {
    let lists = lists(value);
    assert_eq!(announcements.len(), lists.len());
    for (announcement, list) in announcements.iter().zip(lists) {
        let Some(rows) = &announcement.hook.list else {
            assert_eq!(list, None);
            continue;
        };
        let list = list.expect("rows from a list");
        assert_eq!(rows.len(), list.len());
        for (row, value) in rows.iter().zip(&list) {
            // Of what is no text, or has a key twice, `Value` knows less.
            if row.fault.is_none() {
                check_row(row, value);
            }
        }
        // The archive writes one object after the other.
        let stored: String = rows.iter().map(|row| row.json.as_str()).collect();
        let again = hook::stored_rows("hook.json", stored.as_bytes()).expect("the same rows");
        assert!(again == *rows, "rows change in the archive");
    }
}

fn check_row(row: &ListRow, value: &Value) {
    let members = value.as_object().expect("an object");
    assert_eq!(row.cells.len(), members.len());
    for ((key, cell), (expected_key, value)) in row.cells.iter().zip(members) {
        assert_eq!(key, expected_key);
        match (cell, value) {
            (None, Value::Null) => {}
            (Some(cell), Value::String(text)) => assert_eq!(cell, text),
            // Other than text a value is its own JSON: to the last zero of a number.
            (Some(cell), value) => {
                assert!(row.json.contains(cell.as_str()));
                serde_json::from_str::<&RawValue>(cell).expect("JSON");
                match serde_json::from_str::<Value>(cell) {
                    Ok(nested) => assert_eq!(nested, *value),
                    // A nested byte that is no text is an escape that `Value` does not take.
                    Err(_) => assert!(value.to_string().contains('\u{fffd}'), "{cell}"),
                }
            }
            (None, value) => panic!("null where {value} was announced"),
        }
    }
}

/// A text that stands once in the document, in a URL's query or credentials, does not show.
fn check_secret(shown: &str, announcements: &[Announcement], text: &str) {
    if text.matches(SECRET).count() != 1 {
        return;
    }
    let is_secret = announcements.iter().any(|announcement| {
        announcement.hook.file_url.as_ref().is_some_and(|url| {
            let url = url.secret();
            [
                url.query(),
                url.fragment(),
                url.password(),
                Some(url.username()),
            ]
            .iter()
            .flatten()
            .any(|part| part.contains(SECRET))
        })
    });
    assert!(!is_secret || !shown.contains(SECRET), "{shown}");
}

fn check_batches(announcements: Vec<Announcement>, text: &str, value: Option<&Value>) {
    let mut origins: Vec<String> = announcements
        .iter()
        .map(|announcement| announcement.origin.clone())
        .collect();
    let rows = |list: &Option<Vec<ListRow>>| list.as_ref().map_or(0, Vec::len);
    let announced: usize = announcements.iter().map(|a| rows(&a.hook.list)).sum();
    let assembled = hook::assemble(announcements.clone());
    let mut found: Vec<String> = assembled
        .iter()
        .flat_map(|assembled| assembled.origins.clone())
        .collect();
    origins.sort();
    found.sort();
    assert_eq!(found, origins, "an announcement got lost or came twice");
    let mut loaded = 0;
    let mut quiet = true;
    for assembled in assembled {
        match assembled.batch {
            Err(error) => {
                quiet = false;
                check_message(&error.chain(), text, value);
            }
            Ok(batch) => {
                check_secret(&format!("{batch:?}"), &announcements, text);
                quiet &= batch.notes.is_empty();
                match &batch.content {
                    Content::Rows(rows) => loaded += rows.len(),
                    Content::Files(files) => {
                        assert!(!files.is_empty());
                        quiet = false;
                    }
                }
            }
        }
    }
    // Rows are left out where a note or an error says why.
    assert!(
        loaded <= announced && (loaded == announced || !quiet),
        "rows get lost"
    );
}
