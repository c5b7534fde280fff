//! What was delivered, kept: `archive/<dataset>/<batch_no>/<content hash>.csv.zst`, durable before the batch is.
//!
//! Beside the files, `revision-<n>.json` says what was delivered for a revision, in which order and from
//! where (see [`Delivery`]), so that a batch can be loaded again from the archive alone. One document for
//! a revision and not one for each file: a batch of bills may have 10,000 files, and their order counts.

mod content_hash;
mod delivery;
mod dismissed;
mod document;
mod journal;
mod place;
mod tidy;
mod upkeep;
mod verify;
mod withdrawn;
mod writer;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use base16ct::lower::encode_string;
use sha2::{Digest as _, Sha256};

pub(crate) use self::delivery::FORMAT;
pub use self::{
    content_hash::{ContentHash, content_hash},
    delivery::{DeliveredFile, Delivery, DeliveryOutcome, Format, NamedBy},
    dismissed::DismissedBatch,
    place::{Archive, KeptFile},
    upkeep::{Loaded, Removed, Retention},
    verify::{Delivered, Finding, Verified, VerifiedBatch},
    withdrawn::{Withdrawn, WithdrawnRevision},
    writer::ArchiveWriter,
};
use crate::{
    batch_no::BatchNo,
    durable::{self, INCOMING, create_private, half_written, sync_folder},
    error::{Error, Result},
};

/// What is written down of a revision, as far as its place in the batch's history goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedRevision {
    /// Its number.
    pub revision: i32,
    /// Whether its rows went into the table.
    pub is_loaded: bool,
    /// When its content was accepted, in epoch microseconds; `None`: nobody can read it.
    pub accepted_at: Option<i64>,
    /// The newest announcement accepted while it stood, in epoch microseconds, if that came later.
    pub watermark: Option<i64>,
    /// What its content is known by.
    pub known_by: Option<String>,
    /// SHA-256 of its bytes, as its content was known by in earlier releases.
    pub bytes_hash: Option<String>,
    /// Whether a newer release wrote it.
    pub is_newer: bool,
}

impl Archive {
    /// Removes what dead runs have left half-written. The caller holds the lock: nobody else writes here.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder can't be read or a file not removed.
    pub fn remove_leftovers(&self) -> Result<()> {
        for path in half_written(&self.folder).map_err(Error::io("read", &self.folder))? {
            tracing::warn!(path = %path.display(), "removing a half-written file of an earlier run");
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// Begins to keep a file whose hash and place are known only at its end.
    #[must_use]
    pub fn writer(&self) -> ArchiveWriter {
        ArchiveWriter::new(self)
    }

    /// Writes down what was delivered for a revision and makes its files durable; it replaces what an earlier
    /// attempt at the same revision has left. What was loaded under another content is never written over.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be written; [`Error::Internal`] when it is another content's.
    pub fn record(&self, delivery: &Delivery) -> Result<()> {
        let there = self.revisions(&delivery.dataset, &delivery.batch_no)?;
        let is_other = |there: &ArchivedRevision| {
            there.revision == delivery.revision
                && there.is_loaded
                // One that nobody can read is written anew, but for a newer release's.
                && (there.is_newer
                    || there.bytes_hash != Some(delivery.bytes_hash())
                        && there.known_by.as_ref().is_some_and(|of| *of != delivery.known_by()))
        };
        if there.iter().any(is_other) {
            return Err(Error::Internal(format!(
                "{} of {} {} would be written over",
                delivery.file_name(),
                delivery.dataset,
                delivery.batch_no
            )));
        }
        let folder = self
            .folder
            .join(&delivery.dataset)
            .join(delivery.batch_no.as_str());
        let path = folder.join(delivery.file_name());
        let write = || -> io::Result<()> {
            create_private(&folder)?;
            let files: BTreeSet<PathBuf> = delivery
                .files
                .iter()
                .map(|file| self.path_of(file))
                .collect();
            durable::sync_files(&files, &self.folder)?;
            // The files' own names next, and those of folders that may be new: each folder once.
            let folders: BTreeSet<&Path> = files
                .iter()
                .flat_map(|path| path.ancestors().skip(1))
                .filter(|folder| folder.starts_with(&self.data_dir))
                .collect();
            for folder in folders {
                sync_folder(folder)?;
            }
            self.enter(delivery)?;
            let mut file = tempfile::Builder::new()
                .prefix(INCOMING)
                .tempfile_in(&self.folder)?;
            let mut text = io::BufWriter::new(file.as_file_mut());
            serde_json::to_writer_pretty(&mut text, delivery)?;
            text.write_all(b"\n")?;
            text.flush()?;
            drop(text);
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(&folder)
        };
        write().map_err(Error::io("write down what was delivered in", &path))
    }

    /// The revisions of a batch that are written down, by their numbers. One whose document can't be read, or is of
    /// a newer release, counts as loaded: its number is taken.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder can't be read.
    pub fn revisions(&self, dataset: &str, batch_no: &BatchNo) -> Result<Vec<ArchivedRevision>> {
        let folder = self.folder.join(dataset).join(batch_no.as_str());
        let mut revisions = Vec::new();
        for path in revision_files(&folder)? {
            let number = path.file_stem().and_then(|stem| {
                let number = stem.to_str()?.strip_prefix("revision-")?;
                number.parse::<i32>().ok()
            });
            let Some(revision) = number else { continue };
            let delivery = read_delivery(&path).ok();
            let is_newer = delivery.is_none() && is_newer(&path);
            revisions.push(ArchivedRevision {
                revision,
                is_loaded: delivery
                    .as_ref()
                    .is_none_or(|delivery| delivery.outcome == DeliveryOutcome::Loaded),
                accepted_at: delivery.as_ref().map(Delivery::accepted_at),
                watermark: delivery.as_ref().and_then(|delivery| delivery.watermark_us),
                known_by: delivery.as_ref().map(Delivery::known_by),
                bytes_hash: delivery.as_ref().map(Delivery::bytes_hash),
                is_newer,
            });
        }
        revisions.sort_by_key(|revision| revision.revision);
        Ok(revisions)
    }

    /// Takes note of an announcement that was accepted and has changed nothing of what stands.
    ///
    /// # Errors
    /// As [`Self::record`] and [`Self::deliveries`].
    pub fn advance(
        &self,
        dataset: &str,
        batch_no: &BatchNo,
        revision: i32,
        watermark: i64,
    ) -> Result<()> {
        let deliveries = self.deliveries(dataset, batch_no)?;
        let found = deliveries.into_iter().find(|of| of.revision == revision);
        match found {
            Some(mut delivery) if delivery.watermark_us < Some(watermark) => {
                delivery.watermark_us = Some(watermark);
                self.record(&delivery)
            }
            _ => Ok(()),
        }
    }

    /// The batches of which something is kept, by dataset and number.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder can't be read.
    pub fn batches(&self) -> Result<Vec<(String, BatchNo)>> {
        let mut batches: Vec<(String, BatchNo)> = self
            .documents()?
            .into_iter()
            .map(|(dataset, batch_no, _)| (dataset, batch_no))
            .collect();
        batches.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
        Ok(batches)
    }

    /// Dataset, number and the revisions' documents of every batch that has any.
    fn documents(&self) -> Result<Vec<(String, BatchNo, Vec<PathBuf>)>> {
        let mut documents = Vec::new();
        for (dataset, folder) in folders(&self.folder)? {
            for (number, folder) in folders(&folder)? {
                let Ok(batch_no) = BatchNo::new(&number) else {
                    continue;
                };
                let of_batch = revision_files(&folder)?;
                if !of_batch.is_empty() {
                    documents.push((dataset.clone(), batch_no, of_batch));
                }
            }
        }
        Ok(documents)
    }

    /// What was delivered for a batch, by revision.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read; [`Error::File`] when it is damaged.
    pub fn deliveries(&self, dataset: &str, batch_no: &BatchNo) -> Result<Vec<Delivery>> {
        let folder = self.folder.join(dataset).join(batch_no.as_str());
        let mut deliveries = Vec::new();
        for path in revision_files(&folder)? {
            let delivery = read_delivery(&path)?;
            if delivery.dataset != dataset || delivery.batch_no != *batch_no {
                return Err(damaged(&path, "it is about another batch"));
            }
            deliveries.push(delivery);
        }
        deliveries.sort_by_key(|delivery| delivery.revision);
        Ok(deliveries)
    }

    /// A kept file's bytes, checked against their hash.
    ///
    /// # Errors
    /// [`Error::File`] when they are damaged or gone.
    pub fn read(&self, file: &DeliveredFile) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream(file, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Reads a kept file and compares it with its hash.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn check(&self, file: &DeliveredFile) -> Result<()> {
        self.stream(file, |_| {})
    }

    fn stream(&self, file: &DeliveredFile, each: impl FnMut(&[u8])) -> Result<()> {
        let path = self.path_of(file);
        let hash = hash_of(&path, each).map_err(|error| damaged(&path, &said(&error)))?;
        if hash == file.content_hash {
            Ok(())
        } else {
            Err(differs(&path, &hash, &file.content_hash))
        }
    }
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}

/// A kept file that can't be what was delivered.
fn damaged(path: &Path, why: &str) -> Error {
    Error::File {
        origin: path.display().to_string(),
        message: format!("the archive is damaged: {why}"),
        hint: Some(
            "restore the file from a copy of the archive, or get the batch again with `redledger backfill BATCH --refetch`"
                .into(),
        ),
    }
}

/// A kept file whose content is not what its hash says.
pub(crate) fn differs(path: &Path, found: &str, delivered: &str) -> Error {
    damaged(
        path,
        &format!("SHA-256 {found} where {delivered} was delivered"),
    )
}

/// The SHA-256 of a kept file's content, which `each` piece of goes to.
fn hash_of(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<String> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = decoder.read(&mut piece)?;
        if read == 0 {
            return Ok(encode_string(&hasher.finalize()));
        }
        hasher.update(&piece[..read]);
        each(&piece[..read]);
    }
}

/// The folders in a folder, by name, but for the archive's journal; none when it is not there.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = entries(folder)?;
    found.retain(|(name, path)| !name.starts_with('.') && path.is_dir());
    Ok(found)
}

/// The same folders' names alone, in order.
fn names_of_folders(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::io("read the archive's folder", folder)(error);
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in read {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        // A link may lead to a folder.
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        let name = entry.file_name().into_string().ok();
        names.extend(name.filter(|name| is_folder && !name.starts_with('.')));
    }
    names.sort_unstable();
    Ok(names)
}

/// What is in a folder, by name; nothing when it is not there.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let read = durable::entries(folder).map_err(Error::io("read the archive's folder", folder))?;
    let mut found: Vec<(String, PathBuf)> = read
        .iter()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    found.sort();
    Ok(found)
}

/// A revision's document.
fn read_delivery(path: &Path) -> Result<Delivery> {
    let text = fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&text)
        .map_err(|error| damaged(path, &format!("not as redledger wrote it ({error})")))
}

/// Whether a document that can't be read is so because a newer release wrote it.
fn is_newer(path: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct AnyFormat {
        format: u32,
    }
    let text = fs::read(path).unwrap_or_default();
    let format = serde_json::from_slice(&text).map(|AnyFormat { format }| format);
    format.is_ok_and(|format| format > delivery::FORMAT)
}

/// The documents of a batch's revisions.
fn revision_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|(name, _)| name.starts_with("revision-") && name.ends_with(".json"))
        .map(|(_, path)| path)
        .collect())
}
