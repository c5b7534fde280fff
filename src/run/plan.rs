//! What a backfill will do, found out before anything is opened.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::waiting::keep_first_time;
use crate::{
    archive::Archive,
    batch_no::BatchNo,
    config::Config,
    contract::{Contract, Contracts},
    error::{Error, Result},
    history, hook,
    inbox::Inbox,
    ledger::{self, BatchRecord},
    selection::Selection,
    warehouse,
};

/// The batches in order, and what can't be done.
pub(crate) struct Plan {
    pub(crate) batches: Vec<Planned>,
    pub(crate) errors: Vec<Error>,
}

/// A batch to be loaded, or a revision of it.
pub(crate) struct Planned {
    pub(crate) batch_no: BatchNo,
    /// `None` where only its columns will tell.
    pub(crate) dataset: Option<Arc<Contract>>,
    pub(crate) origin: Origin,
}

/// Where it is to come from.
pub(crate) enum Origin {
    Archive {
        revision: i32,
        /// Its rows are in the table: only the archive is checked.
        is_loaded: bool,
        files: u64,
        bytes: u64,
    },
    /// Taken when its turn comes.
    Announcement(Option<Box<hook::Batch>>),
    Provider,
}

/// The ledger's last word on every batch, by dataset and number.
type Ledger = HashMap<(String, String), BatchRecord>;

/// Which batches are wanted.
pub(crate) struct Asked {
    pub(crate) selections: Vec<Selection>,
    pub(crate) dataset: Option<String>,
    /// Announced, or else loaded, no earlier than this.
    pub(crate) since: Option<jiff::Timestamp>,
    /// And before this.
    pub(crate) until: Option<jiff::Timestamp>,
    /// From where they came, not from the archive.
    pub(crate) refetch: bool,
}

pub(crate) fn make(
    config: &Config,
    contracts: &Contracts,
    asked: &Asked,
    archive: &Archive,
) -> Result<Plan> {
    let mut ledger = Ledger::new();
    if let Some(connection) = warehouse::open_reading(&config.warehouse_path())? {
        for record in ledger::batches(&connection, None)? {
            let key = (record.entry.dataset.clone(), record.entry.batch_no.clone());
            ledger.insert(key, record);
        }
    }
    let mut planner = Planner {
        config,
        contracts,
        asked,
        ledger,
        taken: vec![false; asked.selections.len()],
        plan: Plan {
            batches: Vec::new(),
            errors: Vec::new(),
        },
    };
    if asked.refetch {
        planner.refetch(archive)?;
    } else {
        planner.replay(archive)?;
    }
    planner.report_missing();
    Ok(planner.plan)
}

struct Planner<'p> {
    config: &'p Config,
    contracts: &'p Contracts,
    asked: &'p Asked,
    ledger: Ledger,
    /// Which selections have found something.
    taken: Vec<bool>,
    plan: Plan,
}

impl Planner<'_> {
    /// Whether a batch is asked for.
    fn wants(&mut self, dataset: Option<&str>, batch_no: &BatchNo) -> bool {
        if let (Some(wanted), Some(dataset)) = (&self.asked.dataset, dataset)
            && wanted != dataset
        {
            return false;
        }
        let mut wanted = false;
        for (selection, taken) in self.asked.selections.iter().zip(&mut self.taken) {
            if selection.takes(batch_no) {
                *taken = true;
                wanted = true;
            }
        }
        wanted
    }

    /// Whether it was announced (or, where nothing says when, loaded) in the time asked for.
    fn is_in_time(&self, announced_at_us: i64) -> bool {
        let after = |time: &jiff::Timestamp| announced_at_us >= time.as_microsecond();
        self.asked.since.as_ref().is_none_or(after) && !self.asked.until.as_ref().is_some_and(after)
    }

    fn replay(&mut self, archive: &Archive) -> Result<()> {
        for (dataset, batch_no) in archive.batches()? {
            if !self.wants(Some(&dataset), &batch_no) {
                continue;
            }
            if let Err(error) = self.replay_batch(archive, &dataset, &batch_no) {
                if !error.concerns_one_batch() {
                    return Err(error);
                }
                self.plan.errors.push(error);
            }
        }
        Ok(())
    }

    /// The revisions that the warehouse does not have yet, after the one that is loaded.
    fn replay_batch(&mut self, archive: &Archive, dataset: &str, batch_no: &BatchNo) -> Result<()> {
        let contract = self.contracts.require(dataset)?.clone();
        let deliveries = history::in_order(archive.deliveries(dataset, batch_no)?);
        let loaded = self
            .ledger
            .get(&(dataset.to_owned(), batch_no.to_string()))
            .and_then(|record| record.loaded_revision);
        let newest = deliveries
            .iter()
            .map(|(delivery, _)| delivery.revision)
            .max();
        for (delivery, _) in deliveries {
            let announced = delivery.announced_at_ms.map(|at| at.saturating_mul(1000));
            if !self.is_in_time(announced.unwrap_or(delivery.recorded_at_us)) {
                continue;
            }
            if loaded.is_some_and(|loaded| delivery.revision < loaded) {
                continue;
            }
            self.plan.batches.push(Planned {
                batch_no: batch_no.clone(),
                dataset: Some(Arc::clone(&contract)),
                origin: Origin::Archive {
                    revision: delivery.revision,
                    is_loaded: loaded == Some(delivery.revision),
                    files: delivery.files.len() as u64,
                    bytes: delivery.files.iter().map(|file| file.bytes).sum(),
                },
            });
        }
        if let Some(loaded) = loaded
            && newest.is_some_and(|newest| newest < loaded)
        {
            return Err(Error::File {
                origin: batch_no.to_string(),
                message: format!(
                    "revision {loaded} of {dataset} is loaded, and the archive has only earlier ones"
                ),
                hint: Some(
                    "its delivered bytes can't be checked; `--refetch` gets the batch again".into(),
                ),
            });
        }
        Ok(())
    }

    fn refetch(&mut self, archive: &Archive) -> Result<()> {
        // By number: the last announcement that is stored, or none.
        let mut wanted: BTreeMap<BatchNo, Vec<hook::Batch>> = BTreeMap::new();
        for batch in self.stored_announcements()? {
            if self.wants(None, &batch.batch_no) {
                let of_number = wanted.entry(batch.batch_no.clone()).or_default();
                // A batch announced again takes the place of what it was.
                of_number.retain(|other| other.event_type != batch.event_type);
                of_number.push(batch);
            }
        }
        for (dataset, batch_no) in archive.batches()? {
            if self.wants(Some(&dataset), &batch_no) {
                wanted.entry(batch_no).or_default();
            }
        }
        let in_ledger: Vec<(String, BatchNo)> = self
            .ledger
            .keys()
            .filter_map(|(dataset, number)| Some((dataset.clone(), BatchNo::new(number).ok()?)))
            .collect();
        for (dataset, batch_no) in in_ledger {
            let dataset = (dataset != ledger::UNKNOWN_DATASET).then_some(dataset);
            if self.wants(dataset.as_deref(), &batch_no) {
                wanted.entry(batch_no).or_default();
            }
        }
        for (selection, taken) in self.asked.selections.iter().zip(&mut self.taken) {
            // A number that nothing is known of may still be known to the provider.
            if let Selection::Number(number) = selection {
                *taken = true;
                wanted.entry(number.clone()).or_default();
            }
        }
        let can_ask = !self.config.provider.url.is_empty();
        for (batch_no, announced) in wanted {
            if !self.was_in_time(&batch_no, &announced) {
                continue;
            }
            if announced.is_empty() && !can_ask {
                self.plan.errors.push(Error::Usage {
                    message: format!(
                        "{batch_no}: no announcement of it is stored, and no provider is configured to ask"
                    ),
                    hint: Some("set [provider] url, or have it announced again".into()),
                });
            } else if announced.is_empty() {
                let dataset = self.known_dataset(&batch_no)?;
                self.plan.batches.push(Planned {
                    batch_no,
                    dataset,
                    origin: Origin::Provider,
                });
            } else {
                for batch in announced {
                    self.plan_announced(batch)?;
                }
            }
        }
        Ok(())
    }

    fn plan_announced(&mut self, batch: hook::Batch) -> Result<()> {
        let event = batch.event_type.as_deref();
        let dataset = match self.contracts.of_event(&self.config.hook.events, event)? {
            Some(dataset) => Some(dataset),
            None => self.known_dataset(&batch.batch_no)?,
        };
        let other = self.asked.dataset.as_ref().zip(dataset.as_ref());
        if other.is_some_and(|(wanted, dataset)| wanted != dataset.name.as_str()) {
            return Ok(());
        }
        self.plan.batches.push(Planned {
            batch_no: batch.batch_no.clone(),
            dataset,
            origin: Origin::Announcement(Some(Box::new(batch))),
        });
        Ok(())
    }

    /// The command line's dataset, else the ledger's if it knows the number under one only.
    fn known_dataset(&self, batch_no: &BatchNo) -> Result<Option<Arc<Contract>>> {
        if let Some(dataset) = &self.asked.dataset {
            return Ok(Some(Arc::clone(self.contracts.require(dataset)?)));
        }
        let mut datasets = self
            .ledger
            .keys()
            .filter(|(dataset, number)| {
                number == batch_no.as_str() && dataset != ledger::UNKNOWN_DATASET
            })
            .map(|(dataset, _)| dataset);
        match (datasets.next(), datasets.next()) {
            (Some(only), None) => Ok(Some(Arc::clone(self.contracts.require(only)?))),
            _ => Ok(None),
        }
    }

    fn was_in_time(&self, batch_no: &BatchNo, announced: &[hook::Batch]) -> bool {
        if self.asked.since.is_none() && self.asked.until.is_none() {
            return true;
        }
        let announced = announced.iter().filter_map(|batch| batch.announced_at);
        let recorded = self
            .ledger
            .values()
            .filter(|record| record.entry.batch_no == batch_no.as_str())
            .map(|record| record.entry.announced_at.unwrap_or(record.written_at));
        announced
            .map(|millis| millis.saturating_mul(1000))
            .chain(recorded)
            .any(|at| self.is_in_time(at))
    }

    /// What the inbox holds, put together. What can't be understood is `run`'s business.
    fn stored_announcements(&mut self) -> Result<Vec<hook::Batch>> {
        let mut announcements = Vec::new();
        let inbox = Inbox::new(&self.config.data_dir);
        let first = inbox.first_deliveries()?;
        for (document, path) in inbox.received()?.into_iter().enumerate() {
            let bytes = match Inbox::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let error = Error::io("read the announcement", &path)(error);
                    self.plan.errors.push(error);
                    continue;
                }
            };
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if let Ok(mut parsed) = hook::parse(&name, &bytes) {
                for announcement in &mut parsed {
                    announcement.received_at = Inbox::received_at(&path);
                    announcement.document = document;
                }
                keep_first_time(&path, &first, &mut parsed);
                announcements.extend(parsed);
            }
        }
        Ok(hook::assemble(announcements)
            .into_iter()
            .filter_map(|assembled| assembled.batch.ok())
            .collect())
    }

    /// A selection that finds nothing is a mistake worth telling.
    fn report_missing(&mut self) {
        for (selection, taken) in self.asked.selections.iter().zip(&self.taken) {
            if *taken {
                continue;
            }
            let known = self.ledger.keys().any(|(_, number)| {
                BatchNo::new(number).is_ok_and(|number| selection.takes(&number))
            });
            let (message, hint) = if known {
                (
                    format!(
                        "{selection}: the ledger knows it, but its bytes are not in the archive"
                    ),
                    "`--refetch` gets it by its announcement's link or from the provider",
                )
            } else {
                (
                    format!("{selection}: no such batch is known"),
                    "see `redledger status`; `--refetch` asks the provider for a number",
                )
            };
            self.plan.errors.push(Error::Usage {
                message,
                hint: Some(hint.into()),
            });
        }
    }
}
