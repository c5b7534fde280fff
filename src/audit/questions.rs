//! Questions put to the ledger and the tables, in SQL.

use std::path::Path;

use duckdb::{
    Connection, Row,
    types::{Value as Cell, ValueRef},
};
use serde_json::Value;

use super::findings::{Audited, Finding, Place, Scope};
use crate::{
    contract::Contracts,
    error::{Error, Result},
    ledger,
};

/// Told of what is being done.
pub trait Watch {
    /// What comes next may take a while.
    fn step(&mut self, what: &str);
    /// A file of the archive is read.
    fn file(&mut self, path: &Path);
}

pub(super) struct Audit<'a> {
    pub(super) connection: &'a Connection,
    pub(super) contracts: &'a Contracts,
    pub(super) scope: &'a Scope<'a>,
    pub(super) audited: Audited,
}

impl Audit<'_> {
    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(failed())
    }

    /// Takes note of what `sql` returns: dataset, batch, revision, what differs, the ledger's and the found value.
    pub(super) fn find(&mut self, sql: &str) -> Result<()> {
        let found = self.read(sql, |row| {
            Ok(Finding {
                dataset: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                batch_no: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                revision: row.get(2)?,
                what: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
                ledger: json(row.get_ref(4)?),
                found: json(row.get_ref(5)?),
                place: Place::Warehouse,
            })
        })?;
        self.audited.findings.extend(found);
        Ok(())
    }

    pub(super) fn read<T>(
        &self,
        sql: &str,
        of: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
    ) -> Result<Vec<T>> {
        let read = || -> duckdb::Result<Vec<T>> {
            self.connection.prepare(sql)?.query_map([], of)?.collect()
        };
        read().map_err(failed())
    }

    pub(super) fn count(&self, sql: &str) -> Result<u64> {
        let sql = format!("SELECT coalesce(({sql}), 0)::UBIGINT");
        let counts = self.read(&sql, |row| row.get::<_, u64>(0))?;
        Ok(counts.into_iter().sum())
    }

    /// The rows that are in the scope, as an SQL condition on their dataset and number.
    pub(super) fn within(&self, dataset: &str, batch_no: &str) -> String {
        let of = self.scope.dataset.as_deref();
        let of = of.map(|of| format!("{dataset} = {}", ledger::quoted(of)));
        let number = (!self.scope.picks.is_empty())
            .then(|| format!("{batch_no} IN (SELECT batch_no FROM _scope)"));
        let conditions: Vec<String> = of.into_iter().chain(number).collect();
        if conditions.is_empty() {
            "true".into()
        } else {
            conditions.join(" AND ")
        }
    }
}

pub(super) fn failed() -> impl FnOnce(duckdb::Error) -> Error {
    Error::database("compare the ledger with what is there")
}

/// An engine's value as the report shows it.
fn json(value: ValueRef<'_>) -> Value {
    match value.to_owned() {
        Cell::Null => Value::Null,
        Cell::Boolean(truth) => truth.into(),
        Cell::Int(number) => number.into(),
        Cell::BigInt(number) => number.into(),
        Cell::UBigInt(number) => number.into(),
        Cell::HugeInt(number) => match u64::try_from(number) {
            Ok(number) => number.into(),
            Err(_) => i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from),
        },
        Cell::Text(text) => text.into(),
        other => format!("{other:?}").into(),
    }
}
