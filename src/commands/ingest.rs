//! `redledger ingest SOURCE…`

mod named;

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::StreamExt as _;
use tempfile::TempPath;

use self::named::{Identity, Named, Wanted, expand, has_ending};
use super::{context::Context, load_report::finish, output::say_that_it_waits};
use crate::{
    batch::{Batch, BatchContent, FileSource, Way},
    batch_no::BatchNo,
    cli::Ingest,
    clock,
    contract::Contract,
    error::{Error, ExitStatus, Result},
    history::Acceptance,
    hook::{self, Announcement},
    run::{Intake, Run},
    source::open_file,
    source_url::redacted,
};

/// What a SOURCE turned out to be.
enum Given {
    /// An announcement's origin and bytes.
    Announcement(String, Vec<u8>),
    /// A part of the batch that the command line numbers.
    File(FileSource),
}

pub(super) fn run(context: &Context, arguments: &Ingest) -> Result<ExitStatus> {
    let dataset = arguments
        .dataset
        .as_deref()
        .map(|name| context.contracts.announced(name))
        .transpose()?;
    let batch_no = match &arguments.batch_no {
        Some(text) => {
            Some(BatchNo::new(text).map_err(|invalid| Error::usage(invalid.of("--batch-no")))?)
        }
        None => None,
    };
    let wanted = match batch_no {
        Some(_) => Wanted::Csv,
        None => Wanted::Json,
    };
    let mut run = context.begin("ingest", &arguments.load)?;
    let intake = run.intake();
    let mut sources = Sources::default();
    for source in &arguments.sources {
        sources.read(&mut run, &intake, source, wanted);
    }
    if arguments.sources.is_empty()
        && let Some(batch_no) = &batch_no
    {
        sources.announcements = intake.ask_provider(batch_no)?;
    }
    let now = clock::now();
    let mut batches: Vec<Batch> = Vec::new();
    for assembled in hook::assemble(std::mem::take(&mut sources.announcements)) {
        match assembled.batch.and_then(|batch| {
            let events = &context.config.hook.events;
            let dataset = match &dataset {
                Some(given) => Some(Arc::clone(given)),
                None => (context.contracts).of_event(events, batch.event_type.as_deref())?,
            };
            Ok(Batch::announced(batch, dataset, Way::ByHand(now)))
        }) {
            Ok(batch) => batches.push(batch),
            Err(error) => run.note_error(error),
        }
    }
    // Files are parts of one batch: it is loaded whole or not at all.
    if !sources.files.is_empty() && !sources.lacks_some {
        let batch_no = batch_no.ok_or_else(|| Error::Internal("files without a number".into()))?;
        let (files, notes) = (
            std::mem::take(&mut sources.files),
            std::mem::take(&mut sources.notes),
        );
        batches.push(numbered(batch_no, dataset, files, notes, now));
    }
    run.load_all(&batches);
    finish(context, run, arguments.load.format)
}

/// What the command line's sources have turned out to hold.
#[derive(Default)]
struct Sources {
    announcements: Vec<Announcement>,
    files: Vec<FileSource>,
    notes: Vec<String>,
    seen: HashSet<Identity>,
    /// Removed when the command ends.
    spools: Vec<TempPath>,
    /// Whether something could not be read.
    lacks_some: bool,
}

impl Sources {
    fn read(&mut self, run: &mut Run<'_>, intake: &Intake<'_>, source: &OsStr, wanted: Wanted) {
        if run.is_stopped() {
            run.note_left(redacted(&source.to_string_lossy()).into_owned());
            return;
        }
        let (named, fault) = match expand(source, wanted) {
            Ok((named, passed_over)) => (named, passed_over),
            Err(error) => (Vec::new(), Some(error)),
        };
        if let Some(error) = fault {
            run.note_error(error);
            self.lacks_some = true;
        }
        for named in named {
            let name = named.to_string();
            if run.is_stopped() {
                run.note_left(name);
                continue;
            }
            // Announcements that say the same again are known by what they say.
            if wanted == Wanted::Csv && !self.seen.insert(named.identity()) {
                self.notes
                    .push(format!("{name} was named more than once and counts once"));
                continue;
            }
            // An announcement that can't be understood does not keep the others from being loaded.
            if let Err(error) = self.take(intake, named, wanted) {
                if matches!(error, Error::Stopped { .. }) {
                    run.note_left(name);
                }
                run.note_error(error);
                self.lacks_some = true;
            }
        }
    }

    fn take(&mut self, intake: &Intake<'_>, named: Named, wanted: Wanted) -> Result<()> {
        match read(intake, named, wanted, &mut self.spools)? {
            Given::File(file) => self.files.push(file),
            Given::Announcement(origin, bytes) => {
                self.announcements.extend(hook::parse(&origin, &bytes)?);
            }
        }
        Ok(())
    }
}

fn numbered(
    batch_no: BatchNo,
    dataset: Option<Arc<Contract>>,
    files: Vec<FileSource>,
    notes: Vec<String>,
    now: i64,
) -> Batch {
    Batch {
        batch_no,
        dataset,
        origin: files
            .iter()
            .map(FileSource::origin)
            .collect::<Vec<_>>()
            .join(", "),
        announced_at: None,
        acceptance: Acceptance::by_hand(now),
        by_hand: true,
        total: None,
        content: BatchContent::Files(files),
        missing: None,
        pages_incomplete: false,
        is_overdue: false,
        dataset_is_unsigned: false,
        notes,
        unknown_keys: 0,
        replay: None,
    }
}

fn read(
    intake: &Intake<'_>,
    source: Named,
    wanted: Wanted,
    spools: &mut Vec<TempPath>,
) -> Result<Given> {
    let is_csv = wanted == Wanted::Csv;
    match source {
        Named::Url(url) if is_csv => Ok(Given::File(FileSource::Url(url))),
        Named::Url(url) => Ok(Given::Announcement(
            url.to_string(),
            intake.fetch_announcement(&url)?,
        )),
        Named::Stdin if is_csv => {
            say_that_it_waits("CSV");
            let origin = "standard input";
            let spool = spooled(intake, origin, || Ok(std::io::stdin()), spools)?;
            Ok(Given::File(FileSource::Spooled {
                spool,
                origin: origin.into(),
            }))
        }
        Named::Stdin => {
            say_that_it_waits("an announcement (JSON)");
            let bytes = intake.wait_for(|| {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .read_to_end(&mut bytes)
                    .map_err(Error::io("read", "standard input"))?;
                Ok(bytes)
            })?;
            Ok(Given::Announcement("standard input".into(), bytes))
        }
        Named::Path(path) => read_path(intake, path, wanted, spools),
    }
}

fn read_path(
    intake: &Intake<'_>,
    path: PathBuf,
    wanted: Wanted,
    spools: &mut Vec<TempPath>,
) -> Result<Given> {
    let origin = path.display().to_string();
    // Such as `<(zcat rows.csv.gz)`: it can be read but once.
    let is_pipe = path.metadata().is_ok_and(|metadata| !metadata.is_file());
    let copy = match is_pipe {
        true => {
            let pipe = path.clone();
            let spool = spooled(intake, &origin, move || fs::File::open(pipe), spools)?;
            Some(spool)
        }
        false => None,
    };
    let readable = copy.as_deref().unwrap_or(&path);
    if wanted == Wanted::Csv {
        if starts_like_json(&start_of(readable)?) {
            return Err(Error::Usage {
                message: format!(
                    "{origin} looks like an announcement, and --batch-no goes with CSV files"
                ),
                hint: Some("leave out --batch-no: the announcement has its own".into()),
            });
        }
        return Ok(Given::File(match copy {
            Some(spool) => FileSource::Spooled { spool, origin },
            None => FileSource::Path(path),
        }));
    }
    let bytes = match has_ending(&path, "csv") {
        true => None,
        false => {
            let is_named_json = has_ending(&path, "json");
            intake.block_on(announcement(readable, is_named_json))?
        }
    };
    match bytes {
        Some(bytes) => Ok(Given::Announcement(origin, bytes)),
        None => Err(Error::Usage {
            message: format!("{origin} is no announcement (JSON)"),
            hint: Some(
                "to load a CSV give --batch-no, and --dataset unless its columns tell".into(),
            ),
        }),
    }
}

/// The bytes of an announcement, decompressed where they are compressed; `None` when they don't look like one and
/// the file's name does not say so either.
async fn announcement(path: &Path, is_named_json: bool) -> Result<Option<Vec<u8>>> {
    let mut opened = open_file(path).await?;
    let mut bytes = Vec::new();
    let mut is_one = is_named_json;
    while let Some(piece) = opened.body.next().await {
        bytes.extend_from_slice(&piece?);
        if !is_one && bytes.len() >= START {
            if !starts_like_json(&bytes) {
                return Ok(None);
            }
            is_one = true;
        }
    }
    Ok((is_one || starts_like_json(&bytes)).then_some(bytes))
}

/// Copies what can be read but once to a file, which can be read again; a signal ends the wait for it.
fn spooled<R: std::io::Read>(
    intake: &Intake<'_>,
    origin: &str,
    open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
    spools: &mut Vec<TempPath>,
) -> Result<PathBuf> {
    let spool =
        tempfile::NamedTempFile::new().map_err(Error::io("make a temporary file", origin))?;
    let mut into = spool.reopen().map_err(Error::io("open", spool.path()))?;
    let from = origin.to_owned();
    intake.wait_for(move || {
        open()
            .and_then(|mut input| std::io::copy(&mut input, &mut into))
            .and_then(|_| into.flush())
            .map_err(Error::io("read", from))
    })?;
    let spool = spool.into_temp_path();
    let path = spool.to_path_buf();
    spools.push(spool);
    Ok(path)
}

/// Bytes of a file that show whether it is JSON.
const START: usize = 512;

fn start_of(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let file = fs::File::open(path).map_err(Error::io("open", path))?;
    file.take(START as u64)
        .read_to_end(&mut start)
        .map_err(Error::io("read", path))?;
    Ok(start)
}

fn starts_like_json(start: &[u8]) -> bool {
    let start = &start[..start.len().min(START)];
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    matches!(
        start.iter().find(|byte| !byte.is_ascii_whitespace()),
        Some(b'{' | b'[')
    )
}
