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

    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.rows.push(row.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
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
        shown.add_row(row.iter().map(plain));
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

fn print_bytes(bytes: &[u8]) -> Result<()> {
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

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
