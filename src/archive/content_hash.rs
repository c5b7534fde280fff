//! What the content of a batch is known by.

use base16ct::lower::encode_string;
use sha2::{Digest as _, Sha256};

/// What a batch's content is known by: the SHA-256 of its one file, or of the list of its files' hashes.
#[must_use]
pub fn content_hash<'h>(hashes: impl IntoIterator<Item = &'h str>) -> String {
    let mut content = ContentHash::default();
    for hash in hashes {
        content.add(hash);
    }
    content.finish()
}

/// The same, hash by hash.
#[derive(Debug, Default)]
pub struct ContentHash {
    only: Option<String>,
    several: Sha256,
    count: u64,
}

impl ContentHash {
    /// Takes the next file's hash.
    pub fn add(&mut self, hash: &str) {
        self.count += 1;
        self.only = (self.count == 1).then(|| hash.to_owned());
        self.several.update(hash.as_bytes());
        self.several.update(b"\n");
    }

    /// The hash of all.
    #[must_use]
    pub fn finish(self) -> String {
        self.only
            .unwrap_or_else(|| encode_string(&self.several.finalize()))
    }
}
