//! `redledger ingest SOURCE…`

use std::{
    fmt::{self, Display},
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempPath;

use super::{Context, session::LoadSession};
use crate::{
    batch_no::BatchNo,
    cli::Ingest,
    contract::Contract,
    error::{Error, ExitStatus, Result},
    history::Acceptance,
    hook, ledger,
    pipeline::{Batch, BatchContent, FileSource, Way},
    source_url::{SourceUrl, redacted},
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
        .map(|name| announced_dataset(context, name))
        .transpose()?;
    let batch_no = match &arguments.batch_no {
        Some(text) => Some(
            BatchNo::new(text)
                .map_err(|message| Error::usage(message.replace("`batchNo`", "--batch-no")))?,
        ),
        None => None,
    };
    let mut session = LoadSession::begin(context, "ingest", arguments.doing.clone())?;
    let mut announcements = Vec::new();
    let mut files = Vec::new();
    // Removed when the command ends.
    let mut spools = Vec::new();
    let mut all_read = true;
    for source in &arguments.sources {
        if session.is_stopped() {
            session.note_left(redacted(source).into_owned());
            continue;
        }
        let named = expand(source, batch_no.is_some()).unwrap_or_else(|error| {
            session.note_error(error);
            all_read = false;
            Vec::new()
        });
        for named in named {
            if session.is_stopped() {
                session.note_left(named.to_string());
                continue;
            }
            let name = named.to_string();
            let given = read(&session, named, batch_no.is_some(), &mut spools);
            let understood = given.and_then(|given| {
                match given {
                    Given::File(file) => files.push(file),
                    Given::Announcement(origin, bytes) => {
                        announcements.extend(hook::parse(&origin, &bytes)?);
                    }
                }
                Ok(())
            });
            // An announcement that can't be understood does not keep the others from being loaded.
            if let Err(error) = understood {
                if matches!(error, Error::Stopped { .. }) {
                    session.note_left(name);
                }
                session.note_error(error);
                all_read = false;
            }
        }
    }
    if arguments.sources.is_empty()
        && let Some(batch_no) = &batch_no
    {
        announcements = session.ask_provider(batch_no)?;
    }
    let now = ledger::now();
    let mut batches: Vec<Batch> = Vec::new();
    for assembled in hook::assemble(announcements) {
        match assembled.batch.and_then(|batch| {
            let dataset = dataset_of(context, dataset.as_ref(), batch.event_type.as_deref())?;
            Ok(Batch::announced(batch, dataset, Way::ByHand(now)))
        }) {
            Ok(batch) => batches.push(batch),
            Err(error) => session.note_error(error),
        }
    }
    // Files are parts of one batch: it is loaded whole or not at all.
    if !files.is_empty() && all_read {
        let batch_no = batch_no.ok_or_else(|| Error::Internal("files without a number".into()))?;
        batches.push(numbered(batch_no, dataset, files, now));
    }
    session.load_all(&batches);
    session.finish()
}

/// The command line's dataset, else the one configured for the announcement's type.
pub(super) fn dataset_of(
    context: &Context,
    given: Option<&Arc<Contract>>,
    event_type: Option<&str>,
) -> Result<Option<Arc<Contract>>> {
    if let Some(given) = given {
        return Ok(Some(Arc::clone(given)));
    }
    let configured = event_type.and_then(|event| context.config.hook.events.get(event));
    configured
        .map(|name| announced_dataset(context, name))
        .transpose()
}

/// The contract of `name`, if batches of it are announced by themselves.
pub(super) fn announced_dataset(context: &Context, name: &str) -> Result<Arc<Contract>> {
    let contract = context.contracts.require(name)?;
    match &contract.parent {
        None => Ok(Arc::clone(contract)),
        Some(parent) => Err(Error::Usage {
            message: format!(
                "`{name}` has no batches of its own: rows of `{}` name its files",
                parent.dataset
            ),
            hint: Some(format!("ingest the batch of `{}`", parent.dataset)),
        }),
    }
}

fn numbered(
    batch_no: BatchNo,
    dataset: Option<Arc<Contract>>,
    files: Vec<FileSource>,
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
        notes: Vec::new(),
        unknown_keys: 0,
        replay: None,
    }
}

/// A source as the command line names it.
enum Named {
    Stdin,
    Path(PathBuf),
    Url(SourceUrl),
}

impl Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => formatter.write_str("standard input"),
            Self::Path(path) => path.display().fmt(formatter),
            Self::Url(url) => url.fmt(formatter),
        }
    }
}

fn expand(source: &str, is_csv: bool) -> Result<Vec<Named>> {
    if source == "-" {
        return Ok(vec![Named::Stdin]);
    }
    if source.contains("://") {
        let url = SourceUrl::parse(source)
            .map_err(|message| Error::usage(format!("{}: {message}", redacted(source))))?;
        if url.secret().scheme() == "file" {
            let path = url
                .secret()
                .to_file_path()
                .map_err(|()| Error::usage(format!("{url} is not a path of this machine")))?;
            return Ok(vec![Named::Path(path)]);
        }
        return Ok(vec![Named::Url(url)]);
    }
    let path = Path::new(source);
    if !path.is_dir() {
        return Ok(vec![Named::Path(path.to_path_buf())]);
    }
    let wanted = if is_csv { "csv" } else { "json" };
    let entries = fs::read_dir(path).map_err(Error::io("read the folder", path))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("read the folder", path))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
        {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::usage(format!(
            "{} holds no *.{wanted} file",
            path.display()
        )));
    }
    paths.sort();
    Ok(paths.into_iter().map(Named::Path).collect())
}

fn read(
    session: &LoadSession<'_>,
    source: Named,
    is_csv: bool,
    spools: &mut Vec<TempPath>,
) -> Result<Given> {
    match source {
        Named::Url(url) if is_csv => Ok(Given::File(FileSource::Url(url))),
        Named::Url(url) => Ok(Given::Announcement(
            url.to_string(),
            session.fetch_announcement(&url)?,
        )),
        Named::Stdin if is_csv => {
            let origin = "standard input";
            let spool = spooled(session, origin, || Ok(std::io::stdin()), spools)?;
            Ok(Given::File(FileSource::Spooled {
                spool,
                origin: origin.into(),
            }))
        }
        Named::Stdin => {
            let bytes = session.wait_for(|| {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .read_to_end(&mut bytes)
                    .map_err(Error::io("read", "standard input"))?;
                Ok(bytes)
            })?;
            Ok(Given::Announcement("standard input".into(), bytes))
        }
        Named::Path(path) => {
            let origin = path.display().to_string();
            // Such as `<(zcat rows.csv.gz)`: it can be read but once.
            let is_pipe = path.metadata().is_ok_and(|metadata| !metadata.is_file());
            let copy = match is_pipe {
                true => {
                    let pipe = path.clone();
                    let spool = spooled(session, &origin, move || fs::File::open(pipe), spools)?;
                    Some(spool)
                }
                false => None,
            };
            let readable = copy.as_deref().unwrap_or(&path);
            let looks_like_json = starts_like_json(readable)?;
            if is_csv && looks_like_json {
                return Err(Error::Usage {
                    message: format!(
                        "{origin} looks like an announcement, and --batch-no goes with CSV files"
                    ),
                    hint: Some("leave out --batch-no: the announcement has its own".into()),
                });
            }
            if is_csv {
                return Ok(Given::File(match copy {
                    Some(spool) => FileSource::Spooled { spool, origin },
                    None => FileSource::Path(path),
                }));
            }
            let has_extension = |wanted: &str| {
                path.extension()
                    .is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
            };
            if has_extension("csv") || !(has_extension("json") || looks_like_json) {
                return Err(Error::Usage {
                    message: format!("{origin} is no announcement (JSON)"),
                    hint: Some(
                        "to load a CSV give --batch-no, and --dataset unless its columns tell"
                            .into(),
                    ),
                });
            }
            let bytes = fs::read(readable).map_err(Error::io("read", &path))?;
            Ok(Given::Announcement(origin, bytes))
        }
    }
}

/// Copies what can be read but once to a file, which can be read again; a signal ends the wait for it.
fn spooled<R: std::io::Read>(
    session: &LoadSession<'_>,
    origin: &str,
    open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
    spools: &mut Vec<TempPath>,
) -> Result<PathBuf> {
    let spool =
        tempfile::NamedTempFile::new().map_err(Error::io("make a temporary file", origin))?;
    let mut into = spool.reopen().map_err(Error::io("open", spool.path()))?;
    let from = origin.to_owned();
    session.wait_for(move || {
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

fn starts_like_json(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = fs::File::open(path).map_err(Error::io("open", path))?;
    file.take(512)
        .read_to_end(&mut start)
        .map_err(Error::io("read", path))?;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start);
    Ok(matches!(
        start.iter().find(|byte| !byte.is_ascii_whitespace()),
        Some(b'{' | b'[')
    ))
}
