//! `redledger backfill BATCH…`: batches again, from the archive or from where they came.

use std::collections::HashSet;

use super::{
    context::Context,
    load_report::finish,
    output::{self, Table, counted, say},
};
use crate::{
    archive::Archive,
    batch_no::BatchNo,
    cli::{Backfill, Format},
    data_dir,
    error::{Error, ExitStatus, Result},
    hook,
    run::{self, Asked, Backlog, Limits, Origin, Plan, Planned},
    selection::Selection,
    warehouse,
};

pub(super) fn run(context: &Context, arguments: &Backfill) -> Result<ExitStatus> {
    let mut selections = arguments
        .batches
        .iter()
        .map(|text| Selection::parse(text))
        .collect::<Result<Vec<_>>>()?;
    if let Some(path) = &arguments.from_file {
        selections.extend(Selection::read(path)?);
    }
    if let Some(dataset) = &arguments.dataset {
        context.contracts.require(dataset)?;
    }
    let own = Archive::new(&context.config.data_dir);
    let archive = match &arguments.from_data_dir {
        Some(data_dir) if !data_dir::archive(data_dir).is_dir() => {
            return Err(Error::usage(format!(
                "{} holds no archive",
                data_dir.display()
            )));
        }
        Some(data_dir) => Archive::new(data_dir),
        None => own.clone(),
    };
    let foreign = !archive.is_same(&own);
    let archive = if foreign { archive } else { own };
    let asked = Asked {
        selections,
        dataset: arguments.dataset.clone(),
        since: arguments.since,
        until: arguments.until,
        refetch: arguments.refetch,
    };
    let (config, contracts) = (&context.config, &context.contracts);
    let Plan { batches, errors } = run::make_plan(config, contracts, &asked, &archive)?;
    if !foreign && warehouse::is_lost(&context.config)? {
        name_others(&archive, &batches)?;
    }
    if arguments.dry_run {
        for error in &errors {
            output::report_error(error);
        }
        show(&batches, arguments.load.format)?;
        let exits = errors.iter().map(Error::exit_status);
        return Ok(exits.max().unwrap_or(ExitStatus::Success));
    }
    let mut run = context.begin("backfill", &arguments.load)?;
    for error in errors {
        run.note_error(error);
    }
    let mut queue = Backlog {
        config,
        contracts,
        archive,
        foreign,
        batches,
    };
    run.load_some(&mut queue, Limits::default());
    finish(context, run, arguments.load.format)
}

/// Says what a warehouse that is made anew will lack.
fn name_others(archive: &Archive, planned: &[Planned]) -> Result<()> {
    const NAMED: usize = 10;
    let planned: HashSet<(Option<&str>, &BatchNo)> = planned
        .iter()
        .map(|of| {
            let dataset = of.dataset.as_ref().map(|of| of.name.as_str());
            (dataset, &of.batch_no)
        })
        .collect();
    let mut others = archive.batches()?;
    others.retain(|(dataset, batch_no)| {
        let known_as = [Some(dataset.as_str()), None];
        !known_as
            .iter()
            .any(|dataset| planned.contains(&(*dataset, batch_no)))
    });
    if others.is_empty() {
        return Ok(());
    }
    let mut names: Vec<_> = others
        .iter()
        .take(NAMED)
        .map(|(dataset, batch_no)| format!("{batch_no} of {dataset}"))
        .collect();
    if others.len() > NAMED {
        names.push("…".to_owned());
    }
    tracing::warn!(
        "the warehouse is gone and is made anew without what was not asked for, of which the archive holds {}: {} \
         (`redledger backfill '*'` loads everything)",
        others.len(),
        names.join(", ")
    );
    Ok(())
}

fn show(batches: &[Planned], format: Format) -> Result<()> {
    let mut table = Table::new(&["batch", "dataset", "revision", "would", "files", "bytes"])
        .shortening(&[("would", 20), ("dataset", 16)])
        .dropping(&["bytes", "files", "revision", "dataset"]);
    for planned in batches {
        let (revision, would, files, bytes) = match &planned.origin {
            Origin::Archive {
                revision,
                is_loaded,
                files,
                bytes,
            } => {
                let would = if *is_loaded {
                    "check: it is loaded"
                } else {
                    "load from the archive"
                };
                let figures = (Some(*revision), Some(*files), Some(*bytes));
                (figures.0, would.to_owned(), figures.1, figures.2)
            }
            Origin::Announcement(batch) => {
                let from = match batch.as_ref().map(|batch| &batch.content) {
                    Some(hook::Content::Files(urls)) => {
                        let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
                        format!("fetch {}", urls.join(" "))
                    }
                    Some(hook::Content::Rows(rows)) => {
                        format!("load {}", counted(rows.len() as u64, "announced row"))
                    }
                    None => String::new(),
                };
                (None, from, None, None)
            }
            Origin::Provider => (None, "ask the provider".to_owned(), None, None),
        };
        table.push([
            planned.batch_no.as_str().into(),
            planned
                .dataset
                .as_ref()
                .map(|contract| contract.name.to_string())
                .into(),
            revision.into(),
            would.into(),
            files.into(),
            bytes.into(),
        ]);
    }
    match format {
        Format::Table if table.is_empty() => say!("nothing to do"),
        format => table.print(format)?,
    }
    Ok(())
}
