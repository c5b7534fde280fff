//! `redledger verify`: everything counted again, against the ledger, see [`crate::audit`].

use std::{path::Path, time::Instant};

use indicatif::ProgressBar;

use super::{
    context::Context,
    output::{Table, counted, remark, say},
    progress,
};
use crate::{
    audit::{self, Audited, Compared, Finding, Options, Pick, Place, Scope, Watch},
    batch_no::BatchNo,
    cli::{Format, Verify},
    error::{ExitStatus, Result},
    selection::Selection,
};

pub(super) fn run(context: &Context, arguments: &Verify) -> Result<ExitStatus> {
    let started = Instant::now();
    let (config, contracts) = (&context.config, &context.contracts);
    let format = arguments.read.format;
    let dataset = arguments
        .dataset
        .as_deref()
        .map(|name| contracts.require(name));
    let dataset = dataset.transpose()?.map(|of| of.entered_under().to_owned());
    let selections = arguments.batches.iter().map(|text| Selection::parse(text));
    let selections = selections.collect::<Result<Vec<_>>>()?;
    let takes: Vec<_> = selections
        .iter()
        .map(|selection| move |number: &BatchNo| selection.takes(number))
        .collect();
    let picks = selections
        .iter()
        .zip(&takes)
        .map(|(selection, takes)| Pick {
            name: selection.to_string(),
            number: match selection {
                Selection::Number(number) => Some(number),
                Selection::Glob(_) | Selection::Range(..) => None,
            },
            takes,
        });
    let scope = Scope {
        dataset,
        picks: picks.collect(),
    };
    let bar = progress::spinner(context.show_progress);
    let options = Options {
        archive: !arguments.no_archive,
        cells: arguments.cells,
    };
    let audited = audit::audit(config, contracts, &scope, options, &mut Shown(&bar))?;
    bar.finish_and_clear();
    let Some(audited) = audited else {
        audit::check_nothing_loaded(config)?;
        context.say_nothing_loaded();
        if format != Format::Table {
            findings_table(&[]).print(format)?;
        }
        return Ok(ExitStatus::Success);
    };
    Report {
        audited,
        seconds: started.elapsed().as_secs_f64(),
    }
    .print(context, format)
}

/// What is being done, on a terminal.
struct Shown<'b>(&'b ProgressBar);

impl Watch for Shown<'_> {
    fn step(&mut self, what: &str) {
        self.0.set_message(what.to_owned());
        self.0.tick();
    }

    fn file(&mut self, path: &Path) {
        progress::each_file(self.0)(path);
    }
}

fn findings_table(findings: &[Finding]) -> Table {
    let mut table = Table::new(&["dataset", "batch_no", "revision", "what", "ledger", "found"])
        .shortening(&[("what", 20), ("dataset", 16), ("ledger", 10), ("found", 10)])
        .dropping(&["revision", "dataset"]);
    for finding in findings {
        table.push([
            finding.dataset.as_str().into(),
            finding.batch_no.as_str().into(),
            finding.revision.into(),
            finding.what.as_str().into(),
            finding.ledger.clone(),
            finding.found.clone(),
        ]);
    }
    table
}

struct Report {
    audited: Audited,
    seconds: f64,
}

impl Report {
    fn print(&self, context: &Context, format: Format) -> Result<ExitStatus> {
        let findings = &self.audited.findings;
        let table = findings_table(findings);
        if format != Format::Table || !findings.is_empty() {
            table.print(format)?;
        }
        if format == Format::Table {
            if !findings.is_empty() {
                say!("");
            }
            self.say();
        }
        hints(context, findings);
        Ok(if findings.is_empty() {
            ExitStatus::Success
        } else {
            ExitStatus::Attention
        })
    }

    fn say(&self) {
        let Audited {
            findings,
            revisions,
            files,
            rows,
            controls,
            not_counted,
            archive,
            cells,
        } = &self.audited;
        say!(
            "counted again: {}, {}, {}, {} in {:.1} s",
            counted(*rows, "row"),
            counted(*controls, "control"),
            counted(*files, "file"),
            counted(*revisions, "revision"),
            self.seconds
        );
        if *not_counted > 0 {
            say!(
                "not counted again: {}: what was noted while reading, or no contract declares any more",
                counted(*not_counted, "control")
            );
        }
        match archive {
            None => say!("the archive was not read"),
            Some((verified, kept)) => {
                say!(
                    "archive: {} with {} read again",
                    counted(verified.files, "file"),
                    indicatif::HumanBytes(verified.bytes)
                );
                if kept.removed > 0 {
                    say!(
                        "{} that the ledger names: no longer kept (retention removes them)",
                        counted(kept.removed, "file")
                    );
                }
                if kept.unknown > 0 {
                    say!(
                        "{} of the archive: not in this warehouse; withdrawn by a rollback, or lost: `redledger backfill BATCH` loads what is lost",
                        counted(kept.unknown, "loaded revision")
                    );
                }
                if kept.never > 0 {
                    say!(
                        "{} of loaded batches: never kept",
                        counted(kept.never, "file")
                    );
                }
            }
        }
        if let Some(cells) = cells {
            say_cells(cells);
        }
        match findings.len() {
            0 => say!("Everything is as the ledger says."),
            many => say!(
                "{} from the ledger.",
                match many {
                    1 => "1 thing differs".to_owned(),
                    many => format!("{many} things differ"),
                }
            ),
        }
    }
}

fn say_cells(compared: &Compared) {
    say!(
        "{} of {} compared with what was delivered",
        counted(compared.cells, "cell"),
        counted(compared.rows, "row")
    );
    if compared.not_kept > 0 {
        say!(
            "{}: not compared, the archive or the contract is not there",
            counted(compared.not_kept, "file")
        );
    }
    if compared.undecided > 0 {
        say!(
            "{} without a row: rejected or lost, which the ledger can't tell where it keeps only the first rejections of a file",
            counted(compared.undecided, "record")
        );
    }
}

/// What repairs it.
fn hints(context: &Context, findings: &[Finding]) {
    let any = |place| findings.iter().any(|finding| finding.place == place);
    let warehouse = context.config.warehouse_path();
    if any(Place::Archive) {
        remark!(
            "hint: restore these files from a copy of the archive, or get the batches again with \
             `redledger backfill BATCH --refetch`"
        );
    }
    if any(Place::Warehouse) {
        remark!(
            "hint: the file was changed by something else than redledger. If that was after the last run, \
             `redledger rollback` publishes the warehouse before it, and what that run loaded stays withdrawn until it is \
             announced anew; else move {} away and load everything again from the archive with \
             `redledger backfill '*'`",
            warehouse.display()
        );
    }
}
