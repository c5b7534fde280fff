//! What is written down of a batch: in the archive before the commit, in the ledger with it.

use std::sync::Arc;

use super::{
    context::LoadContext,
    failure::Failure,
    identify::Identified,
    judge::{Judged, Verdict},
    outcome::{Ending, Outcome},
    record::Record,
};
use crate::{
    archive::DeliveryOutcome,
    batch::Batch,
    clock,
    contract::Contract,
    error::{ExitStatus, FailedState, Result},
    history::{Refusal, Standing},
    ledger::{self},
    warehouse::{BatchTransaction, Warehouse},
};

impl LoadContext<'_> {
    /// Carries out the verdict; `transaction` holds the batch's rows.
    pub(super) fn settle(
        &self,
        transaction: BatchTransaction<'_>,
        batch: &Batch,
        identified: &Identified,
        (judged, verdict): (Judged, Verdict),
    ) -> Result<Settled> {
        match verdict {
            Verdict::Load => self.load_it(transaction, batch, identified, judged),
            Verdict::Unchanged => {
                transaction.rollback();
                self.keep_what_is_missing(batch, identified, &judged)?;
                Ok(Settled::Unchanged(judged))
            }
            Verdict::NotLoaded(failure) => {
                transaction.rollback();
                Ok(Settled::NotLoaded(judged, failure))
            }
        }
    }

    fn load_it(
        &self,
        transaction: BatchTransaction<'_>,
        batch: &Batch,
        identified: &Identified,
        mut judged: Judged,
    ) -> Result<Settled> {
        let Identified {
            contract, standing, ..
        } = identified;
        let revision = match &batch.replay {
            None => standing.revision_of(&judged.known_by()),
            Some(replay) => standing.revision_of_replay(replay.revision, replay.foreign),
        };
        let dataset = contract.name.as_str();
        let batch_no = batch.batch_no.as_str();
        let connection = transaction.connection();
        if standing.loaded().is_some() {
            let removed = transaction.delete_revision(dataset, batch_no)?;
            // With tables that no contract of the batch declares any more nothing was compared.
            let undeclared = removed
                .into_iter()
                .filter(|(table, _)| identified.contracts().all(|of| of.name.as_str() != table))
                .map(|(_, rows)| rows);
            let difference = judged.difference.get_or_insert_default();
            difference.removed += undeclared.sum::<u64>();
            ledger::supersede(connection, dataset, batch_no)?;
        }
        if standing.attempt().is_some() {
            ledger::forget_attempts(
                connection,
                &identified.datasets(),
                batch_no,
                standing.highest() + 1,
            )?;
        }
        let record = Record::of(batch, dataset, &self.run_id, revision, Some(&judged), None);
        record.write(&transaction)?;
        // Before the commit: a batch that is loaded can always be loaded again.
        self.keep(
            batch,
            standing,
            contract,
            &judged,
            revision,
            DeliveryOutcome::Loaded,
        )?;
        transaction.commit()?;
        let exit = match record.entry.rows_rejected {
            0 => ExitStatus::Success,
            _ => ExitStatus::Attention,
        };
        let files = judged.files().count();
        let outcome = Outcome {
            difference: record.entry.difference,
            message: record.entry.message.clone(),
            exit,
            written: true,
            ..record.outcome(Ending::Loaded)
        };
        Ok(Settled::Loaded(Box::new(outcome), files))
    }

    /// What is loaded was announced again: the attempts at something else are over, and the announcement counts. Some
    /// pages of it end nothing, for they may be of something newer whose other pages are under way.
    pub(super) fn unchanged(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
        identified: &Identified,
        judged: &Judged,
    ) -> Result<Outcome> {
        let standing = &identified.standing;
        let dataset = identified.contract.name.as_str();
        let batch_no = batch.batch_no.as_str();
        let newest = batch.acceptance.at.max(watermark_of(batch));
        let is_replay = batch.replay.is_some();
        let is_whole = !judged.is_part;
        let is_stable = batch.acceptance.is_stable && is_whole;
        let is_news = is_stable && standing.watermark() < Some(newest);
        // Loading again what is loaded must not forget a later attempt.
        let is_over = standing.attempt().is_some() && !is_replay && is_whole;
        if is_news || is_over {
            let transaction = warehouse.begin()?;
            let connection = transaction.connection();
            if is_over {
                ledger::forget_attempts(
                    connection,
                    &identified.datasets(),
                    batch_no,
                    standing.highest() + 1,
                )?;
            }
            if is_news {
                ledger::advance(connection, dataset, batch_no, newest)?;
            }
            transaction.commit()?;
            if is_over {
                warehouse.forget_file_ids();
            }
        }
        let revision = standing.loaded().map(|loaded| loaded.revision);
        if is_news && let Some(revision) = revision {
            let archive = &self.feed.archive;
            if standing.is_archived(revision) {
                archive.advance(dataset, &batch.batch_no, revision, newest)?;
            }
        }
        let record = Record::of(batch, dataset, &self.run_id, 0, Some(judged), None);
        Ok(Outcome {
            revision,
            rows_loaded: 0,
            written: is_news || is_over,
            ..record.outcome(Ending::Unchanged)
        })
    }

    /// Something else stands and stays.
    pub(super) fn refused(
        &self,
        batch: &Batch,
        dataset: &str,
        standing: &Standing,
        refusal: &Refusal,
    ) -> Outcome {
        let is_surprising = batch.replay.is_none() && (batch.by_hand || !refusal.is_in_order());
        let record = Record::of(batch, dataset, &self.run_id, 0, None, None);
        Outcome {
            revision: standing.loaded().map(|loaded| loaded.revision),
            message: Some(refusal.in_words()),
            hint: is_surprising.then(|| {
                "if its content is right all the same, give it by hand as a CSV with --batch-no, or have it announced anew"
                    .to_owned()
            }),
            exit: match is_surprising {
                true => ExitStatus::Attention,
                false => ExitStatus::Success,
            },
            ..record.outcome(Ending::Unchanged)
        }
    }

    /// There is nothing to load and nothing that says into what.
    pub(super) fn nothing(&self, batch: &Batch) -> Outcome {
        let record = Record::of(batch, ledger::UNKNOWN_DATASET, &self.run_id, 0, None, None);
        Outcome {
            message: Some("the batch is empty and nothing says which dataset it is of".into()),
            ..record.outcome(Ending::Unchanged)
        }
    }

    /// Writes down why nothing of a batch is loaded, unless the ledger says it already.
    pub(super) fn not_loaded(
        &self,
        warehouse: &mut Warehouse,
        batch: &Batch,
        contract: Option<&Arc<Contract>>,
        judged: Option<&Judged>,
        failure: Failure,
    ) -> Result<Outcome> {
        let dataset = contract.map_or(ledger::UNKNOWN_DATASET, |of| of.name.as_str());
        let archive = &self.feed.archive;
        let entries = warehouse.entries_of(batch.batch_no.as_str())?;
        let standing = Standing::of(entries, archive, dataset, &batch.batch_no)?;
        let revision = match &batch.replay {
            Some(replay) => standing.revision_of_replay(replay.revision, replay.foreign),
            None => standing.next_revision(),
        };
        if failure.state == FailedState::Failed
            && let Some((contract, judged)) = contract.zip(judged)
        {
            self.keep(
                batch,
                &standing,
                contract,
                judged,
                revision,
                DeliveryOutcome::Failed,
            )?;
        }
        let record = Record::of(
            batch,
            dataset,
            &self.run_id,
            revision,
            judged,
            Some(&failure),
        );
        // Nobody knows what to load: that is for who made the call, not for the books, unless nobody did.
        let is_for_the_books =
            contract.is_some() || !batch.by_hand || failure.exit != ExitStatus::Fault;
        let written = is_for_the_books && !record.is_said(standing.attempt());
        if written {
            let child = self.contracts.child_of(dataset);
            let datasets: Vec<&str> = std::iter::once(dataset)
                .chain(child.map(|child| child.name.as_str()))
                .collect();
            let transaction = warehouse.begin()?;
            if standing.attempt().is_some() {
                ledger::forget_attempts(
                    transaction.connection(),
                    &datasets,
                    batch.batch_no.as_str(),
                    standing.highest() + 1,
                )?;
            }
            record.write(&transaction)?;
            transaction.commit()?;
            warehouse.forget_file_ids();
        }
        let ending = match failure.state {
            FailedState::Failed | FailedState::Held => Ending::Failed,
            FailedState::Waiting => Ending::Waiting,
            FailedState::Expired => Ending::Expired,
        };
        let is_over = match failure.state {
            FailedState::Failed => failure.exit == ExitStatus::Attention,
            FailedState::Expired => !self.may_come_yet(batch),
            FailedState::Waiting | FailedState::Held => false,
        };
        let for_a_person = failure.needs_a_person_meanwhile();
        let exit = match failure.state {
            _ if batch.by_hand => failure.exit,
            // Nobody is woken up twice for what waits for somebody.
            _ if for_a_person && !written => ExitStatus::Success,
            _ if for_a_person => ExitStatus::Attention,
            FailedState::Expired if is_over => ExitStatus::Attention,
            _ => failure.exit,
        };
        Ok(Outcome {
            message: Some(failure.message),
            hint: failure.hint,
            exit,
            is_over,
            written,
            ..record.outcome(ending)
        })
    }

    /// Whether a file that is not there may be put there late: its announcement is young.
    fn may_come_yet(&self, batch: &Batch) -> bool {
        let age = clock::now().saturating_sub(batch.acceptance.at);
        let patience = self.feed.download.retry_gone_for.as_micros();
        u128::try_from(age).is_ok_and(|age| age < patience)
    }

    /// What an archive could not give is no part of the batch's history: it is said, and not written down.
    pub(super) fn not_replayed(
        &self,
        batch: &Batch,
        contract: Option<&Arc<Contract>>,
        failure: Failure,
    ) -> Outcome {
        let dataset = contract.map_or(ledger::UNKNOWN_DATASET, |of| of.name.as_str());
        let revision = batch.replay.as_ref().map_or(0, |replay| replay.revision);
        let record = Record::of(batch, dataset, &self.run_id, revision, None, Some(&failure));
        Outcome {
            message: Some(failure.message),
            hint: failure.hint,
            exit: failure.exit,
            ..record.outcome(Ending::Failed)
        }
    }
}

/// What the transaction came to.
pub(super) enum Settled {
    /// It was committed, with so many files.
    Loaded(Box<Outcome>, usize),
    /// It was rolled back: the same content is loaded.
    Unchanged(Judged),
    /// It was rolled back, and why.
    NotLoaded(Judged, Failure),
}

fn watermark_of(batch: &Batch) -> i64 {
    let replay = batch.replay.as_ref();
    replay
        .and_then(|replay| replay.watermark)
        .unwrap_or(i64::MIN)
}
