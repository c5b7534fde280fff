//! `redledger verify`: everything counted again, against the ledger.
//!
//! Every dataset's table is read once and every delivered file once. Nothing is written and no lock is taken: the
//! published file is what it is, whatever a run does meanwhile.

mod books;
mod kept;
mod revisions;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::Value;

use self::{books::Checked, kept::Kept};
use super::{
    Context,
    output::{Table, counted, say},
    progress,
    selection::Selection,
};
use crate::{
    archive::{Archive, Verified},
    batch_no::BatchNo,
    cli::{ReadingFormat, Verify},
    contract::{Contracts, Identifier},
    error::{Error, ExitStatus, Result},
    ledger::{self, Books, UNKNOWN_DATASET},
    load::{self, Recount},
};

/// Something that is not as the ledger says.
#[derive(Debug)]
struct Finding {
    dataset: String,
    batch_no: String,
    revision: Option<i32>,
    what: String,
    ledger: Value,
    found: Value,
    place: Place,
}

/// Where something has to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Warehouse,
    Archive,
}

/// What is looked at.
struct Scope {
    /// The dataset that batches are entered under.
    dataset: Option<String>,
    selections: Vec<Selection>,
}

impl Scope {
    fn new(contracts: &Contracts, arguments: &Verify) -> Result<Self> {
        let dataset = arguments.dataset.as_deref().map(|name| -> Result<String> {
            Ok(contracts.require(name)?.entered_under().to_owned())
        });
        let selections = arguments.batches.iter().map(|text| Selection::parse(text));
        Ok(Self {
            dataset: dataset.transpose()?,
            selections: selections.collect::<Result<_>>()?,
        })
    }

    fn takes_number(&self, batch_no: &str) -> bool {
        self.selections.is_empty()
            || BatchNo::new(batch_no)
                .is_ok_and(|number| self.selections.iter().any(|of| of.takes(&number)))
    }

    fn takes(&self, dataset: &str, batch_no: &str) -> bool {
        self.dataset.as_deref().is_none_or(|of| of == dataset) && self.takes_number(batch_no)
    }

    /// The batches asked for, unless all are.
    ///
    /// # Errors
    /// [`Error::Usage`] for a selection that takes none.
    fn batches<'b>(&self, books: &'b Books) -> Result<Option<Vec<&'b str>>> {
        if self.selections.is_empty() {
            return Ok(None);
        }
        let known = || {
            let entries = books.batches.iter().map(|batch| &batch.entry);
            entries.filter_map(|entry| Some((entry, BatchNo::new(&entry.batch_no).ok()?)))
        };
        for selection in &self.selections {
            if !known().any(|(_, number)| selection.takes(&number)) {
                return Err(Error::Usage {
                    message: format!("{selection}: the ledger has no such batch"),
                    hint: Some("`redledger status` lists the batches".into()),
                });
            }
        }
        let taken = known().filter(|(_, number)| self.selections.iter().any(|of| of.takes(number)));
        let taken: BTreeSet<&str> = taken.map(|(entry, _)| entry.batch_no.as_str()).collect();
        Ok(Some(taken.into_iter().collect()))
    }
}

pub(super) fn run(context: &Context, arguments: &Verify) -> Result<ExitStatus> {
    let started = Instant::now();
    let contracts = &context.contracts;
    let scope = Scope::new(contracts, arguments)?;
    let format = arguments.reading.format;
    let Some(connection) = ledger::open_reading(&context.config.warehouse_path())? else {
        super::say_nothing_loaded(context);
        if format != ReadingFormat::Table {
            findings_table(&[]).print(format)?;
        }
        return Ok(ExitStatus::Success);
    };
    load::limit(&connection, &context.config.load)?;
    let books = ledger::books(&connection)?;
    let bar = progress::spinner(context);
    let batches = scope.batches(&books)?;
    let mut tables: BTreeMap<String, Recount> = BTreeMap::new();
    for dataset in datasets(&books, contracts, &scope) {
        bar.set_message(format!("counting the rows of {dataset}"));
        bar.tick();
        // A name that is none has no table.
        let Ok(table) = Identifier::new(dataset) else {
            continue;
        };
        let contract = contracts.get(dataset).map(AsRef::as_ref);
        let child = contracts.child_of(dataset).map(AsRef::as_ref);
        let recount = load::recount(&connection, &table, contract, child, batches.as_deref())?;
        tables.extend(recount.map(|recount| (dataset.to_owned(), recount)));
    }
    if scope.dataset.is_none() && scope.selections.is_empty() {
        bar.set_message("reading every cell");
        load::read_all(&connection)?;
    }
    drop(connection);

    let revisions = revisions::revisions(&books, contracts);
    let checked = books::check(&books, &revisions, &tables, contracts, &scope);
    let archived = if arguments.no_archive {
        None
    } else {
        let wants = |dataset: &str, batch_no: &str| {
            let contract = contracts.get(dataset);
            scope.takes(contract.map_or(dataset, |of| of.entered_under()), batch_no)
        };
        let archive = Archive::new(&context.config.data_dir);
        let verified = archive.verify(wants, progress::each_file(&bar))?;
        let in_scope = revisions.iter();
        let in_scope = in_scope.filter(|(key, _)| scope.takes(&key.0, &key.1));
        let kept = kept::check(in_scope, &verified, context.config.archive.keep_current);
        Some((verified, kept))
    };
    bar.finish_and_clear();
    Report {
        checked,
        archived,
        seconds: started.elapsed().as_secs_f64(),
    }
    .print(context, format)
}

/// The datasets whose tables are to be counted.
fn datasets<'d>(books: &'d Books, contracts: &'d Contracts, scope: &Scope) -> BTreeSet<&'d str> {
    let entered = books.batches.iter().map(|batch| &*batch.entry.dataset);
    let files = books.files.iter().map(|file| &*file.dataset);
    let declared = contracts.iter().map(|contract| contract.name.as_str());
    let mut datasets: BTreeSet<&str> = entered.chain(files).chain(declared).collect();
    datasets.remove(UNKNOWN_DATASET);
    if let Some(wanted) = &scope.dataset {
        let child = contracts.child_of(wanted).map(|child| child.name.as_str());
        datasets.retain(|dataset| dataset == wanted || Some(*dataset) == child);
    }
    datasets
}

fn findings_table(findings: &[&Finding]) -> Table {
    let mut table = Table::new(&["dataset", "batch_no", "revision", "what", "ledger", "found"]);
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
    checked: Checked,
    archived: Option<(Verified, Kept)>,
    seconds: f64,
}

impl Report {
    fn print(&self, context: &Context, format: ReadingFormat) -> Result<ExitStatus> {
        let of_archive = self.archived.iter().flat_map(|(_, kept)| &kept.findings);
        let findings: Vec<&Finding> = self.checked.findings.iter().chain(of_archive).collect();
        let table = findings_table(&findings);
        if format != ReadingFormat::Table || !findings.is_empty() {
            table.print(format)?;
        }
        if format == ReadingFormat::Table {
            if !findings.is_empty() {
                say!("");
            }
            self.say(&findings);
        }
        hints(context, &findings);
        Ok(if findings.is_empty() {
            ExitStatus::Success
        } else {
            ExitStatus::Attention
        })
    }

    fn say(&self, findings: &[&Finding]) {
        let Checked {
            batches,
            files,
            rows,
            controls,
            not_counted,
            ..
        } = &self.checked;
        say!(
            "counted again: {}, {}, {}, {} in {:.1} s",
            counted(*rows, "row"),
            counted(*controls, "control"),
            counted(*files, "file"),
            counted(*batches, "revision"),
            self.seconds
        );
        if *not_counted > 0 {
            say!(
                "not counted again: {}: what was noted while reading, or no contract declares any more",
                counted(*not_counted, "control")
            );
        }
        match &self.archived {
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
                        "{} of the archive: not in this warehouse; withdrawn by a rollback, or lost: `redledger backfill BATCH` loads them",
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

/// What repairs it.
fn hints(context: &Context, findings: &[&Finding]) {
    let any = |place| findings.iter().any(|finding| finding.place == place);
    let warehouse = context.config.warehouse_path();
    if any(Place::Archive) {
        eprintln!(
            "hint: restore these files from a copy of the archive, or get the batches again with \
             `redledger backfill BATCH --refetch`"
        );
    }
    if any(Place::Warehouse) {
        eprintln!(
            "hint: the file was changed by something else than redledger. If that was after the last run, \
             `redledger rollback` publishes the warehouse before it, without the batches of that run \
             (`redledger backfill BATCH` loads them again); else move {} away and load everything again from the \
             archive with `redledger backfill '*'`",
            warehouse.display()
        );
    }
}
