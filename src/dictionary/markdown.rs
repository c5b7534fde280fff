//! The dictionary as a page of Markdown.

use std::fmt::Write as _;

use super::dataset::{Dataset, DatasetColumn, Origin};
use crate::{contract::FieldType, ledger::DescribedTable};

/// A page with a section for each dataset, then one for each table of the ledger.
pub(crate) fn page(datasets: &[Dataset<'_>], ledger: &[DescribedTable]) -> String {
    let mut page = String::from("# Data dictionary\n\n");
    page += "Times are UTC without a zone; amounts are exact decimals in major units of their currency. A key holds \
             within a batch: several batches may deliver the same one.\n";
    for dataset in datasets {
        of_dataset(dataset, &mut page);
    }
    if !ledger.is_empty() {
        page += "\n# The ledger\n\nWhat was announced, delivered, loaded, rejected and checked: schema `redledger`.\n";
    }
    for table in ledger {
        let _ = write!(
            page,
            "\n## redledger.{}\n\n{}\n",
            table.name,
            prose(table.comment)
        );
        page += "\n| column | type | meaning |\n| --- | --- | --- |\n";
        for [name, kind, comment] in &table.columns {
            let _ = writeln!(page, "| `{name}` | {} | {} |", prose(kind), prose(comment));
        }
    }
    page
}

fn of_dataset(dataset: &Dataset<'_>, page: &mut String) {
    let contract = dataset.contract;
    let _ = write!(
        page,
        "\n## {}\n\n{}\n\n",
        dataset.name(),
        prose(&contract.comment)
    );
    let key: Vec<String> = dataset
        .key()
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let _ = writeln!(page, "- One row for each {}", key.join(", "));
    let _ = writeln!(
        page,
        "- A batch fails when more than {} is rejected",
        contract.max_rejected
    );
    if let Some(link) = &dataset.parent {
        let pairs = link.here.iter().zip(&link.there);
        let pairs: Vec<String> = pairs
            .map(|(here, there)| format!("`{here}` = `{there}`"))
            .collect();
        let _ = writeln!(
            page,
            "- Rows of `{}` name its files: {}",
            link.dataset,
            pairs.join(", ")
        );
    }
    for control in &contract.controls {
        let enforced = if control.enforce {
            "fails the batch"
        } else {
            "is counted"
        };
        let _ = writeln!(
            page,
            "- In each row `{}`; one that breaks it {enforced}",
            control.rule
        );
    }
    *page +=
        "\n| column | type | filled | delivered as | meaning |\n| --- | --- | --- | --- | --- |\n";
    for column in &dataset.columns {
        let filled = if column.is_required() { "always" } else { "" };
        let _ = writeln!(
            page,
            "| `{}` | {} | {filled} | {} | {} |",
            column.name,
            prose(&column.kind),
            prose(&delivered_as(column)),
            prose(&meaning(column)),
        );
    }
}

fn delivered_as(column: &DatasetColumn<'_>) -> String {
    match column.origin {
        Origin::Field(field) => {
            let names =
                std::iter::once(&*field.name).chain(field.aliases.iter().map(String::as_str));
            names.collect::<Vec<_>>().join(", ")
        }
        Origin::Inherited(_) | Origin::Rest | Origin::Lineage => String::new(),
    }
}

fn meaning(column: &DatasetColumn<'_>) -> String {
    let comment = &column.comment;
    match column.field().map(|field| &field.kind) {
        Some(FieldType::Enum { values, .. }) => {
            let codes = values
                .iter()
                .map(|(code, meaning)| format!("{code}: {meaning}"));
            format!("{comment} ({})", codes.collect::<Vec<_>>().join("; "))
        }
        _ => comment.clone(),
    }
}

/// Text that Markdown takes for nothing else.
fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
