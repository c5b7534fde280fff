//! The contract that a sample suggests, as TOML with what was seen in its comments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::column::{Column, Proposed};
use crate::{
    contract::{Contracts, Identifier, snake_case},
    error::{Error, Result},
};

/// Columns that every table has.
const TAKEN: [&str; 4] = ["extra", "batch_no", "file_id", "line"];
/// Longest name of a column.
const LONGEST_NAME: usize = 63;

/// What was read.
pub(crate) struct Sample {
    /// The file's name.
    pub(crate) origin: String,
    pub(crate) delimiter: u8,
    /// WHATWG name.
    pub(crate) encoding: &'static str,
    /// Rows with as many cells as the header.
    pub(crate) rows: u64,
    /// Records whose structure is broken, by code.
    pub(crate) broken: BTreeMap<&'static str, u64>,
    pub(crate) columns: Vec<Column>,
}

impl Sample {
    /// Records whose structure is broken.
    pub(crate) fn broken(&self) -> u64 {
        self.broken.values().sum()
    }
}

/// The proposal.
///
/// # Errors
/// [`Error::File`] when no column has a name.
pub(crate) fn toml(name: &Identifier, sample: &Sample, known: &Contracts) -> Result<String> {
    let mut names = Names::new(known);
    let mut fields = String::new();
    let mut unique = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (index, column) in sample.columns.iter().enumerate() {
        if column.name.is_empty() {
            fields += &format!(
                "\n# Column {} has no name: its cells are kept in `extra` under column_{0}.\n",
                index + 1
            );
            continue;
        }
        if !seen.insert(&column.name) {
            fields += &format!(
                "\n# Column {} is named {} again: a file with such a header is refused.\n",
                index + 1,
                commented(&quoted(&column.name))
            );
            continue;
        }
        let (column_name, said) = names.give(&column.name, index)?;
        if column.is_unique() && is_fit_for_a_key(column) {
            unique.push(column_name.as_str().to_owned());
        }
        fields += &field(column, &column_name, said);
    }
    if seen.is_empty() {
        return Err(Error::File {
            origin: sample.origin.clone(),
            message: "no column of the header has a name".into(),
            hint: None,
        });
    }
    let mut text = format!(
        "# Proposed from all {} of {}, read as {}.\n# A sample shows what was, not what may come: check types, `required` and the key against what the\n# provider promises, then put this file into datasets_dir.\n",
        match sample.rows {
            1 => "1 row".into(),
            rows => format!("{rows} rows"),
        },
        commented(&sample.origin),
        sample.encoding,
    );
    if !sample.broken.is_empty() {
        let kinds: Vec<String> = sample
            .broken
            .iter()
            .map(|(code, records)| format!("{records} {code}"))
            .collect();
        let _ = writeln!(
            text,
            "# Left out: {} whose structure is broken ({}).",
            match sample.broken() {
                1 => "1 record".into(),
                records => format!("{records} records"),
            },
            kinds.join(", ")
        );
    }
    let _ = writeln!(text, "name = {}", quoted(name.as_str()));
    if !unique.is_empty() {
        let _ = writeln!(
            text,
            "# Every row of the sample has its own value in: {}. Is that a rule?\n# primary_key = [{}]",
            unique.join(", "),
            quoted(&unique[0])
        );
    }
    let _ = writeln!(text, "max_rejected = \"1%\"");
    if sample.delimiter != b',' {
        let delimiter = char::from(sample.delimiter).to_string();
        let _ = writeln!(text, "\n[csv]\ndelimiter = {}", quoted(&delimiter));
    }
    Ok(text + &fields)
}

/// Amounts, times and links are no keys, however different they are.
fn is_fit_for_a_key(column: &Column) -> bool {
    matches!(
        column.proposed(),
        Proposed::Uuid | Proposed::Text | Proposed::Integer
    )
}

fn field(column: &Column, name: &Identifier, said: bool) -> String {
    let mut text = format!("\n# {}\n", seen(column));
    if column.not_text > 0 {
        let _ = writeln!(
            text,
            "# {} not text in the file's encoding: such a row is rejected.",
            cells_are(column.not_text)
        );
    }
    if column.wrapped > 0 {
        let _ = writeln!(
            text,
            "# {} wrapped by a spreadsheet (=\"…\", a tab or an apostrophe before it).",
            cells_are(column.wrapped)
        );
    }
    let proposed = column.proposed();
    if proposed == Proposed::Text && column.leading_zeros > 0 {
        let _ = writeln!(
            text,
            "# {} with a zero: text, because leading zeros count.",
            match column.leading_zeros {
                1 => "1 number begins".into(),
                cells => format!("{cells} numbers begin"),
            }
        );
    }
    let _ = writeln!(text, "[[fields]]\nname = {}", quoted(&column.name));
    if said {
        let _ = writeln!(text, "column = {}", quoted(name.as_str()));
    }
    match &proposed {
        Proposed::Text => text += "type = \"text\"\n",
        Proposed::Uuid => text += "type = \"uuid\"\n",
        Proposed::Url => text += "type = \"url\"\n",
        Proposed::Boolean => text += "type = \"boolean\"\n",
        Proposed::Currency => text += "type = \"currency\"\n",
        Proposed::Integer => {
            text += "type = \"integer\"";
            if let Some(unit) = column.epoch_unit() {
                let _ = write!(
                    text,
                    "                # all fit a timestamp with unit = \"{}\", if this is a time",
                    unit.name()
                );
            }
            text.push('\n');
        }
        Proposed::Timestamp(unit) => {
            let _ = writeln!(text, "type = \"timestamp\"\nunit = \"{}\"", unit.name());
        }
        Proposed::Decimal { precision, scale } => {
            let (whole, decimals) = column.decimal_digits();
            let _ = writeln!(
                text,
                "type = \"decimal\"\nprecision = {precision}          # seen: {whole} before the point\nscale = {scale}               # seen: {decimals} after it"
            );
        }
        Proposed::Enum(codes) => {
            let values: Vec<String> = codes
                .iter()
                .map(|code| format!("{} = {0}", quoted(code)))
                .collect();
            let _ = writeln!(
                text,
                "type = \"enum\"\nvalues = {{ {} }}   # code = what it means; any other is rejected",
                values.join(", ")
            );
        }
    }
    if column.is_always_filled() {
        text += "required = true\n";
    }
    text
}

/// `1200 filled, 3 empty; 17 distinct; longest 12 characters; 1 to 9 digits`.
fn seen(column: &Column) -> String {
    if column.filled == 0 {
        return "Always empty.".into();
    }
    let mut parts = vec![if column.empty == 0 {
        format!("{} filled, none empty", column.filled)
    } else {
        format!("{} filled, {} empty", column.filled, column.empty)
    }];
    parts.push(match column.distinct() {
        Ok(values) => format!("{values} distinct"),
        Err(limit) => format!("over {limit} distinct"),
    });
    parts.push(match column.longest {
        1 => "longest 1 character".into(),
        characters => format!("longest {characters} characters"),
    });
    match column.digits {
        Some((1, 1)) => parts.push("1 digit".into()),
        Some((fewest, most)) if fewest == most => parts.push(format!("{most} digits")),
        Some((fewest, most)) => parts.push(format!("{fewest} to {most} digits")),
        None => {}
    }
    parts.join("; ")
}

fn cells_are(cells: u64) -> String {
    match cells {
        1 => "1 cell is".into(),
        cells => format!("{cells} cells are"),
    }
}

/// Gives every field a column's name of its own.
struct Names<'a> {
    known: &'a Contracts,
    given: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(known: &'a Contracts) -> Self {
        Self {
            known,
            given: TAKEN.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// The column for a header cell, and whether the contract has to say it.
    fn give(&mut self, cell: &str, index: usize) -> Result<(Identifier, bool)> {
        let plain = column_name(cell);
        let wished = plain
            .clone()
            .or_else(|| self.known_column(cell))
            .or_else(|| identifier_like(cell))
            .map_or_else(|| format!("column_{}", index + 1), |name| name.to_string());
        let mut name = wished.clone();
        let mut number = 2;
        while self.given.contains(&name) {
            let suffix = format!("_{number}");
            let room = LONGEST_NAME - suffix.len();
            name = format!("{}{suffix}", &wished[..wished.len().min(room)]);
            number += 1;
        }
        self.given.insert(name.clone());
        let said = plain.is_none_or(|plain| plain.as_str() != name);
        let name = Identifier::new(&name).map_err(Error::Internal)?;
        Ok((name, said))
    }

    /// The column of a known dataset's field with this name or alias.
    fn known_column(&self, cell: &str) -> Option<Identifier> {
        self.known.iter().find_map(|contract| {
            let field = contract.field_for_header(cell)?;
            Some(contract.fields[field].column.clone())
        })
    }
}

/// An identifier made of what of `text` can stand in one: `Card Balance (€)` → `card_balance`.
pub(crate) fn identifier_like(text: &str) -> Option<Identifier> {
    let snake = crate::contract::snake_case(text);
    let mut name = String::new();
    for c in snake.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_matches('_');
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("n_{name}")
    } else {
        name.to_owned()
    };
    Identifier::new(&name[..name.len().min(LONGEST_NAME)]).ok()
}

/// `text` as a TOML string, and as a key.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` as it may stand in a TOML comment.
fn commented(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// A header cell as a column's name, where it makes one.
fn column_name(cell: &str) -> Option<Identifier> {
    Identifier::new(&snake_case(cell)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;

    use super::super::column::Ground;

    fn sample(header: &[&str], rows: &[&[&str]]) -> Sample {
        let ground = Ground::new();
        let mut columns: Vec<Column> = header.iter().map(|name| Column::new(name, 100)).collect();
        for row in rows {
            for (column, cell) in columns.iter_mut().zip(*row) {
                column.see(cell.as_bytes(), &ground);
            }
        }
        Sample {
            origin: "sample.csv".into(),
            delimiter: b',',
            encoding: "UTF-8",
            rows: rows.len() as u64,
            broken: BTreeMap::new(),
            columns,
        }
    }

    fn proposal(sample: &Sample) -> (String, Contract) {
        let contracts = Contracts::load(None).expect("the shipped contracts");
        let name = Identifier::new("sample").expect("a name");
        let text = toml(&name, sample, &contracts).expect("a proposal");
        let contract = Contract::parse("sample.toml", &text)
            .unwrap_or_else(|error| panic!("{}\n{text}", error.chain()));
        (text, contract)
    }

    #[test]
    fn any_header_gives_a_valid_contract() {
        let header = [
            "accountId",
            "账户 ID",
            "备注",
            "",
            "line",
            "Line",
            "1st \"quoted\"\\",
            "a\tb",
            "a\u{1}b",
            "accountId",
            "余额€",
            "extra",
            "spaced  out",
            "ÄÖ",
            "x.y",
            "x-y",
            "#",
        ];
        let row: Vec<&str> = header.iter().map(|_| "1").collect();
        let (text, contract) = proposal(&sample(&header, &[&row, &row]));
        let columns: Vec<&str> = contract
            .fields
            .iter()
            .map(|field| field.column.as_str())
            .collect();
        assert_eq!(
            columns,
            [
                "account_id",
                "account_id_2",
                "column_3",
                "line_2",
                "line_3",
                "n_1st_quoted",
                "a_b",
                "a_b_2",
                "column_11",
                "extra_2",
                "spaced_out",
                "column_14",
                "x_y",
                "x_y_2",
                "column_17"
            ],
            "{text}"
        );
        assert_eq!(&*contract.fields[5].name, "1st \"quoted\"\\");
    }

    #[test]
    fn a_very_long_header_cell_gives_a_column_that_fits() {
        let long = "x".repeat(200);
        let other = format!("{long}y");
        let (_, contract) = proposal(&sample(&[&long, &other], &[]));
        assert_eq!(contract.fields[0].column.as_str().len(), 63);
        assert!(contract.fields[1].column.as_str().ends_with("_2"));
    }

    #[test]
    fn unique_ids_are_named_as_candidates_and_amounts_are_not() {
        let (text, contract) = proposal(&sample(
            &["id", "amount", "name"],
            &[&["a1", "1.5", "x"], &["a2", "2.5", "x"]],
        ));
        assert!(
            text.contains("own value in: id. Is that a rule?\n# primary_key = [\"id\"]\n"),
            "{text}"
        );
        assert!(contract.primary_key.is_empty());
    }

    #[test]
    fn codes_with_quotes_survive() {
        let rows: Vec<[&str; 1]> = ["a\"b", "c\\d"]
            .iter()
            .cycle()
            .take(200)
            .map(|c| [*c])
            .collect();
        let rows: Vec<&[&str]> = rows.iter().map(|row| row.as_slice()).collect();
        let (_, contract) = proposal(&sample(&["state"], &rows));
        let crate::contract::FieldType::Enum { values, .. } = &contract.fields[0].kind else {
            panic!("not an enum");
        };
        assert_eq!(values[0].0, "a\"b");
    }

    #[test]
    fn a_header_without_a_name_is_an_error() {
        let contracts = Contracts::load(None).expect("the shipped contracts");
        let name = Identifier::new("sample").expect("a name");
        assert!(toml(&name, &sample(&["", ""], &[]), &contracts).is_err());
    }
}
