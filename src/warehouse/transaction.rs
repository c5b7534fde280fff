//! A batch's transaction.

use duckdb::Connection;

use crate::{
    error::{Error, Result},
    scan::ScanRegistry,
};

/// A batch's transaction.
pub struct BatchTransaction<'c> {
    transaction: duckdb::Transaction<'c>,
    scans: &'c ScanRegistry,
}

impl<'c> BatchTransaction<'c> {
    /// Begins it.
    pub(super) fn begin(connection: &'c mut Connection, scans: &'c ScanRegistry) -> Result<Self> {
        let transaction = connection.transaction();
        let transaction = transaction.map_err(Error::database("begin a transaction"))?;
        Ok(Self { transaction, scans })
    }

    /// For the ledger, and the tables.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Where a scan is entered for the insert that is to run it.
    pub(crate) fn scans(&self) -> &ScanRegistry {
        self.scans
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
