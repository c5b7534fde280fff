//! What a file's bytes pass on their way to the reader: they are counted, hashed and kept.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    task::{Context, Poll},
};

use base16ct::lower::encode_string;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};

use super::progress::Progress;
use crate::{
    archive::{Archive, ArchiveWriter},
    batch_no::BatchNo,
    error::{Error, FetchError, FetchKind, Result},
    source::BodyStream,
};

/// Counts, hashes and keeps what passes.
#[derive(Debug, Clone)]
pub(crate) struct Tally(Arc<Mutex<Counted>>);

#[derive(Debug)]
struct Counted {
    hasher: Sha256,
    bytes: u64,
    kept: Option<ArchiveWriter>,
}

impl Tally {
    pub(crate) fn new(archive: Option<&Archive>) -> Self {
        let kept = archive.map(Archive::writer);
        Self(Arc::new(Mutex::new(Counted {
            hasher: Sha256::new(),
            bytes: 0,
            kept,
        })))
    }

    pub(crate) fn add(&self, bytes: &Bytes) -> Result<()> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.hasher.update(bytes);
        counted.bytes += bytes.len() as u64;
        counted
            .kept
            .as_mut()
            .map_or(Ok(()), |kept| kept.write(bytes))
    }

    /// The size, the hash, and where the bytes are kept. May wait for the disk.
    pub(crate) fn finish(
        &self,
        dataset: &str,
        batch_no: &BatchNo,
        extension: &str,
    ) -> Result<(u64, String, Option<String>)> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = encode_string(&counted.hasher.finalize_reset());
        let kept = counted.kept.take();
        let path = kept
            .map(|kept| kept.finish(dataset, batch_no, &hash, extension))
            .transpose()?;
        Ok((counted.bytes, hash, path))
    }
}

/// The archive's failure on its way through the reader.
fn unkept(error: &Error) -> FetchError {
    FetchError {
        origin: "archive".into(),
        kind: FetchKind::Unreadable,
        message: error.chain(),
        source: None,
    }
}

/// Sits between the source and the reader.
pub(crate) struct Tap {
    pub(crate) body: BodyStream,
    pub(crate) tally: Tally,
    pub(crate) progress: Arc<Progress>,
}

impl Stream for Tap {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.body.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            if let Err(error) = self.tally.add(piece) {
                return Poll::Ready(Some(Err(unkept(&error))));
            }
            self.progress
                .bytes
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        polled
    }
}
