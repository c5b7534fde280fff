//! Bytes → records → typed cells in the engine's vectors: of every file, records in = rows + rejections; a row's
//! cells are what `normalize` makes of the record's, and a rejection is its first fault.
#![cfg_attr(fuzzing, no_main)]

use std::{cell::RefCell, collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use duckdb::types::Value;
use futures_util::FutureExt as _;
use redledger::{
    config::LoadConfig,
    contract::{Contract, Contracts, Field, FieldType, Layout},
    error::{Error, FetchError},
    normalize::{self, Codes, Currencies, unwrap_spreadsheet},
    reader::{Chunk, ReaderOptions, RecordReader},
    rejection::{CellFault, KEPT_PER_FILE, Rejection, RejectionCode},
    scan::{Counts, FileChunk, RejectionLog, Scan, ScanFile, ScanParts},
    source_url::without_secrets,
    warehouse::Warehouse,
};
use tokio::sync::mpsc;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(bytes);
});

/// Every type, and a decimal of every width.
const CONTRACT: &str = r#"
name = "specimen"
max_rejected = "100%"
fields = [
    { name = "id", type = "uuid", required = true },
    { name = "name", type = "text" },
    { name = "short", type = "text", max_length = 4 },
    { name = "count", type = "integer", min = -10 },
    { name = "a", type = "decimal", precision = 4, scale = 2 },
    { name = "b", type = "decimal", precision = 9, scale = 0, max = "1000" },
    { name = "c", type = "decimal", precision = 18, scale = 4 },
    { name = "d", type = "decimal", precision = 38, scale = 10 },
    { name = "at", type = "timestamp", unit = "ms" },
    { name = "kind", type = "enum", values = { 0 = "none", 1 = "one", 255 = "all" } },
    { name = "state", type = "enum", values = { open = "", closed = "" } },
    { name = "currency", type = "currency", also = ["USDT"] },
    { name = "url", type = "url" },
    { name = "flag", type = "boolean" },
]
"#;

struct Bench {
    warehouse: Warehouse,
    contract: Arc<Contract>,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

impl Bench {
    fn new() -> Self {
        let config = LoadConfig {
            threads: 1,
            ..LoadConfig::default()
        };
        let mut warehouse = Warehouse::open(Path::new(":memory:"), &config).expect("an engine");
        let contract = Arc::new(Contract::parse("specimen.toml", CONTRACT).expect("a contract"));
        let contracts = BTreeMap::from([("specimen".to_owned(), Arc::clone(&contract))]);
        let contracts = Contracts::joined(contracts).expect("one contract");
        warehouse
            .ensure_table(&contract, &contracts)
            .expect("a table");
        Self {
            warehouse,
            contract,
        }
    }
}

/// Records that fill more than two of the engine's vectors.
const MANY: usize = 4_200;

/// `input` is a character for how long the pieces are, and the file; after `*` the file's rows are repeated until
/// they are many. Says whether the file was read.
pub(crate) fn check(input: &[u8]) -> bool {
    let [step, bytes @ ..] = input else {
        return false;
    };
    let repeated;
    let bytes = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if *step == b'*' => {
            let (header, rows) = bytes.split_at(end + 1);
            let lines = rows.iter().filter(|byte| **byte == b'\n').count();
            repeated = [header, &rows.repeat(MANY / (lines + 1) + 1)].concat();
            &repeated
        }
        _ => bytes,
    };
    BENCH.with_borrow_mut(|bench| {
        // An encoding, a header or a field that doesn't do: the file is refused as a whole.
        let read = read(bytes, usize::from(*step) + 1, &bench.contract);
        let is_read = read.is_ok();
        if let Ok((layout, chunks, records)) = read {
            scan(bench, layout, chunks, records);
        }
        is_read
    })
}

fn read(
    bytes: &[u8],
    step: usize,
    contract: &Contract,
) -> Result<(Layout, Vec<Chunk>, u64), Error> {
    let pieces: Vec<Result<Bytes, FetchError>> = bytes
        .chunks(step)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let options = ReaderOptions {
        origin: "x.csv".into(),
        delimiter: Some(b','),
        encoding: Some(encoding_rs::UTF_8),
        charset: None,
        skip_lines: 0,
        max_record: 1 << 20,
        may_be_empty: false,
    };
    let reading = async {
        let mut reader = RecordReader::open(futures_util::stream::iter(pieces), options).await?;
        let layout = contract.layout("x.csv", &reader.header().cells)?;
        let mut chunks = Vec::new();
        loop {
            let mut chunk = Chunk::default();
            if !reader.read_chunk(&mut chunk).await? {
                return Ok((layout, chunks, reader.records()));
            }
            chunks.push(chunk);
        }
    };
    reading.now_or_never().expect("bytes that are all there")
}

/// A loaded row: the cells as text (`None`: NULL) and those that no field declares.
type Row = (Vec<Option<String>>, Vec<(String, String)>);

fn scan(bench: &mut Bench, layout: Layout, chunks: Vec<Chunk>, records: u64) {
    let contract = Arc::clone(&bench.contract);
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    let mut faults: Vec<(u64, Option<Arc<str>>, CellFault)> = Vec::new();
    for chunk in &chunks {
        for broken in &chunk.faulty {
            let field = broken.cell.and_then(|cell| layout.header.get(cell));
            let field = field.map(|name| Arc::from(name.as_str()));
            faults.push((broken.meta.line, field, broken.fault.clone()));
        }
        for record in &chunk.records {
            let cell = |index: usize| chunk.cell(record, index);
            match expected(&contract, &layout, cell) {
                Ok(row) => assert!(rows.insert(record.line, row).is_none()),
                Err((field, fault)) => {
                    faults.push((record.line, Some(field), chunk.explained(fault)));
                }
            }
        }
    }
    faults.sort_by_key(|(line, ..)| *line);
    assert_eq!(records, (rows.len() + faults.len()) as u64);

    let rejections = Arc::new(RejectionLog::default());
    let (sender, receiver) = mpsc::channel(chunks.len().max(1));
    let scan = Arc::new(Scan::new(ScanParts {
        contract: &contract,
        inherited: Vec::new(),
        child: None,
        receiver,
        rejections: Arc::clone(&rejections),
        threads: 1,
        expected_rows: Some(records),
    }));
    let file = Arc::new(ScanFile {
        file_id: 7,
        layout: layout.into(),
        inherited: Vec::new(),
        counts: Counts::default(),
    });
    for chunk in chunks {
        let file = Arc::clone(&file);
        let sent = sender.try_send(Ok(FileChunk { file, chunk }));
        assert!(sent.is_ok(), "room for every chunk");
    }
    drop(sender);
    let transaction = bench.warehouse.begin().expect("a transaction");
    let inserted = transaction
        .insert(&contract, &scan, "B1")
        .expect("rows to be inserted");
    let loaded = loaded(transaction.connection(), contract.fields.len());
    transaction.rollback();

    assert_eq!(inserted, rows.len() as u64);
    assert_eq!(file.counts.loaded(), rows.len() as u64);
    assert_eq!(file.counts.rejected(), faults.len() as u64);
    assert_eq!(loaded, rows);
    let found = rejections.take();
    let found: Vec<_> = found
        .iter()
        .map(|found: &Rejection| {
            let message = found.message.clone();
            (
                found.line,
                found.field.clone(),
                CellFault {
                    code: found.code,
                    message,
                },
            )
        })
        .collect();
    // Of a file's so many are kept, the first of each chunk's broken records before those of its cells.
    let kept = usize::try_from(KEPT_PER_FILE).expect("a small number");
    if faults.len() > kept {
        assert_eq!(found.len(), kept);
        faults.retain(|(line, ..)| found.binary_search_by_key(line, |(line, ..)| *line).is_ok());
    }
    assert_eq!(found, faults);
}

/// The table's rows by line.
fn loaded(connection: &duckdb::Connection, fields: usize) -> BTreeMap<u64, Row> {
    let mut statement = connection
        .prepare(
            "SELECT line, id::VARCHAR, name, short, count::VARCHAR, a::VARCHAR, b::VARCHAR, c::VARCHAR, d::VARCHAR, \
             epoch_us(\"at\")::VARCHAR, kind::VARCHAR, state, currency, url, flag::VARCHAR, extra \
             FROM specimen WHERE batch_no = 'B1' AND file_id = 7",
        )
        .expect("SQL");
    let rows = statement.query_map([], |row| {
        let line = row.get::<_, i64>(0)?.unsigned_abs();
        let cells = (1..=fields)
            .map(|index| row.get(index))
            .collect::<duckdb::Result<_>>()?;
        let extra = match row.get(fields + 1)? {
            Value::Map(pairs) => pairs
                .iter()
                .map(|pair| match pair {
                    (Value::Text(name), Value::Text(cell)) => (name.clone(), cell.clone()),
                    other => panic!("{other:?} in a map of texts"),
                })
                .collect(),
            Value::Null => Vec::new(),
            other => panic!("{other:?} for a map"),
        };
        Ok((line, (cells, extra)))
    });
    let mut by_line = BTreeMap::new();
    for row in rows.expect("rows") {
        let (line, row) = row.expect("a row");
        assert!(by_line.insert(line, row).is_none(), "line {line} twice");
    }
    by_line
}

/// What must become of a record: its row, or its first fault in the contract's order.
fn expected<'c>(
    contract: &Contract,
    layout: &Layout,
    cell: impl Fn(usize) -> &'c [u8],
) -> Result<Row, (Arc<str>, CellFault)> {
    let mut cells = Vec::new();
    for (field, column) in contract.fields.iter().zip(&layout.fields) {
        let value = match column.map_or(&[][..], &cell) {
            [] if field.required => Err(CellFault::new(
                RejectionCode::MissingValue,
                "empty where a value is required",
            )),
            [] => Ok(None),
            cell => value(field, cell).map(Some),
        };
        cells.push(value.map_err(|fault| (field.name.clone(), fault))?);
    }
    let mut extra = Vec::new();
    for (column, name) in &layout.rest {
        let text = normalize::text(cell(*column), None).map_err(|fault| (name.clone(), fault))?;
        extra.push((name.to_string(), text.to_owned()));
    }
    Ok((cells, extra))
}

/// A cell's value as the engine writes it.
fn value(field: &Field, cell: &[u8]) -> Result<String, CellFault> {
    let bare = unwrap_spreadsheet(cell).unwrap_or(cell);
    Ok(match &field.kind {
        FieldType::Text { max_length } => {
            // The whole cell has to be text.
            normalize::text(cell, None)?;
            normalize::text(bare, *max_length)?.to_owned()
        }
        FieldType::Uuid => {
            let digits = format!("{:032x}", normalize::uuid(bare)?);
            let part = |from: usize, to: usize| &digits[from..to];
            [
                part(0, 8),
                part(8, 12),
                part(12, 16),
                part(16, 20),
                part(20, 32),
            ]
            .join("-")
        }
        FieldType::Integer { min, max } => normalize::integer(bare, *min, *max)?.to_string(),
        FieldType::Decimal {
            precision,
            scale,
            min,
            max,
        } => {
            let units = normalize::decimal(cell, *precision, *scale, *min, *max)?;
            let scale = usize::from(*scale);
            let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
            let (whole, decimals) = digits.split_at(digits.len() - scale);
            let point = if scale > 0 { "." } else { "" };
            let sign = if units < 0 { "-" } else { "" };
            format!("{sign}{whole}{point}{decimals}")
        }
        FieldType::Timestamp { unit } => normalize::timestamp(cell, *unit)?.to_string(),
        FieldType::Enum {
            values,
            numeric: true,
        } => Codes::new(values, true).number(cell)?.to_string(),
        FieldType::Enum { values, .. } => Codes::new(values, false).text(cell)?.to_owned(),
        FieldType::Currency { also } => {
            Currencies::new(also).check(cell)?;
            normalize::text(cell, None)?.to_owned()
        }
        FieldType::Url => without_secrets(normalize::url(cell)?).into_owned(),
        FieldType::Boolean => normalize::boolean(cell)?.to_string(),
    })
}
