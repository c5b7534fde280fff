//! The dictionary as a Frictionless Data Package, for the CSV files that `export` writes.

use serde_json::{Map, Value, json};

use super::dataset::{BATCH, Dataset, DatasetColumn, Origin, PLACE};
use crate::contract::{Field, FieldType};

/// How `export` writes a time.
const TIME: &str = "%Y-%m-%dT%H:%M:%S.%fZ";

/// The text of `datapackage.json`: a resource for each dataset, at `<dataset>.csv`.
pub(crate) fn package(datasets: &[Dataset<'_>]) -> Value {
    let resources: Vec<Value> = datasets.iter().map(|of| resource(of, datasets)).collect();
    json!({
        "name": "redledger",
        "title": "Batches of card negative balances, as `redledger export` writes them",
        "profile": "tabular-data-package",
        "resources": resources,
    })
}

fn resource(of: &Dataset<'_>, all: &[Dataset<'_>]) -> Value {
    let fields: Vec<Value> = of.columns.iter().map(of_column).collect();
    let mut schema = json!({
        "fields": fields,
        "missingValues": [""],
        "primaryKey": of.key(),
    });
    if let Some(link) = of
        .parent
        .as_ref()
        .filter(|link| all.iter().any(|of| of.name() == link.dataset))
    {
        schema["foreignKeys"] = json!([{
            "fields": link.here,
            "reference": {"resource": link.dataset, "fields": link.there},
        }]);
    }
    json!({
        "name": of.name(),
        "description": of.contract.comment,
        "profile": "tabular-data-resource",
        "path": format!("{}.csv", of.name()),
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": schema,
    })
}

fn of_column(column: &DatasetColumn<'_>) -> Value {
    let (mut of, mut constraints) = match column.origin {
        Origin::Inherited(field) | Origin::Field(field) => of_field(field),
        Origin::Rest => (json!({"type": "object"}), Map::new()),
        Origin::Lineage if column.name == BATCH => (json!({"type": "string"}), Map::new()),
        Origin::Lineage => {
            let least = if column.name == PLACE[0] { 0 } else { 1 };
            let constraints = Map::from_iter([("minimum".to_owned(), json!(least))]);
            (json!({"type": "integer"}), constraints)
        }
    };
    if column.is_required() {
        constraints.insert("required".into(), true.into());
    }
    of["name"] = column.name.as_str().into();
    of["description"] = column.comment.as_str().into();
    if !constraints.is_empty() {
        of["constraints"] = constraints.into();
    }
    of
}

fn of_field(field: &Field) -> (Value, Map<String, Value>) {
    let mut constraints = Map::new();
    let mut constrain = |name: &str, value: Value| constraints.insert(name.to_owned(), value);
    let of = match &field.kind {
        FieldType::Text { max_length } => {
            if let Some(most) = max_length {
                constrain("maxLength", json!(most));
            }
            json!({"type": "string"})
        }
        FieldType::Uuid => json!({"type": "string", "format": "uuid"}),
        FieldType::Integer { min, max } => {
            if *min > i64::MIN {
                constrain("minimum", json!(min));
            }
            if *max < i64::MAX {
                constrain("maximum", json!(max));
            }
            json!({"type": "integer"})
        }
        FieldType::Decimal {
            scale, min, max, ..
        } => {
            for (name, bound) in [("minimum", min), ("maximum", max)] {
                if let Some(bound) = bound {
                    constrain(name, decimal(*bound, *scale).into());
                }
            }
            json!({"type": "number"})
        }
        FieldType::Timestamp { .. } => json!({"type": "datetime", "format": TIME}),
        FieldType::Enum { values, numeric } => {
            let codes = values.iter().map(|(code, _)| match numeric {
                true => json!(code.parse::<u8>().unwrap_or_default()),
                false => json!(code),
            });
            constrain("enum", codes.collect::<Vec<_>>().into());
            json!({"type": if *numeric { "integer" } else { "string" }})
        }
        FieldType::Currency { also } => {
            // A code of the contract's own may be of any shape.
            if also.is_empty() {
                constrain("pattern", json!("[A-Z]{3}"));
            }
            json!({"type": "string"})
        }
        FieldType::Url => json!({"type": "string", "format": "uri"}),
        FieldType::Boolean => {
            json!({"type": "boolean", "trueValues": ["true"], "falseValues": ["false"]})
        }
    };
    (of, constraints)
}

/// `units` of 10^-`scale`, digit for digit.
fn decimal(units: i128, scale: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    match rest {
        "" => format!("{sign}{whole}"),
        rest => format!("{sign}{whole}.{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn bounds_keep_every_digit() {
        assert_eq!(
            [
                decimal(-5, 4),
                decimal(0, 0),
                decimal(123_456, 2),
                decimal(i128::MAX, 38)
            ],
            [
                "-0.0005",
                "0",
                "1234.56",
                "1.70141183460469231731687303715884105727"
            ]
        );
    }
}
