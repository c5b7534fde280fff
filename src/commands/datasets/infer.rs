//! `redledger datasets infer FILE…`: every row of a sample is read, one chunk at a time.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use super::{
    super::{
        Context,
        output::{counted, remark, say},
    },
    column::{Column, Ground},
    proposal::{self, Sample},
};
use crate::{
    commands::ingest::say_that_it_waits,
    contract::{Contract, Identifier, snake_case},
    error::{Error, Result},
    reader::{Chunk, ReaderOptions, RecordReader},
    source::{BodyStream, open_file},
};

/// Most values told apart in one column, and in all columns together.
const MOST_DISTINCT: usize = 100_000;
const MOST_DISTINCT_TOGETHER: usize = 1_000_000;
/// The name of a dataset whose sample has none: a pipe, standard input.
const NAMELESS: &str = "sample";

pub(super) fn run(context: &Context, files: &[PathBuf], name: Option<&str>) -> Result<()> {
    let name = match name {
        Some(name) => {
            Identifier::new(name).map_err(|message| Error::usage(format!("--name: {message}")))?
        }
        None => name_of(&files[0])?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("the runtime does not start: {error}")))?;
    let max_record = usize::try_from(context.config.download.max_record.0).unwrap_or(usize::MAX);
    let mut sample: Option<Sample> = None;
    let ground = Ground::new();
    for file in files {
        let given = Given::new(file)?;
        runtime.block_on(read(&given, max_record, &ground, &mut sample))?;
    }
    let sample = sample.ok_or_else(|| Error::usage("no file is named"))?;
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
        remark!(
            "{} left out, see the comments",
            counted(sample.broken(), "broken record")
        );
    }
    Ok(())
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
            say_that_it_waits("CSV");
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

/// The dataset's name by the file's: `Card balances.csv.gz` → `card_balances`.
fn name_of(file: &Path) -> Result<Identifier> {
    if file == Path::new("-") || is_pipe(file) {
        remark!("The dataset is called `{NAMELESS}`; --name gives it another name.");
        return Identifier::new(NAMELESS).map_err(Error::Internal);
    }
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

/// A header cell as a column's name, where it makes one.
pub(super) fn column_name(cell: &str) -> Option<Identifier> {
    Identifier::new(&snake_case(cell)).ok()
}
