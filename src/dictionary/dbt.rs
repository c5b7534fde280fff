//! The dictionary as sources of dbt: a `sources.yml` with tests and freshness.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    dataset::{Dataset, DatasetColumn, PLACE},
    yaml,
};
use crate::{
    contract::{Field, FieldType},
    ledger::DescribedTable,
};

/// How often a dataset's next batch is expected, by dataset.
pub(crate) type Expected = BTreeMap<String, Duration>;

/// A dataset that no setting expects is stale after so long: one batch a day, with two hours to spare.
const DAILY: Duration = Duration::from_secs(26 * 3_600);

/// The name that the file is attached under, unless a variable of dbt's says another.
const DATABASE: &str = "{{ var('redledger_database', 'warehouse') }}";

/// The text of `sources.yml`.
pub(crate) fn sources(
    datasets: &[Dataset<'_>],
    ledger: &[DescribedTable],
    expected: &Expected,
) -> String {
    let of_datasets = datasets.iter().map(|of| dataset(of, datasets, expected));
    let of_ledger = ledger.iter().map(ledger_table);
    let document = json!({
        "version": 2,
        "sources": [
            {
                "name": "redledger",
                "description": "Batches of card negative balances, loaded exactly or not at all",
                "database": DATABASE,
                "schema": "main",
                "tables": of_datasets.collect::<Vec<_>>(),
            },
            {
                "name": "redledger_ledger",
                "description": "What was announced, delivered, loaded, rejected and checked",
                "database": DATABASE,
                "schema": "redledger",
                "tables": of_ledger.collect::<Vec<_>>(),
            },
        ],
    });
    format!("{HEAD}{}", yaml::document(&document))
}

const HEAD: &str = "\
# Made by `redledger dictionary --format dbt`. The warehouse is attached to read only, in profiles.yml:
#   attach: [{path: /path/to/warehouse.duckdb, alias: warehouse, read_only: true}]
# (the variable redledger_database names another alias). Times in it are UTC.
";

fn dataset(of: &Dataset<'_>, all: &[Dataset<'_>], expected: &Expected) -> Value {
    let name = of.name();
    let mut tests = vec![unique(&format!("{name}_key"), &of.key())];
    let linked = of
        .parent
        .iter()
        .filter(|link| all.iter().any(|other| other.name() == link.dataset));
    tests.extend(linked.map(|link| {
        json!({"relationships": {
            "name": format!("{name}_has_its_{}", link.dataset),
            "arguments": {
                "column_name": row(&link.here),
                "to": format!("source('redledger', '{}')", link.dataset),
                "field": row(&link.there),
            },
        }})
    }));
    let columns: Vec<Value> = of
        .columns
        .iter()
        .map(|column| of_column(name, column))
        .collect();
    // Batches are entered under the dataset whose rows name the files.
    let entered = of.contract.entered_under();
    let within = expected.get(entered).copied().unwrap_or(DAILY);
    let minutes = within.as_secs().div_ceil(60).max(1);
    json!({
        "name": name,
        "description": text(&of.contract.comment),
        "config": {
            "loaded_at_query": format!(
                "select max(coalesce(accepted_at, loaded_at)) from {DATABASE}.redledger.batch \
                 where dataset = '{entered}' and state = 'loaded'"
            ),
            "freshness": {"error_after": {"count": minutes, "period": "minute"}},
        },
        "data_tests": tests,
        "columns": columns,
    })
}

fn of_column(dataset: &str, column: &DatasetColumn<'_>) -> Value {
    let mut tests = Vec::new();
    if column.is_required() {
        tests.push(json!("not_null"));
    }
    if let Some(values) = column.field().and_then(accepted) {
        let name = format!("{dataset}_{}_is_a_code", column.name);
        tests.push(json!({"accepted_values": {"name": name, "arguments": values}}));
    }
    if column.name == PLACE[0] {
        tests.push(json!({"relationships": {
            "name": format!("{dataset}_has_its_file"),
            "arguments": {"to": "source('redledger_ledger', 'file')", "field": column.name},
        }}));
    }
    let mut of = json!({
        "name": column.name,
        "quote": true,
        "data_type": column.kind,
        "description": text(&column.comment),
    });
    if !tests.is_empty() {
        of["data_tests"] = tests.into();
    }
    of
}

/// The values of a closed list, as dbt's test wants them.
fn accepted(field: &Field) -> Option<Value> {
    match &field.kind {
        FieldType::Enum { values, numeric } => {
            let codes: Vec<String> = values
                .iter()
                // The test puts quotes around a value and leaves those within it.
                .map(|(code, _)| text(&code.replace('\'', "''")))
                .collect();
            Some(json!({"values": codes, "quote": !numeric}))
        }
        _ => None,
    }
}

fn ledger_table(table: &DescribedTable) -> Value {
    let keys = [
        ("batch", vec!["dataset", "batch_no", "revision"]),
        ("file", vec!["file_id"]),
        ("run", vec!["run_id"]),
    ];
    let key = keys.iter().find(|(name, _)| *name == table.name);
    let columns = table.columns.iter().map(|[name, kind, comment]| {
        json!({"name": name, "quote": true, "data_type": kind, "description": text(comment)})
    });
    let mut of = json!({
        "name": table.name,
        "description": text(table.comment),
        "columns": columns.collect::<Vec<_>>(),
    });
    if let Some((name, key)) = key {
        let key: Vec<String> = key.iter().map(|column| (*column).to_owned()).collect();
        of["data_tests"] = json!([unique(&format!("redledger_{name}_key"), &key)]);
    }
    of
}

/// dbt tests one column; several are one as a row of them.
fn unique(name: &str, columns: &[String]) -> Value {
    json!({"unique": {"name": name, "arguments": {"column_name": row(columns)}}})
}

fn row(columns: &[String]) -> String {
    let quoted: Vec<String> = columns
        .iter()
        .map(|column| format!("\"{column}\""))
        .collect();
    format!("row({})", quoted.join(", "))
}

/// Text that dbt, which reads everything as a template, leaves as it is.
fn text(text: &str) -> String {
    let mut parts = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ["{{", "{%", "{#"]
        .iter()
        .filter_map(|opens| rest.find(opens))
        .min()
    {
        let (before, from) = rest.split_at(at);
        let (opens, after) = from.split_at(2);
        parts += &format!("{before}{{{{ '{opens}' }}}}");
        rest = after;
    }
    parts + rest
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_opens_a_template_is_written_as_text() {
        assert_eq!(text("plain { } }}"), "plain { } }}");
        assert_eq!(text("a {{ b }} {%c"), "a {{ '{{' }} b }} {{ '{%' }}c");
    }
}
