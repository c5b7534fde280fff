//! Results on stdout: a table for people, JSON or CSV for programs. Remarks on stderr.
//!
//! A reader that has gone away (`redledger status | head`) is a normal end. What else keeps a result from being written
//! is remembered: the command goes on with its work, and the process ends with it ([`finished`]).

mod layout;

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

pub(super) use self::layout::shortened;
use self::layout::{Layout, on_one_line, wrapped};
pub(super) use crate::wording::{age, counted, iso};
use crate::{
    cli::Format,
    error::{Error, ExitStatus, Result},
    terminal,
};

/// Why something that belongs to the result has not reached stdout.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to stdout.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::commands::output::print_bytes(format!("{}\n", format_args!($($text)*)).as_bytes())
    };
}
pub(super) use say;

/// Prints a line to stderr: what a person should know beside the result. One that can't be told changes nothing.
macro_rules! remark {
    ($($text:tt)*) => {
        $crate::commands::output::line_to_stderr(format_args!($($text)*))
    };
}
pub(super) use remark;

/// Behind [`remark!`].
pub(super) fn line_to_stderr(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes to stdout, see the module's text.
pub(super) fn print_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        note_lost(error);
    }
}

/// Takes note that stdout could not be written.
pub(super) fn note_lost(error: io::Error) {
    if error.kind() != io::ErrorKind::BrokenPipe {
        let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert(error);
    }
}

/// How the process would end now with `status`, see [`finished`].
pub(super) fn in_view_of_output(status: ExitStatus) -> ExitStatus {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    match *lost {
        None => status,
        Some(_) => status.max(ExitStatus::Fault),
    }
}

/// How the process ends with `status` in view of what has become of its output.
pub(super) fn finished(status: ExitStatus) -> ExitStatus {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match lost {
        None => status,
        Some(source) => {
            remark!("error: cannot write the result to standard output: {source}");
            remark!("hint: what the command does is done; only what it says of it is lost");
            status.max(ExitStatus::Fault)
        }
    }
}

/// Prints an error, its causes and its hint to stderr.
pub fn report_error(error: &Error) {
    remark!("error: {}", error.chain());
    if let Some(hint) = error.hint() {
        remark!("hint: {hint}");
    }
}

/// Rows of JSON values under named columns.
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    layout: Layout,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
            layout: Layout::default(),
        }
    }

    /// Where a line has no room for all: columns that are shortened first, to no less than so many places each.
    pub(super) fn shortening(mut self, columns: &[(&'static str, usize)]) -> Self {
        self.layout.shortened = columns.to_vec();
        self
    }

    /// Then those that are left out, the least important first.
    pub(super) fn dropping(mut self, columns: &[&'static str]) -> Self {
        self.layout.dropped = columns.to_vec();
        self
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
    pub(super) fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Table => {
                print_table(self);
                Ok(())
            }
            Format::Json => {
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
            Format::Csv => self.print_csv(),
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
        print_bytes(&bytes);
        Ok(())
    }
}

/// Prints aligned columns without frames, within the terminal's width: easy to read and to grep.
pub(super) fn print_table(table: &Table) {
    let cells: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| on_one_line(&plain(cell))).collect())
        .collect();
    let numeric = (0..table.columns.len()).map(|index| {
        let mut column = table.rows.iter().map(|row| &row[index]);
        table.rows.iter().any(|row| row[index].is_number())
            && column.all(|cell| cell.is_number() || cell.is_null())
    });
    let lines = table.layout.lines(
        &table.columns,
        &cells,
        &numeric.collect::<Vec<_>>(),
        terminal::width(),
    );
    say!("{}", lines.join("\n"));
}

/// Prints a sentence about what is named in front of it; on a terminal it is broken between words.
pub(super) fn say_wrapped(text: &str) {
    say!("{}", wrapped(text, terminal::width()));
}

/// Prints one JSON document.
pub(super) fn print_json(value: &Value) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Internal(format!("writing JSON: {error}")))?;
    text.push(b'\n');
    print_bytes(&text);
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whoever types `-` at a terminal should not wonder what it waits for.
pub(super) fn say_that_it_waits(for_what: &str) {
    if io::stdin().is_terminal() {
        remark!("ReadOptions {for_what} from the terminal; Ctrl-D on a line of its own ends it.");
    }
}
