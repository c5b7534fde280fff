//! `redledger archive verify|prune`

use std::time::{Duration, SystemTime};

use super::{
    Context,
    output::{Table, counted, say},
    progress,
};
use crate::{
    archive::{Archive, Removed, Retention},
    cli::{Keeping, Reading, ReadingFormat},
    config::ArchiveConfig,
    error::{ExitStatus, Result},
    publish::Lock,
    stop::Stop,
};

/// How long a run is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(30);

pub(super) fn run(context: &Context, arguments: &Keeping) -> Result<ExitStatus> {
    match arguments {
        Keeping::Verify(reading) => verify(context, *reading),
        Keeping::Prune { dry_run } => prune(context, *dry_run),
    }
}

/// What the settings let go.
pub(super) fn retention(config: &ArchiveConfig) -> Retention {
    Retention {
        max_age: config.max_age,
        max_bytes: (config.max_bytes.0 > 0).then_some(config.max_bytes.0),
        keep_current: config.keep_current,
    }
}

fn verify(context: &Context, reading: Reading) -> Result<ExitStatus> {
    let bar = progress::spinner(context);
    let archive = Archive::new(&context.config.data_dir);
    let verified = archive.verify(|_, _| true, progress::each_file(&bar))?;
    bar.finish_and_clear();
    let mut table = Table::new(&["path", "problem"]);
    for finding in &verified.findings {
        table.push([
            finding.path.as_str().into(),
            finding.message.as_str().into(),
        ]);
    }
    let text = reading.format == ReadingFormat::Table;
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
    let archive = Archive::new(&context.config.data_dir);
    // Not while a run is keeping files.
    let lock = context.config.data_dir.join("lock");
    let _lock = if context.config.data_dir.is_dir() {
        Some(Lock::acquire(
            &lock,
            LOCK_WAIT,
            "archive prune",
            &Stop::default(),
        )?)
    } else {
        None
    };
    let limits = retention(&context.config.archive);
    let Removed {
        revisions,
        files,
        bytes,
        excess,
    } = archive.prune(limits, SystemTime::now(), true, dry_run)?;
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
            "{} are left above [archive] max_bytes, all of them of current revisions.",
            indicatif::HumanBytes(excess)
        );
    }
    Ok(ExitStatus::Success)
}
