//! A JSON value as YAML that is pleasant to read.

use serde_json::Value;

/// Writes it in blocks: an entry a line, text in double quotes.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push_str(key);
                text.push(':');
                below(value, indent + 2, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push_str("- ");
                write(item, indent + 2, text);
            }
        }
        plain => {
            text.push_str(&scalar(plain));
            text.push('\n');
        }
    }
}

/// What a key has: on its line, or indented below it.
fn below(value: &Value, indent: usize, text: &mut String) {
    let is_block = match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    } else {
        text.push(' ');
    }
    write(value, indent, text);
}

/// JSON's text is YAML's, but for characters that YAML takes for line breaks or for no text.
fn scalar(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use saphyr::{LoadableYamlNode as _, Yaml};
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_text_there_is_comes_back() {
        let nasty = "a: 'b' \"c\" \\ # d\n\te: {f} 中文 \u{85}\u{2028}\u{feff}\u{7f} - yes";
        let value = json!({
            "version": 2,
            "none": [],
            "nested": [{"name": nasty, "tests": ["unique", {"in": {"values": [0, 1, "0", true, null]}}]}, [1, [2]]],
        });
        let text = document(&value);
        let read = Yaml::load_from_str(&text).expect(&text);
        let read = &read[0];
        assert_eq!(read["version"].as_integer(), Some(2), "{text}");
        let first = &read["nested"][0];
        assert_eq!(first["name"].as_str(), Some(nasty), "{text}");
        let values = &first["tests"][1]["in"]["values"];
        assert_eq!(values[0].as_integer(), Some(0), "{text}");
        assert_eq!(values[2].as_str(), Some("0"), "{text}");
        assert_eq!(values[3].as_bool(), Some(true), "{text}");
        assert!(values[4].is_null(), "{text}");
        assert_eq!(read["nested"][1][1][0].as_integer(), Some(2), "{text}");
    }
}
