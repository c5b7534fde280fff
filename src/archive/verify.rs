//! What is kept, read again batch by batch: `redledger archive verify` and `redledger verify`.
//!
//! No lock is taken: a run may add files meanwhile, and retention remove some.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    path::Path,
};

use super::{Archive, Delivery, DeliveryOutcome, entries, hash_of, names_of_folders};
use crate::{batch_no::BatchNo, error::Result};

/// What a check of the archive has found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Files read to their end.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What a check of one batch number's folders has found, whatever their datasets.
#[derive(Debug, Default)]
pub struct VerifiedBatch {
    /// What was read, and what is wrong with it.
    pub verified: Verified,
    /// The files whose content is what their name says, as the ledger names them.
    pub intact: HashSet<String>,
    /// What is written down of each revision.
    pub delivered: Vec<Delivered>,
}

/// What a document says of a revision.
#[derive(Debug)]
pub struct Delivered {
    /// The batch's dataset.
    pub dataset: String,
    /// The revision.
    pub revision: i32,
    /// The hash that what was delivered is known by.
    pub known_by: String,
    /// Whether it was loaded.
    pub is_loaded: bool,
}

/// A kept file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The dataset in whose folder it is, or should be.
    pub dataset: String,
    /// The batch.
    pub batch_no: String,
    /// Which, below the data directory.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl Archive {
    /// Reads what is kept and compares it with its hash; `progress` is told of every file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when a folder can't be read. What is wrong with a file is a finding.
    pub fn verify(&self, mut progress: impl FnMut(&Path)) -> Result<Verified> {
        let mut all = Verified::default();
        let datasets = self.datasets()?;
        for number in self.numbers(&datasets)? {
            let of_batch = self.verify_batch(&datasets, &number, &mut progress)?;
            all.add(of_batch.verified);
        }
        Ok(all)
    }

    /// The datasets of which something is kept.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when the archive's folder can't be read.
    pub fn datasets(&self) -> Result<Vec<String>> {
        names_of_folders(&self.folder)
    }

    /// The batch numbers of which something is kept for `datasets`, in order.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when a folder can't be read.
    pub fn numbers(&self, datasets: &[String]) -> Result<BTreeSet<String>> {
        let mut numbers = BTreeSet::new();
        for dataset in datasets {
            numbers.extend(names_of_folders(&self.folder.join(dataset))?);
        }
        Ok(numbers)
    }

    /// Reads what is kept under a batch number for `datasets`; no other folder is opened.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when a folder can't be read. What is wrong with a file is a finding.
    pub fn verify_batch(
        &self,
        datasets: &[String],
        number: &str,
        mut progress: impl FnMut(&Path),
    ) -> Result<VerifiedBatch> {
        let mut batch = VerifiedBatch::default();
        let mut deliveries = Vec::new();
        for dataset in datasets {
            let folder = self.folder.join(dataset).join(number);
            let finding = |path: &Path, message: String| Finding {
                dataset: dataset.clone(),
                batch_no: number.to_owned(),
                path: self.below(path),
                message,
            };
            for (name, path) in entries(&folder)? {
                if !name.ends_with(".zst") {
                    continue;
                }
                progress(&path);
                match batch.verified.read(&path) {
                    Ok(None) => {
                        batch.intact.insert(self.below(&path));
                    }
                    Ok(Some(message)) => batch.verified.findings.push(finding(&path, message)),
                    // Retention has removed it since the folder was read, or the document tells that it is missing.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => batch
                        .verified
                        .findings
                        .push(finding(&path, format!("can't be read: {error}"))),
                }
            }
            if let Ok(batch_no) = BatchNo::new(number) {
                match self.deliveries(dataset, &batch_no) {
                    Ok(found) => deliveries.extend(found),
                    Err(error) => {
                        let said = finding(&folder, error.to_string());
                        batch.verified.findings.push(said);
                    }
                }
            }
        }
        let damaged = batch.verified.findings.iter();
        let damaged: HashSet<String> = damaged.map(|finding| finding.path.clone()).collect();
        for delivery in deliveries {
            self.look_for_missing(&delivery, &damaged, &mut batch);
            batch.delivered.push(Delivered {
                known_by: delivery.known_by(),
                is_loaded: delivery.outcome == DeliveryOutcome::Loaded,
                revision: delivery.revision,
                dataset: delivery.dataset,
            });
        }
        Ok(batch)
    }

    fn look_for_missing(
        &self,
        delivery: &Delivery,
        damaged: &HashSet<String>,
        batch: &mut VerifiedBatch,
    ) {
        for file in &delivery.files {
            if batch.intact.contains(&file.path) || damaged.contains(&file.path) {
                continue;
            }
            let folder = self.folder.join(&delivery.dataset);
            let folder = folder.join(delivery.batch_no.as_str());
            let message = match batch.verified.read(&self.path_of(file)) {
                // A run has kept it since the folder was read.
                Ok(None) => {
                    batch.intact.insert(file.path.clone());
                    continue;
                }
                Ok(Some(message)) => message,
                // Retention removes a document before its files.
                Err(_) if !folder.join(delivery.file_name()).exists() => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => format!(
                    "missing: {} names it for {} of {}",
                    delivery.file_name(),
                    delivery.batch_no,
                    delivery.dataset
                ),
                Err(error) => format!("can't be read: {error}"),
            };
            batch.verified.findings.push(Finding {
                dataset: delivery.dataset.clone(),
                batch_no: delivery.batch_no.to_string(),
                path: file.path.clone(),
                message,
            });
        }
    }

    /// A batch that was loaded once, if the archive has any.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when a folder can't be read.
    pub fn any_loaded(&self) -> Result<Option<(String, BatchNo)>> {
        for dataset in self.datasets()? {
            for number in names_of_folders(&self.folder.join(&dataset))? {
                let Ok(batch_no) = BatchNo::new(&number) else {
                    continue;
                };
                let deliveries = self.deliveries(&dataset, &batch_no).unwrap_or_default();
                let mut loaded = deliveries.iter().map(|delivery| delivery.outcome);
                if loaded.any(|outcome| outcome == DeliveryOutcome::Loaded) {
                    return Ok(Some((dataset, batch_no)));
                }
            }
        }
        Ok(None)
    }

    /// Whether the file that the ledger names by `path` is there, as its name says.
    pub(crate) fn is_intact(&self, path: &str) -> bool {
        let mut verified = Verified::default();
        matches!(verified.read(&self.data_dir.join(path)), Ok(None))
    }
}

impl Verified {
    /// Takes in what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.findings.extend(other.findings);
    }

    /// Reads a file to its end; returns what is wrong with its content, if anything.
    fn read(&mut self, path: &Path) -> io::Result<Option<String>> {
        let mut bytes = 0;
        let found = hash_of(path, |piece| bytes += piece.len() as u64)?;
        self.files += 1;
        self.bytes += bytes;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hash = name.split('.').next().unwrap_or_default();
        Ok((found != hash).then(|| format!("SHA-256 {found} where its name says {hash}")))
    }
}
