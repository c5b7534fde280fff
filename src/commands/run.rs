//! `redledger run`: the scheduled job. Drains the inbox in announcement order and publishes once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use super::{
    Context,
    ingest::dataset_of,
    output::{self, Table, say},
    put_aside,
    session::{Limits, LoadSession, Queue},
};
use crate::{
    cli::{Format, Run},
    config::Config,
    error::{Error, ExitStatus, Result},
    hook::{self, Assembled},
    inbox::{Fate, Inbox},
    ledger,
    pipeline::{Batch, BatchContent, Ending, Outcome, Way},
    publish, warehouse_file,
};

/// A batch and the inbox files that its announcements are in.
struct Waiting {
    batch: Batch,
    files: Vec<PathBuf>,
    /// What has become of it, once its turn has come.
    outcome: Option<Outcome>,
}

impl Queue for Vec<Waiting> {
    fn names(&self) -> Vec<String> {
        let names = self
            .iter()
            .map(|waiting| waiting.batch.batch_no.to_string());
        names.collect()
    }

    fn take(&mut self, _: &LoadSession<'_>, index: usize) -> Result<Batch> {
        Ok(self[index].batch.clone())
    }

    fn note(&mut self, index: usize, outcome: &Outcome) {
        self[index].outcome = Some(outcome.clone());
    }
}

/// An announcement that can't be understood, and why.
type Bad = (PathBuf, String);

/// What is in the inbox.
struct Understood {
    waiting: Vec<Waiting>,
    bad: Vec<Bad>,
    /// What the system does not let us read, and why. It stays: somebody may well see to it before the next run.
    unread: Vec<Bad>,
}

pub(super) fn run(context: &Context, arguments: &Run) -> Result<ExitStatus> {
    let started = Instant::now();
    check_place(&context.config)?;
    let inbox = Inbox::new(&context.config.data_dir);
    let mut session = LoadSession::begin(context, "run", arguments.doing.clone())?;
    session.watch_cadence(arguments.strict)?;
    let mut paths = inbox.waiting()?;
    if !paths.is_empty() && !arguments.dry_run {
        // Another run may be settling some of them.
        match session.lock() {
            Err(error @ Error::Stopped { .. }) => {
                session.note_error(error);
                return session.finish();
            }
            other => other?,
        }
        paths = inbox.waiting()?;
    }
    let Understood {
        mut waiting,
        bad,
        unread,
    } = understand(context, &paths, &mut session)?;
    if waiting.is_empty() {
        // Nothing would notice, night after night.
        publish::refuse_to_begin_anew(&context.config)?;
    }
    if arguments.dry_run {
        return show(&waiting, &bad, &unread, arguments.doing.format);
    }
    for (path, note) in &bad {
        put_it_aside(&inbox, path, note)?;
    }
    let limits = Limits {
        batches: arguments.max_batches.unwrap_or(usize::MAX),
        until: arguments.deadline.map(|deadline| started + deadline),
    };
    session.load_some(&mut waiting, limits);
    // What is not published is not settled.
    let ended = match session.is_published() {
        true => ended(&waiting),
        false => BTreeMap::new(),
    };
    for (path, note) in ended {
        let settled = match note {
            None => inbox.settle(&path, Fate::Done, None),
            Some(note) => put_it_aside(&inbox, &path, &note),
        };
        // The warehouse is published: say so, and that the next run meets these again.
        if let Err(error) = settled {
            session.note_error(error);
        }
    }
    if session.is_published()
        && let Err(error) = put_aside::clear(&inbox, &session.closed())
    {
        session.note_error(error);
    }
    forget_old(
        &context.config.data_dir.join("inbox/done"),
        context.config.inbox.keep_done,
    );
    session.finish()
}

/// That there is something of ours: a misspelt folder, or a volume that is not mounted, has nothing to do every night.
fn check_place(config: &Config) -> Result<()> {
    let data_dir = &config.data_dir;
    let inbox = data_dir.join("inbox");
    let has_inbox = inbox.try_exists().map_err(Error::io("look for", &inbox))?;
    if has_inbox || warehouse_file::exists(&config.warehouse_path())? {
        return Ok(());
    }
    publish::refuse_to_begin_anew(config)?;
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

/// Reads the inbox. What can't be understood comes back with the reason.
fn understand(
    context: &Context,
    paths: &[PathBuf],
    session: &mut LoadSession<'_>,
) -> Result<Understood> {
    let mut announcements = Vec::new();
    let mut by_origin: HashMap<String, PathBuf> = HashMap::new();
    let mut bad = Vec::new();
    let mut unread = Vec::new();
    let mut reject = |path: &Path, error: Error, session: &mut LoadSession<'_>| {
        let hint = error
            .hint()
            .map(|hint| format!("\nhint: {hint}"))
            .unwrap_or_default();
        bad.push((path.to_path_buf(), format!("{}{hint}\n", error.chain())));
        session.note_error(error);
    };
    for path in paths {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            // Another run has just been through with it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {
                continue;
            }
            // It stays where it is: who may not read it may not move it either. The others don't wait for it.
            Err(error) => {
                let error = Error::io("read the announcement", path)(error);
                unread.push((path.clone(), error.chain()));
                session.note_error(error);
                continue;
            }
        };
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match hook::parse(&name, &bytes) {
            Ok(parsed) => {
                let received_at = Inbox::received_at(path);
                for mut announcement in parsed {
                    announcement.received_at = received_at;
                    by_origin.insert(announcement.origin.clone(), path.clone());
                    announcements.push(announcement);
                }
            }
            Err(error) => reject(path, error, session),
        }
    }
    let now = ledger::now();
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut refused: HashSet<PathBuf> = HashSet::new();
    for Assembled { origins, batch } in hook::assemble(announcements) {
        let mut files: Vec<PathBuf> = origins
            .iter()
            .filter_map(|origin| by_origin.get(origin).cloned())
            .collect();
        files.sort();
        files.dedup();
        let batch = batch.and_then(|batch| {
            let dataset = dataset_of(context, None, batch.event_type.as_deref())?;
            Ok(Batch::announced(batch, dataset, Way::Inbox(now)))
        });
        match batch {
            Ok(batch) => waiting.push(Waiting {
                batch,
                files,
                outcome: None,
            }),
            Err(error) => {
                if let Some(path) = files.first() {
                    reject(path, error, session);
                }
                refused.extend(files);
            }
        }
    }
    // The pages of a batch that disagree go together, unless another batch is in the same file.
    for path in refused {
        let needed = waiting.iter().any(|batch| batch.files.contains(&path));
        let noted = bad.iter().any(|(of, _)| *of == path);
        match (needed, noted) {
            (true, _) => bad.retain(|(of, _)| *of != path),
            (false, false) => bad.push((
                path,
                "the pages of its batch disagree; see the note of the first page\n".into(),
            )),
            (false, true) => {}
        }
    }
    Ok(Understood {
        waiting,
        bad,
        unread,
    })
}

/// Files all of whose batches have ended, with a note where one has not ended well.
fn ended(waiting: &[Waiting]) -> BTreeMap<PathBuf, Option<String>> {
    let mut ended: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    let mut needed: HashSet<&PathBuf> = HashSet::new();
    for batch in waiting {
        // What waits, and what this machine or its settings are against, stays in the inbox.
        let Some(outcome) = batch.outcome.as_ref().filter(|outcome| outcome.is_over) else {
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
fn forget_old(folder: &Path, keep: std::time::Duration) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_some_and(|age| age > keep)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "can't remove an old announcement");
        }
    }
}

fn show(waiting: &[Waiting], bad: &[Bad], unread: &[Bad], format: Format) -> Result<ExitStatus> {
    let mut table = Table::new(&["batch", "dataset", "would", "from"])
        .shortening(&[("from", 16), ("would", 20), ("dataset", 16)])
        .dropping(&["dataset"]);
    for batch in waiting {
        let source = &batch.batch;
        let (would, from) = match (&source.missing, &source.content) {
            (Some(missing), _) => (format!("wait for {missing}"), String::new()),
            (None, BatchContent::Files(files)) => (
                format!("fetch {}", output::counted(files.len() as u64, "file")),
                files
                    .iter()
                    .map(|file| file.origin())
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            (None, BatchContent::Rows(list)) => (
                format!(
                    "load {}",
                    output::counted(list.rows.len() as u64, "inline row")
                ),
                source.origin.clone(),
            ),
        };
        table.push([
            source.batch_no.as_str().into(),
            source
                .dataset
                .as_ref()
                .map(|contract| contract.name.to_string())
                .into(),
            would.into(),
            from.into(),
        ]);
    }
    let of_no_batch = [
        (bad, "put aside as bad"),
        (unread, "leave it: can't be read"),
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
