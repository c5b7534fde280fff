//! Which deliveries may be due for removal, so that a run looks at those and at no others.
//!
//! ```text
//! archive/.journal/2026-03-30   a line for each document that was written that day
//!                 /state        how far they were read, bytes kept, batches to be looked at again
//! ```
//!
//! What is protected as a batch's newest loaded revision can become due only when a later one is written down, and then
//! the batch has a new line. A line too many does no harm; one too few costs room until the next `redledger archive
//! prune`, which looks at everything and makes the journal anew.

use std::{
    collections::{BTreeSet, HashSet},
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
const STATE: &str = "state";

/// Dataset and number.
pub(super) type Batch = (String, BatchNo);

/// What is known of the archive as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// Size on disk of the files that documents name.
    pub(super) bytes: u64,
    /// What was protected for ever; `None`: nothing was looked at yet.
    pub(super) keep_current: Option<bool>,
    /// The day whose lines were read last, and how many bytes of them.
    seen: (String, u64),
    /// Batches with a document that only a warehouse protects.
    again: Vec<(String, String)>,
}

/// A document that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) batch: Batch,
    pub(super) is_loaded: bool,
    /// Bytes that it has added to what documents name.
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
        // What can't be read names nothing; the total is counted again by `prune`.
        let there = self.deliveries(&delivery.dataset, &delivery.batch_no);
        let (replaced, others): (Vec<Delivery>, Vec<Delivery>) = there
            .unwrap_or_default()
            .into_iter()
            .partition(|of| of.revision == delivery.revision);
        let named: HashSet<&str> = others.iter().flat_map(Delivery::paths).collect();
        let size = |delivery: &Delivery| -> i64 {
            let paths: BTreeSet<&str> = delivery
                .paths()
                .filter(|path| !named.contains(path))
                .collect();
            let sizes = paths
                .iter()
                .filter_map(|path| fs::metadata(self.data_dir.join(path)).ok());
            i64::try_from(sizes.map(|of| of.len()).sum::<u64>()).unwrap_or(i64::MAX)
        };
        let journal = self.journal();
        create_private(&journal.folder)?;
        if !journal.folder.join(STATE).try_exists()? && !self.has_documents()? {
            // From the first document on, so it knows all.
            journal.write(STATE, &State::of(0, None).text())?;
        }
        let line = Written {
            batch: (delivery.dataset.clone(), delivery.batch_no.clone()),
            is_loaded: delivery.outcome == DeliveryOutcome::Loaded,
            bytes: size(delivery) - replaced.iter().map(size).sum::<i64>(),
        };
        journal.append(&day(SystemTime::now()), &line.text(), true)
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
            ..Self::default()
        }
    }

    pub(super) fn again(&self) -> BTreeSet<Batch> {
        let again = self.again.iter();
        let again = again
            .filter_map(|(dataset, number)| Some((dataset.clone(), BatchNo::new(number).ok()?)));
        again.collect()
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Written {
    fn text(&self) -> String {
        let (dataset, batch_no) = &self.batch;
        format!(
            "{dataset}\t{batch_no}\t{}\t{}\n",
            u8::from(self.is_loaded),
            self.bytes
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.split('\t');
        Some(Self {
            batch: (cells.next()?.to_owned(), BatchNo::new(cells.next()?).ok()?),
            is_loaded: cells.next()? == "1",
            bytes: cells.next()?.parse().ok()?,
        })
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

    /// The lines that were written since `state` was.
    pub(super) fn news(&self, state: &State) -> Result<Vec<Written>> {
        let (seen, length) = &state.seen;
        let mut news = Vec::new();
        for day in self.days()?.into_iter().filter(|day| day >= seen) {
            let skipped = if day == *seen { *length } else { 0 };
            news.extend(self.lines(&day, skipped)?);
        }
        Ok(news)
    }

    /// The days that documents were written on, the earliest first.
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

    /// The lines of a day.
    pub(super) fn of_day(&self, day: &str) -> Result<Vec<Written>> {
        self.lines(day, 0)
    }

    fn lines(&self, day: &str, skipped: u64) -> Result<Vec<Written>> {
        let path = self.folder.join(day);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(Error::io("read", &path))?,
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let text = String::from_utf8_lossy(text.get(skipped..).unwrap_or_default());
        Ok(text.lines().filter_map(Written::parse).collect())
    }

    /// Enters further batches under a day, whose bytes are counted.
    pub(super) fn add_to_day(&self, day: &str, batches: &BTreeSet<Batch>) -> Result<()> {
        let there: BTreeSet<Batch> = self
            .of_day(day)?
            .into_iter()
            .map(|line| line.batch)
            .collect();
        let missing: BTreeSet<Batch> = batches.difference(&there).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(day);
        self.append(day, &counted(&missing), false)
            .map_err(Error::io("write", path))
    }

    /// Enters these batches under a day, and no others.
    pub(super) fn replace_day(&self, day: &str, batches: &BTreeSet<Batch>) -> Result<()> {
        let path = self.folder.join(day);
        if !batches.is_empty() {
            return self
                .write(day, &counted(batches))
                .map_err(Error::io("write", path));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Ends an upkeep: all lines are read.
    pub(super) fn settle(&self, mut state: State, again: &BTreeSet<Batch>) -> Result<()> {
        if let Some(last) = self.days()?.pop() {
            let path = self.folder.join(&last);
            let length = fs::metadata(&path)
                .map_err(Error::io("look at", &path))?
                .len();
            state.seen = (last, length);
        }
        let again = again.iter();
        state.again = again
            .map(|(dataset, number)| (dataset.clone(), number.to_string()))
            .collect();
        let path = self.folder.join(STATE);
        self.write(STATE, &state.text())
            .map_err(Error::io("write", path))
    }

    fn append(&self, name: &str, text: &str, durably: bool) -> io::Result<()> {
        create_private(&self.folder)?;
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.folder.join(name))?;
        // A line may be there that a crash has cut off.
        file.write_all(format!("\n{text}").as_bytes())?;
        if durably { file.sync_data() } else { Ok(()) }
    }

    /// What is written so can be made anew; it is not waited for.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        create_private(&self.folder)?;
        // Where the next run looks for what is half-written.
        let beside = self.folder.parent().unwrap_or(&self.folder);
        let mut file = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempfile_in(beside)?;
        file.write_all(text.as_bytes())?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }
}

/// Lines of batches whose bytes are counted.
fn counted(batches: &BTreeSet<Batch>) -> String {
    let lines = batches.iter().map(|batch| Written {
        batch: batch.clone(),
        is_loaded: false,
        bytes: 0,
    });
    lines.map(|line| line.text()).collect()
}
