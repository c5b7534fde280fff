//! `redledger rollback`: puts the warehouse before the last run back, and keeps the one it replaces.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    context::Context,
    output::{self, Table, say},
};
use crate::{
    archive::{Archive, WithdrawnRevision},
    batch_no::BatchNo,
    cli::{Format, Rollback},
    clock, data_dir,
    error::{Error, ExitStatus, Result},
    ledger::LoadedBatch,
    run::{self, Contents},
    stop::Stop,
    warehouse::{self, Claim},
};

pub(super) fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus> {
    let live = context.config.warehouse_path();
    let previous = warehouse::previous_of(&live);
    let _lock = if arguments.dry_run {
        None
    } else {
        let data_dir = &context.config.data_dir;
        if !data_dir
            .try_exists()
            .map_err(Error::io("look for", data_dir))?
        {
            return Err(nothing_kept(&previous));
        }
        // Renames that a crash can't break: there is nothing to stop in the middle.
        Some(Claim::acquire(
            &data_dir::lock(data_dir),
            arguments.load.lock_wait,
            "rollback",
            &Stop::default(),
        )?)
    };
    if !arguments.dry_run && warehouse::finish_interrupted(&live)? {
        // It may have been a rollback: another one would undo it.
        return interrupted(&live, arguments.load.format);
    }
    // A link that leads nowhere is no reason to put another file in its place.
    warehouse::exists(&live)?;
    drop(warehouse::keep_writers_out(&live)?);
    let Some(back) = run::survived(&previous)? else {
        return Err(nothing_kept(&previous));
    };
    // A warehouse that can't be read any more is a reason to roll back, not one against it.
    let (undone, unreadable) = match run::survived(&live) {
        Ok(undone) => (undone, None),
        Err(error @ Error::Locked { .. }) => return Err(error),
        Err(error) => (None, Some(error)),
    };
    if !arguments.dry_run {
        put_back(&context.config.data_dir, &live, undone.as_ref(), &back)?;
    }
    let undone = match (undone, &unreadable) {
        (Some(undone), _) => undone.batches,
        (None, None) => BTreeSet::new(),
        // Nobody knows what it held: nothing is said to have changed.
        (None, Some(_)) => back.batches.clone(),
    };
    let report = Report {
        dry_run: arguments.dry_run,
        warehouse: live,
        withdrawn: undone.difference(&back.batches).cloned().collect(),
        restored: back.batches.difference(&undone).cloned().collect(),
        back,
        unreadable,
    };
    match arguments.load.format {
        Format::Table => report.print(),
        Format::Json => output::print_json(&report.json())?,
        Format::Csv => report.table().print(Format::Csv)?,
    }
    Ok(ExitStatus::Success)
}

/// Publishes the file before, and writes down what that withdraws and restores.
///
/// Where what is published is gone or can't be read, nothing is withdrawn: nobody knows what it held. The archive's
/// documents don't tell it, since one is written before its batch is published; and whoever rolls back for that
/// reason wants the batches again.
fn put_back(
    data_dir: &Path,
    live: &Path,
    undone: Option<&Contents>,
    back: &Contents,
) -> Result<()> {
    let archive = Archive::new(data_dir);
    let revision = |(dataset, batch_no, revision): &(String, BatchNo, i32), accepted_at_us| {
        WithdrawnRevision {
            dataset: dataset.clone(),
            batch_no: batch_no.clone(),
            revision: *revision,
            accepted_at_us,
            withdrawn_at_us: clock::now(),
        }
    };
    let withdrawn: Vec<_> = undone
        .into_iter()
        .flat_map(|undone| &undone.accepted)
        .filter(|(of, _)| !back.accepted.contains_key(*of))
        .map(|(of, accepted_at)| revision(of, *accepted_at))
        .collect();
    // First what is withdrawn and last what is restored: a crash leaves at most that something loaded is called
    // withdrawn, which changes nothing.
    archive.withdraw(&withdrawn, &[])?;
    let published = || live.metadata().ok().map(|of| (of.dev(), of.ino()));
    let before = published();
    if let Err(error) = warehouse::put_back(live) {
        // What is published still is not withdrawn, or a warehouse made anew would lack it.
        if published() == before {
            archive.withdraw(&[], &withdrawn)?;
        }
        return Err(error);
    }
    let written = archive.withdrawn()?;
    let restored: Vec<_> = written
        .revisions()
        .iter()
        .filter(|of| {
            let of = (of.dataset.clone(), of.batch_no.clone(), of.revision);
            back.accepted.contains_key(&of)
        })
        .cloned()
        .collect();
    archive.withdraw(&[], &restored)
}

/// Somebody else's replacement was cut off, and has been finished now.
fn interrupted(live: &Path, format: Format) -> Result<ExitStatus> {
    let exit = ExitStatus::Incomplete;
    match format {
        Format::Table => {
            say!(
                "An earlier run or rollback was cut off when it had just published {}; that is finished now, and \
                 nothing else was done.",
                live.display()
            );
            say!(
                "  hint: see `redledger status`; if that is not what you want, roll back once more"
            );
        }
        Format::Json => output::print_json(&json!({
            "exit_code": exit.code(),
            "warehouse": live.display().to_string(),
            "interrupted": true,
        }))?,
        Format::Csv => Report::columns().print(Format::Csv)?,
    }
    Ok(exit)
}

fn nothing_kept(previous: &Path) -> Error {
    Error::Usage {
        message: format!(
            "there is nothing to roll back to: no {}",
            previous.display()
        ),
        hint: Some(
            "a run that changes the warehouse keeps the one before it, unless [warehouse] says \
             `keep_previous = 0` or `mode = \"in-place\"`"
                .into(),
        ),
    }
}

struct Report {
    dry_run: bool,
    warehouse: PathBuf,
    back: Contents,
    withdrawn: Vec<LoadedBatch>,
    restored: Vec<LoadedBatch>,
    /// Why the file that is replaced could not be looked at.
    unreadable: Option<Error>,
}

impl Report {
    fn print(&self) {
        if let Some(error) = &self.unreadable {
            say!("the published warehouse can't be read: {}", error.chain());
            say!(
                "  hint: what it held is not known, so nothing counts as withdrawn; `redledger backfill '*'` loads what the archive has and this one lacks"
            );
        }
        for (words, batches) in [
            ("withdrawn", &self.withdrawn),
            ("loaded again", &self.restored),
        ] {
            for batch in batches {
                say!(
                    "{words}: {} {} revision {}",
                    batch.batch_no,
                    batch.dataset,
                    batch.revision
                );
            }
        }
        if !self.withdrawn.is_empty() {
            say!(
                "  hint: no run and no backfill loads withdrawn revisions again; rolling back once more undoes all of this, and a newer announcement of a batch is loaded, as is a file that you give to `redledger ingest`"
            );
        }
        let run = self.back.run.as_ref().map_or_else(
            || "no run".to_owned(),
            |run| {
                format!(
                    "run {} (`{}`, {}: {})",
                    run.run_id, run.command, run.finished_at, run.outcome
                )
            },
        );
        say!(
            "{} the state after {run}; batches loaded: {}. Warehouse: {}",
            if self.dry_run {
                "would publish"
            } else {
                "published again:"
            },
            self.back.batches.len(),
            self.warehouse.display()
        );
    }

    fn columns() -> Table {
        Table::new(&["dataset", "batch_no", "revision", "what"])
    }

    /// What changes, a batch a line.
    fn table(&self) -> Table {
        let mut table = Self::columns();
        for (what, batches) in [("withdrawn", &self.withdrawn), ("restored", &self.restored)] {
            for batch in batches {
                table.push([
                    batch.dataset.as_str().into(),
                    batch.batch_no.as_str().into(),
                    batch.revision.into(),
                    what.into(),
                ]);
            }
        }
        table
    }

    fn json(&self) -> Value {
        json!({
            "exit_code": ExitStatus::Success.code(),
            "dry_run": self.dry_run,
            "interrupted": false,
            "warehouse": self.warehouse.display().to_string(),
            "published": {
                "run": self.back.run,
                "batches": self.back.batches.len(),
            },
            "withdrawn": self.withdrawn,
            "restored": self.restored,
            "unreadable": self.unreadable.as_ref().map(Error::chain),
        })
    }
}
