//! What waits in the inbox: read as an index first, its rows when a batch's turn comes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use super::{intake::Intake, queue::Queue};
use crate::{
    batch::{Batch, Way},
    clock,
    config::Config,
    contract::{Contract, Contracts},
    error::{Error, Result},
    hook::{self, Announcement, Assembled, Content, ListRow, Part},
    inbox::{FirstDelivery, Inbox, Kept},
    pipeline::Outcome,
};

/// An announcement that is not taken up, and why.
pub(crate) type NotTaken = (PathBuf, String);

/// A batch and the inbox files that its announcements are in.
pub(crate) struct Waiting {
    /// Without its rows.
    pub(crate) batch: hook::Batch,
    pub(crate) dataset: Option<Arc<Contract>>,
    pub(crate) files: Vec<PathBuf>,
    /// What has become of it, once its turn has come.
    pub(crate) outcome: Option<Outcome>,
}

/// A file of the inbox, as it was when the index was made.
struct Document {
    path: PathBuf,
    name: String,
    hash: [u8; 32],
}

impl Document {
    fn of(path: &Path, bytes: &[u8]) -> Self {
        Self {
            path: path.to_path_buf(),
            name: name_of(path),
            hash: Sha256::digest(bytes).into(),
        }
    }

    /// Its bytes, if they are what they were.
    fn read(&self) -> Result<Vec<u8>> {
        let changed = |message: String| Error::File {
            origin: self.name.clone(),
            message,
            hint: Some("the next run reads the announcement anew".into()),
        };
        let bytes = Inbox::read(&self.path)
            .map_err(|error| changed(format!("can't be read any more: {error}")))?;
        if self.hash != <[u8; 32]>::from(Sha256::digest(&bytes)) {
            return Err(changed("has changed since this run began".into()));
        }
        Ok(bytes)
    }
}

/// The inbox, understood.
pub(crate) struct Index {
    pub(crate) waiting: Vec<Waiting>,
    /// What can't be understood.
    pub(crate) bad: Vec<NotTaken>,
    /// What the system or the settings don't let us take up. It stays: somebody may well see to it before the next run.
    pub(crate) left: Vec<NotTaken>,
    /// Why of the files in `bad` and `left`.
    pub(crate) errors: Vec<Error>,
    documents: Vec<Document>,
    /// When it was made, in epoch microseconds.
    pub(crate) now: i64,
}

impl Queue for Index {
    fn names(&self) -> Vec<String> {
        let names = self
            .waiting
            .iter()
            .map(|waiting| waiting.batch.batch_no.to_string());
        names.collect()
    }

    fn take(&mut self, _: &Intake<'_>, index: usize) -> Result<Batch> {
        let waiting = &self.waiting[index];
        let mut batch = waiting.batch.clone();
        if let Content::Rows(rows) = &mut batch.content {
            *rows = self.rows(&batch.parts)?;
        }
        let dataset = waiting.dataset.clone();
        Ok(Batch::announced(batch, dataset, Way::Inbox(self.now)))
    }

    fn note(&mut self, index: usize, outcome: &Outcome) {
        self.waiting[index].outcome = Some(outcome.clone());
    }
}

impl Index {
    /// The rows of a batch, in the order of its parts.
    fn rows(&self, parts: &[Part]) -> Result<Vec<ListRow>> {
        let mut by_document: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for part in parts {
            by_document
                .entry(part.document)
                .or_default()
                .push(part.element);
        }
        let mut lists: HashMap<(usize, usize), Vec<ListRow>> = HashMap::new();
        for (number, elements) in by_document {
            let document = &self.documents[number];
            let bytes = document.read()?;
            if let [element] = elements.as_slice() {
                let rows = hook::rows_of(&document.name, &bytes, *element)?;
                lists.insert((number, *element), rows);
                continue;
            }
            for announcement in hook::parse(&document.name, &bytes)? {
                let rows = announcement.hook.list.unwrap_or_default();
                lists.insert((number, announcement.element), rows);
            }
        }
        let mut rows = Vec::new();
        for part in parts {
            let list = lists
                .remove(&(part.document, part.element))
                .unwrap_or_default();
            match rows.is_empty() {
                true => rows = list,
                false => rows.extend(list),
            }
        }
        Ok(rows)
    }

    /// Reads the inbox. What is not taken up comes back with the reason.
    pub(crate) fn make(
        config: &Config,
        contracts: &Contracts,
        inbox: &Inbox,
        paths: &[PathBuf],
    ) -> Result<Self> {
        let mut index = Self {
            waiting: Vec::new(),
            bad: Vec::new(),
            left: Vec::new(),
            errors: Vec::new(),
            documents: Vec::new(),
            now: clock::now(),
        };
        let is_signed_in_part = paths.iter().any(|path| Inbox::resource_of(path).is_some());
        let first = match is_signed_in_part {
            true => inbox.first_deliveries()?,
            false => HashMap::new(),
        };
        let mut announcements = Vec::new();
        for path in paths {
            let bytes = match Inbox::read(path) {
                Ok(bytes) => bytes,
                // Another run has just been through with it.
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() =>
                {
                    continue;
                }
                // It stays where it is: who may not read it may not move it either. The others don't wait for it.
                Err(error) => {
                    let error = Error::io("read the announcement", path)(error);
                    index.left.push((path.clone(), error.chain()));
                    index.errors.push(error);
                    continue;
                }
            };
            let document = Document::of(path, &bytes);
            match hook::index(&document.name, &bytes) {
                Ok(parsed) => {
                    let received = parsed.into_iter().map(|announcement| Announcement {
                        received_at: Inbox::received_at(path),
                        document: index.documents.len(),
                        ..announcement
                    });
                    let mut received = Vec::from_iter(received);
                    keep_first_time(path, &first, &mut received);
                    announcements.extend(received);
                    index.documents.push(document);
                }
                Err(error) => index.reject(path, error),
            }
        }
        index.assemble(config, contracts, announcements);
        Ok(index)
    }

    fn assemble(
        &mut self,
        config: &Config,
        contracts: &Contracts,
        announcements: Vec<Announcement>,
    ) {
        let mut refused: HashSet<PathBuf> = HashSet::new();
        for Assembled {
            documents, batch, ..
        } in hook::assemble(announcements)
        {
            let files = documents
                .iter()
                .map(|number| self.documents[*number].path.clone());
            let files: Vec<PathBuf> = files.collect();
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    if let Some(path) = files.first() {
                        self.reject(path, error);
                    }
                    refused.extend(files);
                    continue;
                }
            };
            match contracts.of_event(&config.hook.events, batch.event_type.as_deref()) {
                Ok(dataset) => self.waiting.push(Waiting {
                    batch,
                    dataset,
                    files,
                    outcome: None,
                }),
                // Nothing is wrong with the announcement.
                Err(error) => {
                    let why = error.chain();
                    self.left
                        .extend(files.into_iter().map(|path| (path, why.clone())));
                    self.errors.push(error);
                }
            }
        }
        // The pages of a batch that disagree go together, unless another batch is in the same file.
        for path in refused {
            let is_needed = self.waiting.iter().any(|batch| batch.files.contains(&path))
                || self.left.iter().any(|(of, _)| *of == path);
            let is_noted = self.bad.iter().any(|(of, _)| *of == path);
            match (is_needed, is_noted) {
                (true, _) => self.bad.retain(|(of, _)| *of != path),
                (false, false) => self.bad.push((
                    path,
                    "the pages of its batch disagree; see the note of the first page\n".into(),
                )),
                (false, true) => {}
            }
        }
    }

    fn reject(&mut self, path: &Path, error: Error) {
        let hint = error
            .hint()
            .map(|hint| format!("\nhint: {hint}"))
            .unwrap_or_default();
        let note = format!("{}{hint}\n", error.chain());
        self.bad.push((path.to_path_buf(), note));
        self.errors.push(error);
    }
}

/// Where only the `resource` was signed and it was received before, whatever else the envelope says is what the first
/// one said: anybody who has seen it can have sent it again.
pub(crate) fn keep_first_time(
    path: &Path,
    first: &HashMap<String, FirstDelivery>,
    announcements: &mut [Announcement],
) {
    let Some(resource) = Inbox::resource_of(path) else {
        return;
    };
    let known = first.get(&resource);
    let first_one = match known.map(|of| &of.kept) {
        Some(Kept::File(other)) if other != path => Inbox::read(other)
            .ok()
            .and_then(|bytes| hook::index(&name_of(other), &bytes).ok())
            .and_then(|announced| announced.into_iter().next()),
        _ => None,
    };
    for announcement in announcements {
        announcement.only_resource_signed = true;
        let Some(known) = known.filter(|of| of.kept != Kept::File(path.to_path_buf())) else {
            continue;
        };
        announcement.received_at = Some(known.received_at);
        announcement.announced_at = match &known.kept {
            Kept::Time(announced_at) => *announced_at,
            Kept::File(_) => first_one.as_ref().and_then(|first| first.announced_at),
        };
        if let Some(first) = &first_one {
            announcement.event_type.clone_from(&first.event_type);
        }
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
