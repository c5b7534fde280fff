//! `redledger archive verify|prune`

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{
    Context, contents,
    output::{Table, counted, say},
    progress,
};
use crate::{
    archive::{Archive, Loaded, Removed, Retention},
    batch_no::BatchNo,
    cli::{Format, Keeping, Reading},
    config::Config,
    error::{ExitStatus, Result},
    ledger,
    stop::Stop,
    warehouse::{self, Claim},
};

/// How long a run is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(30);

pub(super) fn run(context: &Context, arguments: &Keeping) -> Result<ExitStatus> {
    match arguments {
        Keeping::Verify(reading) => verify(context, *reading),
        Keeping::Prune { dry_run } => prune(context, *dry_run),
    }
}

/// Removes what has become due by the settings, see [`Archive::tidy`]. The caller holds the lock, and has no warehouse
/// open.
///
/// # Errors
/// Those of [`Archive::tidy`], and what keeps a warehouse from being read: nothing is removed then.
pub(super) fn clear(config: &Config) -> Result<Removed> {
    let archive = Archive::new(&config.data_dir);
    archive.tidy(limits(config), SystemTime::now(), |batches| {
        let mut loaded = HashSet::new();
        for path in warehouses(config) {
            contents::survives(&path)?;
            if let Some(connection) = warehouse::open_reading(&path)? {
                loaded.extend(ledger::loaded_among(&connection, batches)?);
            }
        }
        Ok(loaded)
    })
}

fn limits(config: &Config) -> Retention {
    Retention {
        max_age: config.archive.max_age,
        max_bytes: (config.archive.max_bytes.0 > 0).then_some(config.archive.max_bytes.0),
        keep_current: config.archive.keep_current,
    }
}

/// The published warehouse, and the one that a rollback would publish.
fn warehouses(config: &Config) -> [PathBuf; 2] {
    let live = config.warehouse_path();
    let previous = warehouse::previous_of(&live);
    [live, previous]
}

/// What they have loaded.
fn loaded(config: &Config) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for path in warehouses(config) {
        let batches = contents::survived(&path)?.map(|contents| contents.batches);
        loaded
            .revisions
            .extend(batches.into_iter().flatten().filter_map(|batch| {
                // What is no number has no folder in the archive.
                let batch_no = BatchNo::new(&batch.batch_no).ok()?;
                Some((batch.dataset, batch_no, batch.revision))
            }));
        if let Some(connection) = warehouse::open_reading(&path)? {
            loaded.files.extend(ledger::loaded_files(&connection)?);
        }
    }
    Ok(loaded)
}

fn verify(context: &Context, reading: Reading) -> Result<ExitStatus> {
    let bar = progress::spinner(context);
    let archive = Archive::new(&context.config.data_dir);
    let verified = archive.verify(progress::each_file(&bar))?;
    bar.finish_and_clear();
    let mut table = Table::new(&["path", "problem"]).shortening(&[("problem", 24), ("path", 24)]);
    for finding in &verified.findings {
        table.push([
            finding.path.as_str().into(),
            finding.message.as_str().into(),
        ]);
    }
    let text = reading.format == Format::Table;
    if !text || !table.is_empty() {
        table.print(reading.format)?;
    }
    if text {
        let state = match verified.findings.len() {
            0 => "all as delivered".to_owned(),
            wrong => format!("{} not as delivered", counted(wrong as u64, "file")),
        };
        say!(
            "{} with {}: {state}.",
            counted(verified.files, "file"),
            indicatif::HumanBytes(verified.bytes)
        );
    }
    Ok(if verified.findings.is_empty() {
        ExitStatus::Success
    } else {
        ExitStatus::Attention
    })
}

fn prune(context: &Context, dry_run: bool) -> Result<ExitStatus> {
    let config = &context.config;
    // Not while a run is keeping files.
    let lock = config.data_dir.join("lock");
    let _lock = if config.data_dir.is_dir() {
        Some(Claim::acquire(
            &lock,
            LOCK_WAIT,
            "archive prune",
            &Stop::default(),
        )?)
    } else {
        None
    };
    if !dry_run {
        warehouse::finish_interrupted(&config.warehouse_path())?;
    }
    let Removed {
        revisions,
        files,
        bytes,
        excess,
    } = Archive::new(&config.data_dir).prune(limits(config), SystemTime::now(), dry_run, || {
        loaded(config)
    })?;
    for (dataset, batch_no, revision) in &revisions {
        say!("{batch_no} of {dataset}, revision {revision}");
    }
    say!(
        "{} {} and {} ({}).",
        if dry_run { "Would remove" } else { "Removed" },
        counted(revisions.len() as u64, "revision"),
        counted(files, "file"),
        indicatif::HumanBytes(bytes)
    );
    if excess > 0 {
        say!(
            "{} are left above [archive] max_bytes, all of them of revisions that keep_current keeps.",
            indicatif::HumanBytes(excess)
        );
    }
    Ok(ExitStatus::Success)
}
