//! Registering scans with DuckDB.

use std::{
    collections::HashMap,
    error::Error as StdError,
    sync::{Arc, Mutex, PoisonError},
};

use duckdb::{
    Connection,
    core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId},
    vtab::{BindInfo, InitInfo},
};

use super::{
    Scan,
    vector::{self, Columns, TableFunction},
};
use crate::{
    contract::ColumnType,
    error::{Error, Result},
};

/// The table function's name; its argument is the number [`ScanRegistry::add`] returns.
pub const FUNCTION: &str = "redledger_scan";
/// DuckDB plans a parallel insert only when it expects more than one row group (122,880 rows).
const MANY_ROWS: u64 = 1_000_000;

type Scans = Arc<Mutex<HashMap<i64, Arc<Scan>>>>;

/// The scans that a connection's SQL can name.
#[derive(Clone, Default)]
pub struct ScanRegistry(Scans);

impl ScanRegistry {
    /// Registers the table function with `connection`, once.
    ///
    /// # Errors
    /// [`Error::Database`] if the engine refuses it.
    pub fn register(connection: &Connection) -> Result<Self> {
        let registry = Self::default();
        vector::register::<ScanFunction>(connection, FUNCTION, &registry.0)
            .map_err(Error::database("register the table function"))?;
        Ok(registry)
    }

    /// Makes `scan` available; returns the function's argument.
    #[must_use]
    pub fn add(&self, scan: Arc<Scan>) -> i64 {
        let mut scans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = scans.keys().max().map_or(1, |last| last + 1);
        scans.insert(id, scan);
        id
    }

    /// Forgets it. Its channel closes with it, which stops the senders.
    pub fn remove(&self, id: i64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }
}

struct ScanFunction;

impl TableFunction for ScanFunction {
    type Shared = Scans;
    type Bound = Arc<Scan>;

    fn parameters() -> Vec<LogicalTypeHandle> {
        vec![LogicalTypeId::Bigint.into()]
    }

    fn bind(scans: &Scans, bind: &BindInfo) -> Result<Arc<Scan>, Box<dyn StdError>> {
        let id = bind.get_parameter(0).to_int64();
        let scans = scans.lock().unwrap_or_else(PoisonError::into_inner);
        let scan = scans
            .get(&id)
            .cloned()
            .ok_or_else(|| format!("{FUNCTION}({id}) is not running"))?;
        for (name, kind) in &scan.names {
            bind.add_result_column(name, logical_type(kind.column_type()));
        }
        let text = LogicalTypeHandle::from(LogicalTypeId::Varchar);
        bind.add_result_column(&scan.rest, LogicalTypeHandle::map(&text, &text));
        bind.add_result_column("file_id", LogicalTypeId::Bigint.into());
        bind.add_result_column("line", LogicalTypeId::Bigint.into());
        bind.set_cardinality(scan.expected_rows.unwrap_or(MANY_ROWS), false);
        Ok(scan)
    }

    fn init(scan: &Arc<Scan>, init: &InitInfo) {
        init.set_max_threads(scan.threads as u64);
    }

    fn fill(scan: &Arc<Scan>, output: &mut DataChunkHandle) -> Result<(), Box<dyn StdError>> {
        let columns = Columns::new(output);
        let rows = scan.fill(&columns)?;
        columns.set_len(rows);
        Ok(())
    }
}

fn logical_type(kind: ColumnType) -> LogicalTypeHandle {
    match kind {
        ColumnType::Varchar => LogicalTypeId::Varchar.into(),
        ColumnType::Uuid => LogicalTypeId::Uuid.into(),
        ColumnType::BigInt => LogicalTypeId::Bigint.into(),
        ColumnType::Decimal(width) => LogicalTypeHandle::decimal(width.precision, width.scale),
        ColumnType::Timestamp => LogicalTypeId::Timestamp.into(),
        ColumnType::UTinyInt => LogicalTypeId::UTinyint.into(),
        ColumnType::Boolean => LogicalTypeId::Boolean.into(),
    }
}
