//! Results on stdout: a table for people, JSON or CSV for programs.

use std::io::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde_json::Value;

use crate::{
    cli::ReadingFormat,
    error::{Error, Result},
};

/// Prints a line to stdout. A reader that has gone away (`redledger status | head`) is not an error.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::commands::output::line(format_args!($($text)*))
    };
}
pub(super) use say;

/// Behind [`say!`].
pub(super) fn line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Rows of JSON values under named columns.
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Leaves out the columns named, which say nothing here.
    pub(super) fn without(mut self, columns: &[&str]) -> Self {
        let keep: Vec<bool> = self
            .columns
            .iter()
            .map(|column| !columns.contains(&column.as_str()))
            .collect();
        let mut kept = keep.iter();
        self.columns
            .retain(|_| kept.next().copied().unwrap_or(true));
        for row in &mut self.rows {
            let mut kept = keep.iter();
            row.retain(|_| kept.next().copied().unwrap_or(true));
        }
        self
    }

    /// Writes it to stdout.
    pub(super) fn print(&self, format: ReadingFormat) -> Result<()> {
        match format {
            ReadingFormat::Table => {
                print_table(self);
                Ok(())
            }
            ReadingFormat::Json => {
                let objects = self.rows.iter().map(|row| {
                    Value::Object(
                        self.columns
                            .iter()
                            .cloned()
                            .zip(row.iter().cloned())
                            .collect(),
                    )
                });
                print_json(&Value::Array(objects.collect()))
            }
            ReadingFormat::Csv => self.print_csv(),
        }
    }

    fn print_csv(&self) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let write = || -> Result<Vec<u8>, csv::Error> {
            writer.write_record(&self.columns)?;
            for row in &self.rows {
                writer.write_record(row.iter().map(plain))?;
            }
            writer
                .into_inner()
                .map_err(|error| csv::Error::from(error.into_error()))
        };
        let bytes = write().map_err(|error| Error::Internal(format!("writing CSV: {error}")))?;
        print_bytes(&bytes)
    }
}

/// Prints aligned columns without frames: easy to read and to grep.
pub(super) fn print_table(table: &Table) {
    let mut shown = comfy_table::Table::new();
    shown
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    shown.set_header(table.columns.clone());
    for row in &table.rows {
        shown.add_row(row.iter().map(|cell| on_one_line(&plain(cell))));
    }
    for (index, _) in table.columns.iter().enumerate() {
        let numeric = table.rows.iter().any(|row| row[index].is_number())
            && table
                .rows
                .iter()
                .all(|row| row[index].is_number() || row[index].is_null());
        if let Some(column) = shown.column_mut(index) {
            column.set_padding((0, 2));
            if numeric {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<String> = shown
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    say!("{}", lines.join("\n"));
}

/// Prints one JSON document.
pub(super) fn print_json(value: &Value) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Internal(format!("writing JSON: {error}")))?;
    text.push(b'\n');
    print_bytes(&text)
}

pub(super) fn print_bytes(bytes: &[u8]) -> Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::io("write to", "standard output")),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text that neither breaks the line nor commands the terminal: control characters are written out.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// As much of `text` as `most` places of a line hold, with `…` where something was left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let line = on_one_line(text);
    if width(&line) <= most {
        return line;
    }
    let mut room = most.saturating_sub(1);
    let fits = |c: &char| {
        let places = places(*c);
        let fits = places <= room;
        room = if fits { room - places } else { 0 };
        fits
    };
    let kept: String = line.chars().take_while(fits).collect();
    format!("{kept}…")
}

/// Places that `text` takes on a line.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(places).sum()
}

/// East Asian characters take two; so do all above them here, which is at worst too careful.
fn places(c: char) -> usize {
    if u32::from(c) < 0x1100 || c == '…' {
        1
    } else {
        2
    }
}

/// Characters in a line of the terminal; `None` when stdout is none.
pub(super) fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}

/// Epoch microseconds as ISO 8601 in UTC.
pub(super) fn iso(micros: i64) -> Value {
    jiff::Timestamp::from_microsecond(micros)
        .map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// How long before `now` something was, both in epoch microseconds: `3h ago`.
pub(super) fn age(then: i64, now: i64) -> String {
    let seconds = now.saturating_sub(then) / 1_000_000;
    match seconds {
        ..60 => "just now".into(),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_the_largest_unit() {
        let now = 1_000_000_000_000_000;
        let ago = |seconds: i64| age(now - seconds * 1_000_000, now);
        assert_eq!(
            [
                ago(-5),
                ago(59),
                ago(60),
                ago(3_599),
                ago(3_600),
                ago(86_399),
                ago(86_400 * 40)
            ],
            [
                "just now", "just now", "1m ago", "59m ago", "1h ago", "23h ago", "40d ago"
            ]
        );
    }

    #[test]
    fn times_are_iso_in_utc() {
        assert_eq!(iso(1_774_888_560_000_000), "2026-03-30T16:36:00Z");
    }

    #[test]
    fn shortened_text_stays_on_its_line_and_does_not_command_the_terminal() {
        assert_eq!(shortened("a\nb", 10), "a\\nb");
        assert_eq!(shortened("\u{1b}[31m", 20), "\\u{1b}[31m");
        assert_eq!(shortened("余额余额余额", 7), "余额余…");
        assert_eq!(shortened("余额余额余额", 8), "余额余…");
        assert_eq!(shortened("余额余额余额", 12), "余额余额余额");
    }
}
