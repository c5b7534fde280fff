//! All contracts in force: the shipped ones and the user's own, and which of them a header fits.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Contract, CsvFormat, FieldType, shown::Shown};
use crate::error::{Error, Result};

/// The contracts compiled into the program.
const SHIPPED: [(&str, &str); 4] = [
    (
        "account_negative",
        include_str!("../../config/datasets/account_negative.toml"),
    ),
    (
        "account_negative_bill",
        include_str!("../../config/datasets/account_negative_bill.toml"),
    ),
    (
        "account_negative_bill_line",
        include_str!("../../config/datasets/account_negative_bill_line.toml"),
    ),
    (
        "account_repayment",
        include_str!("../../config/datasets/account_repayment.toml"),
    ),
];

/// A contract as it is written, before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractText {
    /// Its file, for messages.
    pub place: String,
    /// The TOML.
    pub text: String,
    /// Whether it came with the program.
    pub shipped: bool,
}

impl ContractText {
    /// The shipped contracts, then every `*.toml` of `directory` by name: a later one replaces an earlier one of the same name.
    ///
    /// # Errors
    /// [`Error::Settings`] for a folder that can't be read, [`Error::Io`] for a file.
    pub fn all(directory: Option<&Path>) -> Result<Vec<Self>> {
        let shipped = SHIPPED.iter().map(|(name, text)| Self {
            place: format!("(shipped) {name}.toml"),
            text: (*text).to_owned(),
            shipped: true,
        });
        let mut all: Vec<Self> = shipped.collect();
        for path in directory.map(toml_files).transpose()?.unwrap_or_default() {
            all.push(Self::read(&path)?);
        }
        Ok(all)
    }

    /// The contract file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read the contract", path))?;
        Ok(Self {
            place: path.display().to_string(),
            text,
            shipped: false,
        })
    }

    /// What it declares.
    ///
    /// # Errors
    /// [`Error::Settings`] with file, line and a hint.
    pub fn parse(&self) -> Result<Contract> {
        Contract::parse(&self.place, &self.text)
    }
}

/// All contracts in force, by dataset name.
#[derive(Debug, Clone)]
pub struct Contracts(BTreeMap<String, Arc<Contract>>);

impl Contracts {
    /// The shipped contracts, then those of `directory` (every `*.toml`), which add to or replace them.
    ///
    /// # Errors
    /// [`Error::Settings`] for a mistake in a contract or between two, [`Error::Io`] for an unreadable file.
    pub fn load(directory: Option<&Path>) -> Result<Self> {
        let mut contracts = BTreeMap::new();
        for text in ContractText::all(directory)? {
            let contract = text.parse()?;
            contracts.insert(contract.name.to_string(), Arc::new(contract));
        }
        Self::joined(contracts)
    }

    /// Contracts that go together.
    ///
    /// # Errors
    /// [`Error::Settings`] when one names as its parent what can't be.
    pub fn joined(contracts: BTreeMap<String, Arc<Contract>>) -> Result<Self> {
        let contracts = Self(contracts);
        contracts.check_parents()?;
        Ok(contracts)
    }

    fn check_parents(&self) -> Result<()> {
        for contract in self.0.values() {
            let Some(parent) = &contract.parent else {
                continue;
            };
            let wrong = |message: String| Error::Settings {
                place: format!("contract `{}`, [parent]", contract.name),
                message,
                hint: None,
            };
            let Some(of) = self.0.get(&parent.dataset) else {
                return Err(wrong(format!("there is no dataset `{}`", parent.dataset)));
            };
            let url = of
                .field_index(&parent.url_field)
                .map(|index| &of.fields[index].kind);
            if url != Some(&FieldType::Url) {
                return Err(wrong(format!(
                    "`{}` is not a url field of `{}`",
                    parent.url_field, of.name
                )));
            }
            if let Some(rows) = &parent.rows_field {
                let kind = of.field_index(rows).map(|index| &of.fields[index].kind);
                if !matches!(kind, Some(FieldType::Integer { .. })) {
                    return Err(wrong(format!(
                        "`{rows}` is not an integer field of `{}`",
                        of.name
                    )));
                }
            }
            for inherited in &parent.inherit {
                if of.field_index(&inherited.field).is_none() {
                    return Err(wrong(format!(
                        "`{}` is not a field of `{}`",
                        inherited.field, of.name
                    )));
                }
            }
            if self.0.values().any(|other| {
                other.name != contract.name
                    && other
                        .parent
                        .as_ref()
                        .is_some_and(|p| p.dataset == parent.dataset)
            }) {
                return Err(wrong(format!(
                    "`{}` already names the files of another dataset",
                    parent.dataset
                )));
            }
        }
        Ok(())
    }

    /// The contract of `dataset`.
    #[must_use]
    pub fn get(&self, dataset: &str) -> Option<&Arc<Contract>> {
        self.0.get(dataset)
    }

    /// All contracts, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.0.values()
    }

    /// Each dataset whose files the rows of another name, and that other.
    pub fn children(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|contract| {
            let parent = contract.parent.as_ref()?;
            Some((contract.name.as_str(), parent.dataset.as_str()))
        })
    }

    /// The dataset whose files the rows of `dataset` name.
    #[must_use]
    pub fn child_of(&self, dataset: &str) -> Option<&Arc<Contract>> {
        self.iter().find(|contract| {
            contract
                .parent
                .as_ref()
                .is_some_and(|parent| parent.dataset == dataset)
        })
    }

    /// The one dataset that a file with this header (or a list with these keys) belongs to. A contract that
    /// requires nothing would fit any file: it is never the one.
    ///
    /// # Errors
    /// [`Error::Announcement`] that names the candidates and what each lacks, when none or several fit.
    pub fn detect(&self, origin: &str, header: &[String]) -> Result<&Arc<Contract>> {
        self.detect_split(origin, header, |_| header.to_vec())
    }

    /// The same for a file, whose header each contract finds and splits in its own way: `split` does that, and
    /// `header` is what to show.
    ///
    /// # Errors
    /// As [`Contracts::detect`].
    pub fn detect_split(
        &self,
        origin: &str,
        header: &[String],
        split: impl Fn(&CsvFormat) -> Vec<String>,
    ) -> Result<&Arc<Contract>> {
        let of_their_own = || self.iter().filter(|contract| contract.parent.is_none());
        let candidates: Vec<_> = of_their_own()
            .filter(|contract| contract.can_be_detected())
            .map(|contract| {
                let header = split(&contract.csv);
                (contract, contract.missing_from(&header))
            })
            .collect();
        let fitting: Vec<_> = candidates
            .iter()
            .filter(|(_, missing)| missing.is_empty())
            .collect();
        match fitting.as_slice() {
            [(contract, _)] => Ok(contract),
            [] => {
                let lacks = candidates.iter().map(|(contract, missing)| {
                    format!("{} lacks {}", contract.name, missing.join(", "))
                });
                let undetected = of_their_own()
                    .filter(|contract| !contract.can_be_detected())
                    .map(|contract| {
                        format!("{} requires no field and must be named", contract.name)
                    });
                let lacks: Vec<String> = lacks.chain(undetected).collect();
                let declared = self.iter().flat_map(|contract| contract.names()).collect();
                let shown = Shown::new(header, declared);
                Err(Error::Announcement {
                    origin: origin.into(),
                    message: format!(
                        "no dataset fits the columns {}: {}",
                        shown.cells(),
                        lacks.join("; ")
                    ),
                    hint: Some(
                        "name it with --dataset, or map its eventType under [hook.events]".into(),
                    ),
                })
            }
            several => Err(Error::Announcement {
                origin: origin.into(),
                message: format!(
                    "more than one dataset fits the columns: {}",
                    several
                        .iter()
                        .map(|(contract, _)| contract.name.to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                hint: Some(
                    "name it with --dataset, or map its eventType under [hook.events]".into(),
                ),
            }),
        }
    }

    /// The contract of `name`, if batches of it are announced by themselves.
    ///
    /// # Errors
    /// As [`Self::require`]; [`Error::Usage`] for a dataset whose files rows of another one name.
    pub fn announced(&self, name: &str) -> Result<Arc<Contract>> {
        let contract = self.require(name)?;
        match &contract.parent {
            None => Ok(Arc::clone(contract)),
            Some(parent) => Err(Error::Usage {
                message: format!(
                    "`{name}` has no batches of its own: rows of `{}` name its files",
                    parent.dataset
                ),
                hint: Some(format!("ingest the batch of `{}`", parent.dataset)),
            }),
        }
    }

    /// The dataset that `events` says an announcement of this type is of, if it says one.
    ///
    /// # Errors
    /// As [`Self::announced`].
    pub fn of_event(
        &self,
        events: &BTreeMap<String, String>,
        event_type: Option<&str>,
    ) -> Result<Option<Arc<Contract>>> {
        let configured = event_type.and_then(|event| events.get(event));
        configured.map(|name| self.announced(name)).transpose()
    }

    /// That every dataset which settings name is one that is announced.
    ///
    /// # Errors
    /// [`Error::Settings`] when one is not.
    pub fn check_announced<'n>(
        &self,
        named: impl IntoIterator<Item = (&'n String, &'n String)>,
        section: &str,
    ) -> Result<()> {
        for (key, dataset) in named {
            self.announced(dataset).map_err(|error| Error::Settings {
                place: format!("[{section}] `{key}`"),
                message: error.to_string(),
                hint: error.hint().map(str::to_owned),
            })?;
        }
        Ok(())
    }

    /// The contract of `dataset`, or an error that lists what there is.
    ///
    /// # Errors
    /// [`Error::Usage`] with the nearest name.
    pub fn require(&self, dataset: &str) -> Result<&Arc<Contract>> {
        self.get(dataset).ok_or_else(|| Error::Usage {
            message: format!(
                "there is no dataset `{dataset}`; there are {}",
                self.0
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            hint: crate::toml_file::nearest(dataset, self.0.keys().map(String::as_str))
                .map(|name| format!("did you mean `{name}`?")),
        })
    }
}

/// The `*.toml` files of a directory, by name.
fn toml_files(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let failed = |error: std::io::Error| Error::Settings {
        place: "datasets_dir".into(),
        message: format!("{} can't be read: {error}", directory.display()),
        hint: None,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
