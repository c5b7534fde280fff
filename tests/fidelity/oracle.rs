//! What must hold between what a strict reader finds in a file and what was loaded of it.

use std::collections::BTreeMap;

use super::{Delivered, Loaded};
use crate::fuzzing::records::strict::{Lines, Strict};

/// Whether a loaded row is a record, cell for cell under the header's names.
pub(super) fn same(row: &Loaded, header: &[Vec<u8>], record: &Strict) -> Result<(), String> {
    if record.cells.len() != header.len() {
        return Err(format!("{} cells", record.cells.len()));
    }
    let mut cells: BTreeMap<String, &[u8]> = BTreeMap::new();
    for (name, cell) in header.iter().zip(&record.cells) {
        cells.insert(String::from_utf8_lossy(name).trim().to_owned(), cell);
    }
    let mut take = |name: &str| cells.remove(name).filter(|cell| !cell.is_empty());
    let text = |cell: Option<&[u8]>| cell.map(|cell| String::from_utf8_lossy(cell).into_owned());
    // The one thing that is undone, in ids and other text: see docs/reading.md.
    let unwrapped = |cell: Option<&[u8]>| {
        let inner = cell.and_then(redledger::normalize::unwrap_spreadsheet);
        text(inner.or(cell))
    };
    let expect = |what: &str, found: Option<&str>, sent: Option<&str>| {
        if found == sent {
            Ok(())
        } else {
            Err(format!("{what}: {found:?} where {sent:?} was sent"))
        }
    };
    expect("id", Some(&row.id), unwrapped(take("id")).as_deref())?;
    expect(
        "name",
        row.name.as_deref(),
        unwrapped(take("name")).as_deref(),
    )?;
    expect(
        "note",
        row.note.as_deref(),
        unwrapped(take("note")).as_deref(),
    )?;
    let amount = text(take("amount")).unwrap_or_default();
    if plain(&amount) != plain(&row.amount) {
        return Err(format!("amount: {} where {amount:?} was sent", row.amount));
    }
    let at = text(take("at")).map(|text| text.trim().trim_start_matches('0').to_owned());
    expect("at", row.at.as_deref(), at.as_deref())?;
    for (name, cell) in cells {
        // There, an empty cell is an empty text.
        let found = row.extra.get(&name).map(String::as_str);
        expect(&name, found, text(Some(cell)).as_deref())?;
    }
    Ok(())
}

/// An amount without what does not change it.
fn plain(amount: &str) -> String {
    let amount = amount.trim();
    let (sign, digits) = match amount.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", amount.strip_prefix('+').unwrap_or(amount)),
    };
    let digits = digits.trim_start_matches('0');
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    match digits {
        "" => "0".into(),
        digits => format!("{sign}{digits}"),
    }
}

/// Every line behind the header is a loaded row's, a rejection's or blank; every loaded row is what a strict
/// reader finds on its line; nothing is counted twice.
pub(super) fn judge(text: &[u8], delivered: &Delivered) -> Result<(), String> {
    let outcome = &delivered.outcome;
    if outcome.outcome.as_str() != "loaded" {
        return match (delivered.rows.as_slice(), &outcome.message) {
            ([], Some(_)) => Ok(()),
            _ => Err(format!("{}: rows or no reason", outcome.outcome.as_str())),
        };
    }
    let (loaded, rejected) = (delivered.rows.len(), delivered.rejections.len());
    if (outcome.rows_loaded, outcome.rows_rejected) != (loaded as u64, rejected as u64)
        || outcome.rows_read != (loaded + rejected) as u64
    {
        return Err(format!(
            "read {}, loaded {} and {loaded}, rejected {} and {rejected}",
            outcome.rows_read, outcome.rows_loaded, outcome.rows_rejected
        ));
    }
    let lines = Lines::of(text, b',');
    let first = (0..lines.len())
        .find(|line| !lines.is_blank(*line))
        .ok_or("loaded from nothing")?;
    let header = lines.record(first).ok_or("loaded with a broken header")?;
    let mut line = first + header.lines;
    let (mut rows, mut rejections) = (0, 0);
    while line < lines.len() {
        let number = line as u64 + 1;
        let record = lines.record(line);
        let row = delivered.rows.iter().find(|row| row.line == number);
        let of_line = delivered
            .rejections
            .iter()
            .filter(|(of, ..)| *of == number)
            .count();
        match (row, of_line) {
            // Nothing but delimiters: no row.
            (None, 0) if record.as_ref().is_some_and(Strict::is_empty) => {
                line += record.map_or(1, |record| record.lines);
                continue;
            }
            (None, 0) if lines.is_blank(line) => {
                line += 1;
                continue;
            }
            (Some(row), 0) => {
                let record = record
                    .as_ref()
                    .ok_or_else(|| format!("line {number} is loaded, but it is broken"))?;
                same(row, &header.cells, record)
                    .map_err(|why| format!("line {number} is loaded, but {why}"))?;
                rows += 1;
            }
            (None, 1) => rejections += 1,
            (None, 0) => return Err(format!("line {number} is lost")),
            _ => return Err(format!("line {number} is counted twice")),
        }
        // A record that is broken, alone or by what stands around it, is rejected line by line; the line behind
        // it may be a row again.
        let rejected_on = |number| {
            let on_it = move |rejection: &&(u64, String, _)| rejection.0 == number;
            delivered.rejections.iter().find(on_it)
        };
        let next_is_read = rejected_on(number + 1).is_some()
            || rejected_on(number).is_some_and(|(_, code, _)| code == "invalid-quoting")
                && delivered.rows.iter().any(|row| row.line == number + 1);
        line += match record {
            Some(record) if row.is_some() || !next_is_read => record.lines,
            _ => 1,
        };
    }
    if (rows, rejections) != (loaded, rejected) {
        return Err(format!(
            "{loaded} rows and {rejected} rejections, but {rows} and {rejections} on lines that begin a record"
        ));
    }
    Ok(())
}
