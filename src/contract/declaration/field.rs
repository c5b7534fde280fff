//! A field's declaration.

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::{
    super::{Field, FieldType, Identifier, TimeUnit, snake_case},
    place::Place,
};
use crate::error::Result;

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Type {
    Text,
    Uuid,
    Integer,
    Decimal,
    Timestamp,
    Enum,
    Currency,
    Url,
    Boolean,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldDeclaration {
    pub(super) name: Spanned<String>,
    pub(super) column: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    comment: String,
    precision: Option<u8>,
    scale: Option<u8>,
    min: Option<toml::Value>,
    max: Option<toml::Value>,
    unit: Option<TimeUnit>,
    values: Option<toml::Table>,
    also: Option<Vec<String>>,
    max_length: Option<usize>,
}

/// No value would be taken.
const NO_RANGE: &str = "`min` is more than `max`";

pub(super) fn field_of(place: &Place<'_>, declared: &Spanned<FieldDeclaration>) -> Result<Field> {
    let field = declared.get_ref();
    let at = field.name.span().start;
    let wrong =
        |message: String| place.error(at, format!("field `{}`: {message}", field.name.get_ref()));
    let column = match &field.column {
        Some(column) => place.identifier(column)?,
        None => Identifier::new(&snake_case(field.name.get_ref())).map_err(wrong)?,
    };
    let given = [
        ("precision", field.precision.is_some(), &[Type::Decimal][..]),
        ("scale", field.scale.is_some(), &[Type::Decimal]),
        ("min", field.min.is_some(), &[Type::Decimal, Type::Integer]),
        ("max", field.max.is_some(), &[Type::Decimal, Type::Integer]),
        ("unit", field.unit.is_some(), &[Type::Timestamp]),
        ("values", field.values.is_some(), &[Type::Enum]),
        ("also", field.also.is_some(), &[Type::Currency]),
        ("max_length", field.max_length.is_some(), &[Type::Text]),
    ];
    for (key, is_given, allowed) in given {
        if is_given && !allowed.contains(&field.kind) {
            return Err(wrong(format!("`{key}` does not go with its type")));
        }
    }
    let kind = match field.kind {
        Type::Text => FieldType::Text {
            max_length: field.max_length,
        },
        Type::Uuid => FieldType::Uuid,
        Type::Url => FieldType::Url,
        Type::Boolean => FieldType::Boolean,
        Type::Currency => FieldType::Currency {
            also: field.also.clone().unwrap_or_default(),
        },
        Type::Timestamp => FieldType::Timestamp {
            unit: field
                .unit
                .ok_or_else(|| wrong("a timestamp needs `unit`: \"s\", \"ms\" or \"us\"".into()))?,
        },
        Type::Integer => {
            let bound = |value: &Option<toml::Value>, default| match value {
                None => Ok(default),
                Some(toml::Value::Integer(number)) => Ok(*number),
                Some(_) => Err(wrong(
                    "`min` and `max` of an integer are whole numbers".into(),
                )),
            };
            let (min, max) = (bound(&field.min, i64::MIN)?, bound(&field.max, i64::MAX)?);
            if min > max {
                return Err(wrong(NO_RANGE.into()));
            }
            FieldType::Integer { min, max }
        }
        Type::Decimal => {
            let (Some(precision), Some(scale)) = (field.precision, field.scale) else {
                return Err(wrong("a decimal needs `precision` and `scale`".into()));
            };
            if !(1..=38).contains(&precision) || scale > precision {
                return Err(wrong(
                    "`precision` is 1 to 38 and `scale` at most `precision`".into(),
                ));
            }
            let bound = |value: &Option<toml::Value>| match value {
                None => Ok(None),
                Some(value) => scaled(value, scale).map(Some).ok_or_else(|| {
                    wrong(format!(
                        "`min` and `max` are numbers in quotes with at most {scale} decimals"
                    ))
                }),
            };
            let (min, max) = (bound(&field.min)?, bound(&field.max)?);
            if min.zip(max).is_some_and(|(min, max)| min > max) {
                return Err(wrong(NO_RANGE.into()));
            }
            FieldType::Decimal {
                precision,
                scale,
                min,
                max,
            }
        }
        Type::Enum => enum_of(field).map_err(wrong)?,
    };
    place.check_comment(at, &field.comment)?;
    Ok(Field {
        name: Arc::from(field.name.get_ref().as_str()),
        column,
        aliases: field.aliases.clone(),
        kind,
        required: field.required,
        comment: field.comment.clone(),
    })
}

fn enum_of(field: &FieldDeclaration) -> Result<FieldType, String> {
    let table = field.values.as_ref().filter(|table| !table.is_empty());
    let table = table.ok_or("an enum needs `values`, such as { 0 = \"Api Client\" }")?;
    let values = table
        .iter()
        .map(|(code, meaning)| match meaning.as_str() {
            Some(meaning) => Ok((code.clone(), meaning.to_owned())),
            None => Err(format!("the meaning of `{code}` must be text")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let numeric = values.iter().all(|(code, _)| {
        code.parse::<u8>()
            .is_ok_and(|number| number.to_string() == *code)
    });
    Ok(FieldType::Enum { values, numeric })
}

/// A bound in units of 10^-scale.
fn scaled(value: &toml::Value, scale: u8) -> Option<i128> {
    let mut number = match value {
        toml::Value::Integer(number) => rust_decimal::Decimal::from(*number),
        toml::Value::String(text) => rust_decimal::Decimal::from_str_exact(text)
            .ok()?
            .normalize(),
        _ => return None,
    };
    if number.scale() > u32::from(scale) {
        return None;
    }
    number = number.normalize();
    number
        .mantissa()
        .checked_mul(10_i128.checked_pow(u32::from(scale) - number.scale())?)
}
