//! How an attempt at a batch ended, and what makes it fail.

use super::{attempt::Attempt, feed::FedFile};
use crate::{
    contract::Contract,
    error::{Error, ExitStatus, FailedState, Result},
    load::Totals,
};

/// How it ended.
pub(super) enum Verdict {
    /// Its rows are in the table.
    Loaded,
    /// The same content is loaded already.
    Unchanged,
    /// Nothing of it is loaded.
    NotLoaded {
        state: FailedState,
        exit: ExitStatus,
        message: String,
        hint: Option<String>,
    },
}

impl Verdict {
    fn failed(message: String, hint: Option<&str>) -> Self {
        Self::NotLoaded {
            state: FailedState::Failed,
            exit: ExitStatus::Attention,
            message,
            hint: hint.map(str::to_owned),
        }
    }

    pub(super) fn waiting(message: String) -> Self {
        Self::NotLoaded {
            state: FailedState::Waiting,
            exit: ExitStatus::Incomplete,
            message,
            hint: Some(
                "`run` loads it once they are announced; to `ingest`, give all its pages in one call"
                    .into(),
            ),
        }
    }

    /// The verdict of an error that concerns this batch alone; other errors come back.
    pub(super) fn of_error(error: Error) -> Result<Self> {
        let state = match &error {
            Error::Fetch(fetch) => fetch.kind.policy().state,
            Error::File { .. } | Error::Announcement { .. } | Error::Settings { .. } => {
                FailedState::Failed
            }
            // A broken invariant or too little memory for this batch says nothing about the next one.
            Error::Internal(_) => FailedState::Failed,
            Error::Database { source, .. } if source.to_string().starts_with("Out of Memory") => {
                FailedState::Failed
            }
            _ => return Err(error),
        };
        Ok(Self::NotLoaded {
            state,
            exit: error.exit_status(),
            message: error.chain(),
            hint: error.hint().map(str::to_owned),
        })
    }
}

impl Attempt {
    pub(super) fn wrong_total(&self, total: u64, pages_incomplete: bool) -> Verdict {
        let read = self.own_read();
        let message = format!("{read} rows delivered where {total} were announced");
        if pages_incomplete && read < total {
            return Verdict::waiting(format!("{message}; further pages are not announced yet"));
        }
        Verdict::failed(
            message,
            Some("the file or the announcement is wrong: ask for the batch to be announced again"),
        )
    }

    pub(super) fn wrong_line_totals(&mut self, fed: &[FedFile]) -> Option<Verdict> {
        let stated: Vec<&FedFile> = fed
            .iter()
            .filter(|file| file.expected_rows.is_some())
            .collect();
        // A cell may state any number.
        let expected = stated
            .iter()
            .filter_map(|file| file.expected_rows)
            .fold(0, u64::saturating_add);
        let actual: u64 = stated.iter().map(|file| file.read).sum();
        let wrong: Vec<&&FedFile> = stated
            .iter()
            .filter(|file| file.expected_rows != Some(file.read))
            .collect();
        if !stated.is_empty() {
            let mut control = crate::load::control(crate::load::LINE_TOTAL, expected, actual);
            control.passed = wrong.is_empty();
            self.controls.push(control);
        }
        self.rows_expected = self.rows_expected.map(|rows| rows.saturating_add(expected));
        let first = wrong.first()?;
        Some(Verdict::failed(
            format!(
                "{} of {} bills have another number of lines than their `total`; the first is {}: {} lines where {} were stated",
                wrong.len(),
                stated.len(),
                first.url,
                first.read,
                first.expected_rows.unwrap_or_default()
            ),
            Some("ask for the batch to be announced again"),
        ))
    }

    pub(super) fn too_many_rejected(&self, contract: &Contract) -> Option<Verdict> {
        let name = Some(contract.name.as_str());
        let (rejected, read) = (
            self.sum(name, |file| file.rows_rejected),
            self.sum(name, |file| file.rows_read),
        );
        contract.max_rejected.is_exceeded(rejected, read).then(|| {
            let sample = self.rejections.first().map(|first| {
                let field = first
                    .field
                    .as_ref()
                    .map(|field| format!("field `{field}`: "))
                    .unwrap_or_default();
                format!(
                    "; the first, line {}: {field}{} [{}]",
                    first.line, first.message, first.code
                )
            });
            Verdict::failed(
                format!(
                    "{rejected} of {read} rows rejected where `{}` allows {} (max_rejected){}",
                    contract.name,
                    contract.max_rejected,
                    sample.unwrap_or_default()
                ),
                Some("see `redledger rejections` for the rows"),
            )
        })
    }

    /// Compares the recount with the books: what was read is loaded or rejected, nothing else.
    pub(super) fn check_totals(
        &mut self,
        contract: &Contract,
        totals: Totals,
    ) -> Result<Option<Verdict>> {
        let name = Some(contract.name.as_str());
        let read = self.sum(name, |file| file.rows_read);
        let rejected = self.sum(name, |file| file.rows_rejected);
        let accounted = totals.rows + rejected;
        self.controls.push(crate::load::control(
            crate::load::accounted(contract.name.as_str()),
            read,
            accounted,
        ));
        self.controls.extend(totals.controls);
        if accounted != read {
            return Err(Error::Internal(format!(
                "{}: {read} rows read, but {} loaded and {rejected} rejected",
                contract.name, totals.rows
            )));
        }
        Ok(totals.enforced.first().map(|(name, broken)| {
            Verdict::failed(
                format!("{broken} rows break the control `{name}`, which is enforced"),
                None,
            )
        }))
    }
}
