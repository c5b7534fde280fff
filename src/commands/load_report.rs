//! The result of a command that loads, as a table or as one JSON object.

use serde_json::{Value, json};

use super::{
    context::Context,
    output::{self, Table, report_error, say},
};
use crate::{
    cli::Format,
    error::{ExitStatus, Result},
    pipeline::Ending,
    run::{Late, Report, Run},
};

/// Prints what a run has done; returns how the process should exit.
pub(super) fn finish(context: &Context, mut run: Run<'_>, format: Format) -> Result<ExitStatus> {
    run.look_for_late()?;
    let report = run.report();
    let exit = report.exit;
    Printed {
        report: &report,
        given: &context.given,
    }
    .print(format)?;
    if let Some(fault) = report.errors.last().filter(|_| !report.published)
        && format == Format::Json
    {
        // Whoever reads the report may not look at stderr, and whoever is woken up may not have the report.
        report_error(fault);
    }
    run.end();
    Ok(exit)
}

struct Printed<'a> {
    report: &'a Report<'a>,
    /// `--data-dir` and `--config`, for commands to go on with.
    given: &'a str,
}

impl Printed<'_> {
    fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Table => {
                self.print_text();
                Ok(())
            }
            Format::Json => output::print_json(&self.json()),
            Format::Csv => {
                self.table().print(format)?;
                self.report.errors.iter().copied().for_each(report_error);
                Ok(())
            }
        }
    }

    fn print_text(&self) {
        if !self.report.outcomes.is_empty() {
            output::print_table(&self.table());
        }
        for outcome in self.report.outcomes {
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
        for error in &self.report.errors {
            report_error(error);
        }
        for late in self.report.late {
            say!("{}", late.in_words());
        }
        if self.report.stopped.is_some() && !self.report.left.is_empty() {
            say!("not tried: {}", self.report.left.join(", "));
        }
        say!(
            "{}. Warehouse: {}",
            self.report.summary(),
            self.report.warehouse.display()
        );
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            "batch", "dataset", "outcome", "rev", "rows", "rejected", "+/-/~", "files", "bytes",
        ])
        .shortening(&[("dataset", 20)])
        .dropping(&["bytes", "files", "+/-/~", "rev"]);
        for outcome in self.report.outcomes {
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
            .report
            .errors
            .iter()
            .map(|error| json!({"message": error.chain(), "hint": error.hint()}))
            .collect();
        json!({
            "run_id": self.report.run_id,
            "exit_code": self.report.exit.code(),
            "summary": self.report.summary(),
            "warehouse": self.report.warehouse.display().to_string(),
            "published": self.report.published,
            "batches": self.report.outcomes,
            "errors": errors,
            "left": self.report.left.len(),
            "not_tried": self.report.left,
            "stopped": self.report.stopped.map(ToString::to_string),
            "late": self.report.late.iter().map(Late::json).collect::<Vec<_>>(),
        })
    }
}
