//! Between BEGIN and COMMIT: what is done to a batch, in order.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    BatchContent, BatchSource, FileSource, Pipeline,
    attempt::Attempt,
    feed::{FedFile, InlineList, Job},
    headed_file::HeadedFile,
    verdict::Verdict,
};
use crate::{
    archive::NamedBy,
    contract::{Contract, Field, FieldType, Parent},
    error::{Error, Result},
    ledger::{self, Difference},
    load::BatchTransaction,
    rejection::Rejection,
    scan::{Counts, FollowUp, Scan, ScanFile, ScanParts},
    source_url::{SourceUrl, redacted},
};

/// Chunks on their way; a few let reader and scan run evenly, more only hold memory.
const CHUNKS_ON_THE_WAY: usize = 8;

/// A batch's transaction under way.
pub(super) struct Loading<'l> {
    pub(super) pipeline: &'l Pipeline<'l>,
    pub(super) transaction: &'l BatchTransaction<'l>,
    pub(super) threads: usize,
    pub(super) source: &'l BatchSource,
}

impl Loading<'_> {
    /// Everything between BEGIN and COMMIT.
    pub(super) fn run(
        &self,
        contract: &Arc<Contract>,
        child: Option<&Arc<Contract>>,
        columns: &[String],
        headed: Option<HeadedFile>,
        attempt: &mut Attempt,
    ) -> Result<Verdict> {
        let source = self.source;
        let batch_no = source.batch_no.as_str();
        let (scan, fed) = self.insert_batch(contract, child, columns, headed, attempt)?;
        let lines_from = attempt.first_file + fed.len() as i64;
        let mut repeated = self
            .transaction
            .reject_repeated_keys(contract, attempt.first_file)?;
        self.restore_records(contract, &fed, &mut repeated.kept)?;
        let any_repeated = !repeated.by_file.is_empty();
        attempt.add(contract, fed, repeated);

        if let Some(total) = source.total {
            attempt.controls.push(crate::load::control(
                crate::load::HOOK_TOTAL,
                total,
                attempt.own_read(),
            ));
            if attempt.own_read() != total {
                return Ok(attempt.wrong_total(total, source.pages_incomplete));
            }
        }
        if let Some(verdict) = attempt.too_many_rejected(contract) {
            return Ok(verdict);
        }
        let totals = self.transaction.totals(contract, attempt.first_file)?;
        if let Some(verdict) = attempt.check_totals(contract, totals)? {
            return Ok(verdict);
        }

        if let Some(child) = child {
            let mut follow_ups = scan.take_follow_ups();
            if any_repeated {
                let standing = self
                    .transaction
                    .rows_standing(contract, attempt.first_file)?;
                follow_ups
                    .retain(|follow_up| standing.contains(&(follow_up.file_id, follow_up.line)));
            }
            follow_ups.sort_by_key(|follow_up| (follow_up.file_id, follow_up.line));
            let fed = self.insert_lines(child, contract, follow_ups, lines_from, attempt)?;
            if let Some(verdict) = attempt.wrong_line_totals(&fed) {
                attempt.add(child, fed, Default::default());
                return Ok(verdict);
            }
            let mut repeated = self.transaction.reject_repeated_keys(child, lines_from)?;
            self.restore_records(child, &fed, &mut repeated.kept)?;
            attempt.add(child, fed, repeated);
            if let Some(verdict) = attempt.too_many_rejected(child) {
                return Ok(verdict);
            }
            let totals = self.transaction.totals(child, lines_from)?;
            if let Some(verdict) = attempt.check_totals(child, totals)? {
                return Ok(verdict);
            }
        }
        attempt.note_figures();

        if attempt.loaded_revision_again().is_some() {
            return Ok(Verdict::Unchanged);
        }
        if attempt.standing.loaded.is_some() {
            for contract in std::iter::once(contract).chain(child) {
                let first_file = attempt.first_file;
                let difference = self
                    .transaction
                    .difference(contract, batch_no, first_file)?;
                attempt.add_difference(difference);
            }
            // Rows that name files by signed URLs differ in their bytes at every announcement, and a list is its
            // values however they are written.
            let names_files = contract
                .fields
                .iter()
                .any(|field| field.kind == FieldType::Url);
            let is_list = matches!(source.content, BatchContent::Rows(_));
            if (names_files || is_list) && attempt.is_the_same_as_loaded() {
                return Ok(Verdict::Unchanged);
            }
            let dataset = contract.name.as_str();
            let removed =
                self.transaction
                    .delete_revision(dataset, batch_no, attempt.first_file)?;
            // Of tables that no contract of the batch declares any more nothing was compared.
            let child = child.map(|child| child.name.as_str());
            for (table, rows) in removed {
                if table != dataset && Some(table.as_str()) != child {
                    attempt.add_difference(Difference {
                        removed: rows,
                        ..Difference::default()
                    });
                }
            }
        }
        let datasets: Vec<&str> = std::iter::once(contract)
            .chain(child)
            .map(|contract| contract.name.as_str())
            .collect();
        let connection = self.transaction.connection();
        ledger::forget_attempts(
            connection,
            &datasets,
            batch_no,
            attempt.standing.next_revision,
        )?;
        ledger::supersede(connection, contract.name.as_str(), batch_no)?;
        let entry = attempt.entry(source, &Verdict::Loaded, &self.pipeline.run_id);
        ledger::record(
            connection,
            &entry,
            &attempt.files,
            &attempt.rejections,
            &attempt.controls,
        )?;
        Ok(Verdict::Loaded)
    }

    fn insert_batch(
        &self,
        contract: &Arc<Contract>,
        child: Option<&Arc<Contract>>,
        columns: &[String],
        mut headed: Option<HeadedFile>,
        attempt: &Attempt,
    ) -> Result<(Arc<Scan>, Vec<FedFile>)> {
        let (sender, receiver) = mpsc::channel(CHUNKS_ON_THE_WAY);
        let scan = Arc::new(Scan::new(ScanParts {
            contract,
            inherited: Vec::new(),
            child: child.map(Arc::as_ref),
            receiver,
            rejections: Arc::clone(&attempt.log),
            threads: self.threads,
            expected_rows: self.source.total,
        }));
        let feeding = self.pipeline.feeding.clone();
        let fed = match &self.source.content {
            BatchContent::Files(files) => {
                let jobs = files
                    .iter()
                    .zip(attempt.first_file..)
                    .map(|(file, file_id)| Job {
                        file_id,
                        source: file.clone(),
                        headed: headed.take().map(Box::new),
                        expected_rows: self.source.total,
                        inherited: Vec::new(),
                        named_by: None,
                    })
                    .collect();
                self.insert(
                    contract,
                    &scan,
                    feeding.feed(
                        jobs,
                        self.source.batch_no.clone(),
                        Arc::clone(contract),
                        Arc::clone(&scan),
                        sender,
                    ),
                )?
            }
            BatchContent::Rows(rows) => {
                let layout = if rows.is_empty() {
                    // Nothing to lay out: an announced batch of no rows.
                    crate::contract::Layout {
                        fields: vec![None; contract.fields.len()],
                        rest: vec![],
                        header: vec![],
                    }
                } else {
                    contract.layout(&self.source.origin, columns)?
                };
                let scanned = Arc::new(ScanFile {
                    file_id: attempt.first_file,
                    layout: Arc::new(layout),
                    inherited: Vec::new(),
                    counts: Counts::default(),
                });
                let list = InlineList {
                    rows: Arc::clone(rows),
                    columns: columns.to_vec(),
                    scanned,
                    origin: self.source.origin.clone(),
                };
                let feed = feeding.feed_rows(
                    list,
                    self.source.batch_no.clone(),
                    Arc::clone(contract),
                    Arc::clone(&scan),
                    sender,
                );
                self.insert(contract, &scan, feed)?
            }
        };
        Ok((scan, fed))
    }

    fn insert_lines(
        &self,
        child: &Arc<Contract>,
        parent: &Contract,
        follow_ups: Vec<FollowUp>,
        first_file: i64,
        attempt: &Attempt,
    ) -> Result<Vec<FedFile>> {
        let of = child
            .parent
            .as_ref()
            .ok_or_else(|| Error::Internal("a child without a parent".into()))?;
        let inherited: Vec<(Field, String)> = of
            .inherit
            .iter()
            .filter_map(|inherit| {
                let field = parent
                    .field_index(&inherit.field)
                    .map(|index| parent.fields[index].clone())?;
                Some((field, inherit.column.to_string()))
            })
            .collect();
        self.pipeline.feeding.progress.files.1.fetch_add(
            follow_ups.len() as u64,
            std::sync::atomic::Ordering::Relaxed,
        );
        let (sender, receiver) = mpsc::channel(CHUNKS_ON_THE_WAY);
        let scan = Arc::new(Scan::new(ScanParts {
            contract: child,
            inherited,
            child: None,
            receiver,
            rejections: Arc::clone(&attempt.log),
            threads: self.threads,
            expected_rows: follow_ups.iter().map(|follow_up| follow_up.rows).sum(),
        }));
        let jobs = follow_ups
            .into_iter()
            .zip(first_file..)
            .map(|(follow_up, file_id)| {
                let named_by = NamedBy {
                    file: usize::try_from(follow_up.file_id - attempt.first_file)
                        .unwrap_or(usize::MAX),
                    line: follow_up.line,
                };
                Ok(Job {
                    file_id,
                    source: self.named_file(&follow_up, named_by, of)?,
                    headed: None,
                    expected_rows: follow_up.rows,
                    inherited: follow_up.inherited,
                    named_by: Some(named_by),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let feeding = self.pipeline.feeding.clone();
        self.insert(
            child,
            &scan,
            feeding.feed(
                jobs,
                self.source.batch_no.clone(),
                Arc::clone(child),
                Arc::clone(&scan),
                sender,
            ),
        )
    }

    /// The file that a row names: where the row says, or in the archive that the row is from.
    fn named_file(
        &self,
        follow_up: &FollowUp,
        named_by: NamedBy,
        parent: &Parent,
    ) -> Result<FileSource> {
        let of_line = |message: String, hint: Option<&str>| Error::File {
            origin: self.source.origin.clone(),
            message: format!("line {}: `{}`: {message}", follow_up.line, parent.url_field),
            hint: hint.map(str::to_owned),
        };
        match &self.source.replay {
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
        if let BatchContent::Rows(rows) = &self.source.content {
            for rejection in rejections {
                let position = usize::try_from(rejection.line).unwrap_or_default();
                if let Some(row) = position.checked_sub(1).and_then(|index| rows.get(index)) {
                    rejection.record = redacted(&row.json).into_owned();
                }
            }
            return Ok(());
        }
        for file in fed {
            let of_file: Vec<&mut Rejection> = rejections
                .iter_mut()
                .filter(|rejection| rejection.file_id == file.scanned.file_id)
                .collect();
            if let Some(path) = file.archive_path.as_ref().filter(|_| !of_file.is_empty()) {
                let path = self.pipeline.config.data_dir.join(path);
                let read = self
                    .pipeline
                    .feeding
                    .reread(&path, contract, file.encoding, of_file);
                self.pipeline
                    .runtime
                    .block_on(self.pipeline.stop.unless(read))?;
            }
        }
        Ok(())
    }

    /// Runs the insert on this thread while `feed` runs on the runtime's.
    fn insert(
        &self,
        contract: &Contract,
        scan: &Arc<Scan>,
        feed: impl Future<Output = Result<Vec<FedFile>>> + Send + 'static,
    ) -> Result<Vec<FedFile>> {
        let stop = self.pipeline.stop.clone();
        let feed = self
            .pipeline
            .runtime
            .spawn(async move { stop.unless(feed).await });
        let inserted = self
            .transaction
            .insert(contract, scan, self.source.batch_no.as_str());
        let fed = self
            .pipeline
            .runtime
            .block_on(feed)
            .map_err(|error| Error::Internal(format!("a reading task: {error}")))?;
        match (fed, inserted) {
            // The insert failed by itself; the feed only noticed that nobody listens any more.
            (Err(Error::Internal(_)), Err(error)) => Err(error),
            (Err(error), _) => Err(error),
            (Ok(_), Err(error)) => Err(error),
            (Ok(fed), Ok(_)) => Ok(fed),
        }
    }
}
