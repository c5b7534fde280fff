//! `redledger trace`: where a row came from.

use serde_json::{Value, json};

use super::{
    context::Context,
    output::{self, Table, iso, say, shortened},
};
use crate::{
    audit,
    cli::{Format, Trace as Arguments},
    contract::Contract,
    error::{Error, ExitStatus, Result},
    ledger::{BatchRecord, RejectionRecord},
    trace::{self, Announced, Check, Found, RowIs, Trace},
    warehouse,
};

/// Most rows of an account that are listed.
const LISTED: usize = 20;
/// Longest part of a record that is shown to people.
const SHOWN: usize = 4_000;

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<ExitStatus> {
    let config = &context.config;
    let format = arguments.read.format;
    let Some(connection) = warehouse::open_reading(&config.warehouse_path())? else {
        audit::check_nothing_loaded(config)?;
        return Err(Error::usage("nothing is loaded yet".to_owned()));
    };
    warehouse::limit(&connection, &config.load)?;
    let place = match (arguments.what.parse(), &arguments.account) {
        (Ok(place), None) => place,
        (Err(()), Some(account)) => {
            let contract = context.contracts.require(&arguments.what)?;
            let batch = arguments.batch.as_deref();
            let (found, all) = trace::find(&connection, contract, account, batch, LISTED)?;
            match found.as_slice() {
                [] => return Err(no_row(contract, batch)),
                [only] => only.place,
                many => return list(many, all, format),
            }
        }
        (Ok(_), Some(_)) => {
            return Err(Error::usage(
                "--account goes with a dataset, not with a line of a file".to_owned(),
            ));
        }
        (Err(()), None) => return Err(neither(context, &arguments.what)),
    };
    let trace = Trace::of(&connection, config, &context.contracts, place)?;
    match format {
        Format::Table => describe(&trace)?,
        Format::Json => output::print_json(&document(&trace))?,
        Format::Csv => checks_table(&trace.checks).print(format)?,
    }
    Ok(match trace.agrees() {
        true => ExitStatus::Success,
        false => ExitStatus::Attention,
    })
}

fn no_row(contract: &Contract, batch: Option<&str>) -> Error {
    let of = batch.map_or_else(String::new, |batch| format!(" of batch `{batch}`"));
    Error::Usage {
        message: format!("no row{of} in `{}` has that id", contract.name),
        hint: Some(
            "it may have been rejected: see `redledger rejections`; ids are given whole".into(),
        ),
    }
}

fn neither(context: &Context, what: &str) -> Error {
    match context.contracts.get(what) {
        Some(_) => Error::Usage {
            message: "a dataset alone names no row".into(),
            hint: Some(format!(
                "add --account: `redledger trace {what} --account ID`"
            )),
        },
        None => Error::Usage {
            message: format!("`{what}` is no line of a file (FILE_ID:LINE) and no dataset"),
            hint: Some(
                "every row has its file_id and line; see also `redledger datasets list`".into(),
            ),
        },
    }
}

/// Several rows: which, so that one can be asked for.
fn list(found: &[Found], all: u64, format: Format) -> Result<ExitStatus> {
    let mut table = Table::new(&["row", "batch", "trace"]);
    for of in found {
        table.push([
            of.place.to_string().into(),
            of.batch_no.clone().into(),
            format!("redledger trace {}", of.place).into(),
        ]);
    }
    table.print(format)?;
    if format == Format::Table && all > found.len() as u64 {
        say!("");
        say!(
            "the newest {} of {all}; --batch takes those of one",
            found.len()
        );
    }
    Ok(ExitStatus::Success)
}

fn describe(trace: &Trace) -> Result<()> {
    let (file, place) = (&trace.file, trace.place);
    say!(
        "{} {}, file {}, line {}",
        file.dataset,
        trace.batch_no,
        place.file_id,
        place.line
    );
    say!("");
    match &trace.row {
        RowIs::Loaded(cells) => {
            say!("the row");
            let mut table = Table::new(&["column", "value"]);
            for (column, value) in cells {
                table.push([column.clone().into(), value.clone().into()]);
            }
            table.print(Format::Table)?;
        }
        RowIs::Rejected(rejections) => {
            say!("the row was rejected");
            for of in rejections {
                output::say_wrapped(&format!("  {}", rejection(of)));
            }
        }
        RowIs::Nowhere => say!("there is no row of that line in the table"),
    }
    say!("");
    say!("as delivered");
    match &trace.record {
        Ok(record) => say!("  {}", harmless(&shortened(record, SHOWN))),
        Err(why) => output::say_wrapped(&format!("  {why}")),
    }
    say!("");
    say!("the file");
    say!("  {}", harmless(&file.url));
    say!(
        "  {} bytes, SHA-256 {}{}",
        file.bytes,
        file.content_hash.as_deref().unwrap_or("unknown"),
        file.etag
            .as_ref()
            .map_or_else(String::new, |etag| format!(", ETag {}", harmless(etag)))
    );
    say!(
        "  fetched {}, {}",
        time(file.fetched_at),
        file.archive_path
            .as_ref()
            .map_or_else(|| "never kept".to_owned(), |path| format!("kept in {path}"))
    );
    say!("");
    say!("announced");
    announced(trace);
    say!("");
    say!("the batch");
    history(&trace.history, trace.revision)?;
    say!("");
    checks_table(&trace.checks).print(Format::Table)?;
    say!("");
    match trace.agrees() {
        true => say!("All of it agrees."),
        false => say!("Something does not agree."),
    }
    Ok(())
}

fn announced(trace: &Trace) {
    if let Some(delivery) = &trace.delivery {
        let at = delivery
            .announced_at_ms
            .and_then(|at| at.checked_mul(1_000));
        let at = at.map_or_else(String::new, |at| format!(", {}", time(at)));
        say!("  in {}{at}", harmless(&delivery.origin));
    }
    for of in &trace.announced {
        let said = [
            of.id.as_ref().map(|id| format!("id {}", harmless(id))),
            of.event_type.as_ref().map(|kind| harmless(kind)),
            of.announced_at
                .map(|at| format!("made {}", time(at.saturating_mul(1_000)))),
            of.received_at.map(|at| format!("received {}", time(at))),
            Some(of.path.display().to_string()),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        say!("  {}", said.join(", "));
    }
    if trace.announced.is_empty() {
        say!("  the inbox keeps no announcement of it");
    }
}

fn history(history: &[BatchRecord], of: i32) -> Result<()> {
    let mut table = Table::new(&[
        "rev", "state", "rows", "rejected", "accepted", "written", "run",
    ])
    .dropping(&["run", "accepted"]);
    for BatchRecord {
        entry, written_at, ..
    } in history
    {
        let mark = if entry.revision == of { " ◂" } else { "" };
        table.push([
            format!("{}{mark}", entry.revision).into(),
            entry.state.as_str().into(),
            entry.rows_loaded.into(),
            entry.rows_rejected.into(),
            entry.accepted_at.map_or(Value::Null, |at| time(at).into()),
            time(*written_at).into(),
            entry.run_id.clone().into(),
        ]);
    }
    table.print(Format::Table)
}

fn checks_table(checks: &[Check]) -> Table {
    let mut table = Table::new(&["check", "result", "why"]).shortening(&[("why", 40)]);
    for check in checks {
        table.push([
            check.what.into(),
            result(check).into(),
            harmless(&check.why).into(),
        ]);
    }
    table
}

fn result(check: &Check) -> &'static str {
    match check.agrees {
        Some(true) => "agrees",
        Some(false) => "DIFFERS",
        None => "unknown",
    }
}

fn rejection(of: &RejectionRecord) -> String {
    let field = of
        .field
        .as_ref()
        .map_or_else(String::new, |field| format!(" {field}:"));
    format!("{}{field} {}", of.code, of.message)
}

/// To the second.
fn time(micros: i64) -> String {
    let text = iso(micros - micros.rem_euclid(1_000_000));
    text.as_str().unwrap_or("an unknown time").to_owned()
}

/// Delivered text on a terminal: control characters are named, not obeyed.
fn harmless(text: &str) -> String {
    let shown = text.chars().map(|character| match character {
        '\t' => "⇥".to_owned(),
        character if character.is_control() => character.escape_default().to_string(),
        // Which turn the direction of what follows, or are not seen.
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => character.escape_unicode().to_string(),
        character => character.to_string(),
    });
    shown.collect()
}

fn document(trace: &Trace) -> Value {
    let file = &trace.file;
    let row = match &trace.row {
        RowIs::Loaded(cells) => json!({
            "is": "loaded",
            "columns": cells.iter().cloned().map(|(name, value)| (name, Value::from(value))).collect::<serde_json::Map<_, _>>(),
        }),
        RowIs::Rejected(rejections) => json!({
            "is": "rejected",
            "rejections": rejections.iter().map(|of| json!({
                "code": of.code, "field": of.field, "message": of.message,
            })).collect::<Vec<_>>(),
        }),
        RowIs::Nowhere => json!({"is": "nowhere"}),
    };
    json!({
        "file_id": trace.place.file_id,
        "line": trace.place.line,
        "dataset": file.dataset,
        "batch_no": trace.batch_no,
        "revision": trace.revision,
        "entered_under": trace.entered_under,
        "row": row,
        "record": trace.record.as_ref().ok(),
        "record_missing": trace.record.as_ref().err(),
        "file": {
            "url": file.url, "bytes": file.bytes, "content_hash": file.content_hash, "etag": file.etag,
            "encoding": file.encoding, "archive_path": file.archive_path, "fetched_at": iso(file.fetched_at),
            "rows_read": file.rows_read, "rows_loaded": file.rows_loaded, "rows_rejected": file.rows_rejected,
        },
        "announced": trace.announced.iter().map(announcement).collect::<Vec<_>>(),
        "origin": trace.delivery.as_ref().map(|of| &of.origin),
        "history": trace.history.iter().map(|of| json!({
            "revision": of.entry.revision, "state": of.entry.state.as_str(), "rows_loaded": of.entry.rows_loaded,
            "rows_rejected": of.entry.rows_rejected, "accepted_at": of.entry.accepted_at.map(iso),
            "loaded_at": iso(of.written_at), "run_id": of.entry.run_id, "message": of.entry.message,
        })).collect::<Vec<_>>(),
        "checks": trace.checks.iter().map(|check| json!({
            "what": check.what, "agrees": check.agrees, "why": check.why,
        })).collect::<Vec<_>>(),
        "agrees": trace.agrees(),
    })
}

fn announcement(of: &Announced) -> Value {
    json!({
        "id": of.id,
        "event_type": of.event_type,
        "announced_at": of.announced_at.map(|at| iso(at.saturating_mul(1_000))),
        "received_at": of.received_at.map(iso),
        "path": of.path.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_text_does_nothing_to_a_terminal() {
        assert_eq!(
            harmless("a\tb\u{1b}[2J\u{202e}c\n"),
            "a⇥b\\u{1b}[2J\\u{202e}c\\n"
        );
    }
}
