//! The same result in SQL: the same table, the same checks, the same origin of each row.
//!
//! What a cell must be is what the contract says: a UUID, a code, an amount of at most four decimals (DuckDB
//! would round more), an ISO currency, twelve to fourteen digits of milliseconds. Rows that don't hold go to
//! `redledger.rejection`. SQL knows no line numbers; `row_number() OVER ()` counts rows, on one thread. What
//! that costs shows in the variants without it.

use std::path::Path;

use clap::ValueEnum;
use duckdb::{AccessMode, Config as EngineConfig, Connection};
use redledger::{
    config::Config, contract::Contracts, normalize::iso_minor_units, warehouse::Warehouse,
};

use super::{Result, process::OwnPart};

/// What is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Baseline {
    OnePass,
    OnePassWithoutLines,
    Staging,
    StagingWithoutLines,
    Floor,
}

impl Baseline {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OnePass => "one-pass",
            Self::OnePassWithoutLines => "one-pass-without-lines",
            Self::Staging => "staging",
            Self::StagingWithoutLines => "staging-without-lines",
            Self::Floor => "floor",
        }
    }
}

/// Loads `csv` into a new `database`.
pub(super) fn run(baseline: Baseline, csv: &Path, database: &Path) -> Result<()> {
    make_tables(database)?;
    let config = Config::default();
    let memory = config.load.memory_limit.0;
    // As the warehouse's own connection; files may be read.
    let settings = EngineConfig::default()
        .max_memory(&format!("{memory}B"))?
        .with("preserve_insertion_order", "false")?
        .with("auto_checkpoint_skip_wal_threshold", "0")?
        .with("checkpoint_threshold", "1B")?;
    let connection = Connection::open_with_flags(database, settings)?;
    // Looking a currency up in an ENUM takes a tenth of the time of `IN` with a list.
    let currencies: Vec<String> = iso_minor_units()
        .map(|(code, _)| format!("'{code}'"))
        .collect();
    connection.execute_batch(&format!(
        "CREATE TEMP TYPE iso_currency AS ENUM ({})",
        currencies.join(", ")
    ))?;
    match baseline {
        Baseline::OnePass => one_pass(&connection, csv, true)?,
        Baseline::OnePassWithoutLines => one_pass(&connection, csv, false)?,
        Baseline::Staging => staging(&connection, csv, true)?,
        Baseline::StagingWithoutLines => staging(&connection, csv, false)?,
        Baseline::Floor => floor(&connection, csv, memory)?,
    }
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Rows and sums of a loaded table, for comparison.
pub(super) fn contents(database: &Path) -> Result<String> {
    let settings = EngineConfig::default().access_mode(AccessMode::ReadOnly)?;
    let connection = Connection::open_with_flags(database, settings)?;
    Ok(connection.query_row(
        "SELECT format('{} rows, {} and {}, {}', count(*), sum(card_negative), sum(budget_negative), \
         bit_xor(hash(account_id, account_name, account_en, display_id, \"type\", currency, stat_time))) \
         FROM account_negative",
        [],
        |row| row.get(0),
    )?)
}

fn make_tables(database: &Path) -> Result<()> {
    let contracts = Contracts::load(None)?;
    let mut warehouse = Warehouse::open(database, &Config::default().load)?;
    warehouse.ensure_table(contracts.require("account_negative")?, &contracts)?;
    warehouse.close()?;
    Ok(())
}

/// The file's cells as text; its broken records go to `broken`.
fn cells(csv: &Path, line: bool) -> String {
    let line = if line {
        // The header is line 1.
        "row_number() OVER () + 1"
    } else {
        "0"
    };
    format!(
        "SELECT *, {line} AS line FROM read_csv('{}', header = true, delim = ',', quote = '\"', escape = '\"', \
         all_varchar = true, strict_mode = true, store_rejects = true, rejects_table = 'broken', \
         rejects_scan = 'broken_scan')",
        csv.display().to_string().replace('\'', "''")
    )
}

/// Each cell as its column's value; NULL where it does not hold.
fn values() -> String {
    let amount = |name: &str| {
        format!(
            "CASE WHEN regexp_full_match({name}, '[-+]?[0-9]+(\\.[0-9]{{0,4}})?') \
             THEN TRY_CAST({name} AS DECIMAL(18,4)) END"
        )
    };
    format!(
        "TRY_CAST(accountId AS UUID) AS account_id, accountName AS account_name, accountEn AS account_en, \
         displayId AS display_id, CASE type WHEN '0' THEN 0::UTINYINT WHEN '1' THEN 1::UTINYINT END AS type, \
         {} AS card_negative, {} AS budget_negative, \
         TRY_CAST(currency AS iso_currency)::VARCHAR AS currency, \
         CASE WHEN regexp_full_match(statTime, '[0-9]{{12,14}}') \
         THEN make_timestamp(CAST(statTime AS BIGINT) * 1000) END AS stat_time, NULL AS extra",
        amount("cardNegative"),
        amount("budgetNegative"),
    )
}

/// Every field but the names must hold.
const FAULTY: &str = "account_id IS NULL OR type IS NULL OR card_negative IS NULL OR budget_negative IS NULL \
     OR currency IS NULL OR stat_time IS NULL";

const LINEAGE: &str = "'BENCH' AS batch_no, 1::BIGINT AS file_id, line";

/// (a): a faulty cell becomes NULL on the way in, so that one pass will do when all rows hold; only
/// otherwise are the faulty rows' texts fetched in a second.
fn one_pass(connection: &Connection, csv: &Path, line: bool) -> Result<()> {
    let (cells, values) = (cells(csv, line), values());
    connection.execute_batch("BEGIN")?;
    connection.execute_batch(&format!(
        "INSERT INTO account_negative SELECT {values}, {LINEAGE} FROM ({cells})"
    ))?;
    let faulty: bool = connection.query_row(
        &format!("SELECT EXISTS (SELECT 1 FROM account_negative WHERE {FAULTY})"),
        [],
        |row| row.get(0),
    )?;
    if faulty {
        connection.execute_batch(&format!(
            "INSERT INTO redledger.rejection (dataset, batch_no, revision, file_id, line, code, record) \
             SELECT 'account_negative', batch_no, 1, file_id, line, 'invalid', record FROM \
             (SELECT {values}, {LINEAGE}, t::VARCHAR AS record FROM ({cells}) t) WHERE {FAULTY}; \
             DELETE FROM account_negative WHERE {FAULTY}"
        ))?;
    }
    keep_broken(connection)?;
    finish(connection)
}

/// (b): what most people write.
fn staging(connection: &Connection, csv: &Path, line: bool) -> Result<()> {
    let (cells, values) = (cells(csv, line), values());
    connection.execute_batch("BEGIN")?;
    connection.execute_batch(&format!("CREATE TABLE staging AS {cells}"))?;
    connection.execute_batch(&format!(
        "INSERT INTO redledger.rejection (dataset, batch_no, revision, file_id, line, code, record) \
         SELECT 'account_negative', batch_no, 1, file_id, line, 'invalid', record FROM \
         (SELECT {values}, {LINEAGE}, t::VARCHAR AS record FROM staging t) WHERE {FAULTY}; \
         INSERT INTO account_negative SELECT * FROM (SELECT {values}, {LINEAGE} FROM staging) WHERE NOT ({FAULTY}); \
         DROP TABLE staging"
    ))?;
    keep_broken(connection)?;
    finish(connection)
}

/// Records that `read_csv` could not split.
fn keep_broken(connection: &Connection) -> Result<()> {
    connection.execute_batch(
        "INSERT INTO redledger.rejection (dataset, batch_no, revision, file_id, line, byte_offset, code, message, record) \
         SELECT 'account_negative', 'BENCH', 1, 1, line, byte_position, 'broken', error_message, csv_line FROM broken",
    )?;
    Ok(())
}

/// (c): the rows are ready in memory before the clock starts, and the engine has as much memory beside
/// them as everybody else.
fn floor(connection: &Connection, csv: &Path, memory: u64) -> Result<()> {
    let (cells, values) = (cells(csv, true), values());
    connection.execute_batch(&format!(
        "SET memory_limit = '1TB'; ATTACH ':memory:' AS ready; \
         CREATE TABLE ready.typed AS SELECT {values}, {LINEAGE} FROM ({cells})"
    ))?;
    let held: u64 = connection.query_row(
        "SELECT sum(memory_usage_bytes)::UBIGINT FROM duckdb_memory()",
        [],
        |row| row.get(0),
    )?;
    connection.execute_batch(&format!("SET memory_limit = '{}B'", held + memory))?;
    let part = OwnPart::begin();
    connection.execute_batch("BEGIN; INSERT INTO account_negative SELECT * FROM ready.typed")?;
    finish(connection)?;
    part.end();
    Ok(())
}

/// The key must not repeat, checked as redledger checks it (unequal hashes are unequal keys, and these files
/// have no equal ones); then everything goes into the file.
fn finish(connection: &Connection) -> Result<()> {
    let repeated: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM account_negative GROUP BY hash(account_id, currency) HAVING count(*) > 1)",
        [],
        |row| row.get(0),
    )?;
    if repeated {
        return Err("a key repeats".into());
    }
    connection.execute_batch("COMMIT; CHECKPOINT")?;
    Ok(())
}
