//! Rows into a dataset's table: read, inserted, rid of repeated keys. Done once for a batch's own dataset and once for
//! the files that its rows name.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{
    context::LoadContext,
    inserted::{Inserted, InsertedFile},
};
use crate::{
    archive::{Archive, DeliveredFile, NamedBy},
    batch::{Batch, BatchContent, FileSource},
    contract::{Contract, Field, Parent},
    error::{Error, Result},
    feed::{FedFile, FeedEnd, InlineList, Job, OpenFile},
    ledger::{FileEntry, FileIds},
    load::Repeated,
    reader::Asides,
    rejection::{KEPT_PER_FILE, Rejection},
    scan::{Counts, FollowUp, RejectionLog, Scan, ScanFile, ScanParts},
    source_url::{SourceUrl, redacted},
    warehouse::BatchTransaction,
};

/// Chunks on their way; a few let reader and scan run evenly, more only hold memory.
const CHUNKS_ON_THE_WAY: usize = 8;

/// A batch's transaction under way.
pub(super) struct Insert<'l> {
    pub(super) context: &'l LoadContext<'l>,
    pub(super) transaction: &'l BatchTransaction<'l>,
    pub(super) threads: usize,
    pub(super) batch: &'l Batch,
    /// Rejected rows of all datasets together: their number is bounded.
    pub(super) log: Arc<RejectionLog>,
}

/// What is to be read into one dataset.
struct Part<'p> {
    contract: &'p Arc<Contract>,
    /// The dataset whose files the rows name.
    child: Option<&'p Contract>,
    /// Fields that rows take over, and their columns here.
    inherited: Vec<(Field, String)>,
    expected_rows: Option<u64>,
    ids: FileIds,
    input: Input,
}

enum Input {
    Files(Vec<Job>),
    List(InlineList),
}

impl Inserted {
    fn new(
        part: &Part<'_>,
        own: &Archive,
        fed: Vec<FedFile>,
        mut rejections: Vec<Rejection>,
        repeated: Repeated,
    ) -> Self {
        let repeated_by_file: HashMap<i64, u64> = repeated.by_file.into_iter().collect();
        rejections.extend(repeated.kept);
        // Each source of rejections has kept that many.
        let mut kept: HashMap<i64, u64> = HashMap::new();
        rejections.retain(|rejection| {
            let of_file = kept.entry(rejection.file_id).or_default();
            *of_file += u64::from(*of_file <= KEPT_PER_FILE);
            *of_file <= KEPT_PER_FILE
        });
        let (mut unwrapped, mut open_ended, mut absent) = (0, 0, BTreeSet::new());
        let mut asides = Asides::default();
        let mut unread_checksums = BTreeSet::new();
        let mut files = Vec::with_capacity(fed.len());
        for file in fed {
            let id = file.scanned.file_id;
            unwrapped += file.scanned.counts.unwrapped();
            open_ended += u64::from(!file.ends_with_line_break);
            asides += file.asides;
            unread_checksums.extend(file.unread_checksums.iter().copied());
            let columns = part.contract.fields.iter().zip(&file.scanned.layout.fields);
            for (field, _) in columns.filter(|(_, column)| column.is_none()) {
                if !absent.contains(field.column.as_str()) {
                    absent.insert(field.column.to_string());
                }
            }
            let repeated = repeated_by_file.get(&id).copied().unwrap_or_default();
            let kept = kept.get(&id).copied().unwrap_or_default();
            files.push(InsertedFile::new(
                part,
                own,
                file,
                repeated,
                kept.min(KEPT_PER_FILE),
            ));
        }
        Self {
            contract: Arc::clone(part.contract),
            ids: part.ids,
            files,
            rejections,
            follow_ups: Vec::new(),
            unwrapped,
            open_ended,
            asides,
            unread_checksums,
            absent,
        }
    }
}

impl InsertedFile {
    fn new(
        part: &Part<'_>,
        own: &Archive,
        file: FedFile,
        repeated: u64,
        rejections_kept: u64,
    ) -> Self {
        let counts = &file.scanned.counts;
        let path = file
            .kept
            .filter(|kept| kept.archive == *own)
            .map(|kept| kept.path);
        Self {
            delivered: path.as_ref().map(|path| DeliveredFile {
                path: path.clone(),
                content_hash: file.hash.clone(),
                bytes: file.bytes,
                url: file.url.clone(),
                etag: file.etag.clone(),
                content_type: file.content_type,
                last_modified: file.last_modified,
                expected_rows: file.expected_rows.filter(|_| file.named_by.is_some()),
                fetched_at_us: file.fetched_at,
                identity: file.identity.clone(),
                query_hash: file.query_hash.clone(),
                named_by: file.named_by,
            }),
            expected_rows: file.expected_rows,
            asides: file.asides,
            last_line: file.last_line,
            entry: FileEntry {
                file_id: file.scanned.file_id,
                dataset: part.contract.name.to_string(),
                url: file.url,
                bytes: file.bytes,
                content_hash: Some(file.hash),
                etag: file.etag,
                encoding: Some(file.encoding.to_owned()),
                header: Some(file.header),
                rows_read: file.read,
                rows_loaded: counts.loaded() - repeated,
                rows_rejected: counts.rejected() + repeated,
                archive_path: path,
                fetched_at: file.fetched_at,
                rejections_kept: Some(rejections_kept),
                query_hash: file.query_hash,
                identity: file.identity,
            },
        }
    }
}

impl Insert<'_> {
    /// Loads the batch's own rows.
    pub(super) fn own(
        &self,
        contract: &Arc<Contract>,
        child: Option<&Contract>,
        first_file: i64,
        mut opened: Option<OpenFile>,
    ) -> Result<Inserted> {
        let batch = self.batch;
        let input = match &batch.content {
            BatchContent::Files(files) => Input::Files(
                files
                    .iter()
                    .zip(first_file..)
                    .map(|(file, file_id)| Job {
                        file_id,
                        source: file.clone(),
                        opened: opened.take().map(Box::new),
                        expected_rows: batch.total,
                        inherited: Vec::new(),
                        named_by: None,
                    })
                    .collect(),
            ),
            BatchContent::Rows(list) => {
                let layout = match list.rows.is_empty() {
                    true => contract.layout_of_nothing(),
                    false => contract.layout(&batch.origin, &list.columns)?,
                };
                Input::List(InlineList {
                    list: list.clone(),
                    scanned: Arc::new(ScanFile {
                        file_id: first_file,
                        layout: Arc::new(layout),
                        inherited: Vec::new(),
                        counts: Counts::default(),
                    }),
                    origin: batch.origin.clone(),
                })
            }
        };
        self.load(Part {
            contract,
            child,
            inherited: Vec::new(),
            expected_rows: batch.total,
            ids: FileIds::from(first_file, batch.content.files()),
            input,
        })
    }

    /// Loads the files that rows of `parent` name.
    pub(super) fn named(
        &self,
        child: &Arc<Contract>,
        parent: &Contract,
        follow_ups: Vec<FollowUp>,
        of_parent: FileIds,
    ) -> Result<Inserted> {
        let of = child
            .parent
            .as_ref()
            .ok_or_else(|| Error::Internal("a child without a parent".into()))?;
        let inherited = of.inherit.iter().filter_map(|inherit| {
            let index = parent.field_index(&inherit.field)?;
            Some((parent.fields[index].clone(), inherit.column.to_string()))
        });
        let progress = &self.context.feed.progress;
        progress.files.1.fetch_add(
            follow_ups.len() as u64,
            std::sync::atomic::Ordering::Relaxed,
        );
        let ids = FileIds::from(of_parent.last + 1, follow_ups.len());
        let expected_rows = follow_ups.iter().map(|follow_up| follow_up.rows).sum();
        let jobs = follow_ups
            .into_iter()
            .zip(ids.first..)
            .map(|(follow_up, file_id)| {
                let position = follow_up.file_id - of_parent.first;
                let named_by = NamedBy {
                    file: usize::try_from(position).unwrap_or(usize::MAX),
                    line: follow_up.line,
                };
                Ok(Job {
                    file_id,
                    source: self.named_file(&follow_up, named_by, of)?,
                    opened: None,
                    expected_rows: follow_up.rows,
                    inherited: follow_up.inherited,
                    named_by: Some(named_by),
                })
            });
        self.load(Part {
            contract: child,
            child: None,
            inherited: inherited.collect(),
            expected_rows,
            ids,
            input: Input::Files(jobs.collect::<Result<_>>()?),
        })
    }

    fn load(&self, mut part: Part<'_>) -> Result<Inserted> {
        let (scan, fed) = self.read(&mut part)?;
        let contract = part.contract;
        let mut repeated = self.transaction.reject_repeated_keys(contract, part.ids)?;
        self.restore_records(contract, &fed, &mut repeated.kept)?;
        let mut follow_ups = scan.take_follow_ups();
        if !follow_ups.is_empty() && !repeated.by_file.is_empty() {
            let standing = self.transaction.rows_standing(contract, part.ids)?;
            follow_ups.retain(|follow_up| standing.contains(&(follow_up.file_id, follow_up.line)));
        }
        follow_ups.sort_by_key(|follow_up| (follow_up.file_id, follow_up.line));
        let own = &self.context.feed.archive;
        Ok(Inserted {
            follow_ups,
            ..Inserted::new(&part, own, fed, self.log.take(), repeated)
        })
    }

    /// Runs the insert on this thread while the feed runs on the runtime's.
    fn read(&self, part: &mut Part<'_>) -> Result<(Arc<Scan>, Vec<FedFile>)> {
        let (sender, receiver) = mpsc::channel(CHUNKS_ON_THE_WAY);
        let contract = part.contract;
        let scan = Arc::new(Scan::new(ScanParts {
            contract,
            inherited: std::mem::take(&mut part.inherited),
            child: part.child,
            receiver,
            rejections: Arc::clone(&self.log),
            threads: self.threads,
            expected_rows: part.expected_rows,
        }));
        let feed = self.context.feed.clone();
        let (batch_no, of_feed, into) = (
            self.batch.batch_no.clone(),
            Arc::clone(contract),
            Arc::clone(&scan),
        );
        let input = std::mem::replace(&mut part.input, Input::Files(Vec::new()));
        let feed = async move {
            match input {
                Input::Files(jobs) => feed.feed(jobs, batch_no, of_feed, into, sender).await,
                Input::List(list) => feed.feed_rows(list, batch_no, of_feed, into, sender).await,
            }
        };
        let stop = self.context.stop.clone();
        let feed = self.context.runtime.spawn(async move {
            tokio::select! {
                biased;
                () = stop.requested() => Err(FeedEnd::Failed(stop.error())),
                fed = feed => fed,
            }
        });
        let inserted = self
            .transaction
            .insert(contract, &scan, self.batch.batch_no.as_str());
        let fed = self
            .context
            .runtime
            .block_on(feed)
            .map_err(|error| Error::Internal(format!("a reading task: {error}")))?;
        match (fed, inserted) {
            (Err(FeedEnd::Failed(error)), _) | (_, Err(error)) => Err(error),
            (Err(FeedEnd::NobodyListens), Ok(_)) => Err(Error::Internal(
                "the insert has ended before its rows did".into(),
            )),
            (Ok(fed), Ok(_)) => Ok((scan, fed)),
        }
    }

    /// The file that a row names: where the row says, or in the archive that the row is from.
    fn named_file(
        &self,
        follow_up: &FollowUp,
        named_by: NamedBy,
        parent: &Parent,
    ) -> Result<FileSource> {
        let of_line = |message: String, hint: Option<&str>| Error::File {
            origin: self.batch.origin.clone(),
            message: format!("line {}: `{}`: {message}", follow_up.line, parent.url_field),
            hint: hint.map(str::to_owned),
        };
        match &self.batch.replay {
            None => SourceUrl::parse(&follow_up.url)
                .map(FileSource::Url)
                .map_err(|message| of_line(message, None)),
            Some(replay) => replay
                .named
                .get(&named_by)
                .map(|file| FileSource::Archived(Arc::clone(file)))
                .ok_or_else(|| {
                    of_line(
                        "the archive does not hold the file that it names".into(),
                        Some("get the batch again with `redledger backfill BATCH --refetch`"),
                    )
                }),
        }
    }

    /// Gives rows that were taken out after they were loaded their delivered text back.
    fn restore_records(
        &self,
        contract: &Contract,
        fed: &[FedFile],
        rejections: &mut [Rejection],
    ) -> Result<()> {
        if let BatchContent::Rows(list) = &self.batch.content
            && contract.parent.is_none()
        {
            for rejection in rejections {
                let position = usize::try_from(rejection.line).unwrap_or_default();
                let row = position
                    .checked_sub(1)
                    .and_then(|index| list.rows.get(index));
                if let Some(row) = row {
                    rejection.record = redacted(&row.json).into_owned();
                }
            }
            return Ok(());
        }
        let mut by_file: HashMap<i64, Vec<&mut Rejection>> = HashMap::new();
        for rejection in rejections {
            by_file
                .entry(rejection.file_id)
                .or_default()
                .push(rejection);
        }
        for file in fed {
            let of_file = by_file.remove(&file.scanned.file_id);
            if let Some((kept, of_file)) = file.kept.as_ref().zip(of_file) {
                let feed = &self.context.feed;
                let read = feed.reread(kept, contract, file.encoding, of_file);
                let stop = &self.context.stop;
                self.context.runtime.block_on(stop.unless(read))?;
            }
        }
        Ok(())
    }
}
