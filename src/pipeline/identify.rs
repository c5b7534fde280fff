//! What a batch is: its dataset, and its place in the history of its number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    context::LoadContext,
    failure::{Failure, missing_pages},
};
use crate::{
    batch::{Batch, BatchContent, FileSource},
    contract::{Contract, CsvFormat},
    error::{Error, FetchError, FetchKind, Result},
    feed::{OpenFile, Reads},
    history::{Refusal, Standing},
    ledger::UNKNOWN_DATASET,
    reader::Header,
    warehouse::Warehouse,
};

/// A batch whose dataset is known, and where it stands.
pub(super) struct Identified {
    pub(super) contract: Arc<Contract>,
    /// The dataset whose files its rows name.
    pub(super) child: Option<Arc<Contract>>,
    pub(super) standing: Standing,
    /// The id that its first file gets.
    pub(super) first_file: i64,
    /// Its first file, opened to find out the dataset.
    pub(super) opened: Option<OpenFile>,
}

impl Identified {
    /// Its own dataset, then that of the files that its rows name.
    pub(super) fn contracts(&self) -> impl Iterator<Item = &Arc<Contract>> {
        std::iter::once(&self.contract).chain(&self.child)
    }

    /// Their names.
    pub(super) fn datasets(&self) -> Vec<&str> {
        let contracts = self.contracts();
        contracts.map(|contract| contract.name.as_str()).collect()
    }
}

/// What became of the attempt to identify a batch.
pub(super) enum Identification {
    /// It can be loaded.
    Ready(Box<Identified>),
    /// Something else stands and stays.
    Refused(String, Box<Standing>, Refusal),
    /// There is nothing to load and nothing that says into what.
    Nothing,
    /// A file changed while it was opened.
    Changed(Option<Arc<Contract>>, FetchError),
    /// Nothing of it can be loaded; its dataset where that is known.
    Failed(Option<Arc<Contract>>, Failure),
}

impl LoadContext<'_> {
    /// Finds out the dataset and what stands under the number.
    pub(super) fn identify(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
    ) -> Result<Identification> {
        if let Some(known) = self.unsigned_dataset(warehouse, batch)? {
            return Ok(known);
        }
        let told = self.told(warehouse, batch);
        // What is older than what stands is not even fetched: its link may well be dead.
        let presumed = match &told {
            Ok(Told::Dataset(contract)) => contract.name.to_string(),
            Ok(Told::Unknown | Told::Nothing) | Err(_) => self.only_known(warehouse, batch)?,
        };
        let standing = self.standing(warehouse, &presumed, batch)?;
        if let Some(refusal) = refusal(&standing, batch) {
            let standing = Box::new(standing);
            return Ok(Identification::Refused(presumed, standing, refusal));
        }
        let is_loaded = standing.loaded().is_some();
        let told = match told {
            Ok(Told::Dataset(contract)) => Some(contract),
            Ok(Told::Unknown) => None,
            Ok(Told::Nothing) => return Ok(Identification::Nothing),
            Err(error) => return Ok(Identification::Failed(None, Failure::of(error)?)),
        };
        // What is loaded may have come again in part: then what came is looked at.
        if let Some(missing) = &batch.missing
            && !is_loaded
        {
            let waiting = Failure::waiting(missing_pages(missing), batch);
            return Ok(Identification::Failed(told, waiting));
        }
        let (contract, opened) = match self.opened(batch, told.as_ref()) {
            Ok(Some(found)) => found,
            Ok(None) => match self.told_by_ledger(warehouse, batch) {
                Ok(Told::Dataset(contract)) => (contract, None),
                Ok(Told::Unknown | Told::Nothing) => return Ok(Identification::Nothing),
                Err(error) => return Ok(Identification::Failed(None, Failure::of(error)?)),
            },
            // While its header was read.
            Err(Error::Fetch(error)) if error.kind == FetchKind::Changed => {
                return Ok(Identification::Changed(told, error));
            }
            Err(error) => {
                let failure = Failure::of(batch.cause_of(error))?;
                return Ok(Identification::Failed(told, failure));
            }
        };
        let child = self.contracts.child_of(contract.name.as_str()).cloned();
        for table in std::iter::once(&contract).chain(&child) {
            if let Err(error) = warehouse.ensure_table(table, self.contracts) {
                return Ok(Identification::Failed(Some(contract), Failure::of(error)?));
            }
        }
        let dataset = contract.name.as_str();
        let standing = self.standing(warehouse, dataset, batch)?;
        if let Some(refusal) = refusal(&standing, batch) {
            let dataset = dataset.to_owned();
            return Ok(Identification::Refused(
                dataset,
                Box::new(standing),
                refusal,
            ));
        }
        Ok(Identification::Ready(Box::new(Identified {
            first_file: warehouse.next_file_id()?,
            contract,
            child,
            standing,
            opened,
        })))
    }

    /// Where a batch would change its dataset by an `eventType` that nobody has signed.
    fn unsigned_dataset(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
    ) -> Result<Option<Identification>> {
        let Some(told) = batch.dataset.as_ref().filter(|_| batch.dataset_is_unsigned) else {
            return Ok(None);
        };
        let entries = warehouse.entries_of(batch.batch_no.as_str())?;
        let loaded = Vec::from_iter(entries.datasets_of(batch.batch_no.as_str()));
        if loaded.is_empty() || loaded.contains(&told.name.as_str()) {
            return Ok(None);
        }
        let message = format!(
            "its `eventType` stands for {}, but the batch is loaded in {}, and the `eventType` is not signed",
            told.name,
            loaded.join(", ")
        );
        let known = self.only_known(warehouse, batch)?;
        let standing = self.standing(warehouse, &known, batch)?;
        // Nothing would come of it in its own dataset either.
        if let Some(refusal) = refusal(&standing, batch) {
            let standing = Box::new(standing);
            return Ok(Some(Identification::Refused(known, standing, refusal)));
        }
        let hint = "if it is right, give it by hand with --dataset; a [serve] signature of the body signs the `eventType` too";
        let failure = Failure::failed(message, Some(hint));
        Ok(Some(Identification::Failed(None, failure)))
    }

    pub(super) fn standing(
        &self,
        warehouse: &mut Warehouse,
        dataset: &str,
        batch: &Batch,
    ) -> Result<Standing> {
        let entries = warehouse.entries_of(batch.batch_no.as_str())?;
        Standing::of(entries, &self.feed.archive, dataset, &batch.batch_no)
    }

    /// The dataset as far as it is known before a file is opened.
    fn told(&self, warehouse: &mut Warehouse, batch: &Batch) -> Result<Told> {
        if let Some(contract) = &batch.dataset {
            return Ok(Told::Dataset(Arc::clone(contract)));
        }
        let BatchContent::Rows(list) = &batch.content else {
            return Ok(Told::Unknown);
        };
        if !list.rows.is_empty()
            || batch.missing.is_some()
            || batch.total.is_some_and(|rows| rows > 0)
        {
            let contract = self.contracts.detect(&batch.origin, &list.columns)?;
            return Ok(Told::Dataset(Arc::clone(contract)));
        }
        self.told_by_ledger(warehouse, batch)
    }

    /// No row shows it, but the ledger may: the batch was loaded before, and is empty now.
    fn told_by_ledger(&self, warehouse: &mut Warehouse, batch: &Batch) -> Result<Told> {
        let datasets = warehouse.entries_of(batch.batch_no.as_str())?;
        let datasets = Vec::from_iter(datasets.datasets_of(batch.batch_no.as_str()));
        match datasets.as_slice() {
            [] => Ok(Told::Nothing),
            [only] => Ok(Told::Dataset(Arc::clone(self.contracts.require(only)?))),
            several => Err(Error::Announcement {
                origin: batch.origin.clone(),
                message: format!(
                    "batch {} is empty now, and is loaded in more than one dataset: {}",
                    batch.batch_no,
                    several.join(", ")
                ),
                hint: Some(
                    "name it with --dataset, or map its eventType under [hook.events]".into(),
                ),
            }),
        }
    }

    /// The dataset that the ledger knows the number under, if it is one.
    fn only_known(&self, warehouse: &mut Warehouse, batch: &Batch) -> Result<String> {
        let datasets = warehouse.entries_of(batch.batch_no.as_str())?;
        let datasets = Vec::from_iter(datasets.datasets_settled(batch.batch_no.as_str()));
        Ok(match datasets.as_slice() {
            [only] => (*only).to_owned(),
            _ => UNKNOWN_DATASET.to_owned(),
        })
    }

    /// Opens the first file, and finds out the dataset by its header where nothing else tells; `None` for a file of
    /// nothing, not even a header, of which no rows were announced.
    fn opened(
        &self,
        batch: &Batch,
        told: Option<&Arc<Contract>>,
    ) -> Result<Option<(Arc<Contract>, Option<OpenFile>)>> {
        let first = match &batch.content {
            BatchContent::Files(files) => files.first(),
            BatchContent::Rows(_) => None,
        };
        let Some(first) = first else {
            let contract = told.cloned();
            return contract
                .map(|contract| Some((contract, None)))
                .ok_or_else(|| Error::Internal("a batch without rows, files and dataset".into()));
        };
        if let Some(contract) = told {
            let opening = self.feed.open(first, Reads::As(contract), batch.total);
            let file = self.wait_for(opening)?;
            return Ok(Some((Arc::clone(contract), Some(file))));
        }
        let further = self.headers_further_down(first, batch.total)?;
        let opening = self.feed.open(first, Reads::Behind(0), batch.total);
        let mut file = self.wait_for(opening)?;
        if file.header().cells.is_empty() {
            return Ok(None);
        }
        let header = file.header();
        let split = |csv: &CsvFormat| match csv.skip_lines {
            0 => header.split(csv.delimiter),
            lines => further
                .get(&lines)
                .map_or_else(Vec::new, |header| header.split(csv.delimiter)),
        };
        let detected = self
            .contracts
            .detect_split(file.origin(), &header.cells, split);
        let contract = match detected {
            Ok(contract) => contract,
            Err(error) => {
                if let Some(fault) = file.header_fault() {
                    return Err(fault);
                }
                let fits = |header: &[String]| {
                    self.contracts
                        .iter()
                        .any(|contract| contract.can_be_detected() && contract.is_headed_by(header))
                };
                let explained = async { Ok::<_, Error>(file.explained(error, fits).await) };
                return Err(self.wait_for(explained)?);
            }
        };
        // Another delimiter, encoding or beginning than the defaults, or quotes that speak for another: the header is
        // read again as the contract says.
        let csv = &contract.csv;
        let is_read = csv.delimiter == b',' && csv.encoding.is_none() && csv.skip_lines == 0;
        let headed = (is_read && file.header_fault().is_none()).then_some(file);
        Ok(Some((Arc::clone(contract), headed)))
    }

    /// The headers that the file has for contracts whose files begin with something else, by how many lines that is.
    fn headers_further_down(
        &self,
        source: &FileSource,
        expected_rows: Option<u64>,
    ) -> Result<BTreeMap<u64, Header>> {
        let lines: BTreeSet<u64> = self
            .contracts
            .iter()
            .filter(|contract| contract.can_be_detected() && contract.csv.skip_lines > 0)
            .map(|contract| contract.csv.skip_lines)
            .collect();
        let mut headers = BTreeMap::new();
        for lines in lines {
            let opening = self.feed.open(source, Reads::Behind(lines), expected_rows);
            match self.wait_for(opening) {
                Ok(file) => {
                    headers.insert(lines, file.header().clone());
                }
                // There is no header there.
                Err(Error::File { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(headers)
    }
}

/// What is known of a batch's dataset beforehand.
enum Told {
    Dataset(Arc<Contract>),
    /// A header will show it.
    Unknown,
    /// Nothing ever will: there is not even a row.
    Nothing,
}

fn refusal(standing: &Standing, batch: &Batch) -> Option<Refusal> {
    match &batch.replay {
        None => standing.refuses(batch.acceptance),
        Some(replay) => {
            standing.refuses_replay(replay.revision, replay.is_withdrawn, batch.acceptance.at)
        }
    }
}
