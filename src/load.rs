//! One batch, one transaction: tables, the insert, keys, controls, the difference, the ledger.
//!
//! Everything here is SQL on the one connection. Rows of a batch are found by the range of their file ids,
//! which only grow, so DuckDB's zone maps skip every older row group and no step slows down as the
//! warehouse grows.

mod controls;
mod keys;
mod recount;
mod tables;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use duckdb::{Config as EngineConfig, Connection, InterruptHandle};

pub use self::{
    controls::{
        Figure, HOOK_TOTAL, LINE_TOTAL, LINES_PASSED_OVER, Totals, accounted, is_sum, rule_of,
    },
    keys::Repeated,
    recount::{limit, read_all, recount},
};
use crate::{
    config::LoadConfig,
    contract::{Contract, Contracts, Identifier},
    error::{Error, Result},
    ledger::{self, Control, Difference, Entries},
    scan::{FUNCTION, Scan, ScanRegistry},
    warehouse_file::{beside, refused},
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
        let open = || {
            let settings = settings(config)?
                // No WAL at all: a failing fsync or truncation of it can abort the process.
                .with("auto_checkpoint_skip_wal_threshold", "0")?
                .with("checkpoint_threshold", "1B")?
                .enable_external_access(false)?;
            Connection::open_with_flags(path, settings)
        };
        Self::of(path, open().map_err(|error| refused(path, &error))?, config)
    }

    /// The same for a file that nobody else knows, and that is thrown away unless everything goes well up to
    /// [`Self::close`]. Commits stay in memory, above its limit in the temporary folder, and few checkpoints
    /// are written: one a batch would rewrite the table's last row group each time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_private(path: &Path, config: &LoadConfig) -> Result<Self> {
        let name = path.to_str().ok_or_else(|| Error::Warehouse {
            path: path.to_path_buf(),
            message: "DuckDB can't open it: its path is not UTF-8".into(),
            hint: Some("name another folder with --data-dir".into()),
        })?;
        let open = || -> duckdb::Result<Connection> {
            let settings =
                settings(config)?.with("temp_directory", beside(path, ".tmp").to_string_lossy())?;
            let connection = Connection::open_in_memory_with_flags(settings)?;
            let attach = format!(
                "ATTACH {} AS warehouse (RECOVERY_MODE no_wal_writes); USE warehouse; \
                 SET enable_external_access = false",
                ledger::quoted(name)
            );
            connection.execute_batch(&attach)?;
            Ok(connection)
        };
        Self::of(path, open().map_err(|error| refused(path, &error))?, config)
    }

    fn of(path: &Path, connection: Connection, config: &LoadConfig) -> Result<Self> {
        ledger::prepare(&connection, path)?;
        let scans = ScanRegistry::register(&connection)?;
        Ok(Self {
            connection,
            scans,
            threads: threads(config),
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

    /// Begins a batch's transaction. Dropped without a commit, it rolls back.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn begin(&mut self) -> Result<BatchTransaction<'_>> {
        let transaction = self
            .connection
            .transaction()
            .map_err(Error::database("begin a transaction"))?;
        Ok(BatchTransaction {
            transaction,
            scans: &self.scans,
        })
    }

    /// Makes a dataset's table as its contract says, in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Settings`] when the table's columns contradict the contract.
    pub fn ensure_table(&mut self, contract: &Contract, contracts: &Contracts) -> Result<()> {
        tables::ensure(&mut self.connection, contract, contracts)
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

/// Threads of the engine.
fn threads(config: &LoadConfig) -> usize {
    match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// The engine's share of the memory, in bytes.
///
/// A tenth is left for what the engine does not count: vectors on their way, and freed memory that the
/// allocator has not given back yet. Without it 20 million rows under 512MB peak at 651 to 724 MB, with it
/// at 595 to 602.
fn engine_memory(config: &LoadConfig) -> u64 {
    config.memory_limit.0 / 10 * 9
}

fn settings(config: &LoadConfig) -> duckdb::Result<EngineConfig> {
    EngineConfig::default()
        .max_memory(&format!("{}B", engine_memory(config)))?
        .threads(threads(config) as i64)?
        // Several scan threads insert side by side only when the order is free.
        .with("preserve_insertion_order", "false")?
        .enable_autoload_extension(false)
}

/// The value columns of a dataset's table, in the contract's order.
#[must_use]
pub fn value_columns(contract: &Contract) -> Vec<String> {
    let inherited = contract
        .parent
        .iter()
        .flat_map(|parent| parent.inherit.iter().map(|inherit| inherit.column.quoted()));
    inherited
        .chain(contract.fields.iter().map(|field| field.column.quoted()))
        .chain([contract.rest.quoted()])
        .collect()
}

/// A batch's transaction.
pub struct BatchTransaction<'c> {
    transaction: duckdb::Transaction<'c>,
    scans: &'c ScanRegistry,
}

impl BatchTransaction<'_> {
    /// For the ledger.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Inserts everything that `scan` yields; returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Database`] when the engine or the scan's source fails; the source knows its own reason.
    pub fn insert(&self, contract: &Contract, scan: &Arc<Scan>, batch_no: &str) -> Result<u64> {
        let id = self.scans.add(Arc::clone(scan));
        let columns = value_columns(contract).join(", ");
        let sql = format!(
            "INSERT INTO {table} ({columns}, batch_no, file_id, line) \
             SELECT {columns}, {batch_no}, file_id, line FROM {FUNCTION}({id})",
            table = contract.name.quoted(),
            batch_no = ledger::quoted(batch_no),
        );
        let inserted = self.transaction.execute(&sql, []);
        self.scans.remove(id);
        // Whoever still sends must not wait for a scan that is over.
        scan.close();
        inserted
            .map(|rows| rows as u64)
            .map_err(Error::database("insert the rows"))
    }

    /// Takes out rows whose primary key repeats within the files from `first_file` on: of exact copies the
    /// first stays, where contents differ none does. Returns them as rejections, with the number of all.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn reject_repeated_keys(&self, contract: &Contract, first_file: i64) -> Result<Repeated> {
        keys::reject_repeated(&self.transaction, contract, first_file)
    }

    /// File and line of the rows from `first_file` on.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn rows_standing(
        &self,
        contract: &Contract,
        first_file: i64,
    ) -> Result<HashSet<(i64, u64)>> {
        let read = || -> duckdb::Result<HashSet<(i64, u64)>> {
            let sql = format!(
                "SELECT file_id, line FROM {} WHERE file_id >= {first_file}",
                contract.name.quoted()
            );
            let mut statement = self.transaction.prepare(&sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            rows.collect()
        };
        read().map_err(Error::database("read the batch's rows"))
    }

    /// Counts the rows from `first_file` on and how many break each row control.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn totals(&self, contract: &Contract, first_file: i64) -> Result<Totals> {
        controls::totals(&self.transaction, contract, first_file)
    }

    /// How the rows from `first_file` on differ from those of the batch's loaded revision.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn difference(
        &self,
        contract: &Contract,
        batch_no: &str,
        first_file: i64,
    ) -> Result<Difference> {
        keys::difference(&self.transaction, contract, batch_no, first_file)
    }

    /// Removes the rows of the loaded revision of `dataset`'s batch from every table that they are in: which ones,
    /// the ledger says. A contract whose files the batch's rows named may have changed or gone since. Returns how
    /// many rows were removed from each.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn delete_revision(
        &self,
        dataset: &str,
        batch_no: &str,
        first_file: i64,
    ) -> Result<BTreeMap<String, u64>> {
        let mut removed = BTreeMap::new();
        for (dataset, first, last) in keys::loaded_ranges(&self.transaction, dataset, batch_no)? {
            let table = Identifier::new(&dataset).map_err(Error::Internal)?;
            if tables::existing(&self.transaction, &table)?.is_empty() {
                continue;
            }
            let sql = format!(
                "DELETE FROM {} WHERE file_id BETWEEN {first} AND {last} AND file_id < {first_file} AND batch_no = ?",
                table.quoted()
            );
            let rows = self
                .transaction
                .execute(&sql, [batch_no])
                .map_err(Error::database("delete the earlier revision"))?;
            removed.insert(dataset, rows as u64);
        }
        Ok(removed)
    }

    /// Makes the batch's transaction durable.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails; then nothing of it is there.
    pub fn commit(self) -> Result<()> {
        self.transaction.commit().map_err(Error::database("commit"))
    }

    /// Undoes everything. An error of the rollback itself is only logged: the cause before it matters.
    pub fn rollback(self) {
        if let Err(error) = self.transaction.rollback() {
            tracing::debug!(%error, "nothing to roll back");
        }
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn rows(count: u64) -> String {
    match count {
        1 => "1 row".into(),
        many => format!("{many} rows"),
    }
}

/// Checked by the pipeline and written down by it.
pub(crate) fn control(name: impl Into<String>, expected: u64, actual: u64) -> Control {
    Control {
        name: name.into(),
        expected: Some(expected.to_string()),
        actual: actual.to_string(),
        passed: expected == actual,
    }
}
