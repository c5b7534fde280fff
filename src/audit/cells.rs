//! Every loaded cell against the delivered bytes, by the second reading of [`crate::cells`].

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    io,
    path::Path,
};

use serde_json::Value;

use super::{
    findings::{Compared, Finding, Place},
    questions::{Audit, Watch},
};
use crate::{
    archive::{Archive, Delivery},
    batch_no::BatchNo,
    cells::{Content, Kept, LoadedRow, LoadedRows, Record},
    contract::Contract,
    error::Result,
    ledger::{self, FileEntry},
};

/// Lines of a file whose rows are looked at together.
const LINES: u64 = 20_000;
/// Behind every line: the engine counts to here.
const NO_LINE: u64 = i64::MAX.unsigned_abs();
/// Most findings of a file that are named.
const NAMED: usize = 20;

/// A loaded revision.
struct Standing {
    dataset: String,
    batch_no: String,
    revision: i32,
}

/// One file, beside its rows.
struct Compare<'a> {
    batch: &'a Standing,
    file: &'a FileEntry,
    contract: &'a Contract,
    rejected: HashSet<u64>,
    compared: &'a mut Compared,
    findings: Vec<Finding>,
    unnamed: u64,
}

impl Audit<'_> {
    /// Compares the cells of every loaded revision in the scope.
    pub(super) fn cells(&mut self, archive: &Archive, watch: &mut dyn Watch) -> Result<()> {
        watch.step("comparing every cell with what was delivered");
        let standing = self.read(
            "SELECT dataset, batch_no, revision FROM _entry WHERE state = 'loaded' ORDER BY ALL",
            |row| {
                Ok(Standing {
                    dataset: row.get(0)?,
                    batch_no: row.get(1)?,
                    revision: row.get(2)?,
                })
            },
        )?;
        let mut compared = Compared::default();
        for batch in standing {
            self.cells_of(&batch, archive, &mut compared, watch)?;
        }
        self.audited.cells = Some(compared);
        Ok(())
    }

    fn cells_of(
        &mut self,
        batch: &Standing,
        archive: &Archive,
        compared: &mut Compared,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let contracts = self.contracts;
        let child = contracts.child_of(&batch.dataset);
        let datasets: Vec<&str> = std::iter::once(batch.dataset.as_str())
            .chain(child.map(|child| child.name.as_str()))
            .collect();
        let files = ledger::files(self.connection, &datasets, &batch.batch_no, batch.revision)?;
        let number = BatchNo::new(&batch.batch_no).ok();
        let deliveries = number.map(|number| archive.deliveries(&batch.dataset, &number));
        let delivery = deliveries.transpose()?.and_then(|deliveries| {
            deliveries
                .into_iter()
                .find(|of| of.revision == batch.revision)
        });
        let own: Vec<i64> = files
            .iter()
            .filter(|file| file.dataset == batch.dataset)
            .map(|file| file.file_id)
            .collect();
        let mut tables: BTreeMap<&str, Option<LoadedRows<'_>>> = BTreeMap::new();
        for file in &files {
            let Some(contract) = contracts.get(&file.dataset) else {
                compared.not_kept += 1;
                continue;
            };
            let path = file.archive_path.as_ref().map(|path| archive.place(path));
            let Some(path) = path.filter(|path| path.exists()) else {
                compared.not_kept += 1;
                continue;
            };
            watch.file(&path);
            let table = match tables.entry(&file.dataset) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(LoadedRows::of(self.connection, contract)?),
            };
            let mut compare = Compare {
                batch,
                file,
                contract,
                rejected: self.rejected_lines(file)?,
                compared,
                findings: Vec::new(),
                unnamed: 0,
            };
            if let Some(table) = table {
                compare.file(table, &path, delivery.as_ref())?;
            }
            compare.inherited(self, delivery.as_ref(), &own)?;
            let found = compare.findings();
            self.audited.findings.extend(found);
        }
        Ok(())
    }

    fn rejected_lines(&self, file: &FileEntry) -> Result<HashSet<u64>> {
        let file_id = file.file_id;
        if file.rows_rejected == 0 {
            return Ok(HashSet::new());
        }
        let sql =
            format!("SELECT line::UBIGINT FROM redledger.rejection WHERE file_id = {file_id}");
        Ok(self.read(&sql, |row| row.get(0))?.into_iter().collect())
    }
}

impl Compare<'_> {
    /// Records and rows, both in the order of their lines.
    fn file(
        &mut self,
        table: &LoadedRows<'_>,
        path: &Path,
        delivery: Option<&Delivery>,
    ) -> Result<()> {
        let columns = match path.to_string_lossy().contains(".jsonl") {
            true => delivery.map_or(&[][..], |delivery| &delivery.columns),
            false => &[],
        };
        let kept = Kept {
            path,
            encoding: self.file.encoding.as_deref().unwrap_or("UTF-8"),
            columns,
        };
        let mut rows = Rows {
            table,
            file_id: self.file.file_id,
            next: 0,
            few: self.file.rows_loaded < LINES,
            window: Vec::new().into_iter().peekable(),
        };
        match self.records(&kept, &mut rows) {
            Ok(hash) => {
                if self.file.content_hash.as_deref() != Some(&hash) {
                    let entered = self.file.content_hash.clone();
                    self.find("SHA-256 of the kept bytes".into(), entered, Some(hash));
                }
                Ok(())
            }
            Err(Failure::Engine(error)) => Err(error),
            Err(Failure::File(error)) => {
                self.find(
                    "kept bytes that can't be read".into(),
                    None,
                    Some(error.to_string()),
                );
                Ok(())
            }
        }
    }

    fn records(&mut self, kept: &Kept<'_>, rows: &mut Rows<'_>) -> Result<String, Failure> {
        let mut content = Content::open(kept, self.contract)?;
        while let Some(record) = content.next()? {
            let mut is_loaded = false;
            while let Some(row) = rows.next_until(record.line)? {
                if row.line < record.line || is_loaded {
                    let what = match is_loaded {
                        true => "a second row",
                        false => "a row where no record begins",
                    };
                    self.find(format!("{what}{}", self.at(row.line)), None, None);
                    continue;
                }
                is_loaded = true;
                self.row(&row, &record, &content);
            }
            if !is_loaded && !record.is_empty() {
                self.not_loaded(&record);
            }
        }
        while let Some(row) = rows.next_until(NO_LINE)? {
            let what = format!("a row where no record begins{}", self.at(row.line));
            self.find(what, None, None);
        }
        Ok(content.hash()?)
    }

    fn row(&mut self, row: &LoadedRow, record: &Record, content: &Content) {
        self.compared.rows += 1;
        self.compared.cells += row.cells.len() as u64 + 1;
        if record.is_broken {
            let what = format!("a row of a record that can't be read{}", self.at(row.line));
            self.find(what, None, Some(record.raw.clone()));
            return;
        }
        for of in row.differing(record, &content.layout, self.contract) {
            let what = format!("{}{}", of.column, self.at(row.line));
            self.find(what, of.loaded, of.delivered);
        }
    }

    /// A record without a row is one that was rejected.
    fn not_loaded(&mut self, record: &Record) {
        if self.rejected.contains(&record.line) {
            return;
        }
        if self.file.rows_rejected > self.rejected.len() as u64 {
            self.compared.undecided += 1;
            return;
        }
        let what = format!(
            "a record that is neither loaded nor rejected{}",
            self.at(record.line)
        );
        self.find(what, None, Some(record.raw.clone()));
    }

    /// What the rows of a file take over from the row that names it.
    fn inherited(
        &mut self,
        audit: &Audit<'_>,
        delivery: Option<&Delivery>,
        own: &[i64],
    ) -> Result<()> {
        let Some(parent) = &self.contract.parent else {
            return Ok(());
        };
        let path = self.file.archive_path.as_deref();
        let naming = delivery.and_then(|delivery| {
            let of = |file: &&crate::archive::DeliveredFile| {
                Some(file.path.as_str()) == path && file.url == self.file.url
            };
            // Two bills may name files of the same bytes: then nobody can tell which is which by that.
            let mut naming = delivery
                .files
                .iter()
                .filter(of)
                .filter_map(|of| of.named_by);
            let first = naming.next()?;
            naming.next().is_none().then_some(first)
        });
        let Some((named_by, file_id)) =
            naming.and_then(|named_by| Some((named_by, own.get(named_by.file)?)))
        else {
            return Ok(());
        };
        let Some(of) = audit.contracts.get(&parent.dataset) else {
            return Ok(());
        };
        for inherit in &parent.inherit {
            let Some(index) = of.field_index(&inherit.field) else {
                continue;
            };
            let differ = audit.count(&format!(
                "SELECT count(*) FROM {} c WHERE c.file_id = {} AND c.{} IS DISTINCT FROM \
                 (SELECT any_value(p.{}) FROM {} p WHERE p.file_id = {file_id} AND p.line = {})",
                self.contract.name.quoted(),
                self.file.file_id,
                inherit.column.quoted(),
                of.fields[index].column.quoted(),
                of.name.quoted(),
                named_by.line
            ))?;
            if differ > 0 {
                let what = format!("{} of file {}", inherit.column, self.file.file_id);
                let said = format!("{differ} rows differ from the row that names the file");
                self.find(what, None, Some(said));
            }
        }
        Ok(())
    }

    fn at(&self, line: u64) -> String {
        format!(" of file {}, line {line}", self.file.file_id)
    }

    fn find(&mut self, what: String, loaded: Option<String>, delivered: Option<String>) {
        if self.findings.len() == NAMED {
            self.unnamed += 1;
            return;
        }
        let shown = |text: Option<String>| {
            text.map_or(Value::Null, |text| {
                crate::source_url::redacted(&text).into_owned().into()
            })
        };
        self.findings.push(Finding {
            dataset: self.batch.dataset.clone(),
            batch_no: self.batch.batch_no.clone(),
            revision: Some(self.batch.revision),
            what,
            ledger: shown(loaded),
            found: shown(delivered),
            place: Place::Warehouse,
        });
    }

    fn findings(mut self) -> Vec<Finding> {
        if let (Some(last), 1..) = (self.findings.last(), self.unnamed) {
            let more = Finding {
                dataset: last.dataset.clone(),
                batch_no: last.batch_no.clone(),
                revision: last.revision,
                what: format!("more differences in file {}", self.file.file_id),
                ledger: Value::Null,
                found: self.unnamed.into(),
                place: Place::Warehouse,
            };
            self.findings.push(more);
        }
        self.findings
    }
}

/// The rows of a file by line: all of them where there are few, else a window at a time.
struct Rows<'a> {
    table: &'a LoadedRows<'a>,
    file_id: i64,
    next: u64,
    few: bool,
    window: std::iter::Peekable<std::vec::IntoIter<LoadedRow>>,
}

impl Rows<'_> {
    /// The next row, if it is of a line up to `line`.
    fn next_until(&mut self, line: u64) -> Result<Option<LoadedRow>> {
        while self.window.peek().is_none() && self.next <= line && self.next < NO_LINE {
            let last = match self.few || line == NO_LINE {
                true => NO_LINE - 1,
                false => self.next + LINES - 1,
            };
            self.window = self
                .table
                .of_lines(self.file_id, self.next, last)?
                .into_iter()
                .peekable();
            self.next = last + 1;
        }
        Ok(self.window.next_if(|row| row.line <= line))
    }
}

/// Why a file was not compared to its end.
enum Failure {
    File(io::Error),
    Engine(crate::error::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        Self::Engine(error)
    }
}
