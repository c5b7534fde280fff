//! `redledger status [BATCH]`

mod details;
mod waiting;
mod words;

use duckdb::Connection;
use serde_json::Value;

use self::{
    details::{Details, describe},
    words::{dataset_shown, explained, is_open, what_to_do},
};
use super::{
    context::Context,
    output::{self, Table, age, iso, say},
};
use crate::{
    archive::Archive,
    cli::{Format, Status},
    clock,
    error::{Error, ExitStatus, Result},
    history,
    inbox::Inbox,
    ledger::{self, BatchRecord, State},
    run::{self, Late},
    toml_file, warehouse,
};

const COLUMNS: [&str; 20] = [
    "dataset",
    "batch_no",
    "revision",
    "state",
    "loaded_revision",
    "rows_expected",
    "rows_read",
    "rows_loaded",
    "rows_rejected",
    "rows_added",
    "rows_removed",
    "rows_changed",
    "files",
    "bytes",
    "content_hash",
    "announced_at",
    "loaded_at",
    "run_id",
    "message",
    "details",
];

pub(super) fn run(context: &Context, arguments: &Status) -> Result<ExitStatus> {
    let format = arguments.read.format;
    let dataset = arguments.dataset.as_deref();
    let connection = warehouse::open_reading(&context.config.warehouse_path())?;
    match (&connection, &arguments.batch) {
        (Some(connection), Some(batch)) => one(context, connection, batch, dataset, format)?,
        (None, Some(batch)) => return Err(unknown(batch, &[])),
        (_, None) => {
            let mut late = run::late(
                &context.config,
                &context.contracts,
                connection.as_ref(),
                clock::now(),
            )?;
            late.retain(|late| dataset.is_none_or(|dataset| late.dataset == dataset));
            all(context, connection.as_ref(), dataset, &late, format)?;
            if dataset.is_none() && format == Format::Table {
                waiting::say(&Inbox::new(&context.config.data_dir))?;
            }
            if arguments.strict && !late.is_empty() {
                return Ok(ExitStatus::Attention);
            }
        }
    }
    Ok(ExitStatus::Success)
}

fn all(
    context: &Context,
    connection: Option<&Connection>,
    dataset: Option<&str>,
    late: &[Late],
    format: Format,
) -> Result<()> {
    let mut batches = match connection {
        Some(connection) => ledger::batches(connection, dataset)?,
        None => Vec::new(),
    };
    let known = batches.len();
    if let Some(connection) = connection {
        leave_out_dismissed(context, connection, &mut batches)?;
    }
    let dismissed = known - batches.len();
    newest_first(&mut batches);
    if let Some(dataset) = dataset
        && known == 0
    {
        context.contracts.require(dataset)?;
    }
    if batches.is_empty() {
        context.say_nothing_loaded();
    }
    if format != Format::Table {
        let mut table = full(&batches);
        late.iter().for_each(|late| table.push(late_row(late)));
        return table.without(&["details"]).print(format);
    }
    let dismissed = (dismissed > 0).then(|| format!("{dismissed} dismissed, not listed"));
    if batches.is_empty() {
        late.iter().for_each(|late| say!("{}", late.in_words()));
        dismissed.iter().for_each(|said| say!("{said}"));
        return Ok(());
    }
    let now = clock::now();
    let mut table = Table::new(&[
        "batch", "dataset", "state", "rev", "rows", "rejected", "age",
    ])
    .shortening(&[("dataset", 16)])
    .dropping(&["rev", "age", "dataset"]);
    for BatchRecord {
        entry, written_at, ..
    } in &batches
    {
        table.push([
            entry.batch_no.clone().into(),
            dataset_shown(&entry.dataset).into(),
            entry.state.as_str().into(),
            entry.revision.into(),
            entry.rows_loaded.into(),
            entry.rows_rejected.into(),
            age(*written_at, now).into(),
        ]);
    }
    table.print(format)?;
    say!("");
    for batch in batches.iter().filter(|batch| is_open(batch)) {
        let entry = &batch.entry;
        let (number, state) = (&entry.batch_no, entry.state.as_str());
        output::say_wrapped(&format!("{number} {state}: {}", explained(batch)));
        if let Some(what) = what_to_do(context, batch) {
            output::say_wrapped(&format!("  to do: {what}"));
        }
    }
    late.iter().for_each(|late| say!("{}", late.in_words()));
    let dismissed = dismissed.map_or_else(String::new, |said| format!("; {said}"));
    say!("{}{dismissed}", summary(&batches));
    Ok(())
}

/// Of what a person has dismissed, what is loaded all the same is listed.
fn leave_out_dismissed(
    context: &Context,
    connection: &Connection,
    batches: &mut Vec<BatchRecord>,
) -> Result<()> {
    let dismissed = Archive::new(&context.config.data_dir).dismissed()?;
    history::mark_dismissed(batches, &dismissed);
    let mut loaded = Vec::new();
    for batch in batches.iter() {
        if batch.entry.state == State::Dismissed && batch.loaded_revision.is_some() {
            let (number, dataset) = (&batch.entry.batch_no, &batch.entry.dataset);
            let revisions = ledger::revisions(connection, number, Some(dataset))?;
            loaded.extend(
                revisions
                    .into_iter()
                    .find(|of| of.entry.state == State::Loaded),
            );
        }
    }
    batches.retain(|of| of.entry.state != State::Dismissed);
    batches.append(&mut loaded);
    Ok(())
}

/// By dataset, and within one by number, the newest first: `B10` is newer than `B9`.
fn newest_first(batches: &mut [BatchRecord]) {
    batches.sort_by(|a, b| {
        let (a, b) = (&a.entry, &b.entry);
        a.dataset
            .cmp(&b.dataset)
            .then_with(|| in_parts(&b.batch_no).cmp(&in_parts(&a.batch_no)))
            .then_with(|| b.batch_no.cmp(&a.batch_no))
    });
}

/// Text and numbers in turn; of a number the digits behind its zeros, the longer ones being larger.
fn in_parts(number: &str) -> Vec<(usize, &str)> {
    let bytes = number.as_bytes();
    let is_digit = |at: usize| bytes[at].is_ascii_digit();
    let mut parts = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        let len = (from..bytes.len()).take_while(|at| is_digit(*at) == is_digit(from));
        let part = &number[from..from + len.count()];
        from += part.len();
        let digits = part.trim_start_matches('0');
        parts.push(match part.as_bytes()[0].is_ascii_digit() {
            true => (digits.len(), digits),
            false => (0, part),
        });
    }
    parts
}

/// `7 batches: 1 failed, 6 loaded (2 with rejected rows)`.
fn summary(batches: &[BatchRecord]) -> String {
    let count = |state| {
        batches
            .iter()
            .filter(|batch| batch.entry.state == state)
            .count()
    };
    let rejecting = batches
        .iter()
        .filter(|batch| batch.entry.state == State::Loaded && batch.entry.rows_rejected > 0)
        .count();
    let parts: Vec<String> = [
        State::Failed,
        State::Expired,
        State::Waiting,
        State::Loaded,
        State::Superseded,
    ]
    .into_iter()
    .filter(|state| count(*state) > 0)
    .map(|state| {
        let said = format!("{} {}", count(state), state.as_str());
        if state == State::Loaded && rejecting > 0 {
            format!("{said} ({rejecting} with rejected rows)")
        } else {
            said
        }
    })
    .collect();
    let batches = match batches.len() {
        1 => "1 batch".to_owned(),
        many => format!("{many} batches"),
    };
    format!("{batches}: {}", parts.join(", "))
}

/// Revisions with everything the ledger says; `details` is left to the caller.
fn full(batches: &[BatchRecord]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for batch in batches {
        table.push(full_row(batch, Value::Null));
    }
    table
}

/// A dataset that is late, among the batches: it has no number yet, and its state is `late`.
fn late_row(late: &Late) -> Vec<Value> {
    COLUMNS
        .iter()
        .map(|column| match *column {
            "dataset" => late.dataset.as_str().into(),
            "state" => "late".into(),
            "message" => late.in_words().into(),
            _ => Value::Null,
        })
        .collect()
}

fn full_row(batch: &BatchRecord, details: Value) -> Vec<Value> {
    let entry = &batch.entry;
    vec![
        entry.dataset.clone().into(),
        entry.batch_no.clone().into(),
        entry.revision.into(),
        entry.state.as_str().into(),
        batch.loaded_revision.into(),
        entry.rows_expected.into(),
        entry.rows_read.into(),
        entry.rows_loaded.into(),
        entry.rows_rejected.into(),
        entry.difference.added.into(),
        entry.difference.removed.into(),
        entry.difference.changed.into(),
        entry.files.into(),
        entry.bytes.into(),
        entry.content_hash.clone().into(),
        entry.announced_at.map_or(Value::Null, iso),
        iso(batch.written_at),
        entry.run_id.clone().into(),
        entry.message.clone().into(),
        details,
    ]
}

fn one(
    context: &Context,
    connection: &Connection,
    batch_no: &str,
    dataset: Option<&str>,
    format: Format,
) -> Result<()> {
    let mut revisions = ledger::revisions(connection, batch_no, dataset)?;
    let dismissed = Archive::new(&context.config.data_dir).dismissed()?;
    history::mark_dismissed(&mut revisions, &dismissed);
    if revisions.is_empty() {
        return Err(unknown(batch_no, &ledger::batches(connection, dataset)?));
    }
    match format {
        Format::Csv => full(&revisions).without(&["details"]).print(format),
        Format::Json => {
            let mut table = Table::new(&COLUMNS);
            for revision in &revisions {
                table.push(full_row(
                    revision,
                    Details::read(context, connection, revision)?.json(),
                ));
            }
            table.print(format)
        }
        Format::Table => {
            for (index, batch) in revisions
                .chunk_by(|a, b| a.entry.dataset == b.entry.dataset)
                .enumerate()
            {
                if index > 0 {
                    say!("");
                }
                let details = Details::read(context, connection, &batch[0])?;
                describe(context, batch, &details)?;
            }
            Ok(())
        }
    }
}

pub(super) fn unknown(batch_no: &str, known: &[BatchRecord]) -> Error {
    let nearest = toml_file::nearest(
        batch_no,
        known.iter().map(|batch| batch.entry.batch_no.as_str()),
    );
    let (message, hint) = if known.is_empty() {
        ("nothing is loaded yet".to_owned(), None)
    } else {
        (
            "the ledger has no such batch".to_owned(),
            Some(match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`redledger status` lists the batches".into(),
            }),
        )
    };
    Error::Usage {
        message: format!("batch `{batch_no}`: {message}"),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::in_parts;

    #[test]
    fn numbers_are_in_the_order_that_people_count_in() {
        let mut numbers = [
            "B10",
            "B9",
            "B09_2",
            "B9_10",
            "BATCH_20260401",
            "BATCH_20260331",
            "B",
        ];
        numbers.sort_by(|a, b| in_parts(b).cmp(&in_parts(a)));
        assert_eq!(
            numbers,
            [
                "BATCH_20260401",
                "BATCH_20260331",
                "B10",
                "B9_10",
                "B09_2",
                "B9",
                "B"
            ]
        );
    }
}
