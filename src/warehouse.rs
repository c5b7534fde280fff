//! The warehouse: one DuckDB file, which analysts open and a run replaces.
//!
//! ```text
//! Claim ── the right to write, one run at a time
//!   └► Writer ── a copy beside the live file; dropped, it is thrown away; published, it takes the live one's place
//!        └► Warehouse ── the engine that has it open ──► BatchTransaction
//! open_reading ── the live file, to look at
//! ```

mod claim;
mod clients;
mod engine;
mod file;
mod previous;
mod published;
mod reader;
mod rights;
mod transaction;
mod writer;

use std::{path::Path, sync::Arc};

use duckdb::{Connection, InterruptHandle};

pub use self::{
    claim::Claim,
    engine::limit,
    previous::{finish_interrupted, previous_of, put_back},
    published::{is_lost, refuse_to_begin_anew, was_published},
    reader::{Auditing, Exporting, open_auditing, open_exporting, open_reading},
    transaction::BatchTransaction,
    writer::Writer,
};
pub(crate) use self::{clients::keep_writers_out, file::exists};
use crate::{
    config::LoadConfig,
    error::{Error, Result},
    ledger::{self, Entries},
    scan::ScanRegistry,
};

/// The warehouse file, open for writing by this process alone.
pub struct Warehouse {
    connection: Connection,
    scans: ScanRegistry,
    threads: usize,
    /// The first file id that no file has; asked of the ledger once, since that looks at every file.
    next_file: Option<i64>,
    /// What the ledger says of batches that are to be loaded.
    entries: Entries,
}

impl Warehouse {
    /// Opens or creates the file and its ledger. Every commit writes a checkpoint: what is committed stays,
    /// whatever happens next.
    ///
    /// # Errors
    /// [`Error::Warehouse`] when DuckDB does not take the file, for instance because a newer DuckDB made it.
    pub fn open(path: &Path, config: &LoadConfig) -> Result<Self> {
        Self::of(path, engine::open(path, config)?, config)
    }

    /// The same for a file that nobody else knows, and that is thrown away unless everything goes well up to
    /// [`Self::close`]. Commits stay in memory, above its limit in the temporary folder, and few checkpoints
    /// are written: one a batch would rewrite the table's last row group each time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_private(path: &Path, config: &LoadConfig) -> Result<Self> {
        Self::of(path, engine::open_private(path, config)?, config)
    }

    fn of(path: &Path, connection: Connection, config: &LoadConfig) -> Result<Self> {
        ledger::prepare(&connection, path)?;
        let scans = ScanRegistry::register(&connection)?;
        Ok(Self {
            connection,
            scans,
            threads: engine::threads(config),
            next_file: None,
            entries: Entries::default(),
        })
    }

    /// Looks once for all batches that are to be loaded, by their numbers.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn expect_batches(&mut self, numbers: &[String]) -> Result<()> {
        self.entries = Entries::read(&self.connection, numbers)?;
        Ok(())
    }

    /// What the ledger says of a batch's number.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn entries_of(&mut self, batch_no: &str) -> Result<&Entries> {
        if !self.entries.has(batch_no) {
            let read = Entries::read(&self.connection, &[batch_no.to_owned()])?;
            self.entries.extend(read);
        }
        Ok(&self.entries)
    }

    /// Whether an earlier attempt at a batch that was expected has not come to its end.
    #[must_use]
    pub fn is_waiting(&self, batch_no: &str) -> bool {
        self.entries.is_waiting(batch_no)
    }

    /// The ledger may say something else of a batch now.
    pub fn forget_batch(&mut self, batch_no: &str) {
        self.entries.forget(batch_no);
    }

    /// The first file id that no file has.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn next_file_id(&mut self) -> Result<i64> {
        match self.next_file {
            Some(next) => Ok(next),
            None => Ok(*self
                .next_file
                .insert(ledger::next_file_id(&self.connection)?)),
        }
    }

    /// Takes note of files that were entered from [`Self::next_file_id`] on.
    pub fn note_files(&mut self, files: usize) {
        self.next_file = self.next_file.map(|next| next + files as i64);
    }

    /// Files were taken out of the ledger, or entered: it is asked again.
    pub fn forget_file_ids(&mut self) {
        self.next_file = None;
    }

    /// Its threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// What can end a statement that runs on another thread.
    #[must_use]
    pub fn interrupt_handle(&self) -> Arc<InterruptHandle> {
        self.connection.interrupt_handle()
    }

    /// For reading the ledger outside of a transaction.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// For what makes tables, in transactions of its own.
    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Begins a batch's transaction. Dropped without a commit, it rolls back.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn begin(&mut self) -> Result<BatchTransaction<'_>> {
        BatchTransaction::begin(&mut self.connection, &self.scans)
    }

    /// Writes everything into the file and closes it.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn close(self) -> Result<()> {
        self.connection
            .execute_batch("CHECKPOINT")
            .map_err(Error::database("checkpoint"))?;
        self.connection
            .close()
            .map_err(|(_, error)| Error::database("close the warehouse")(error))
    }
}
