//! The async half of a load: files are opened, read to their end and sent on as chunks.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::{
    config::DownloadConfig,
    contract::Contract,
    error::{Error, FetchError, Result},
    hook::ListRow,
    ledger,
    reader::{Header, ROWS_PER_CHUNK, ReaderOptions, RecordReader, inline_chunk},
    scan::{Counts, FileChunk, Scan, ScanFile, ScanMessage, SourceFailed},
    source::{BodyStream, Fetcher, Opened, Proof, Wholeness, open_file},
    source_url::SourceUrl,
};

/// Where a file is.
#[derive(Debug, Clone)]
pub enum FileSource {
    /// Announced, or named on the command line as a URL.
    Url(SourceUrl),
    /// Named on the command line.
    Path(PathBuf),
}

impl FileSource {
    /// For messages and the ledger; without secrets.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Url(url) => url.to_string(),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

/// How far a load has come, for whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes received of the current batch.
    pub bytes: AtomicU64,
    /// Bytes expected; 0 when not known.
    pub expected_bytes: AtomicU64,
    /// Records read of the current batch.
    pub rows: AtomicU64,
    /// Files read to their end, and files in all.
    pub files: (AtomicU64, AtomicU64),
    /// What is being loaded.
    pub label: Mutex<String>,
}

impl Progress {
    /// Starts over for another batch.
    pub fn begin(&self, label: String, files: u64) {
        for counter in [&self.bytes, &self.expected_bytes, &self.rows, &self.files.0] {
            counter.store(0, Ordering::Relaxed);
        }
        self.files.1.store(files, Ordering::Relaxed);
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = label;
    }
}

/// What all files of a batch are read with.
#[derive(Clone)]
pub(super) struct Feeding {
    pub(super) fetcher: Fetcher,
    pub(super) download: Arc<DownloadConfig>,
    pub(super) progress: Arc<Progress>,
}

/// A file whose header has been read.
pub(super) struct HeadedFile {
    origin: String,
    etag: Option<String>,
    wholeness: Wholeness,
    tally: Tally,
    reader: RecordReader<Tap>,
}

impl HeadedFile {
    pub(super) fn header(&self) -> &Header {
        self.reader.header()
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }
}

/// A file to be read.
pub(super) struct Job {
    pub(super) file_id: i64,
    pub(super) source: FileSource,
    /// Opened before, to find out its dataset.
    pub(super) headed: Option<HeadedFile>,
    /// Rows it should have, when something says so.
    pub(super) expected_rows: Option<u64>,
    pub(super) inherited: Vec<Vec<u8>>,
}

/// A file that was read to its end.
#[derive(Debug)]
pub(super) struct FedFile {
    pub(super) scanned: Arc<ScanFile>,
    pub(super) url: String,
    pub(super) bytes: u64,
    pub(super) hash: String,
    pub(super) etag: Option<String>,
    pub(super) encoding: &'static str,
    pub(super) header: String,
    pub(super) read: u64,
    pub(super) expected_rows: Option<u64>,
    pub(super) fetched_at: i64,
}

impl Feeding {
    /// Opens a file and reads its header.
    pub(super) async fn head(
        &self,
        source: &FileSource,
        contract: Option<&Contract>,
    ) -> Result<HeadedFile> {
        let opened = match source {
            FileSource::Url(url) => self.fetcher.open(url).await?,
            FileSource::Path(path) => open_file(path).await?,
        };
        let Opened {
            origin,
            etag,
            charset,
            length,
            body,
            wholeness,
        } = opened;
        if let Some(length) = length {
            self.progress
                .expected_bytes
                .fetch_add(length, Ordering::Relaxed);
        }
        let tally = Tally::default();
        let tap = Tap {
            body,
            tally: tally.clone(),
            progress: Arc::clone(&self.progress),
        };
        let options = ReaderOptions {
            origin: origin.clone(),
            delimiter: contract.map_or(b',', |contract| contract.csv.delimiter),
            encoding: contract.and_then(|contract| contract.csv.encoding),
            charset,
            max_record: usize::try_from(self.download.max_record.0).unwrap_or(usize::MAX),
        };
        let reader = RecordReader::open(tap, options).await?;
        Ok(HeadedFile {
            origin,
            etag,
            wholeness,
            tally,
            reader,
        })
    }

    /// Feeds all jobs, `concurrency` at once; the first failure ends all.
    pub(super) async fn feed(
        self,
        jobs: Vec<Job>,
        contract: Arc<Contract>,
        scan: Arc<Scan>,
        sender: mpsc::Sender<ScanMessage>,
    ) -> Result<Vec<FedFile>> {
        let mut feeds = futures_util::stream::iter(jobs)
            .map(|job| self.feed_file(job, &contract, &scan, &sender))
            .buffer_unordered(self.download.concurrency);
        let mut fed = Vec::new();
        while let Some(file) = feeds.next().await {
            match file {
                Ok(file) => fed.push(file),
                Err(error) => {
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
        contract: &Contract,
        scan: &Scan,
        sender: &mpsc::Sender<ScanMessage>,
    ) -> Result<FedFile> {
        let headed = match job.headed {
            Some(headed) => headed,
            None => self.head(&job.source, Some(contract)).await?,
        };
        let HeadedFile {
            origin,
            etag,
            wholeness,
            tally,
            mut reader,
        } = headed;
        let layout = contract.layout(&origin, &reader.header().cells)?;
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
        self.progress.files.0.fetch_add(1, Ordering::Relaxed);
        let (bytes, hash) = tally.finish();
        Ok(FedFile {
            scanned,
            url: job.source.origin(),
            bytes,
            hash,
            etag,
            encoding: reader.encoding(),
            header: reader.header().raw.clone(),
            read: reader.records(),
            expected_rows: job.expected_rows,
            fetched_at: ledger::now(),
        })
    }

    /// Feeds the rows of an inline list, as a file that was never one.
    pub(super) async fn feed_rows(
        self,
        rows: Arc<Vec<ListRow>>,
        columns: Vec<String>,
        scanned: Arc<ScanFile>,
        origin: String,
        scan: Arc<Scan>,
        sender: mpsc::Sender<ScanMessage>,
    ) -> Result<Vec<FedFile>> {
        let tally = Tally::default();
        let mut position = 1;
        for part in rows.chunks(ROWS_PER_CHUNK) {
            let mut chunk = scan.spare_chunk();
            let offset = tally.bytes();
            inline_chunk(
                &mut chunk,
                part,
                &columns,
                position,
                offset,
                |row| row.json.as_str(),
                cell_of,
            );
            for row in part {
                tally.add(row.json.as_bytes());
            }
            position += part.len() as u64;
            self.progress
                .rows
                .fetch_add(part.len() as u64, Ordering::Relaxed);
            send(&sender, &scanned, chunk).await?;
        }
        let (bytes, hash) = tally.finish();
        Ok(vec![FedFile {
            scanned,
            url: origin,
            bytes,
            hash,
            etag: None,
            encoding: "UTF-8",
            header: columns.join(","),
            read: rows.len() as u64,
            expected_rows: None,
            fetched_at: ledger::now(),
        }])
    }
}

fn cell_of<'a>(row: &'a ListRow, column: &str) -> Option<&'a str> {
    let (_, cell) = row.cells.iter().find(|(key, _)| key == column)?;
    cell.as_deref()
}

async fn send(
    sender: &mpsc::Sender<ScanMessage>,
    file: &Arc<ScanFile>,
    chunk: crate::reader::Chunk,
) -> Result<()> {
    let message = FileChunk {
        file: Arc::clone(file),
        chunk,
    };
    // The insert has failed and says why; this error is never shown.
    sender
        .send(Ok(message))
        .await
        .map_err(|_| Error::Internal("the insert has ended".into()))
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

/// Counts and hashes what passes.
#[derive(Debug, Clone, Default)]
struct Tally(Arc<Mutex<(Sha256, u64)>>);

impl Tally {
    fn add(&self, bytes: &[u8]) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.0.update(bytes);
        tally.1 += bytes.len() as u64;
    }

    fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn finish(&self) -> (u64, String) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (tally.1, hex(&tally.0.finalize_reset()))
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Sits between the source and the reader.
pub(super) struct Tap {
    body: BodyStream,
    tally: Tally,
    progress: Arc<Progress>,
}

impl Stream for Tap {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.body.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.tally.add(piece);
            self.progress
                .bytes
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        polled
    }
}
