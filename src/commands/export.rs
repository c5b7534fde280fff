//! `redledger export`: rows of a dataset to a file, and on stdout what a consumer has to know.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use serde_json::{Value, json};

use super::{
    context::Context,
    output::{self, counted, iso, remark},
    status,
};
use crate::{
    archive::Archive,
    audit,
    batch_no::BatchNo,
    cli::{Export, ExportFormat},
    contract::Contract,
    error::{Error, ExitStatus, Result},
    export::{Choice, Copy, Format, Obsolete, Wanted},
    ledger::{self, StandingBatch},
    warehouse::{self, Exporting},
};

pub(super) fn run(context: &Context, arguments: &Export) -> Result<ExitStatus> {
    let contract = context.contracts.require(&arguments.dataset)?;
    let format = format(arguments)?;
    let out = &arguments.out;
    refuse_to_replace(out)?;
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // On the same file system, so that a rename is all that is left to do; only this user reads it.
    let incoming = tempfile::Builder::new()
        .prefix(".redledger-export-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir_in(folder)
        .map_err(Error::io("write an export to", folder))?;
    let target = private_file(incoming.path())?;

    let config = &context.config;
    let spill = incoming.path().join("spill");
    let opened = warehouse::open_exporting(&config.warehouse_path(), &spill, &target)?;
    let choice = choose(context, contract, &wanted(arguments), &opened)?;
    warehouse::limit(&opened.connection, &config.load)?;
    let copy = Copy {
        connection: &opened.connection,
        contract,
        contracts: &context.contracts,
        format,
    };
    let is_part = arguments.batch.is_some() || arguments.since.is_some();
    let rows = copy.write(is_part.then_some(&*choice.batches), &target)?;
    // The engine first: what has spilled is in the folder.
    drop(opened);
    place(&target, out, folder)?;
    drop(incoming);
    report(arguments, &choice, rows)
}

fn format(arguments: &Export) -> Result<Format> {
    let for_spreadsheets = arguments.for_spreadsheets;
    match arguments.format {
        ExportFormat::Csv => Ok(Format::Csv { for_spreadsheets }),
        _ if for_spreadsheets => Err(Error::Usage {
            message: "--for-spreadsheets goes with --format csv only".into(),
            hint: Some("elsewhere text is never taken for a formula".into()),
        }),
        ExportFormat::Parquet => Ok(Format::Parquet),
        ExportFormat::Xlsx => Ok(Format::Xlsx),
    }
}

fn wanted(arguments: &Export) -> Wanted {
    match (&arguments.batch, arguments.since) {
        (Some(batch), _) => Wanted::Batch(batch.clone()),
        (None, Some(since)) => Wanted::Since(since.as_microsecond()),
        (None, None) => Wanted::All,
    }
}

fn refuse_to_replace(out: &Path) -> Result<()> {
    match out.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look for", out)(error)),
        Ok(_) => Err(Error::Usage {
            message: format!(
                "{} is there already; an export replaces nothing",
                out.display()
            ),
            hint: Some("name another file, or move that one away".into()),
        }),
    }
}

/// An empty file that the engine writes over.
fn private_file(folder: &Path) -> Result<std::path::PathBuf> {
    let folder = folder.canonicalize().map_err(Error::io("find", folder))?;
    let path = folder.join("rows");
    let mut options = File::options();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map_err(Error::io("write", &path))?;
    Ok(path)
}

fn choose(
    context: &Context,
    contract: &Contract,
    wanted: &Wanted,
    opened: &Exporting,
) -> Result<Choice> {
    if let Wanted::Batch(batch) = wanted {
        BatchNo::new(batch).map_err(|why| Error::usage(format!("--batch: {why}")))?;
    }
    if !opened.has_ledger {
        audit::check_nothing_loaded(&context.config)?;
        return match wanted {
            Wanted::Batch(batch) => Err(status::unknown(batch, &[])),
            Wanted::All | Wanted::Since(_) => {
                context.say_nothing_loaded();
                Ok(Choice::default())
            }
        };
    }
    let connection = &opened.connection;
    let entered = contract.entered_under();
    let standing = ledger::standing(connection, Some(entered))?;
    let withdrawn = Archive::new(&context.config.data_dir).withdrawn()?;
    let mut withdrawn = withdrawn.revisions().to_vec();
    withdrawn.retain(|of| of.dataset == entered);
    let choice = Choice::make(wanted, standing, &withdrawn);
    if let Wanted::Batch(batch) = wanted
        && choice.batches.is_empty()
    {
        return Err(not_loaded(connection, entered, batch)?);
    }
    Ok(choice)
}

/// Why there are no rows of a batch.
fn not_loaded(connection: &duckdb::Connection, dataset: &str, batch: &str) -> Result<Error> {
    let revisions = ledger::revisions(connection, batch, Some(dataset))?;
    let Some(latest) = revisions.first() else {
        return Ok(status::unknown(
            batch,
            &ledger::batches(connection, Some(dataset))?,
        ));
    };
    Ok(Error::Usage {
        message: format!(
            "batch `{batch}` is {}: nothing of it is loaded",
            latest.entry.state.as_str()
        ),
        hint: Some(format!("`redledger status {batch}` says why")),
    })
}

/// Gives what is written its name, durably, unless something has got it meanwhile.
fn place(written: &Path, out: &Path, folder: &Path) -> Result<()> {
    let failed = |error: io::Error| {
        match error.kind() {
            io::ErrorKind::AlreadyExists => refuse_to_replace(out).err(),
            _ => None,
        }
        .unwrap_or_else(|| Error::io("write", out)(error))
    };
    let file = File::open(written).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let temporary = tempfile::TempPath::try_from_path(written).map_err(failed)?;
    temporary
        .persist_noclobber(out)
        .map_err(|error| failed(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

fn report(arguments: &Export, choice: &Choice, rows: u64) -> Result<ExitStatus> {
    let bytes = fs::metadata(&arguments.out).map_or(0, |metadata| metadata.len());
    for of in &choice.obsolete {
        remark!("delete first what you have of {}: {}", of.batch_no, why(of));
    }
    for of in &choice.late {
        remark!(
            "not in it: {} was accepted before that time and loaded since; --batch {} has its rows",
            of.batch_no,
            of.batch_no
        );
    }
    remark!(
        "{} of {} in {}",
        counted(rows, "row"),
        arguments.dataset,
        arguments.out.display()
    );
    let obsolete: Vec<Value> = choice
        .obsolete
        .iter()
        .map(|of| {
            json!({
                "batch_no": of.batch_no,
                "why": if of.is_withdrawn { "withdrawn" } else { "replaced" },
                "revision": of.revision,
            })
        })
        .collect();
    output::print_json(&json!({
        "dataset": arguments.dataset,
        "format": match arguments.format {
            ExportFormat::Csv => "csv",
            ExportFormat::Parquet => "parquet",
            ExportFormat::Xlsx => "xlsx",
        },
        "out": arguments.out.display().to_string(),
        "rows": rows,
        "bytes": bytes,
        "batches": batches(&choice.batches),
        "delete_first": obsolete,
        "loaded_since": batches(&choice.late),
    }))?;
    Ok(ExitStatus::Success)
}

fn why(of: &Obsolete) -> String {
    match (of.is_withdrawn, of.revision) {
        (false, Some(revision)) => format!("revision {revision} has replaced it"),
        (_, Some(revision)) => format!("a rollback has put revision {revision} back"),
        (_, None) => "a rollback has withdrawn it".into(),
    }
}

fn batches(of: &[StandingBatch]) -> Vec<Value> {
    let batches = of.iter().map(|batch| {
        json!({
            "batch_no": batch.batch_no,
            "revision": batch.revision,
            "accepted_at": iso(batch.accepted_at),
        })
    });
    batches.collect()
}
