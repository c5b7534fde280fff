//! One row, and all that is known of it.

use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::{
    announced::Announced,
    checks::Check,
    facts::{Facts, Place, Reread, RowIs, Unread},
};
use crate::{
    archive::{Archive, Delivery},
    batch_no::BatchNo,
    cells::{Content, Kept, LoadedRow, LoadedRows},
    config::Config,
    contract::{Contract, Contracts},
    error::{Error, Result},
    inbox::Inbox,
    ledger::{self, BatchRecord, FileEntry},
    source_url::redacted,
};

/// All that is known of a line of a file.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) place: Place,
    pub(crate) row: RowIs,
    /// The record as delivered, without queries of URLs; why it is not there.
    pub(crate) record: Result<String, String>,
    pub(crate) file: FileEntry,
    pub(crate) batch_no: String,
    /// The revision that the file is of.
    pub(crate) revision: i32,
    /// The dataset that the batch is entered under.
    pub(crate) entered_under: String,
    /// The newest first.
    pub(crate) history: Vec<BatchRecord>,
    /// What the archive says of the revision.
    pub(crate) delivery: Option<Delivery>,
    pub(crate) announced: Vec<Announced>,
    pub(crate) checks: Vec<Check>,
}

impl Trace {
    /// Gathers it.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that the ledger does not have; [`Error::Database`] if the engine fails.
    pub(crate) fn of(
        connection: &Connection,
        config: &Config,
        contracts: &Contracts,
        place: Place,
    ) -> Result<Self> {
        let (file, batch_no, revision) =
            ledger::file(connection, place.file_id)?.ok_or_else(|| unknown_file(place.file_id))?;
        let contract = contracts.require(&file.dataset)?;
        let entered_under = contract.entered_under().to_owned();
        let history = ledger::revisions(connection, &batch_no, Some(&entered_under))?;
        let archive = Archive::new(&config.data_dir);
        let delivery = delivery(&archive, &entered_under, &batch_no, revision);
        let table = LoadedRows::of(connection, contract)?;
        let loaded = match &table {
            Some(table) => table.of_lines(place.file_id, place.line, place.line)?,
            None => Vec::new(),
        };
        let row = match &table {
            Some(_) if !loaded.is_empty() => RowIs::Loaded(columns(connection, contract, place)?),
            _ => match ledger::rejections_of_line(connection, place.file_id, place.line)? {
                rejections if rejections.is_empty() => RowIs::Nowhere,
                rejections => RowIs::Rejected(rejections),
            },
        };
        let reread = kept(&archive, &file).and_then(|path| {
            reread(
                &path,
                &file,
                delivery.as_ref(),
                contract,
                place.line,
                &loaded,
            )
            .map_err(|error| Unread::Damaged(format!("{}: {error}", path.display())))
        });
        let rows_found = match &table {
            Some(_) => count(connection, contract, place.file_id)?,
            None => 0,
        };
        let checks = Check::all(&Facts {
            file: &file,
            row: &row,
            reread: &reread,
            revision: history.iter().find(|of| of.entry.revision == revision),
            delivery: delivery.as_ref(),
            rows_found,
        });
        let record = match reread {
            Ok(Reread {
                record: Some(record),
                ..
            }) => Ok(redacted(&record.raw).into_owned()),
            Ok(_) => Err(format!("no record begins on line {}", place.line)),
            Err(unread) => Err(unread.why().to_owned()),
        };
        Ok(Self {
            announced: Announced::of(&Inbox::new(&config.data_dir), &batch_no)?,
            place,
            row,
            record,
            file,
            batch_no,
            revision,
            entered_under,
            history,
            delivery,
            checks,
        })
    }

    /// Whether nothing speaks against it.
    pub(crate) fn agrees(&self) -> bool {
        self.checks.iter().all(|check| check.agrees != Some(false))
    }
}

fn unknown_file(file_id: i64) -> Error {
    Error::Usage {
        message: format!("the ledger has no file {file_id}"),
        hint: Some("`redledger status BATCH --format json` lists the files of a batch".into()),
    }
}

fn delivery(archive: &Archive, dataset: &str, batch_no: &str, revision: i32) -> Option<Delivery> {
    let batch_no = BatchNo::new(batch_no).ok()?;
    let deliveries = archive.deliveries(dataset, &batch_no).ok()?;
    deliveries.into_iter().find(|of| of.revision == revision)
}

/// Where the file is kept; else why it is not.
fn kept(archive: &Archive, file: &FileEntry) -> Result<PathBuf, Unread> {
    let Some(path) = &file.archive_path else {
        return Err(Unread::NotKept(
            "its bytes were never kept ([archive] keep)".into(),
        ));
    };
    let path = archive.place(path);
    match path.exists() {
        true => Ok(path),
        false => Err(Unread::NotKept(format!(
            "its bytes are no longer kept: {} is not there",
            path.display()
        ))),
    }
}

fn reread(
    path: &Path,
    file: &FileEntry,
    delivery: Option<&Delivery>,
    contract: &Contract,
    line: u64,
    loaded: &[LoadedRow],
) -> std::io::Result<Reread> {
    let is_list = path.to_string_lossy().contains(".jsonl");
    let kept = Kept {
        path,
        encoding: file.encoding.as_deref().unwrap_or("UTF-8"),
        columns: match (is_list, delivery) {
            (true, Some(delivery)) => &delivery.columns,
            _ => &[],
        },
    };
    let mut content = Content::open(&kept, contract)?;
    let mut found = None;
    while let Some(record) = content.next()? {
        if record.line == line {
            found = Some(record);
        } else if record.line < line {
            continue;
        }
        break;
    }
    let differing = match (&found, loaded) {
        (Some(record), [row]) if !record.is_broken => {
            row.differing(record, &content.layout, contract).len()
        }
        (_, []) => 0,
        _ => 1,
    };
    Ok(Reread {
        record: found,
        hash: content.hash()?,
        differing,
    })
}

/// The row's columns as the table has them.
fn columns(
    connection: &Connection,
    contract: &Contract,
    place: Place,
) -> Result<Vec<(String, Option<String>)>> {
    let sql = format!(
        "SELECT COLUMNS(*)::VARCHAR FROM {} WHERE file_id = {} AND line = {} LIMIT 1",
        contract.name.quoted(),
        place.file_id,
        place.line
    );
    let read = || -> duckdb::Result<Vec<(String, Option<String>)>> {
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else {
            return Ok(Vec::new());
        };
        let names = row.as_ref().column_names();
        names
            .into_iter()
            .enumerate()
            .map(|(at, name)| Ok((name, row.get(at)?)))
            .collect()
    };
    read().map_err(Error::database("read the row"))
}

fn count(connection: &Connection, contract: &Contract, file_id: i64) -> Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE file_id = {file_id}",
        contract.name.quoted()
    );
    let count: i64 = connection
        .query_row(&sql, [], |row| row.get(0))
        .map_err(Error::database("count the file's rows"))?;
    Ok(u64::try_from(count).unwrap_or_default())
}
