//! The result of a command that loads, as a table or as one JSON object.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    cadence::Late,
    output::{self, Table, say},
};
use crate::{
    cli::Format,
    error::{Error, ExitStatus, Result},
    pipeline::{Ending, Outcome},
};

/// What a command that loads has done.
pub(super) struct Report<'a> {
    pub(super) run_id: &'a str,
    pub(super) warehouse: PathBuf,
    pub(super) exit: ExitStatus,
    pub(super) outcomes: &'a [Outcome],
    pub(super) errors: Vec<&'a Error>,
    /// Whether what `outcomes` say is published: a fault undoes a run.
    pub(super) published: bool,
    /// `--data-dir` and `--config`, for commands to go on with.
    pub(super) given: &'a str,
    /// Batches that a limit or a signal has kept from being loaded.
    pub(super) left: &'a [String],
    /// The signal's error.
    pub(super) stopped: Option<&'a Error>,
    /// Datasets that are late; empty where the command does not look for them.
    pub(super) late: &'a [Late],
}

/// Rows that this run has rejected.
fn known_rejected(outcome: &Outcome) -> u64 {
    if outcome.outcome == Ending::Unchanged {
        0
    } else {
        outcome.rows_rejected
    }
}

impl Report<'_> {
    /// Such as `2 loaded, 1 failed`.
    pub(super) fn summary(&self) -> String {
        self.summary_with(self.left.len())
    }

    /// The same while it is not settled which batches are `left`.
    pub(super) fn summary_with(&self, left: usize) -> String {
        let mut parts: Vec<_> = self.stopped.iter().map(ToString::to_string).collect();
        if !self.published {
            parts.push("nothing is published".into());
        }
        for ending in Ending::ALL {
            let count = self
                .outcomes
                .iter()
                .filter(|of| of.outcome == ending)
                .count();
            if count > 0 {
                parts.push(format!("{count} {}", ending.as_str()));
            }
        }
        if !self.errors.is_empty() {
            parts.push(output::counted(self.errors.len() as u64, "error"));
        }
        if left > 0 {
            parts.push(format!("{left} left to load"));
        }
        let rejected: u64 = self.outcomes.iter().map(known_rejected).sum();
        if rejected > 0 {
            parts.push(format!("{} rejected", output::counted(rejected, "row")));
        }
        if parts.is_empty() {
            "nothing to do".into()
        } else {
            parts.join(", ")
        }
    }

    pub(super) fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Table => {
                self.print_text();
                Ok(())
            }
            Format::Json => output::print_json(&self.json()),
            Format::Csv => {
                self.table().print(format)?;
                self.errors.iter().copied().for_each(super::report_error);
                Ok(())
            }
        }
    }

    fn print_text(&self) {
        if !self.outcomes.is_empty() {
            output::print_table(&self.table());
        }
        for outcome in self.outcomes {
            if let Some(message) = &outcome.message {
                output::say_wrapped(&format!("{}: {message}", outcome.batch_no));
            }
            if let Some(hint) = &outcome.hint {
                output::say_wrapped(&format!("  hint: {hint}"));
            }
            if outcome.outcome == Ending::Loaded && outcome.rows_rejected > 0 {
                output::say_wrapped(&format!(
                    "{}: {} rejected; see them with `redledger rejections {}{}`",
                    outcome.batch_no,
                    output::counted(outcome.rows_rejected, "row"),
                    outcome.batch_no,
                    self.given
                ));
            }
        }
        for error in &self.errors {
            super::report_error(error);
        }
        for late in self.late {
            say!("{}", late.in_words());
        }
        if self.stopped.is_some() && !self.left.is_empty() {
            say!("not tried: {}", self.left.join(", "));
        }
        say!(
            "{}. Warehouse: {}",
            self.summary(),
            self.warehouse.display()
        );
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            "batch", "dataset", "outcome", "rev", "rows", "rejected", "+/-/~", "files", "bytes",
        ])
        .shortening(&[("dataset", 20)])
        .dropping(&["bytes", "files", "+/-/~", "rev"]);
        for outcome in self.outcomes {
            let difference = outcome.difference;
            let difference = match outcome.outcome {
                Ending::Loaded => format!(
                    "+{} -{} ~{}",
                    difference.added, difference.removed, difference.changed
                ),
                _ => String::new(),
            };
            let unchanged = outcome.outcome == Ending::Unchanged;
            let known = |figure: u64| {
                if unchanged {
                    Value::Null
                } else {
                    figure.into()
                }
            };
            table.push([
                outcome.batch_no.as_str().into(),
                outcome.dataset.clone().into(),
                outcome.outcome.as_str().into(),
                outcome.revision.into(),
                known(outcome.rows_loaded),
                known(outcome.rows_rejected),
                difference.into(),
                outcome.files.into(),
                outcome.bytes.into(),
            ]);
        }
        table
    }

    fn json(&self) -> Value {
        let errors: Vec<_> = self
            .errors
            .iter()
            .map(|error| json!({"message": error.chain(), "hint": error.hint()}))
            .collect();
        json!({
            "run_id": self.run_id,
            "exit_code": self.exit.code(),
            "summary": self.summary(),
            "warehouse": self.warehouse.display().to_string(),
            "published": self.published,
            "batches": self.outcomes,
            "errors": errors,
            "left": self.left.len(),
            "not_tried": self.left,
            "stopped": self.stopped.map(ToString::to_string),
            "late": self.late.iter().map(Late::json).collect::<Vec<_>>(),
        })
    }
}
