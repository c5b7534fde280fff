//! Rows that were not loaded, by code.

use super::{
    format::count,
    sources::{Choice, Sources},
};
use crate::{
    error::Result,
    ledger::{self, RejectionFilter, RejectionRecord},
};

/// Most rows that a code unfolds to.
const SHOWN: u64 = 100;

/// All of them.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) codes: Vec<Code>,
    /// How many were rejected, where not all were kept; else empty.
    pub(super) all: String,
}

/// A kind of fault.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) code: String,
    pub(super) rows: String,
    pub(super) shown: Vec<Row>,
    /// The command that shows the rest; empty where there is none.
    pub(super) rest: String,
}

/// A row that was not loaded.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) batch_no: String,
    pub(super) batch_link: String,
    pub(super) line: u64,
    pub(super) line_link: Option<String>,
    pub(super) field: String,
    /// Empty where cells are not to be shown: it has some.
    pub(super) message: String,
    pub(super) record: String,
    pub(super) trace: String,
}

impl Rejected {
    /// Of the latest attempts at the batches that `filter` lets through.
    pub(super) fn read(
        sources: &Sources<'_>,
        filter: &RejectionFilter,
        choice: Choice,
    ) -> Result<Self> {
        let connection = sources.connection;
        let children: Vec<(&str, &str)> = sources.contracts.children().collect();
        let counts = ledger::rejections_by_code(connection, filter, &children)?;
        let kept: u64 = counts.iter().map(|(_, rows)| rows).sum();
        let all = ledger::rows_rejected(connection, filter, &children)?;
        let mut codes = Vec::new();
        for (code, rows) in counts {
            let filter = RejectionFilter {
                code: Some(code.clone()),
                ..filter.clone()
            };
            let shown = ledger::rejections(connection, &filter, &children, SHOWN)?;
            let of_batch = filter.batch_no.as_ref();
            let rest = format!(
                "redledger rejections{} --code {code} --limit {rows}",
                of_batch.map_or_else(String::new, |batch| format!(" {batch}"))
            );
            codes.push(Code {
                rows: count(rows),
                rest: if rows > SHOWN { rest } else { String::new() },
                shown: shown
                    .into_iter()
                    .map(|of| row(of, &children, choice))
                    .collect(),
                code,
            });
        }
        Ok(Self {
            codes,
            all: if all > kept {
                count(all)
            } else {
                String::new()
            },
        })
    }
}

fn row(of: RejectionRecord, children: &[(&str, &str)], choice: Choice) -> Row {
    let owner = children
        .iter()
        .find(|(child, _)| *child == of.dataset)
        .map_or(&*of.dataset, |(_, parent)| parent);
    let cells = |text: String| if choice.records { text } else { String::new() };
    Row {
        batch_link: choice.links.batch(owner, &of.batch_no),
        batch_no: of.batch_no,
        line: of.line,
        line_link: choice.links.line(of.file_id, of.line),
        field: of.field.unwrap_or_default(),
        message: cells(of.message),
        record: cells(of.record),
        trace: format!("redledger trace {}:{}", of.file_id, of.line),
    }
}
