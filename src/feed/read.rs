//! Files are read to their end and sent on as chunks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::{
    Feed,
    open::{OpenFile, Reads},
    tally::Tally,
};
use crate::{
    archive::{KeptFile, NamedBy, differs},
    batch::{ArchivedFile, FileSource},
    batch_no::BatchNo,
    clock,
    contract::{Contract, Layout},
    error::{Error, Result},
    reader::{Asides, Chunk, Header, ReaderOptions, RecordReader},
    rejection::{Rejection, raw_text},
    scan::{Counts, FileChunk, Scan, ScanFile, ScanMessage, SourceFailed},
    source::{Proof, open_file},
    source_url::redacted,
};

/// A file to be read.
pub(crate) struct Job {
    pub(crate) file_id: i64,
    pub(crate) source: FileSource,
    /// Opened before, to find out its dataset.
    pub(crate) opened: Option<Box<OpenFile>>,
    /// Rows it should have, when something says so.
    pub(crate) expected_rows: Option<u64>,
    pub(crate) inherited: Vec<Vec<u8>>,
    /// The row that names it.
    pub(crate) named_by: Option<NamedBy>,
}

/// A file that was read to its end.
#[derive(Debug)]
pub(crate) struct FedFile {
    pub(crate) scanned: Arc<ScanFile>,
    pub(crate) url: String,
    pub(crate) bytes: u64,
    pub(crate) hash: String,
    pub(crate) etag: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) last_modified: Option<String>,
    pub(crate) named_by: Option<NamedBy>,
    /// What an inline list is known by.
    pub(crate) identity: Option<String>,
    pub(crate) query_hash: Option<String>,
    pub(crate) kept: Option<KeptFile>,
    pub(crate) encoding: &'static str,
    pub(crate) header: String,
    pub(crate) read: u64,
    /// The line on which its last record begins.
    pub(crate) last_line: u64,
    pub(crate) asides: Asides,
    /// Headers of its response whose checksums could not be read.
    pub(crate) unread_checksums: Vec<&'static str>,
    pub(crate) ends_with_line_break: bool,
    pub(crate) expected_rows: Option<u64>,
    pub(crate) fetched_at: i64,
}

impl Feed {
    /// Feeds all jobs, `concurrency` at once; the first failure ends all.
    pub(crate) async fn feed(
        self,
        jobs: Vec<Job>,
        batch_no: BatchNo,
        contract: Arc<Contract>,
        scan: Arc<Scan>,
        sender: mpsc::Sender<ScanMessage>,
    ) -> Result<Vec<FedFile>, FeedEnd> {
        let shared = SharedLayout::default();
        let mut feeds = futures_util::stream::iter(jobs)
            .map(|job| self.feed_file(job, &batch_no, &contract, &shared, &scan, &sender))
            .buffer_unordered(self.download.concurrency);
        let mut fed = Vec::new();
        while let Some(file) = feeds.next().await {
            match file {
                Ok(file) => fed.push(file),
                Err(error) => {
                    // The others first: whoever waits in the channel's queue and is polled no more
                    // would keep its place there, and this message would wait behind it for ever.
                    drop(feeds);
                    let _ = sender.send(Err(SourceFailed)).await;
                    return Err(error);
                }
            }
        }
        fed.sort_by_key(|file| file.scanned.file_id);
        Ok(fed)
    }

    async fn feed_file(
        &self,
        job: Job,
        batch_no: &BatchNo,
        contract: &Contract,
        shared: &SharedLayout,
        scan: &Scan,
        sender: &mpsc::Sender<ScanMessage>,
    ) -> Result<FedFile, FeedEnd> {
        let opened = match job.opened {
            Some(opened) => *opened,
            None => {
                self.open(&job.source, Reads::As(contract), job.expected_rows)
                    .await?
            }
        };
        let OpenFile {
            origin,
            etag,
            content_type,
            last_modified,
            wholeness,
            unread_checksums,
            tally,
            mut reader,
        } = opened;
        let layout = if reader.is_empty() {
            Arc::new(contract.layout_of_nothing())
        } else {
            match shared.layout(contract, &origin, reader.header()) {
                Ok(layout) => layout,
                Err(error) => {
                    let fits = |header: &[String]| contract.is_headed_by(header);
                    return Err(reader.explained(error, fits).await.into());
                }
            }
        };
        let scanned = Arc::new(ScanFile {
            file_id: job.file_id,
            layout,
            inherited: job.inherited,
            counts: Counts::default(),
        });
        loop {
            let mut chunk = scan.spare_chunk();
            if !reader.read_chunk(&mut chunk).await? {
                break;
            }
            self.progress
                .rows
                .fetch_add(chunk.len() as u64, Ordering::Relaxed);
            send(sender, &scanned, chunk).await?;
        }
        if let Proof::Unproven(reason) = wholeness.get() {
            accept_unproven(
                &origin,
                reason,
                job.expected_rows,
                reader.ended_with_line_break(),
            )?;
        }
        let ends_with_line_break = reader.ended_with_line_break();
        if contract.csv.ends_with_line_break && !ends_with_line_break {
            return Err(without_line_break(&origin).into());
        }
        self.progress.files.0.fetch_add(1, Ordering::Relaxed);
        let (bytes, hash, mut kept) = self.keep(tally, contract, batch_no, "csv").await?;
        let mut fetched_at = clock::now();
        let mut query_hash = match &job.source {
            FileSource::Url(url) => url.query_hash(),
            FileSource::Path(_) | FileSource::Spooled { .. } | FileSource::Archived(_) => None,
        };
        if let FileSource::Archived(archived) = &job.source {
            let ArchivedFile { archive, file } = archived.as_ref();
            if hash != file.content_hash {
                return Err(differs(&archive.path_of(file), &hash, &file.content_hash).into());
            }
            fetched_at = file.fetched_at_us;
            query_hash.clone_from(&file.query_hash);
            kept = kept.or_else(|| {
                Some(KeptFile {
                    archive: archive.clone(),
                    path: file.path.clone(),
                })
            });
        }
        Ok(FedFile {
            identity: None,
            query_hash,
            kept,
            scanned,
            url: job.source.origin(),
            bytes,
            hash,
            etag,
            content_type,
            last_modified,
            named_by: job.named_by,
            encoding: reader.encoding(),
            header: redacted(&reader.header().raw).into_owned(),
            read: reader.records(),
            last_line: reader.last_line(),
            asides: reader.asides(),
            unread_checksums,
            ends_with_line_break,
            expected_rows: job.expected_rows,
            fetched_at,
        })
    }

    /// Reads an archived file again for the delivered text of a few of its rows.
    pub(crate) async fn reread(
        &self,
        kept: &KeptFile,
        contract: &Contract,
        encoding: &str,
        rejections: Vec<&mut Rejection>,
    ) -> Result<()> {
        let mut by_line: HashMap<u64, &mut Rejection> = rejections
            .into_iter()
            .map(|rejection| (rejection.line, rejection))
            .collect();
        let opened = open_file(&kept.place()).await?;
        let options = ReaderOptions {
            origin: opened.origin,
            delimiter: Some(contract.csv.delimiter),
            encoding: encoding_rs::Encoding::for_label(encoding.as_bytes()),
            charset: None,
            skip_lines: contract.csv.skip_lines,
            max_record: usize::try_from(self.download.max_record.0).unwrap_or(usize::MAX),
            may_be_empty: false,
        };
        let mut reader = RecordReader::open(opened.body, options).await?;
        let mut chunk = Chunk::default();
        while !by_line.is_empty() && reader.read_chunk(&mut chunk).await? {
            for record in &chunk.records {
                if let Some(rejection) = by_line.remove(&record.line) {
                    rejection.byte_offset = Some(record.byte_offset);
                    rejection.record = redacted(&raw_text(chunk.raw(record))).into_owned();
                }
            }
        }
        Ok(())
    }

    /// Ends the tally where it may wait for the disk.
    pub(super) async fn keep(
        &self,
        tally: Tally,
        contract: &Contract,
        batch_no: &BatchNo,
        extension: &'static str,
    ) -> Result<(u64, String, Option<KeptFile>)> {
        let (dataset, batch_no) = (contract.name.clone(), batch_no.clone());
        let end = move || tally.finish(dataset.as_str(), &batch_no, extension);
        let (bytes, hash, path) = tokio::task::spawn_blocking(end)
            .await
            .map_err(|error| Error::Internal(format!("an archiving task: {error}")))??;
        let kept = path.map(|path| KeptFile {
            archive: self.archive.clone(),
            path,
        });
        Ok((bytes, hash, kept))
    }
}

/// The layout of the file before: of 100,000 bills, all but the first have the same.
#[derive(Default)]
struct SharedLayout(Mutex<Option<Arc<Layout>>>);

impl SharedLayout {
    fn layout(&self, contract: &Contract, origin: &str, header: &Header) -> Result<Arc<Layout>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref().filter(|last| last.header == header.cells) {
            Some(same) => Ok(Arc::clone(same)),
            None => {
                let layout = Arc::new(contract.layout(origin, &header.cells)?);
                Ok(Arc::clone(last.insert(layout)))
            }
        }
    }
}

pub(super) async fn send(
    sender: &mpsc::Sender<ScanMessage>,
    file: &Arc<ScanFile>,
    chunk: Chunk,
) -> Result<(), FeedEnd> {
    let message = FileChunk {
        file: Arc::clone(file),
        chunk,
    };
    let sent = sender.send(Ok(message)).await;
    sent.map_err(|_| FeedEnd::NobodyListens)
}

/// Why a feed has ended early.
#[derive(Debug)]
pub(crate) enum FeedEnd {
    /// The insert has ended, and says why.
    NobodyListens,
    /// It has failed itself.
    Failed(Error),
}

impl<E> From<E> for FeedEnd
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A file that was cut before it was sent has any length, and any row count.
fn without_line_break(origin: &str) -> Error {
    Error::File {
        origin: origin.to_owned(),
        message: "its last line has no line break, so its last cell may be cut".into(),
        hint: Some(
            "ask for the file again; if the provider's files end so, take `ends_with_line_break` out of the contract"
                .into(),
        ),
    }
}

/// A body that just ends, without length or checksum, may be cut. The announced row count proves it whole,
/// unless the cut may be inside the last cell.
fn accept_unproven(
    origin: &str,
    reason: &str,
    expected_rows: Option<u64>,
    line_break: bool,
) -> Result<()> {
    let missing = match (expected_rows, line_break) {
        (Some(_), true) => return Ok(()),
        (None, _) => "no announced row count says so either",
        (Some(_), false) => "its last line has no line break, so its last cell may be cut",
    };
    Err(Error::File {
        origin: origin.to_owned(),
        message: format!("nothing shows that the file is whole: {reason}, and {missing}"),
        hint: Some("the server should send Content-Length or a checksum".into()),
    })
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs, time::Duration};

    use super::*;
    use crate::{
        archive::Archive,
        config::DownloadConfig,
        contract::Contracts,
        reader::CHUNK_RECORDS,
        scan::{RejectionLog, ScanParts},
        source::Fetcher,
    };

    /// Many files wait for a place in the channel when one fails: the scan still hears of it.
    #[tokio::test]
    async fn a_failure_passes_files_that_wait_in_the_channel() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = (0..CHUNK_RECORDS * 20).fold(String::from("merchant\n"), |mut text, line| {
            let _ = writeln!(text, "shop {line}");
            text
        });
        let path = |number: usize| folder.path().join(format!("{number}.csv"));
        let download = Arc::new(DownloadConfig::default());
        fs::write(path(0), "merchant\none\n").expect("a file");
        for number in 1..download.concurrency {
            fs::write(path(number), &lines).expect("a file");
        }
        // Its turn comes when the short one is over.
        let missing = path(download.concurrency);
        let jobs = (0..=download.concurrency)
            .zip(1..)
            .map(|(number, file_id)| Job {
                file_id,
                source: FileSource::Path(path(number)),
                opened: None,
                expected_rows: None,
                inherited: Vec::new(),
                named_by: None,
            })
            .collect();
        let contracts = Contracts::load(None).expect("the shipped contracts");
        let contract = contracts
            .get("account_negative_bill_line")
            .expect("a shipped contract");
        let scan = Arc::new(Scan::new(ScanParts {
            contract,
            inherited: Vec::new(),
            child: None,
            receiver: mpsc::channel(1).1,
            rejections: Arc::new(RejectionLog::default()),
            threads: 1,
            expected_rows: None,
        }));
        let feed = Feed {
            archive: Archive::new(folder.path()),
            keeps: false,
            fetcher: Fetcher::new(&download).expect("a fetcher"),
            download,
            progress: Arc::default(),
        };
        let batch_no = BatchNo::new("B1").expect("a number");
        let (sender, mut receiver) = mpsc::channel(2);
        let feed = tokio::spawn(feed.feed(jobs, batch_no, Arc::clone(contract), scan, sender));
        let told = async {
            while let Some(Ok(_)) = receiver.recv().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told)
            .await
            .expect("the scan is told");
        let failed = feed.await.expect("no panic").expect_err("a missing file");
        let FeedEnd::Failed(failed) = failed else {
            panic!("{failed:?}")
        };
        assert!(
            failed.to_string().contains(&missing.display().to_string()),
            "{failed}"
        );
    }
}
