//! `redledger run`: the scheduled job. Drains the inbox in announcement order and publishes once.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use super::{
    context::Context,
    lineage::Lineage,
    load_report::finish,
    metrics::Night,
    output::{self, Table, say},
};
use crate::{
    cli::{Format, Run},
    config::Config,
    data_dir,
    error::{Error, ExitStatus, Result},
    hook,
    inbox::{Fate, Inbox},
    pipeline::{Ending, Outcome},
    run::{self, Index, Limits, NotTaken, Report, Waiting},
    warehouse,
};

pub(super) fn run(context: &Context, arguments: &Run) -> Result<ExitStatus> {
    let mut night = Night::begin();
    let wanted = arguments.lineage.as_ref().filter(|_| !arguments.dry_run);
    let mut lineage = wanted.map(|to| Lineage::begin(context, to));
    let ended = load(context, arguments, |report| {
        night.note(report);
        if let Some(lineage) = &mut lineage {
            lineage.note(report);
        }
    });
    if let Some(path) = arguments.metrics.as_ref().filter(|_| !arguments.dry_run) {
        night.end(&ended);
        night.write(context, path);
    }
    if let Some(lineage) = lineage {
        lineage.end(&ended);
    }
    ended
}

fn load(
    context: &Context,
    arguments: &Run,
    mut note: impl FnMut(&Report<'_>),
) -> Result<ExitStatus> {
    let started = Instant::now();
    check_place(&context.config)?;
    let format = arguments.load.format;
    let mut run = context.begin("run", &arguments.load)?;
    run.watch_cadence(arguments.strict)?;
    if arguments.dry_run {
        let inbox = Inbox::new(&context.config.data_dir);
        let index = Index::make(
            &context.config,
            &context.contracts,
            &inbox,
            &inbox.waiting()?,
        )?;
        return show(&index, format);
    }
    let limits = Limits {
        batches: arguments.max_batches.unwrap_or(usize::MAX),
        until: arguments.deadline.map(|deadline| started + deadline),
    };
    drain(context, &mut run, limits)?;
    note(&run.report());
    finish(context, run, format)
}

/// Loads what waits in the inbox, publishes it, and settles the announcements.
pub(super) fn drain(
    context: &Context,
    run: &mut crate::run::Run<'_>,
    limits: Limits,
) -> Result<()> {
    let (config, contracts) = (&context.config, &context.contracts);
    let inbox = Inbox::new(&config.data_dir);
    let mut paths = inbox.waiting()?;
    if !paths.is_empty() {
        // Another run may be settling some of them.
        match run.claim() {
            Err(error @ Error::Stopped { .. }) => {
                run.note_error(error);
                return Ok(());
            }
            other => other?,
        }
        paths = inbox.waiting()?;
    }
    let mut index = Index::make(config, contracts, &inbox, &paths)?;
    for error in index.errors.drain(..) {
        run.note_error(error);
    }
    if index.waiting.is_empty() {
        // Nothing would notice, night after night.
        warehouse::refuse_to_begin_anew(config)?;
    }
    inbox.remove_leftovers()?;
    for path in inbox.passed_over()? {
        let name = path.file_name().unwrap_or_default().display();
        tracing::warn!(file = %name, "lies in the inbox and is not read: an announcement's name ends in .json");
    }
    for (path, note) in &index.bad {
        put_it_aside(&inbox, path, note)?;
    }
    match index.waiting.is_empty() {
        true => run.refresh_views()?,
        false => run.load_some(&mut index, limits),
    }
    settle(&inbox, run, &index);
    if run.is_published()
        && let Err(error) = run::clear_put_aside(&inbox, &run.closed())
    {
        run.note_error(error);
    }
    forget_old(
        &inbox,
        &data_dir::done(&config.data_dir),
        config.inbox.keep_done,
    );
    Ok(())
}

/// Moves announcements that are done with to where those are. What is not published is not settled.
fn settle(inbox: &Inbox, run: &mut crate::run::Run<'_>, index: &Index) {
    if !run.is_published() {
        return;
    }
    for (path, note) in ended(index) {
        let settled = match note {
            None => inbox.settle(&path, Fate::Done, None),
            Some(note) => put_it_aside(inbox, &path, &note),
        };
        // The warehouse is published: say so, and that the next run meets these again.
        if let Err(error) = settled {
            run.note_error(error);
        }
    }
}

/// That there is something of ours: a misspelt folder, or a volume that is not mounted, has nothing to do every night.
fn check_place(config: &Config) -> Result<()> {
    let data_dir = &config.data_dir;
    let inbox = data_dir::inbox(data_dir);
    let has_inbox = inbox.try_exists().map_err(Error::io("look for", &inbox))?;
    if has_inbox || warehouse::exists(&config.warehouse_path())? {
        return Ok(());
    }
    warehouse::refuse_to_begin_anew(config)?;
    let place = data_dir.display();
    Err(Error::Usage {
        message: match data_dir.is_dir() {
            true => format!("{place} has neither an inbox nor a warehouse: there is nothing to run on"),
            false => format!("there is no folder {place}: there is nothing to run on"),
        },
        hint: Some(
            "is data_dir spelt right, and its volume mounted? `redledger serve` and `redledger ingest` make a new one"
                .into(),
        ),
    })
}

fn put_it_aside(inbox: &Inbox, path: &Path, note: &str) -> Result<()> {
    inbox.settle(path, Fate::Bad, Some(note))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    tracing::warn!(announcement = %name, "put aside in inbox/bad, with a note");
    Ok(())
}

/// Files all of whose batches have ended, with a note where one has not ended well.
fn ended(index: &Index) -> BTreeMap<PathBuf, Option<String>> {
    let mut ended: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    let mut needed: HashSet<&PathBuf> = HashSet::new();
    for batch in &index.waiting {
        // Pages that are what is loaded may be of a newer issue, whose others are under way.
        let may_grow = batch.batch.may_grow(index.now);
        let is_loaded = |of: &Outcome| of.outcome == Ending::Unchanged && of.revision.is_some();
        // What waits, and what this machine or its settings are against, stays in the inbox.
        let ended_now = |of: &&Outcome| of.is_over && !(may_grow && is_loaded(of));
        let Some(outcome) = batch.outcome.as_ref().filter(ended_now) else {
            needed.extend(&batch.files);
            continue;
        };
        for file in &batch.files {
            let notes = ended.entry(file.clone()).or_default();
            if let Some(note) = note_of(outcome) {
                notes.get_or_insert_default().push_str(&note);
            }
        }
    }
    ended.retain(|path, _| !needed.contains(path));
    ended
}

/// Why a batch that has ended is not loaded.
fn note_of(outcome: &Outcome) -> Option<String> {
    if matches!(outcome.outcome, Ending::Loaded | Ending::Unchanged) {
        return None;
    }
    let message = outcome.message.as_deref().unwrap_or("no reason is known");
    let hint = outcome.hint.as_ref();
    let hint = hint.map_or_else(String::new, |hint| format!("hint: {hint}\n"));
    Some(format!(
        "{} {}: {message}\n{hint}",
        outcome.batch_no,
        outcome.outcome.as_str()
    ))
}

/// Removes announcements that were loaded long ago; failing to is no reason to fail a run.
fn forget_old(inbox: &Inbox, folder: &Path, keep: std::time::Duration) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        // A link may lead nowhere by now.
        let metadata = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path));
        let modified = metadata.and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_none_or(|age| age <= keep) {
            continue;
        }
        let announced = Inbox::resource_of(&path).and_then(|_| {
            let bytes = Inbox::read(&path).ok()?;
            hook::index("announcement", &bytes).ok()?.into_iter().next()
        });
        let announced_at = announced.and_then(|announcement| announcement.announced_at);
        if let Err(error) = inbox.forget(&path, announced_at) {
            tracing::warn!(path = %path.display(), %error, "can't remove an old announcement");
        }
    }
}

fn show(index: &Index, format: Format) -> Result<ExitStatus> {
    let mut table = Table::new(&["batch", "dataset", "would", "from"])
        .shortening(&[("from", 16), ("would", 20), ("dataset", 16)])
        .dropping(&["dataset"]);
    for Waiting { batch, dataset, .. } in &index.waiting {
        let (would, from) = match (&batch.missing, &batch.content) {
            (Some(missing), _) => (format!("wait for {missing}"), String::new()),
            (None, hook::Content::Files(urls)) => {
                let names: Vec<String> = urls.iter().map(ToString::to_string).collect();
                let files = output::counted(urls.len() as u64, "file");
                (format!("fetch {files}"), names.join(" "))
            }
            (None, hook::Content::Rows(_)) => {
                let rows = batch.parts.iter().map(|part| part.rows).sum();
                let rows = output::counted(rows, "inline row");
                (format!("load {rows}"), batch.origin.clone())
            }
        };
        let dataset = dataset.as_ref().map(|contract| contract.name.to_string());
        table.push([
            batch.batch_no.as_str().into(),
            dataset.into(),
            would.into(),
            from.into(),
        ]);
    }
    let of_no_batch: [(&Vec<NotTaken>, &str); 2] = [
        (&index.bad, "put aside as bad"),
        (&index.left, "leave it: can't be read"),
    ];
    for ((path, note), would) in of_no_batch
        .into_iter()
        .flat_map(|(of, would)| of.iter().map(move |of| (of, would)))
    {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        table.push([
            serde_json::Value::Null,
            serde_json::Value::Null,
            would.into(),
            note.lines().next().unwrap_or(&name).into(),
        ]);
    }
    match format {
        Format::Table if table.is_empty() => say!("nothing to do"),
        format => table.print(format)?,
    }
    Ok(ExitStatus::Success)
}
