//! Short lists that are kept beside the deliveries: each a JSON document of its own, replaced as a whole.

use std::{
    fs,
    io::{self, Write as _},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::place::Archive;
use crate::{
    durable::{INCOMING, create_private, sync_folder},
    error::{Error, Result},
};

/// The format of these documents; a reader refuses a newer one.
const FORMAT: u32 = 1;

/// Which list it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The document's name without `.json`, and the list's name in it.
    pub(super) name: &'static str,
    /// What would come of it if the document were lost.
    pub(super) when_lost: &'static str,
}

/// A document.
pub(super) struct Document<T> {
    folder: PathBuf,
    kind: Kind,
    of: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned + Ord> Document<T> {
    pub(super) fn of(archive: &Archive, kind: Kind) -> Self {
        Self {
            folder: archive.folder.clone(),
            kind,
            of: PhantomData,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.kind.name))
    }

    /// What is written there, in order; nothing when there is no document.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read, is damaged, or a newer release has written it.
    pub(super) fn read(&self) -> Result<Vec<T>> {
        let path = self.path();
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("read", &path)(error)),
            Ok(bytes) => self.understood(&bytes).map_err(|why| unusable(&path, &why)),
        }
    }

    fn understood(&self, bytes: &[u8]) -> Result<Vec<T>, String> {
        let damaged = |why: &dyn std::fmt::Display| {
            format!(
                "it is not as redledger wrote it ({why}); restore it from a copy: without it, {}",
                self.kind.when_lost
            )
        };
        let mut document: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
        let format = document.remove("format");
        if format.as_ref().and_then(Value::as_u64) != Some(FORMAT.into()) {
            let format = format.unwrap_or_default();
            return Err(format!(
                "format {format} where {FORMAT} was expected: a newer redledger wrote it"
            ));
        }
        let list = document.remove(self.kind.name).unwrap_or_default();
        if let Some(key) = document.keys().next() {
            return Err(damaged(&format_args!("unknown field `{key}`")));
        }
        let mut list: Vec<T> = serde_json::from_value(list).map_err(|error| damaged(&error))?;
        list.sort();
        Ok(list)
    }

    /// Writes the list durably. The caller holds the lock.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be written: the document is as it was then.
    pub(super) fn replace(&self, list: &[T]) -> Result<()> {
        let path = self.path();
        let write = || -> io::Result<()> {
            create_private(&self.folder)?;
            let mut file = tempfile::Builder::new()
                .prefix(INCOMING)
                .tempfile_in(&self.folder)?;
            let document = json!({"format": FORMAT, self.kind.name: list});
            let mut text = serde_json::to_vec_pretty(&document)?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(&self.folder)
        };
        write().map_err(Error::io("write", &path))
    }
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::io("understand", path)(io::Error::new(io::ErrorKind::InvalidData, why))
}
