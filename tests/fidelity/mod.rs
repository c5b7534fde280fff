//! What is in the warehouse is what was sent: damaged files, and text and figures of every kind.

mod damage;
mod mutations;
mod oracle;
mod round_trip;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use duckdb::types::Value;
use redledger::{
    batch::{Batch, BatchContent, FileSource},
    batch_no::BatchNo,
    config::Config,
    contract::Contracts,
    feed::Progress,
    history::Acceptance,
    pipeline::{Outcome, Pipeline},
    stop::Stop,
    warehouse::Warehouse,
};

/// Columns of every kind, and none but the key that a row must have in order to be a row.
const CONTRACT: &str = r#"
name = "specimen"
comment = "Rows to be damaged"
primary_key = ["id"]
max_rejected = "100%"
[[fields]]
name = "id"
type = "text"
required = true
comment = "Number"
[[fields]]
name = "name"
type = "text"
comment = "Any text"
[[fields]]
name = "amount"
type = "decimal"
precision = 38
scale = 4
required = true
comment = "An amount"
[[fields]]
name = "at"
type = "timestamp"
unit = "ms"
comment = "A time"
[[fields]]
name = "note"
type = "text"
comment = "Any text"
"#;

/// The library at work on an engine in memory: thousands of files in seconds.
struct Bench {
    folder: tempfile::TempDir,
    contracts: &'static Contracts,
    pipeline: Pipeline<'static>,
    warehouse: Warehouse,
    // Dropped after the pipeline, whose tasks run on it.
    _runtime: tokio::runtime::Runtime,
}

/// A row of the table, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Loaded {
    line: u64,
    id: String,
    name: Option<String>,
    amount: String,
    /// Epoch milliseconds.
    at: Option<String>,
    note: Option<String>,
    /// Undeclared columns.
    extra: BTreeMap<String, String>,
}

/// A map from text to text.
fn cells_of(extra: Value) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} in a map of text"),
    };
    match extra {
        Value::Null => BTreeMap::new(),
        Value::Map(cells) => cells
            .iter()
            .map(|(name, cell)| (text(name), text(cell)))
            .collect(),
        other => panic!("{other:?} where a map was expected"),
    }
}

/// What has become of a file.
struct Delivered {
    outcome: Outcome,
    rows: Vec<Loaded>,
    /// Line, code and field of every rejection.
    rejections: Vec<(u64, String, Option<String>)>,
    encoding: Option<String>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let datasets = folder.path().join("datasets");
        fs::create_dir(&datasets).expect("a folder");
        fs::write(datasets.join("specimen.toml"), CONTRACT).expect("to write");
        let mut config = Config {
            data_dir: folder.path().join("data"),
            ..Config::default()
        };
        config.archive.keep = false;
        // A few of each in a process: the pipeline is made once, not for every file.
        let contracts: &Contracts = Box::leak(Box::new(
            Contracts::load(Some(&datasets)).expect("contracts"),
        ));
        let config: &Config = Box::leak(Box::new(config));
        let mut warehouse =
            Warehouse::open(Path::new(":memory:"), &config.load).expect("an engine");
        let contract = contracts.require("specimen").expect("the contract");
        warehouse
            .ensure_table(contract, contracts)
            .expect("a table");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let pipeline = Pipeline::new(
            config,
            contracts,
            runtime.handle().clone(),
            "test".into(),
            Arc::new(Progress::default()),
            Stop::default(),
        )
        .expect("a pipeline");
        Self {
            folder,
            contracts,
            pipeline,
            warehouse,
            _runtime: runtime,
        }
    }

    /// Loads the file as a batch of its own, with the number of rows announced, if any.
    fn deliver(&mut self, bytes: &[u8], total: Option<u64>) -> Delivered {
        let path = self.folder.path().join("rows.csv");
        fs::write(&path, bytes).expect("to write");
        let connection = self.warehouse.connection();
        connection
            .execute_batch(
                "DELETE FROM redledger.batch; DELETE FROM redledger.rejection; DELETE FROM redledger.control",
            )
            .expect("an empty ledger");
        let batch = Batch {
            batch_no: BatchNo::new("B1").expect("a number"),
            dataset: Some(Arc::clone(
                self.contracts.require("specimen").expect("the contract"),
            )),
            origin: "rows.csv".into(),
            announced_at: None,
            acceptance: Acceptance::by_hand(0),
            by_hand: true,
            total,
            content: BatchContent::Files(vec![FileSource::Path(path)]),
            missing: None,
            pages_incomplete: false,
            is_overdue: false,
            dataset_is_unsigned: false,
            notes: Vec::new(),
            unknown_keys: 0,
            replay: None,
        };
        let outcome = self
            .pipeline
            .load(&mut self.warehouse, &batch)
            .expect("no fault of the machine");
        let connection = self.warehouse.connection();
        let mut statement = connection
            .prepare(
                "SELECT line, id, name, amount::VARCHAR, epoch_ms(\"at\")::VARCHAR, note, extra \
                 FROM specimen ORDER BY line",
            )
            .expect("the table");
        let rows = statement
            .query_map([], |row| {
                Ok(Loaded {
                    line: row.get::<_, i64>(0)?.unsigned_abs(),
                    id: row.get(1)?,
                    name: row.get(2)?,
                    amount: row.get(3)?,
                    at: row.get(4)?,
                    note: row.get(5)?,
                    extra: cells_of(row.get(6)?),
                })
            })
            .expect("rows")
            .map(|row| row.expect("a row"))
            .collect();
        let mut statement = connection
            .prepare("SELECT line, code, field FROM redledger.rejection ORDER BY line")
            .expect("the ledger");
        let rejections = statement
            .query_map([], |row| {
                Ok((
                    row.get::<_, i64>(0)?.unsigned_abs(),
                    row.get(1)?,
                    row.get(2)?,
                ))
            })
            .expect("rows")
            .map(|row| row.expect("a row"))
            .collect();
        let encoding = connection
            .query_row("SELECT max(encoding) FROM redledger.file", [], |row| {
                row.get(0)
            })
            .expect("the ledger");
        connection
            .execute_batch("DELETE FROM specimen; DELETE FROM redledger.file")
            .expect("an empty table");
        Delivered {
            outcome,
            rows,
            rejections,
            encoding,
        }
    }
}
