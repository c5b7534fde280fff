//! The contract that a sample suggests: every row of it is read, one chunk at a time.

mod column;
mod proposal;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use self::{
    column::{Column, Ground},
    proposal::Sample,
};
use crate::{
    contract::{Contract, Contracts, Identifier},
    error::{Error, Result},
    reader::{Chunk, ReaderOptions, RecordReader},
    source::{BodyStream, open_file},
};

/// Most values told apart in one column, and in all columns together.
const MOST_DISTINCT: usize = 100_000;
const MOST_DISTINCT_TOGETHER: usize = 1_000_000;

/// A contract that may be right.
pub(crate) struct Proposal {
    /// As TOML.
    pub(crate) text: String,
    /// Records that it is not drawn from, since their structure is broken.
    pub(crate) broken: u64,
}

/// The contract of dataset `name` that `files` suggest beside those that are `known`; `-` is standard input.
///
/// # Errors
/// [`Error::Usage`] for files with different columns; what keeps one from being read.
pub(crate) fn propose(
    name: &Identifier,
    files: &[PathBuf],
    max_record: usize,
    known: &Contracts,
) -> Result<Proposal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
    let mut sample: Option<Sample> = None;
    let ground = Ground::new();
    for file in files {
        let given = Given::new(file)?;
        runtime.block_on(read(&given, max_record, &ground, &mut sample))?;
    }
    let sample = sample.ok_or_else(|| Error::usage("no file is named"))?;
    let text = proposal::toml(name, &sample, known)?;
    // What is proposed must be taken: better a fault here than a puzzle for the reader.
    if let Err(error) = Contract::parse("proposal", &text) {
        return Err(Error::Internal(format!(
            "the proposed contract is not valid: {}",
            error.chain()
        )));
    }
    Ok(Proposal {
        text,
        broken: sample.broken(),
    })
}

/// A sample that can be read more than once.
struct Given {
    /// As messages and the proposal name it.
    name: String,
    path: PathBuf,
    /// Of what can be read but once; removed when it is dropped.
    copy: Option<TempPath>,
}

impl Given {
    fn new(file: &Path) -> Result<Self> {
        let name = file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (name, mut input): (String, Box<dyn io::Read>) = if file == Path::new("-") {
            ("standard input".into(), Box::new(io::stdin().lock()))
        } else if is_pipe(file) {
            let input = fs::File::open(file).map_err(Error::io("open", file))?;
            ("a pipe".into(), Box::new(input))
        } else {
            return Ok(Self {
                name,
                path: file.to_path_buf(),
                copy: None,
            });
        };
        let copy =
            tempfile::NamedTempFile::new().map_err(Error::io("make a temporary file", file))?;
        let mut into = copy.reopen().map_err(Error::io("open", copy.path()))?;
        io::copy(&mut input, &mut into).map_err(Error::io("read", file))?;
        let copy = copy.into_temp_path();
        Ok(Self {
            name,
            path: copy.to_path_buf(),
            copy: Some(copy),
        })
    }
}

/// Whether it can be read but once, such as `<(zcat rows.csv.gz)`.
fn is_pipe(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// The dataset's name by the file's: `Card balances.csv.gz` → `card_balances`; `None` for a pipe, which has none.
///
/// # Errors
/// [`Error::Usage`] for a file's name that gives none.
pub(crate) fn name_of(file: &Path) -> Result<Option<Identifier>> {
    if file == Path::new("-") || is_pipe(file) {
        return Ok(None);
    }
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty());
    let like = stem.and_then(proposal::identifier_like);
    like.map(Some).ok_or_else(|| Error::Usage {
        message: format!("`{name}` gives no name for a dataset"),
        hint: Some("name it with --name".into()),
    })
}

async fn open(
    given: &Given,
    delimiter: Option<u8>,
    max_record: usize,
) -> Result<RecordReader<BodyStream>> {
    let opened = open_file(&given.path).await?;
    let is_copy = given.copy.is_some();
    let options = ReaderOptions {
        origin: if is_copy {
            given.name.clone()
        } else {
            opened.origin
        },
        delimiter,
        encoding: None,
        charset: None,
        skip_lines: 0,
        max_record,
        may_be_empty: false,
    };
    RecordReader::open(opened.body, options).await
}

/// Reads all of a file, and adds what it shows to the sample.
async fn read(
    given: &Given,
    max_record: usize,
    ground: &Ground,
    sample: &mut Option<Sample>,
) -> Result<()> {
    let mut delimiter = b',';
    let mut reader = open(given, None, max_record).await?;
    let header = reader.header();
    if header.cells.len() == 1
        && let Some(other) = b";\t|"
            .iter()
            .find(|other| header.raw.as_bytes().contains(*other))
    {
        delimiter = *other;
        reader = open(given, Some(delimiter), max_record).await?;
    } else if let Some(error) = reader.header_fault() {
        return Err(error);
    }
    let header = reader.header().cells.clone();
    let most = (MOST_DISTINCT_TOGETHER / header.len().max(1)).min(MOST_DISTINCT);
    let sample = match sample {
        Some(sample) => {
            let same = sample.columns.iter().map(|column| &column.name).eq(&header);
            if !same || sample.delimiter != delimiter {
                return Err(Error::Usage {
                    message: format!("{} has other columns than {}", given.name, sample.origin),
                    hint: Some("a contract is for files with the same header".into()),
                });
            }
            sample.origin += &format!(", {}", given.name);
            sample
        }
        none => none.insert(Sample {
            origin: given.name.clone(),
            delimiter,
            encoding: reader.encoding(),
            rows: 0,
            broken: BTreeMap::new(),
            columns: header.iter().map(|cell| Column::new(cell, most)).collect(),
        }),
    };
    let mut chunk = Chunk::default();
    while reader.read_chunk(&mut chunk).await? {
        sample.rows += chunk.records.len() as u64;
        for record in &chunk.records {
            for (index, column) in sample.columns.iter_mut().enumerate() {
                column.see(chunk.cell(record, index), ground);
            }
        }
        for faulty in &chunk.faulty {
            *sample.broken.entry(faulty.fault.code.as_str()).or_default() += 1;
        }
    }
    sample.encoding = reader.encoding();
    Ok(())
}
