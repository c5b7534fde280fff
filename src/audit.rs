//! The ledger against itself, the tables and the archive: what `redledger verify` does.
//!
//! Every question is SQL over the whole ledger that returns only what differs, so memory stays flat however large it
//! is: what does not fit spills into a folder of its own. What SQL can't say (the hash of a batch's list of hashes, the
//! archive's files) is read batch by batch, see `content`.
//!
//! Nothing is written and no lock is taken: the published file is what it is, whatever a run does meanwhile.

mod content;
mod controls;
mod figures;
mod presence;
mod rows;
mod tables;

use std::path::Path;

use duckdb::{
    Connection, Row,
    types::{Value as Cell, ValueRef},
};
use serde_json::Value;

use self::tables::Tables;
pub use self::{content::Kept, presence::check_nothing_loaded};
use crate::{
    archive::{Archive, Verified},
    batch_no::BatchNo,
    config::Config,
    contract::Contracts,
    error::{Error, Result},
    ledger, load,
};

/// What is looked at.
#[derive(Default)]
pub struct Scope<'a> {
    /// The dataset that batches are entered under; `None`: every one.
    pub dataset: Option<String>,
    /// Which batches: those that any of these takes; none: every one.
    pub picks: Vec<Pick<'a>>,
}

/// Some batches.
pub struct Pick<'a> {
    /// As they were asked for.
    pub name: String,
    /// The one that it is, if only one can be.
    pub number: Option<&'a BatchNo>,
    /// Whether a batch is one of them.
    pub takes: &'a dyn Fn(&BatchNo) -> bool,
}

impl Scope<'_> {
    fn is_everything(&self) -> bool {
        self.dataset.is_none() && self.picks.is_empty()
    }

    fn takes_number(&self, batch_no: &str) -> bool {
        self.picks.is_empty()
            || BatchNo::new(batch_no)
                .is_ok_and(|number| self.picks.iter().any(|of| (of.takes)(&number)))
    }
}

/// Something that is not as the ledger says.
#[derive(Debug)]
pub struct Finding {
    /// The batch's dataset.
    pub dataset: String,
    /// The batch.
    pub batch_no: String,
    /// Its revision, where it is about one.
    pub revision: Option<i32>,
    /// What differs.
    pub what: String,
    /// What the ledger says.
    pub ledger: Value,
    /// What was found.
    pub found: Value,
    /// Where it has to be repaired.
    pub place: Place,
}

/// Where something has to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the warehouse file.
    Warehouse,
    /// In the archive.
    Archive,
}

/// What was counted again, and what differs.
#[derive(Debug, Default)]
pub struct Audited {
    /// What differs: the warehouse's by batch, then the archive's.
    pub findings: Vec<Finding>,
    /// Revisions looked at.
    pub revisions: u64,
    /// Files of theirs.
    pub files: u64,
    /// Rows of tables.
    pub rows: u64,
    /// Controls of loaded batches that were counted again.
    pub controls: u64,
    /// Those that the contracts in force do not tell how to count.
    pub not_counted: u64,
    /// What was read in the archive, and what it has of the ledger's files; `None` when it was left out.
    pub archive: Option<(Verified, Kept)>,
}

/// Told of what is being done.
pub trait Watch {
    /// What comes next may take a while.
    fn step(&mut self, what: &str);
    /// A file of the archive is read.
    fn file(&mut self, path: &Path);
}

/// Counts everything in `scope` again and compares it with the ledger; `None` when there is no warehouse, or nothing in
/// it. With `archive` delivered files are read again, too.
///
/// # Errors
/// As [`ledger::open_auditing`]; [`Error::Usage`] for batches that the ledger does not have; [`Error::Database`] when
/// the engine fails, or has no room to spill; [`Error::Io`] when a folder can't be read.
pub fn audit(
    config: &Config,
    contracts: &Contracts,
    scope: &Scope<'_>,
    archive: bool,
    watch: &mut dyn Watch,
) -> Result<Option<Audited>> {
    let temporary = std::env::temp_dir();
    let spill = tempfile::Builder::new()
        .prefix("redledger-verify-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .map_err(Error::io(
            "make a folder for what does not fit into memory in",
            &temporary,
        ))?;
    let Some(connection) = ledger::open_auditing(&config.warehouse_path(), spill.path())? else {
        return Ok(None);
    };
    load::limit(&connection, &config.load)?;
    let mut audit = Audit {
        connection: &connection,
        contracts,
        scope,
        audited: Audited::default(),
    };
    let tables = Tables::prepare(&mut audit, watch)?;
    watch.step("comparing the ledger's figures");
    audit.ledger()?;
    audit.table_rows()?;
    audit.all_controls(&tables)?;
    if scope.is_everything() {
        watch.step("reading every cell");
        load::read_all(&connection)?;
    }
    let archive = archive.then(|| Archive::new(&config.data_dir));
    let (wrong, archived) = audit.content(archive.as_ref(), config.archive.keep_current, watch)?;
    let mut audited = audit.audited;
    audited.findings.sort_by(|a, b| {
        (&a.dataset, &a.batch_no, a.revision).cmp(&(&b.dataset, &b.batch_no, b.revision))
    });
    audited.findings.extend(wrong);
    audited.archive = archived;
    // The engine first: what has spilled is in the folder.
    drop(connection);
    Ok(Some(audited))
}

struct Audit<'a> {
    connection: &'a Connection,
    contracts: &'a Contracts,
    scope: &'a Scope<'a>,
    audited: Audited,
}

impl Audit<'_> {
    fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(failed())
    }

    /// Takes note of what `sql` returns: dataset, batch, revision, what differs, the ledger's and the found value.
    fn find(&mut self, sql: &str) -> Result<()> {
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

    fn read<T>(&self, sql: &str, of: impl FnMut(&Row<'_>) -> duckdb::Result<T>) -> Result<Vec<T>> {
        let read = || -> duckdb::Result<Vec<T>> {
            self.connection.prepare(sql)?.query_map([], of)?.collect()
        };
        read().map_err(failed())
    }

    fn count(&self, sql: &str) -> Result<u64> {
        let sql = format!("SELECT coalesce(({sql}), 0)::UBIGINT");
        let counts = self.read(&sql, |row| row.get::<_, u64>(0))?;
        Ok(counts.into_iter().sum())
    }

    /// The rows that are in the scope, as an SQL condition on their dataset and number.
    fn within(&self, dataset: &str, batch_no: &str) -> String {
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

fn failed() -> impl FnOnce(duckdb::Error) -> Error {
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
