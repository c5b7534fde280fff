//! Files of the repository that tests read.

use std::{env, path::PathBuf};

/// `path` below the top of the checkout that the tests run in.
///
/// Asked when it runs: a target folder that several checkouts share may have compiled this in another one.
pub(crate) fn checkout(path: &str) -> PathBuf {
    let top = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    PathBuf::from(top).join(path)
}
