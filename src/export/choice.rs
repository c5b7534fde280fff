//! Which batches are exported, and which a consumer has to delete first.

use std::collections::BTreeSet;

use crate::{archive::WithdrawnRevision, ledger::StandingBatch};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Every batch.
    All,
    /// The one of this number.
    Batch(String),
    /// What was accepted at or after this time (epoch microseconds), and what a rollback has put back since.
    Since(i64),
}

/// Batches of a dataset, by what is to be done with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Those whose rows are exported, in the order of their acceptance.
    pub(crate) batches: Vec<StandingBatch>,
    /// Those of which a consumer may have rows that stand no more.
    pub(crate) obsolete: Vec<Obsolete>,
    /// Those that were accepted before the time asked for and loaded after it: an earlier export has not had them.
    pub(crate) late: Vec<StandingBatch>,
}

/// A batch whose earlier rows are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obsolete {
    pub(crate) batch_no: String,
    /// The revision that stands; `None`: none does.
    pub(crate) revision: Option<i32>,
    /// Whether a rollback has withdrawn what stood; else it was replaced.
    pub(crate) is_withdrawn: bool,
}

impl Choice {
    /// Of `standing`, which are a dataset's, and of what rollbacks have `withdrawn` of it.
    pub(crate) fn make(
        wanted: &Wanted,
        standing: Vec<StandingBatch>,
        withdrawn: &[WithdrawnRevision],
    ) -> Self {
        let mut choice = Self::default();
        let withdrawn: BTreeSet<&str> = withdrawn
            .iter()
            .filter(|of| is_wanted(wanted, of.batch_no.as_str(), of.withdrawn_at_us))
            .map(|of| of.batch_no.as_str())
            .collect();
        let mut gone = withdrawn.clone();
        for batch in standing {
            let is_withdrawn = withdrawn.contains(&*batch.batch_no);
            // A consumer deletes a withdrawn batch: what stands of it now is what it wants in its place.
            if is_withdrawn || is_wanted(wanted, &batch.batch_no, batch.accepted_at) {
                gone.remove(&*batch.batch_no);
                if is_withdrawn || batch.revision > 1 {
                    choice.obsolete.push(Obsolete {
                        batch_no: batch.batch_no.clone(),
                        revision: Some(batch.revision),
                        is_withdrawn,
                    });
                }
                choice.batches.push(batch);
            } else if is_wanted(wanted, &batch.batch_no, batch.loaded_at) {
                choice.late.push(batch);
            }
        }
        let gone = gone.into_iter().map(|batch_no| Obsolete {
            batch_no: batch_no.to_owned(),
            revision: None,
            is_withdrawn: true,
        });
        choice.obsolete.extend(gone);
        if *wanted == Wanted::All {
            // Whoever takes all has nothing else.
            choice.obsolete.clear();
        }
        choice
    }
}

fn is_wanted(wanted: &Wanted, batch_no: &str, at: i64) -> bool {
    match wanted {
        Wanted::All => true,
        Wanted::Batch(number) => number == batch_no,
        Wanted::Since(since) => at >= *since,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_no::BatchNo;

    fn standing(batch_no: &str, revision: i32, accepted_at: i64, loaded_at: i64) -> StandingBatch {
        StandingBatch {
            dataset: "d".into(),
            batch_no: batch_no.into(),
            revision,
            accepted_at,
            loaded_at,
            rows_read: 0,
            rows_loaded: 0,
            rows_rejected: 0,
        }
    }

    fn withdrawn(batch_no: &str, withdrawn_at_us: i64) -> WithdrawnRevision {
        WithdrawnRevision {
            dataset: "d".into(),
            batch_no: BatchNo::new(batch_no).expect("a number"),
            revision: 2,
            accepted_at_us: None,
            withdrawn_at_us,
        }
    }

    #[test]
    fn what_is_new_replaced_put_back_or_gone_is_told_apart() {
        let all = vec![
            standing("OLD", 2, 1, 1),
            standing("LATE", 1, 2, 20),
            standing("PUT_BACK", 1, 3, 3),
            standing("NEW", 1, 10, 11),
            standing("REPLACED", 3, 12, 12),
        ];
        let rolled_back = [
            withdrawn("PUT_BACK", 15),
            withdrawn("GONE", 15),
            withdrawn("OLD", 5),
        ];
        let choice = Choice::make(&Wanted::Since(10), all.clone(), &rolled_back);
        let names = |of: &[StandingBatch]| -> Vec<String> {
            of.iter().map(|of| of.batch_no.clone()).collect()
        };
        assert_eq!(names(&choice.batches), ["PUT_BACK", "NEW", "REPLACED"]);
        assert_eq!(names(&choice.late), ["LATE"]);
        let obsolete: Vec<_> = choice
            .obsolete
            .iter()
            .map(|of| (of.batch_no.as_str(), of.revision, of.is_withdrawn))
            .collect();
        assert_eq!(
            obsolete,
            [
                ("PUT_BACK", Some(1), true),
                ("REPLACED", Some(3), false),
                ("GONE", None, true)
            ]
        );

        let whole = Choice::make(&Wanted::All, all.clone(), &rolled_back);
        assert_eq!(
            (whole.batches.len(), whole.obsolete.len(), whole.late.len()),
            (5, 0, 0)
        );
        let one = Choice::make(&Wanted::Batch("REPLACED".into()), all, &rolled_back);
        assert_eq!(names(&one.batches), ["REPLACED"]);
        assert_eq!((one.obsolete.len(), one.late.len()), (1, 0));
    }
}
