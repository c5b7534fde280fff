//! One batch, one transaction: tables, the insert, keys, controls, the difference, the ledger.
//!
//! Everything here is SQL on the one connection. Rows of a batch are found by the range of their file ids,
//! which only grow, so DuckDB's zone maps skip every older row group and no step slows down as the
//! warehouse grows.

mod control_name;
mod controls;
mod keys;
mod recount;
mod tables;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

pub(crate) use self::controls::control;
pub use self::{
    control_name::ControlName,
    controls::{Figure, Totals},
    keys::Repeated,
    recount::{read_all, recount},
    tables::{TableColumn, columns},
};
use crate::{
    contract::{Contract, Contracts, Identifier},
    error::{Error, Result},
    ledger::{self, Difference, FileIds},
    scan::{FUNCTION, Scan},
    warehouse::{BatchTransaction, Warehouse},
};

impl Warehouse {
    /// Makes a dataset's table as its contract says, in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Settings`] when the table's columns contradict the contract.
    pub fn ensure_table(&mut self, contract: &Contract, contracts: &Contracts) -> Result<()> {
        tables::ensure(self.connection_mut(), contract, contracts)
    }
}

impl BatchTransaction<'_> {
    /// Inserts everything that `scan` yields; returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Database`] when the engine or the scan's source fails; the source knows its own reason.
    pub fn insert(&self, contract: &Contract, scan: &Arc<Scan>, batch_no: &str) -> Result<u64> {
        let id = self.scans().add(Arc::clone(scan));
        let columns = tables::value_columns(contract).join(", ");
        let sql = format!(
            "INSERT INTO {table} ({columns}, batch_no, file_id, line) \
             SELECT {columns}, {batch_no}, file_id, line FROM {FUNCTION}({id})",
            table = contract.name.quoted(),
            batch_no = ledger::quoted(batch_no),
        );
        let inserted = self.connection().execute(&sql, []);
        self.scans().remove(id);
        // Whoever still sends must not wait for a scan that is over.
        scan.close();
        inserted
            .map(|rows| rows as u64)
            .map_err(Error::database("insert the rows"))
    }

    /// Takes out rows whose primary key repeats within `files`: of exact copies the
    /// first stays, where contents differ none does. Returns them as rejections, with the number of all.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn reject_repeated_keys(&self, contract: &Contract, files: FileIds) -> Result<Repeated> {
        keys::reject_repeated(self.connection(), contract, files)
    }

    /// File and line of the rows of `files`.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn rows_standing(
        &self,
        contract: &Contract,
        files: FileIds,
    ) -> Result<HashSet<(i64, u64)>> {
        let read = || -> duckdb::Result<HashSet<(i64, u64)>> {
            let sql = format!(
                "SELECT file_id, line FROM {} WHERE {}",
                contract.name.quoted(),
                files.condition()
            );
            let mut statement = self.connection().prepare(&sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            rows.collect()
        };
        read().map_err(Error::database("read the batch's rows"))
    }

    /// Counts the rows of `files` and how many break each row control.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn totals(&self, contract: &Contract, files: FileIds) -> Result<Totals> {
        controls::totals(self.connection(), contract, files)
    }

    /// How the rows of `files` differ from those of the batch's loaded revision.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn difference(
        &self,
        contract: &Contract,
        batch_no: &str,
        files: FileIds,
    ) -> Result<Difference> {
        keys::difference(self.connection(), contract, batch_no, files)
    }

    /// Removes the rows of the loaded revision of `dataset`'s batch from every table that they are in: which ones,
    /// the ledger says. A contract whose files the batch's rows named may have changed or gone since. Returns how
    /// many rows were removed from each.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine fails.
    pub fn delete_revision(&self, dataset: &str, batch_no: &str) -> Result<BTreeMap<String, u64>> {
        let mut removed = BTreeMap::new();
        for (dataset, files) in keys::loaded_ranges(self.connection(), dataset, batch_no)? {
            let table = Identifier::new(&dataset).map_err(Error::Internal)?;
            if tables::existing(self.connection(), &table)?.is_empty() {
                continue;
            }
            let sql = format!(
                "DELETE FROM {} WHERE {} AND batch_no = ?",
                table.quoted(),
                files.condition()
            );
            let rows = self
                .connection()
                .execute(&sql, [batch_no])
                .map_err(Error::database("delete the earlier revision"))?;
            removed.insert(dataset, rows as u64);
        }
        Ok(removed)
    }
}
