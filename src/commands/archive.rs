//! `redledger archive verify|prune`

use std::time::{Duration, SystemTime};

use super::{
    context::Context,
    output::{Table, counted, say},
    progress,
};
use crate::{
    archive::{Archive, Removed},
    cli::{ArchiveCommand, Format, ReadOptions},
    data_dir,
    error::{ExitStatus, Result},
    run,
    stop::Stop,
    warehouse::{self, Claim},
};

/// How long a run is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(30);

pub(super) fn run(context: &Context, arguments: &ArchiveCommand) -> Result<ExitStatus> {
    match arguments {
        ArchiveCommand::Verify(read) => verify(context, *read),
        ArchiveCommand::Prune { dry_run } => prune(context, *dry_run),
    }
}

fn verify(context: &Context, read: ReadOptions) -> Result<ExitStatus> {
    let bar = progress::spinner(context.show_progress);
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
    let text = read.format == Format::Table;
    if !text || !table.is_empty() {
        table.print(read.format)?;
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
    let lock = data_dir::lock(&config.data_dir);
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
    } = Archive::new(&config.data_dir).prune(
        run::retention(config),
        SystemTime::now(),
        dry_run,
        || run::loaded_anywhere(config),
    )?;
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
