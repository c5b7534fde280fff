//! A contract is understood or refused with its place. One that is understood is consistent, means the same when
//! it is written down again, and makes a table in which its names and comments stand as they were written.
#![cfg_attr(fuzzing, no_main)]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use redledger::{
    config::LoadConfig,
    contract::{Contract, Contracts, Field, FieldType, MaxRejected, TimeUnit},
    warehouse::Warehouse,
};
use toml::{Table, Value};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(bytes);
});

/// `input` is a contract's TOML; says whether it was understood.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match Contract::parse("x.toml", text) {
        Err(error) => {
            let chain = error.chain();
            assert!(chain.starts_with("x.toml:"), "{chain:?}");
            assert!(!chain.chars().any(char::is_control), "{chain:?}");
            false
        }
        Ok(contract) => {
            check_consistency(&contract);
            let again = toml::to_string(&written(&contract)).expect("TOML");
            assert_eq!(
                Contract::parse("again.toml", &again).expect("its own form"),
                contract
            );
            check_table(contract);
            true
        }
    }
}

fn check_consistency(contract: &Contract) {
    let mut columns = BTreeSet::from(["batch_no", "file_id", "line"]);
    let inherited = contract.parent.iter().flat_map(|parent| &parent.inherit);
    for column in inherited
        .map(|inherited| &inherited.column)
        .chain(contract.fields.iter().map(|field| &field.column))
        .chain([&contract.rest])
    {
        assert!(columns.insert(column.as_str()), "{column} is there twice");
    }
    let key: BTreeSet<usize> = contract.primary_key.iter().copied().collect();
    assert_eq!(key.len(), contract.primary_key.len(), "a key column twice");
    assert!(key.iter().all(|index| *index < contract.fields.len()));
    let mut header = vec!["zz unknown".to_owned()];
    for (index, field) in contract.fields.iter().enumerate() {
        for name in std::iter::once(&*field.name).chain(field.aliases.iter().map(String::as_str)) {
            assert_eq!(contract.field_for_header(name), Some(index), "{name:?}");
        }
        header.push(field.name.to_string());
        match field.kind {
            FieldType::Decimal {
                precision,
                scale,
                min,
                max,
            } => {
                assert!((1..=38).contains(&precision) && scale <= precision);
                assert!(min.zip(max).is_none_or(|(min, max)| min <= max), "no range");
            }
            FieldType::Integer { min, max } => assert!(min <= max, "no range"),
            _ => {}
        }
    }
    if header.iter().skip(1).all(|name| *name != header[0]) {
        let layout = contract.layout("x.csv", &header).expect("all its fields");
        assert_eq!(layout.rest.len(), 1);
        for (index, column) in layout.fields.iter().enumerate() {
            assert_eq!(*column, Some(index + 1));
        }
    }
}

/// The contract as TOML.
fn written(contract: &Contract) -> Table {
    let text = |text: &str| Value::from(text);
    let list = |texts: &[String]| Value::from(texts.to_vec());
    let mut table = Table::new();
    table.insert("name".into(), text(contract.name.as_str()));
    table.insert("comment".into(), text(&contract.comment));
    table.insert("rest".into(), text(contract.rest.as_str()));
    let key: Vec<String> = contract.key_columns().map(ToString::to_string).collect();
    table.insert("primary_key".into(), list(&key));
    let max_rejected = match contract.max_rejected {
        MaxRejected::Rows(rows) => Value::from(i64::try_from(rows).expect("TOML's largest")),
        share @ MaxRejected::Share { .. } => text(&share.to_string()),
    };
    table.insert("max_rejected".into(), max_rejected);
    let mut csv = Table::new();
    let delimiter = char::from(contract.csv.delimiter);
    csv.insert("delimiter".into(), text(&delimiter.to_string()));
    let encoding = contract
        .csv
        .encoding
        .map_or("auto", |encoding| encoding.name());
    csv.insert("encoding".into(), text(encoding));
    table.insert("csv".into(), csv.into());
    if let Some(parent) = &contract.parent {
        let mut of = Table::new();
        of.insert("dataset".into(), text(&parent.dataset));
        of.insert("url_field".into(), text(&parent.url_field));
        if let Some(rows) = &parent.rows_field {
            of.insert("rows_field".into(), text(rows));
        }
        let inherit = parent.inherit.iter().map(|inherited| {
            let mut table = Table::new();
            table.insert("field".into(), text(&inherited.field));
            table.insert("column".into(), text(inherited.column.as_str()));
            Value::from(table)
        });
        of.insert("inherit".into(), Value::Array(inherit.collect()));
        table.insert("parent".into(), of.into());
    }
    let fields = contract
        .fields
        .iter()
        .map(|field| written_field(field).into());
    table.insert("fields".into(), Value::Array(fields.collect()));
    let controls = contract.controls.iter().map(|control| {
        let mut table = Table::new();
        table.insert("name".into(), text(&control.name));
        table.insert("rule".into(), text(&control.rule));
        table.insert("enforce".into(), control.enforce.into());
        Value::from(table)
    });
    table.insert("controls".into(), Value::Array(controls.collect()));
    table
}

fn written_field(field: &Field) -> Table {
    let mut table = Table::new();
    table.insert("name".into(), Value::from(&*field.name));
    table.insert("column".into(), Value::from(field.column.as_str()));
    table.insert("aliases".into(), Value::from(field.aliases.clone()));
    table.insert("type".into(), Value::from(field.kind.name()));
    table.insert("required".into(), field.required.into());
    table.insert("comment".into(), Value::from(field.comment.as_str()));
    match &field.kind {
        FieldType::Text { max_length } => {
            if let Some(length) = max_length {
                let length = i64::try_from(*length).expect("TOML's largest");
                table.insert("max_length".into(), length.into());
            }
        }
        FieldType::Integer { min, max } => {
            table.insert("min".into(), (*min).into());
            table.insert("max".into(), (*max).into());
        }
        FieldType::Decimal {
            precision,
            scale,
            min,
            max,
        } => {
            table.insert("precision".into(), i64::from(*precision).into());
            table.insert("scale".into(), i64::from(*scale).into());
            for (key, bound) in [("min", min), ("max", max)] {
                if let Some(units) = bound {
                    table.insert(key.into(), in_units(*units, *scale).into());
                }
            }
        }
        FieldType::Timestamp { unit } => {
            let unit = match unit {
                TimeUnit::Seconds => "s",
                TimeUnit::Milliseconds => "ms",
                TimeUnit::Microseconds => "us",
            };
            table.insert("unit".into(), unit.into());
        }
        FieldType::Enum { values, .. } => {
            let values = values
                .iter()
                .map(|(code, meaning)| (code.clone(), Value::from(meaning.as_str())));
            table.insert("values".into(), values.collect::<Table>().into());
        }
        FieldType::Currency { also } => {
            table.insert("also".into(), also.clone().into());
        }
        FieldType::Uuid | FieldType::Url | FieldType::Boolean => {}
    }
    table
}

/// Units of 10^-scale as a number in text, without zeros at its end.
fn in_units(units: i128, scale: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!(
        "{:0width$}",
        units.unsigned_abs(),
        width = usize::from(scale) + 1
    );
    let (whole, decimals) = digits.split_at(digits.len() - usize::from(scale));
    match decimals.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        decimals => format!("{sign}{whole}.{decimals}"),
    }
}

thread_local! {
    static WAREHOUSE: RefCell<Warehouse> = RefCell::new({
        let config = LoadConfig { threads: 1, ..LoadConfig::default() };
        Warehouse::open(Path::new(":memory:"), &config).expect("an engine")
    });
}

/// The engine makes the contract's table, with the names and comments that the contract has.
fn check_table(contract: Contract) {
    let shipped = Contracts::load(None).expect("the shipped contracts");
    // Only one dataset may have bills for its parent.
    let mut contracts: BTreeMap<String, Arc<Contract>> = shipped
        .iter()
        .filter(|other| other.parent.is_none())
        .map(|other| (other.name.to_string(), Arc::clone(other)))
        .collect();
    let contract = Arc::new(contract);
    contracts.insert(contract.name.to_string(), Arc::clone(&contract));
    let Ok(contracts) = Contracts::joined(contracts) else {
        return;
    };
    WAREHOUSE.with_borrow_mut(|warehouse| {
        warehouse
            .ensure_table(&contract, &contracts)
            .expect("a table for a contract that holds");
        let connection = warehouse.connection();
        let sql = "SELECT column_name, coalesce(comment, '') FROM duckdb_columns() \
                   WHERE schema_name = 'main' AND table_name = ?";
        let mut statement = connection.prepare(sql).expect("SQL");
        let columns: BTreeMap<String, String> = statement
            .query_map([contract.name.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("columns")
            .map(|column| column.expect("a column"))
            .collect();
        for field in &contract.fields {
            assert_eq!(columns.get(field.column.as_str()), Some(&field.comment));
        }
        let inherited = contract
            .parent
            .as_ref()
            .map_or(0, |parent| parent.inherit.len());
        assert_eq!(columns.len(), contract.fields.len() + inherited + 4);
        connection
            .execute_batch(&format!("DROP TABLE {}", contract.name.quoted()))
            .expect("the table");
    });
}
