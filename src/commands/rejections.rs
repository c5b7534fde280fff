//! `redledger rejections [BATCH]`

use serde_json::Value;

use super::{
    context::Context,
    output::{Table, counted, remark, say, shortened},
};
use crate::{
    cli::{Format, Rejections},
    error::{Error, ExitStatus, Result},
    ledger::{self, RejectionFilter, RejectionRecord},
    rejection::RejectionCode,
    terminal, toml_file, warehouse,
};

/// Places of a record in a table that is not for a terminal.
const RECORD_SHOWN: usize = 60;

pub(super) fn run(context: &Context, arguments: &Rejections) -> Result<ExitStatus> {
    let format = arguments.read.format;
    if let Some(code) = &arguments.code {
        check_code(code)?;
    }
    let filter = RejectionFilter {
        batch_no: arguments.batch.clone(),
        dataset: arguments.dataset.clone(),
        code: arguments.code.clone(),
        since: None,
    };
    let Some(connection) = warehouse::open_reading(&context.config.warehouse_path())? else {
        if let Some(batch) = &arguments.batch {
            return Err(super::status::unknown(batch, &[]));
        }
        context.say_nothing_loaded();
        return finish(&[], format, arguments);
    };
    if let Some(batch) = &arguments.batch
        && ledger::revisions(&connection, batch, None)?.is_empty()
    {
        return Err(super::status::unknown(
            batch,
            &ledger::batches(&connection, None)?,
        ));
    }
    let children: Vec<(&str, &str)> = context.contracts.children().collect();
    let codes = ledger::rejections_by_code(&connection, &filter, &children)?;
    if let Some(dataset) = &arguments.dataset
        && codes.is_empty()
    {
        context.contracts.require(dataset)?;
    }
    // The engine counts to here.
    let limit = arguments.limit.min(i64::MAX.unsigned_abs());
    let found = ledger::rejections(&connection, &filter, &children, limit)?;
    finish(&found, format, arguments)?;
    let all: u64 = codes.iter().map(|(_, rows)| rows).sum();
    let shown = found.len() as u64;
    let rejected = match filter.code {
        None => ledger::rows_rejected(&connection, &filter, &children)?,
        Some(_) => all,
    };
    let more = (shown < all)
        .then(|| format!("{shown} of {all} rejected rows shown; --limit {all} shows all of them"));
    if format != Format::Table {
        if let Some(more) = more {
            remark!("{more}");
        }
        return Ok(ExitStatus::Success);
    }
    if codes.is_empty() {
        say!("No rejected rows.");
        return Ok(ExitStatus::Success);
    }
    say!("");
    let mut summary = Table::new(&["code", "rows"]);
    for (code, rows) in codes {
        summary.push([code.into(), rows.into()]);
    }
    summary.print(format)?;
    say!("");
    say!("{}", more.unwrap_or_else(|| counted(all, "rejected row")));
    if rejected > all {
        say!("{rejected} rows were rejected; of each file the first 10,000 are kept");
    }
    Ok(ExitStatus::Success)
}

fn check_code(code: &str) -> Result<()> {
    let codes = || RejectionCode::ALL.iter().map(|code| code.as_str());
    if codes().any(|known| known == code) {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!(
            "there is no code `{code}`; there are {}",
            codes().collect::<Vec<_>>().join(", ")
        ),
        hint: toml_file::nearest(code, codes()).map(|code| format!("did you mean `{code}`?")),
    })
}

fn finish(found: &[RejectionRecord], format: Format, arguments: &Rejections) -> Result<ExitStatus> {
    if format == Format::Table {
        if !found.is_empty() {
            short(found, arguments).print(format)?;
        }
    } else {
        full(found).print(format)?;
    }
    Ok(ExitStatus::Success)
}

fn full(found: &[RejectionRecord]) -> Table {
    let mut table = Table::new(&[
        "dataset",
        "batch_no",
        "revision",
        "file_id",
        "url",
        "line",
        "byte_offset",
        "field",
        "code",
        "message",
        "record",
    ]);
    for of in found {
        table.push([
            of.dataset.clone().into(),
            of.batch_no.clone().into(),
            of.revision.into(),
            of.file_id.into(),
            of.url.clone().into(),
            of.line.into(),
            of.byte_offset.into(),
            of.field.clone().into(),
            of.code.clone().into(),
            of.message.clone().into(),
            of.record.clone().into(),
        ]);
    }
    table
}

/// For people: what the command line has said is not said again in every row.
fn short(found: &[RejectionRecord], arguments: &Rejections) -> Table {
    let rows: Vec<[Value; 8]> = found
        .iter()
        .map(|of| {
            [
                of.dataset.clone().into(),
                of.batch_no.clone().into(),
                file_name(of).into(),
                of.line.into(),
                of.field.clone().into(),
                of.code.clone().into(),
                shortened(&of.message, 100).into(),
                Value::Null,
            ]
        })
        .collect();
    let columns = [
        "dataset", "batch", "file", "line", "field", "code", "message", "record",
    ];
    let same_dataset = found.windows(2).all(|two| two[0].dataset == two[1].dataset);
    let mut left_out = Vec::new();
    if same_dataset && (arguments.dataset.is_some() || arguments.batch.is_some()) {
        left_out.push("dataset");
    }
    if arguments.batch.is_some() {
        left_out.push("batch");
    }
    // As much as a wide terminal shows beside the rest.
    let room = terminal::width().unwrap_or(RECORD_SHOWN);
    let mut table = Table::new(&columns)
        .shortening(&[
            ("record", 16),
            ("message", 30),
            ("file", 12),
            ("field", 12),
            ("dataset", 12),
        ])
        .dropping(&["dataset", "file", "record"]);
    for (mut row, of) in rows.into_iter().zip(found) {
        row[7] = shortened(&of.record, room).into();
        table.push(row);
    }
    table.without(&left_out)
}

/// The last part of where its file came from.
fn file_name(of: &RejectionRecord) -> String {
    let url = of.url.as_deref().unwrap_or_default();
    let name = url.trim_end_matches('/').rsplit('/').next();
    shortened(name.unwrap_or(url), 40)
}
