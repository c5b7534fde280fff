//! A control's declaration: a sum that must hold in every row.

use serde::Deserialize;
use toml::Spanned;

use super::{
    super::{DecimalWidth, Field, FieldType, Identifier, RowControl},
    place::Place,
};
use crate::error::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlDeclaration {
    name: Option<String>,
    rule: Spanned<String>,
    #[serde(default)]
    enforce: bool,
}

/// Digits of the largest `BIGINT`.
const INTEGER_DIGITS: u8 = 19;

/// A column of a sum and its sign: whether it is taken away.
type Term<'f> = (bool, &'f Field);

/// `a + b = c`: sums of decimal or integer columns, nothing else, so that it is safe as SQL.
pub(super) fn control_of(
    place: &Place<'_>,
    declared: &ControlDeclaration,
    fields: &[Field],
) -> Result<RowControl> {
    let rule = declared.rule.get_ref();
    let wrong = |message: String, hint: Option<String>| -> Error {
        let message = format!("control `{rule}`: {message}");
        place.error_with(declared.rule.span().start, message, hint)
    };
    let mut sides = rule.split('=');
    let (Some(left), Some(right), None) = (sides.next(), sides.next(), sides.next()) else {
        return Err(wrong("a rule is `sum = sum`".into(), None));
    };
    let side = |text| terms_of(text, fields).map_err(|message| wrong(message, None));
    let (left, right) = (side(left)?, side(right)?);
    let width = width_of(&left, &right).map_err(|digits| {
        let most = DecimalWidth::MOST;
        wrong(
            format!("its sums may have {digits} digits where {most} are the most"),
            Some("declare its columns with a smaller `precision`, or split the rule".into()),
        )
    })?;
    let columns = |side: Vec<Term<'_>>| -> Vec<(bool, Identifier)> {
        let columns = side.into_iter();
        columns
            .map(|(negative, field)| (negative, field.column.clone()))
            .collect()
    };
    Ok(RowControl {
        name: declared.name.clone().unwrap_or_else(|| rule.clone()),
        rule: rule.clone(),
        left: columns(left),
        right: columns(right),
        width,
        enforce: declared.enforce,
    })
}

fn terms_of<'f>(text: &str, fields: &'f [Field]) -> Result<Vec<Term<'f>>, String> {
    let mut terms = Vec::new();
    let mut negative = false;
    let mut want_name = true;
    let text = text.replace('+', " + ").replace('-', " - ");
    for word in text.split_whitespace() {
        match word {
            "+" | "-" if !want_name || (terms.is_empty() && !negative) => {
                negative = word == "-";
                want_name = true;
            }
            name if want_name => {
                let known = fields.iter().find(|field| field.column.as_str() == name);
                let field = known.ok_or_else(|| format!("no field has the column `{name}`"))?;
                if digits_of(field).is_none() {
                    return Err(format!("`{name}` is not a number"));
                }
                terms.push((negative, field));
                negative = false;
                want_name = false;
            }
            _ => return Err("columns are joined by `+` or `-`".into()),
        }
    }
    if terms.is_empty() || want_name {
        return Err("a side has no columns".into());
    }
    Ok(terms)
}

/// Digits before and after the point; `None` for what is no number.
fn digits_of(field: &Field) -> Option<(u8, u8)> {
    match field.kind {
        FieldType::Integer { .. } => Some((INTEGER_DIGITS, 0)),
        FieldType::Decimal {
            precision, scale, ..
        } => Some((precision - scale, scale)),
        _ => None,
    }
}

/// What holds every sum of either side, parts of it included: the most digits that a term has before the point
/// and after it, and room for as many terms as a side has. Where that is too wide, its digits.
fn width_of(left: &[Term<'_>], right: &[Term<'_>]) -> Result<DecimalWidth, usize> {
    let terms = left.iter().chain(right);
    let digits: Vec<(u8, u8)> = terms.filter_map(|(_, field)| digits_of(field)).collect();
    let whole = digits.iter().map(|(whole, _)| *whole).max();
    let scale = digits.iter().map(|(_, scale)| *scale).max();
    let (whole, scale) = (whole.unwrap_or_default(), scale.unwrap_or_default());
    // Ten numbers of so many digits have at most one digit more.
    let most_terms = left.len().max(right.len()) - 1;
    let carried = match most_terms {
        0 => 0,
        more => more.ilog10() as usize + 1,
    };
    let precision = usize::from(whole) + usize::from(scale) + carried;
    u8::try_from(precision)
        .ok()
        .filter(|precision| *precision <= DecimalWidth::MOST)
        .map(|precision| DecimalWidth { precision, scale })
        .ok_or(precision)
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    /// The width of a rule over `a` and `b` with these digits and whole numbers `i`, or what is wrong with it.
    fn width(a: (u8, u8), b: (u8, u8), rule: &str) -> Result<String, String> {
        let decimal = |name: &str, (precision, scale): (u8, u8)| {
            format!(
                "{{ name = \"{name}\", type = \"decimal\", precision = {precision}, scale = {scale} }}"
            )
        };
        let text = format!(
            "name = \"d\"\nfields = [\n{},\n{},\n{{ name = \"i\", type = \"integer\" }}]\n[[controls]]\nrule = \"{rule}\"",
            decimal("a", a),
            decimal("b", b),
        );
        parse("d.toml", &text)
            .map(|contract| contract.controls[0].width.to_string())
            .map_err(|error| error.chain())
    }

    #[test]
    fn sums_have_room_for_all_their_terms() {
        let ten = ["a"; 10].join(" + ");
        let eleven = ["a"; 11].join(" - ");
        for (a, b, rule, expected) in [
            ((18, 4), (18, 4), "a = b", "DECIMAL(18,4)"),
            ((18, 4), (18, 4), "a + a = b", "DECIMAL(19,4)"),
            ((18, 4), (18, 4), "b = a - b + a", "DECIMAL(19,4)"),
            ((18, 4), (18, 4), &format!("{ten} = b"), "DECIMAL(19,4)"),
            ((18, 4), (18, 4), &format!("b = {eleven}"), "DECIMAL(20,4)"),
            ((18, 2), (18, 10), "a + b = a", "DECIMAL(27,10)"),
            ((18, 4), (5, 0), "a + i = b", "DECIMAL(24,4)"),
            ((9, 9), (9, 9), "a + b = b", "DECIMAL(10,9)"),
            ((38, 2), (38, 2), "a = b", "DECIMAL(38,2)"),
            ((38, 38), (38, 38), "a = b", "DECIMAL(38,38)"),
            ((1, 0), (1, 0), "i + i = i", "DECIMAL(20,0)"),
        ] {
            assert_eq!(width(a, b, rule).as_deref(), Ok(expected), "{rule}");
        }
    }

    #[test]
    fn a_rule_wider_than_the_engine_counts_is_refused_with_its_line() {
        for (a, b, rule, digits) in [
            ((38, 2), (38, 2), "a + a = b", 39),
            ((38, 2), (38, 10), "a = b", 46),
            ((38, 38), (18, 4), "a = i", 57),
            ((38, 19), (38, 19), "i = a + b", 39),
        ] {
            let found = width(a, b, rule).expect_err(rule);
            let expected = format!(
                "d.toml:7: control `{rule}`: its sums may have {digits} digits where 38 are the most"
            );
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn rules_that_are_no_sums_are_refused() {
        for (rule, message) in [
            ("a", "a rule is `sum = sum`"),
            ("a = b = a", "a rule is `sum = sum`"),
            ("a =", "a side has no columns"),
            ("a + = b", "a side has no columns"),
            ("a + + b = a", "no field has the column `+`"),
            ("a b = a", "columns are joined by `+` or `-`"),
            ("a = c", "no field has the column `c`"),
        ] {
            let found = width((4, 2), (4, 2), rule).expect_err(rule);
            assert!(found.ends_with(message), "{rule}: {found}");
        }
    }
}
