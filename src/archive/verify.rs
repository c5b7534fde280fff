//! What is kept, read again: `redledger archive verify` and `redledger verify`.
//!
//! No lock is taken: a run may add files meanwhile, and retention remove some.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
};

use super::{Archive, Delivery, DeliveryOutcome, content_hash, entries, folders, hash_of};
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
    /// The files whose content is what their name says, as the ledger names them.
    pub intact: HashSet<String>,
    /// The content that was delivered for each dataset, batch and revision, as it is written down: the hash that a
    /// batch is known by.
    pub delivered: HashMap<(String, String, i32), String>,
    /// Those of them that were loaded.
    pub loaded: HashSet<(String, String, i32)>,
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
    /// Reads what is kept of the batches that `wants` takes, by dataset and number, and compares it with its hash;
    /// `progress` is told of every file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when a folder can't be read. What is wrong with a file is a finding.
    pub fn verify(
        &self,
        wants: impl Fn(&str, &str) -> bool,
        mut progress: impl FnMut(&Path),
    ) -> Result<Verified> {
        let mut verified = Verified::default();
        let mut deliveries = Vec::new();
        for (dataset, folder) in folders(&self.folder)? {
            for (number, folder) in folders(&folder)? {
                if !wants(&dataset, &number) {
                    continue;
                }
                let finding = |path: &Path, message: String| Finding {
                    dataset: dataset.clone(),
                    batch_no: number.clone(),
                    path: self.below(path),
                    message,
                };
                for (name, path) in entries(&folder)? {
                    if !name.ends_with(".zst") {
                        continue;
                    }
                    progress(&path);
                    match verified.read(&path) {
                        Ok(None) => {
                            verified.intact.insert(self.below(&path));
                        }
                        Ok(Some(message)) => verified.findings.push(finding(&path, message)),
                        // Retention has removed it since the folder was read, or the document tells that it is missing.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => verified
                            .findings
                            .push(finding(&path, format!("can't be read: {error}"))),
                    }
                }
                if let Ok(batch_no) = BatchNo::new(&number) {
                    match self.deliveries(&dataset, &batch_no) {
                        Ok(found) => deliveries.extend(found),
                        Err(error) => verified.findings.push(finding(&folder, error.to_string())),
                    }
                }
            }
        }
        let damaged: HashSet<String> = verified
            .findings
            .iter()
            .map(|finding| finding.path.clone())
            .collect();
        for delivery in &deliveries {
            self.look_for_missing(delivery, &damaged, &mut verified);
            let of = (
                delivery.dataset.clone(),
                delivery.batch_no.to_string(),
                delivery.revision,
            );
            let hashes = delivery.files.iter().map(|file| file.content_hash.as_str());
            if delivery.outcome == DeliveryOutcome::Loaded {
                verified.loaded.insert(of.clone());
            }
            verified.delivered.insert(of, content_hash(hashes));
        }
        Ok(verified)
    }

    fn look_for_missing(
        &self,
        delivery: &Delivery,
        damaged: &HashSet<String>,
        verified: &mut Verified,
    ) {
        for file in &delivery.files {
            if verified.intact.contains(&file.path) || damaged.contains(&file.path) {
                continue;
            }
            let folder = self.folder.join(&delivery.dataset);
            let folder = folder.join(delivery.batch_no.as_str());
            let message = match verified.read(&self.path_of(file)) {
                // A run has kept it since the folder was read.
                Ok(None) => {
                    verified.intact.insert(file.path.clone());
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
            verified.findings.push(Finding {
                dataset: delivery.dataset.clone(),
                batch_no: delivery.batch_no.to_string(),
                path: file.path.clone(),
                message,
            });
        }
    }
}

impl Verified {
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
