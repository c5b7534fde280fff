//! Which deliveries may be due for removal, so that a run looks at those and at no others.
//!
//! ```text
//! archive/.journal/new          a line for each document that was written since the last upkeep
//!                 /2026-03-30   batches with a document of that day that nothing protects
//!                 /again        batches with a document that only a warehouse protects, and that is due else
//!                 /state        bytes kept
//! ```
//!
//! What is protected as a batch's newest loaded revision is not entered anywhere: it can become due only when a later
//! one is written down, and then the batch is in `new`. A line too many does no harm; one too few costs room until the
//! next `redledger archive prune`, which looks at everything and makes the journal anew.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{Archive, Delivery, DeliveryOutcome, revision_files};
use crate::{
    batch_no::BatchNo,
    durable::{INCOMING, create_private, entries},
    error::{Error, Result},
};

/// The format of these files; those of another are made anew.
const FORMAT: u32 = 1;
/// Its name in the archive's folder, which no dataset has.
const NAME: &str = ".journal";
const NEW: &str = "new";
const AGAIN: &str = "again";
const STATE: &str = "state";

/// Dataset and number.
pub(super) type Batch = (String, BatchNo);

/// What is known of the archive as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// Size on disk of the files that documents name.
    pub(super) bytes: u64,
    /// What is protected for ever, which was not entered; `None`: nothing was left out yet.
    pub(super) keep_current: Option<bool>,
}

/// A document that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) batch: Batch,
    pub(super) is_loaded: bool,
    /// Bytes that it has added to what documents name, in files that no document of another revision may name.
    pub(super) bytes: i64,
}

/// The journal's folder.
pub(super) struct Journal {
    folder: PathBuf,
}

impl Archive {
    pub(super) fn journal(&self) -> Journal {
        Journal {
            folder: self.folder.join(NAME),
        }
    }

    /// Enters a document that is about to be written: one that is not entered would never be due.
    pub(super) fn enter(&self, delivery: &Delivery) -> io::Result<()> {
        let size = |delivery: &Delivery| -> i64 {
            let paths: BTreeSet<PathBuf> = delivery
                .files
                .iter()
                .map(|file| self.path_of(file))
                .collect();
            let sizes = paths
                .iter()
                .filter_map(|path| Some(fs::metadata(path).ok()?.len()));
            i64::try_from(sizes.sum::<u64>()).unwrap_or(i64::MAX)
        };
        let folder = self.folder.join(&delivery.dataset);
        let folder = folder.join(delivery.batch_no.as_str());
        let replaced = fs::read(folder.join(delivery.file_name())).ok();
        let replaced: Option<Delivery> =
            replaced.and_then(|text| serde_json::from_slice(&text).ok());
        let journal = self.journal();
        create_private(&journal.folder)?;
        if !journal.folder.join(STATE).exists() && !self.has_documents()? {
            // From the first document on, so it knows all.
            journal.write(STATE, State::of(0, None).text().as_bytes())?;
        }
        journal.append(
            NEW,
            &format!(
                "{}\t{}\t{}\t{}\n",
                delivery.dataset,
                delivery.batch_no,
                u8::from(delivery.outcome == DeliveryOutcome::Loaded),
                size(delivery) - replaced.as_ref().map_or(0, size)
            ),
        )
    }

    /// Whether anything is written down; stops at the first.
    fn has_documents(&self) -> io::Result<bool> {
        for dataset in fs::read_dir(&self.folder)? {
            let dataset = dataset?;
            if dataset.file_name() == NAME || !dataset.path().is_dir() {
                continue;
            }
            for batch in fs::read_dir(dataset.path())? {
                if revision_files(&batch?.path()).is_ok_and(|documents| !documents.is_empty()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl State {
    pub(super) fn of(bytes: u64, keep_current: Option<bool>) -> Self {
        Self {
            format: FORMAT,
            bytes,
            keep_current,
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The day of a point in time, in UTC.
pub(super) fn day(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(
        |_| "0000-00-00".into(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    )
}

impl Journal {
    /// What is known of the archive as a whole; `None` where the journal does not know all of it.
    pub(super) fn state(&self) -> Result<Option<State>> {
        let path = self.folder.join(STATE);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
            Ok(text) => {
                let state: Option<State> = serde_json::from_slice(&text).ok();
                Ok(state.filter(|state| state.format == FORMAT))
            }
        }
    }

    /// The documents written since the last upkeep.
    pub(super) fn written(&self) -> Result<Vec<Written>> {
        let lines = self.lines(NEW)?;
        let written = lines.iter().filter_map(|line| {
            let mut cells = line.split('\t');
            Some(Written {
                batch: (cells.next()?.to_owned(), BatchNo::new(cells.next()?).ok()?),
                is_loaded: cells.next()? == "1",
                bytes: cells.next()?.parse().ok()?,
            })
        });
        Ok(written.collect())
    }

    /// The days that batches are entered under, the earliest first.
    pub(super) fn days(&self) -> Result<Vec<String>> {
        let names = entries(&self.folder).map_err(Error::io("read", &self.folder))?;
        let names = names
            .iter()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut days: Vec<String> = names
            .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
            .collect();
        days.sort();
        Ok(days)
    }

    pub(super) fn of_day(&self, day: &str) -> Result<BTreeSet<Batch>> {
        let lines = self.lines(day)?;
        let batches = lines.iter().filter_map(|line| {
            let (dataset, number) = line.split_once('\t')?;
            Some((dataset.to_owned(), BatchNo::new(number).ok()?))
        });
        Ok(batches.collect())
    }

    pub(super) fn again(&self) -> Result<BTreeSet<Batch>> {
        self.of_day(AGAIN)
    }

    /// Enters further batches under a day.
    pub(super) fn add_to_day(&self, day: &str, batches: &BTreeSet<Batch>) -> Result<()> {
        let path = self.folder.join(day);
        self.append(day, &text_of(batches))
            .map_err(Error::io("write", path))
    }

    /// Enters these batches under a day, and no others.
    pub(super) fn replace_day(&self, day: &str, batches: &BTreeSet<Batch>) -> Result<()> {
        let path = self.folder.join(day);
        if !batches.is_empty() {
            let text = text_of(batches);
            return self
                .write(day, text.as_bytes())
                .map_err(Error::io("write", path));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Ends an upkeep: what was new is entered where it belongs.
    pub(super) fn settle(&self, state: &State, again: &BTreeSet<Batch>) -> Result<()> {
        self.replace_day(AGAIN, again)?;
        let path = self.folder.join(STATE);
        self.write(STATE, state.text().as_bytes())
            .map_err(Error::io("write", path))?;
        self.replace_day(NEW, &BTreeSet::new())
    }

    fn lines(&self, name: &str) -> Result<Vec<String>> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("read", &path)(error)),
            Ok(text) => Ok(String::from_utf8_lossy(&text)
                .lines()
                .map(str::to_owned)
                .collect()),
        }
    }

    fn append(&self, name: &str, text: &str) -> io::Result<()> {
        create_private(&self.folder)?;
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.folder.join(name))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }

    fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        create_private(&self.folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempfile_in(&self.folder)?;
        file.write_all(text)?;
        file.as_file().sync_data()?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }
}

fn text_of(batches: &BTreeSet<Batch>) -> String {
    batches
        .iter()
        .map(|(dataset, batch_no)| format!("{dataset}\t{batch_no}\n"))
        .collect()
}
