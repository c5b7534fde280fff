//! `redledger --version --verbose`: what a person needs who is asked which one it is.

use duckdb::Connection;

use crate::{
    archive,
    error::{Error, Result},
    inbox, ledger,
};

/// Whether the words ask for more than the program's own version.
pub(super) fn is_verbose(words: impl IntoIterator<Item = String>) -> bool {
    let asks = |word: &str| {
        word == "--verbose"
            || word
                .strip_prefix('-')
                .is_some_and(|flags| !flags.starts_with('-') && flags.contains('v'))
    };
    words.into_iter().any(|word| asks(&word))
}

/// Program, engine, stored formats, build.
pub(super) fn verbose() -> Result<String> {
    let engine = Connection::open_in_memory().and_then(|connection| {
        connection.query_row(
            "SELECT version(), (SELECT string_agg(extension_name, ', ' ORDER BY extension_name) \
             FROM duckdb_extensions() WHERE loaded)",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)),
        )
    });
    let (duckdb, extensions) = engine.map_err(Error::database("say its version"))?;
    let from = if cfg!(feature = "bundled") {
        "compiled in"
    } else {
        "a library beside it"
    };
    let build = if cfg!(debug_assertions) {
        "a first look: not optimised, not for nights"
    } else {
        "release"
    };
    Ok(format!(
        "redledger {}\nDuckDB     {}, {from}, with {}\nformats    ledger {}, archive {}, inbox {}\nbuild      {build}, {} {}\n",
        env!("CARGO_PKG_VERSION"),
        duckdb.trim_start_matches('v'),
        extensions.as_deref().unwrap_or("no extensions"),
        ledger::FORMAT,
        archive::FORMAT,
        inbox::FORMAT,
        std::env::consts::OS,
        std::env::consts::ARCH,
    ))
}
