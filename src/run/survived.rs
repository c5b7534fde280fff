//! A look at a warehouse file that may be damaged: the engine may crash on one, so a child process goes first.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    batch_no::BatchNo,
    error::{Error, ExitStatus, Result},
    ledger::{self, LoadedBatch, PublishedRun},
    warehouse,
};

/// What a warehouse file holds, as far as a person wants to know before it is published.
pub(crate) struct Contents {
    pub(crate) run: Option<PublishedRun>,
    pub(crate) batches: BTreeSet<LoadedBatch>,
    /// Dataset, number and revision of all that was ever loaded there, and when it was accepted.
    pub(crate) accepted: BTreeMap<(String, BatchNo, i32), Option<i64>>,
}

/// Ends well if a warehouse can be looked at, or says why not; the engine may end the process.
pub(crate) fn look_at(path: &Path) -> Result<ExitStatus> {
    contents(path).map(|_| ExitStatus::Success)
}

/// What a warehouse holds; `None` when the file is not there or has no ledger. A child process has looked first.
///
/// # Errors
/// When it can't be read; not even one that makes the engine crash ends this process.
pub(crate) fn survived(path: &Path) -> Result<Option<Contents>> {
    survives(path)?;
    contents(path)
}

/// Has a child process look at a warehouse, which the engine may end.
///
/// # Errors
/// [`Error::Warehouse`] when it does. What the child process has said otherwise, whoever opens the file is told, too.
pub(crate) fn survives(path: &Path) -> Result<()> {
    let looked = env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["rollback", "--look-at"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    });
    let looked = looked.map_err(Error::io("have a child process look at", path))?;
    // An error that it has met is met here again, and said.
    match looked.signal() {
        Some(signal) => Err(Error::Warehouse {
            path: path.to_path_buf(),
            message: format!("whoever reads it crashes (signal {signal}): it is damaged"),
            hint: Some(
                "restore it from a copy, or move it away and `redledger backfill '*'` from the archive".into(),
            ),
        }),
        None => Ok(()),
    }
}

/// The newest run and what was loaded; `None` when the file is not there or has no ledger.
fn contents(path: &Path) -> Result<Option<Contents>> {
    let Some(connection) = warehouse::open_reading(path)? else {
        return Ok(None);
    };
    Ok(Some(Contents {
        run: ledger::last_run(&connection)?,
        batches: ledger::loaded_batches(&connection)?,
        accepted: ledger::accepted_revisions(&connection)?
            .into_iter()
            .filter_map(|of| {
                // What is no number has no folder in the archive.
                let batch_no = BatchNo::new(&of.batch_no).ok()?;
                Some(((of.dataset, batch_no, of.revision), of.accepted_at))
            })
            .collect(),
    }))
}
