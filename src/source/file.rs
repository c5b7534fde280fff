//! Files of this machine, named on the command line.

use std::{io, path::Path};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::AsyncReadExt as _;

use super::{
    content, decode,
    opened::{BodyStream, Opened, Provenance, Wholeness},
};
use crate::error::{FetchError, FetchKind};

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

/// Opens a local file; `.gz`, `.zst` and `.zip` content is decompressed.
///
/// # Errors
/// [`FetchKind::Unreadable`] when the file is missing, a directory or not ours to read;
/// [`FetchKind::Malformed`] when it is compressed and broken.
pub async fn open_file(path: &Path) -> Result<Opened, FetchError> {
    let origin = path.display().to_string();
    let fail = |message: String| FetchError {
        origin: origin.clone(),
        kind: FetchKind::Unreadable,
        message,
        source: None,
    };
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| fail(said("opened", &error)))?;
    let metadata = file
        .metadata()
        .await
        .map_err(|error| fail(said("opened", &error)))?;
    if metadata.is_dir() {
        return Err(fail("a directory where a file was due".to_owned()));
    }
    let length = metadata.is_file().then_some(metadata.len());
    let wholeness = Wholeness::default();
    let state = Reading {
        file,
        origin: origin.clone(),
        length,
        read: 0,
        wholeness: wholeness.clone(),
    };
    let body: BodyStream = futures_util::stream::try_unfold(state, |mut state| async move {
        Ok(state.next().await?.map(|piece| (piece, state)))
    })
    .boxed();
    let (body, decoded) = content::object(&origin, body, &decode::Limits::default()).await?;
    Ok(Opened {
        origin,
        provenance: Provenance::default(),
        length: length.filter(|_| !decoded),
        body,
        wholeness,
        unread_checksums: Vec::new(),
    })
}

struct Reading {
    file: tokio::fs::File,
    origin: String,
    /// Of a regular file.
    length: Option<u64>,
    read: u64,
    wholeness: Wholeness,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        let read = self.file.read_buf(&mut piece).await;
        let fail = |kind, message| FetchError {
            origin: self.origin.clone(),
            kind,
            message,
            source: None,
        };
        let read = read.map_err(|error| fail(FetchKind::Unreadable, said("read", &error)))?;
        if read > 0 {
            self.read += read as u64;
            return Ok(Some(piece.freeze()));
        }
        if self.length.is_some_and(|length| length != self.read) {
            return Err(fail(
                FetchKind::Changed,
                "the file changed its size while it was read".to_owned(),
            ));
        }
        self.wholeness.prove();
        Ok(None)
    }
}

fn said(action: &str, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("can't be {action}: {why}")
}
