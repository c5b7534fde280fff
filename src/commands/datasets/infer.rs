//! `redledger datasets infer FILE`: every row of a sample is read, one chunk at a time.

use std::{collections::BTreeMap, path::Path};

use super::{
    super::{
        Context,
        output::{counted, say},
    },
    column::{Column, Ground},
    proposal::{self, Sample},
};
use crate::{
    contract::{Contract, Identifier, snake_case},
    error::{Error, Result},
    reader::{Chunk, ReaderOptions, RecordReader},
    source::{BodyStream, open_file},
};

/// Most values told apart in one column, and in all columns together.
const MOST_DISTINCT: usize = 100_000;
const MOST_DISTINCT_TOGETHER: usize = 1_000_000;

pub(super) fn run(context: &Context, file: &Path, name: Option<&str>) -> Result<()> {
    let name = match name {
        Some(name) => {
            Identifier::new(name).map_err(|message| Error::usage(format!("--name: {message}")))?
        }
        None => name_of(file)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
    let max_record = usize::try_from(context.config.download.max_record.0).unwrap_or(usize::MAX);
    let sample = runtime.block_on(read(file, max_record))?;
    let text = proposal::toml(&name, &sample, &context.contracts)?;
    // What is proposed must be taken: better a fault here than a puzzle for the reader.
    if let Err(error) = Contract::parse("proposal", &text) {
        return Err(Error::Internal(format!(
            "the proposed contract is not valid: {}",
            error.chain()
        )));
    }
    say!("{}", text.trim_end());
    if sample.broken() > 0 {
        eprintln!(
            "{} left out, see the comments",
            counted(sample.broken(), "broken record")
        );
    }
    Ok(())
}

/// The dataset's name by the file's: `Card balances.csv.gz` → `card_balances`.
fn name_of(file: &Path) -> Result<Identifier> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty());
    stem.and_then(proposal::identifier_like)
        .ok_or_else(|| Error::Usage {
            message: format!("`{name}` gives no name for a dataset"),
            hint: Some("name it with --name".into()),
        })
}

async fn open(
    file: &Path,
    delimiter: Option<u8>,
    max_record: usize,
) -> Result<RecordReader<BodyStream>> {
    let opened = open_file(file).await?;
    let options = ReaderOptions {
        origin: opened.origin,
        delimiter,
        encoding: None,
        charset: None,
        skip_lines: 0,
        max_record,
        may_be_empty: false,
    };
    RecordReader::open(opened.body, options).await
}

async fn read(file: &Path, max_record: usize) -> Result<Sample> {
    let mut delimiter = b',';
    let mut reader = open(file, None, max_record).await?;
    let header = reader.header();
    if header.cells.len() == 1
        && let Some(other) = b";\t|"
            .iter()
            .find(|other| header.raw.as_bytes().contains(*other))
    {
        delimiter = *other;
        reader = open(file, Some(delimiter), max_record).await?;
    } else if let Some(error) = reader.header_fault() {
        return Err(error);
    }
    let header = reader.header().cells.clone();
    let most = (MOST_DISTINCT_TOGETHER / header.len().max(1)).min(MOST_DISTINCT);
    let ground = Ground::new();
    let mut columns: Vec<Column> = header.iter().map(|cell| Column::new(cell, most)).collect();
    let mut rows = 0;
    let mut broken: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut chunk = Chunk::default();
    while reader.read_chunk(&mut chunk).await? {
        rows += chunk.records.len() as u64;
        for record in &chunk.records {
            for (index, column) in columns.iter_mut().enumerate() {
                column.see(chunk.cell(record, index), &ground);
            }
        }
        for faulty in &chunk.faulty {
            *broken.entry(faulty.fault.code.as_str()).or_default() += 1;
        }
    }
    Ok(Sample {
        origin: file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        delimiter,
        encoding: reader.encoding(),
        rows,
        broken,
        columns,
    })
}

/// A header cell as a column's name, where it makes one.
pub(super) fn column_name(cell: &str) -> Option<Identifier> {
    Identifier::new(&snake_case(cell)).ok()
}
