//! What the engine says when something goes wrong, told apart by its text: in this file only.

/// What the engine's errors are about. It tells by text alone, and this is the only place that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineFault {
    /// More memory than `[load] memory_limit` allows, or no room to spill to.
    OutOfMemory,
    /// The disk is full.
    FullDisk,
    /// Bytes that are not what it wrote.
    Damage,
    /// The operating system refused to read or write.
    Io,
    /// Another process has the file open to write.
    Locked,
    /// A newer DuckDB made the file.
    Newer,
    /// The engine itself is broken: nothing that it does from now on can be trusted.
    Broken,
    /// The statement: a value that it can't compute with, for instance.
    Statement,
}

impl EngineFault {
    /// What this error is about.
    #[must_use]
    pub fn of(error: &duckdb::Error) -> Self {
        if matches!(
            error,
            duckdb::Error::FromSqlConversionFailure(..)
                | duckdb::Error::IntegralValueOutOfRange(..)
                | duckdb::Error::InvalidColumnType(..)
        ) {
            // It was read, and no such value was ever written: a block that is another one's, again.
            return Self::Damage;
        }
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["No space left on device"]) {
            Self::FullDisk
        } else if says(&[
            "Corrupt database file",
            "Could not read enough bytes",
            // A block that is another one's: it is read well, and its rows are not what is known of them.
            "statistics in your data source are corrupt",
        ]) {
            Self::Damage
        } else if says(&["Could not set lock"]) {
            Self::Locked
        } else if says(&["newer version"]) {
            Self::Newer
        } else if says(&["Out of Memory Error", "out of memory"]) {
            Self::OutOfMemory
        } else if says(&[
            "FATAL Error",
            "INTERNAL Error",
            "database has been invalidated",
        ]) {
            Self::Broken
        } else if says(&[
            "IO Error",
            "Failed to commit",
            "Failed to create checkpoint",
        ]) {
            Self::Io
        } else {
            Self::Statement
        }
    }
}
