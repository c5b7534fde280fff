//! Rows of an inline list, kept as a JSON object a line.

use std::{collections::HashMap, io};

use serde_json::value::RawValue;

use super::{record::Record, text::Characters};

/// Reads rows.
pub(super) struct List {
    characters: Characters,
    columns: Vec<String>,
    line: u64,
}

impl List {
    pub(super) fn new(characters: Characters, columns: Vec<String>) -> Self {
        Self {
            characters,
            columns,
            line: 0,
        }
    }

    pub(super) fn into_characters(self) -> Characters {
        self.characters
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        if self.characters.peek()?.is_none() {
            return Ok(None);
        }
        let mut raw = String::new();
        // A line break within a row is white space of its JSON; a row ends where it is whole.
        while let Some(character) = self.characters.next()? {
            if character == '\n' && is_whole(&raw) {
                break;
            }
            raw.push(character);
        }
        self.line += 1;
        let cells = self.cells(&raw);
        Ok(Some(Record {
            line: self.line,
            last_line: self.line,
            is_broken: cells.is_none(),
            cells: cells.unwrap_or_default(),
            raw,
        }))
    }

    fn cells(&self, raw: &str) -> Option<Vec<Option<String>>> {
        let row: HashMap<String, &RawValue> = serde_json::from_str(raw).ok()?;
        let cells = self.columns.iter().map(|column| match row.get(column) {
            None => Some(None),
            Some(value) => cell(value),
        });
        cells.collect()
    }
}

/// A value's text; `None` within for null, and outside for what can't be read.
fn cell(value: &RawValue) -> Option<Option<String>> {
    let text = value.get();
    match text {
        "null" => Some(None),
        _ if text.starts_with('"') => serde_json::from_str(text).ok().map(Some),
        _ => Some(Some(text.to_owned())),
    }
}

/// Whether every brace and bracket outside of text is closed.
fn is_whole(raw: &str) -> bool {
    let (mut depth, mut within, mut escaped) = (0_i64, false, false);
    for character in raw.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if within => escaped = true,
            '"' => within = !within,
            '{' | '[' if !within => depth += 1,
            '}' | ']' if !within => depth -= 1,
            _ => {}
        }
    }
    depth <= 0 && !within
}
