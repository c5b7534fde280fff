//! `redledger rollback`: puts the warehouse before the last run back, and keeps the one it replaces.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Context,
    contents::{self, Contents},
    output::{self, say},
};
use crate::{
    cli::{DoingFormat, Rollback},
    error::{Error, ExitStatus, Result},
    ledger::LoadedBatch,
    publish::{self, Lock},
    stop::Stop,
    warehouse_file::check_no_wal,
};

pub(super) fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus> {
    let live = context.config.warehouse_path();
    let previous = publish::previous_of(&live);
    let _lock = if arguments.dry_run {
        None
    } else {
        // Three renames that a crash can't break: there is nothing to stop in the middle.
        let lock = Lock::acquire(
            &context.config.data_dir.join("lock"),
            arguments.doing.lock_wait,
            "rollback",
            &Stop::default(),
        );
        match lock {
            Err(Error::Io { .. }) if !context.config.data_dir.exists() => {
                return Err(nothing_kept(&previous));
            }
            lock => Some(lock?),
        }
    };
    if !arguments.dry_run && publish::finish_interrupted(&live)? {
        // It may have been a rollback: another one would undo it.
        return interrupted(&live, arguments.doing.format);
    }
    check_no_wal(&live)?;
    let Some(back) = contents::survived(&previous)? else {
        return Err(nothing_kept(&previous));
    };
    // A warehouse that can't be read any more is a reason to roll back, not one against it.
    let (undone, unreadable) = match contents::survived(&live) {
        Ok(undone) => (undone, None),
        Err(error) => (None, Some(error)),
    };
    if !arguments.dry_run {
        publish::put_back(&live)?;
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
    match arguments.doing.format {
        DoingFormat::Text => report.print(),
        DoingFormat::Json => output::print_json(&report.json())?,
    }
    Ok(ExitStatus::Success)
}

/// Somebody else's replacement was cut off, and has been finished now.
fn interrupted(live: &Path, format: DoingFormat) -> Result<ExitStatus> {
    let exit = ExitStatus::Incomplete;
    match format {
        DoingFormat::Text => {
            say!(
                "An earlier run or rollback was cut off when it had just published {}; that is finished now, and \
                 nothing else was done.",
                live.display()
            );
            say!(
                "  hint: see `redledger status`; if that is not what you want, roll back once more"
            );
        }
        DoingFormat::Json => output::print_json(&json!({
            "exit_code": exit.code(),
            "warehouse": live.display().to_string(),
            "interrupted": true,
        }))?,
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
                "  hint: a run does not load withdrawn batches again by itself; `redledger backfill BATCH` does, from the archive, and rolling back once more undoes all of this"
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
