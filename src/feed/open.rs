//! A file is opened and its header read: the dataset may hang on it.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Feed,
    tally::{Tally, Tap},
};
use crate::{
    archive::Archive,
    batch::FileSource,
    contract::Contract,
    error::{Error, Result},
    reader::{Header, ReaderOptions, RecordReader},
    source::{Opened, Provenance, Wholeness, charset, open_file},
};

/// A file whose header has been read.
pub(crate) struct OpenFile {
    pub(crate) origin: String,
    pub(crate) provenance: Provenance,
    pub(crate) wholeness: Wholeness,
    /// Headers whose checksums could not be read.
    pub(crate) unread_checksums: Vec<&'static str>,
    pub(crate) tally: Tally,
    pub(crate) reader: RecordReader<Tap>,
}

/// How a file is read as far as its header.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reads<'a> {
    /// As its contract says.
    As(&'a Contract),
    /// Nobody knows its contract; the header is behind so many lines.
    Behind(u64),
}

impl OpenFile {
    pub(crate) fn header(&self) -> &Header {
        self.reader.header()
    }

    /// What is wrong with the header if no contract says otherwise.
    pub(crate) fn header_fault(&self) -> Option<Error> {
        self.reader.header_fault()
    }

    /// What is wrong with what the header says, and why that may be; `fits` is asked of the lines behind it.
    pub(crate) async fn explained(
        &mut self,
        error: Error,
        fits: impl Fn(&[String]) -> bool,
    ) -> Error {
        self.reader.explained(error, fits).await
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

impl Feed {
    /// Opens a file and reads its header.
    pub(crate) async fn open(
        &self,
        source: &FileSource,
        reads: Reads<'_>,
        expected_rows: Option<u64>,
    ) -> Result<OpenFile> {
        let opened = match source {
            FileSource::Url(url) => self.fetcher.open(url).await?,
            FileSource::Path(path) => open_file(path).await?,
            FileSource::Spooled { spool, origin } => Opened {
                origin: origin.clone(),
                ..open_file(spool).await?
            },
            FileSource::Archived(archived) => {
                let file = archived.file.clone();
                Opened {
                    origin: file.url,
                    provenance: Provenance {
                        etag: file.etag,
                        content_type: file.content_type,
                        last_modified: file.last_modified,
                    },
                    length: Some(file.bytes),
                    ..open_file(&archived.archive.path_of(&archived.file)).await?
                }
            }
        };
        let Opened {
            origin,
            provenance,
            length,
            body,
            wholeness,
            unread_checksums,
        } = opened;
        if let Some(length) = length {
            self.progress
                .expected_bytes
                .fetch_add(length, Ordering::Relaxed);
        }
        let tally = Tally::new(self.archive_for(source));
        let tap = Tap {
            body,
            tally: tally.clone(),
            progress: Arc::clone(&self.progress),
        };
        let (csv, skip_lines) = match reads {
            Reads::As(contract) => (Some(&contract.csv), contract.csv.skip_lines),
            Reads::Behind(lines) => (None, lines),
        };
        let options = ReaderOptions {
            origin: origin.clone(),
            delimiter: csv.map(|csv| csv.delimiter),
            encoding: csv.and_then(|csv| csv.encoding),
            charset: provenance.content_type.as_deref().and_then(charset),
            max_record: usize::try_from(self.download.max_record.0).unwrap_or(usize::MAX),
            skip_lines,
            may_be_empty: expected_rows == Some(0),
        };
        let reader = RecordReader::open(tap, options).await?;
        Ok(OpenFile {
            origin,
            provenance,
            wholeness,
            unread_checksums,
            tally,
            reader,
        })
    }

    /// Where a file is to be kept; not twice in one archive.
    fn archive_for(&self, source: &FileSource) -> Option<&Archive> {
        let own = self.keeps.then_some(&self.archive);
        own.filter(|own| match source {
            FileSource::Archived(archived) => archived.archive != **own,
            FileSource::Url(_) | FileSource::Path(_) | FileSource::Spooled { .. } => true,
        })
    }
}
