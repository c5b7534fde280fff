//! The TOML form of a contract, and its checks.

mod control;
mod field;
mod place;

use serde::Deserialize;
use toml::Spanned;

use self::{
    control::{ControlDeclaration, control_of},
    field::{FieldDeclaration, field_of},
    place::Place,
};
use super::{
    Contract, CsvFormat, Field, Identifier, InheritedColumn, MaxRejected, Parent, snake_case,
};
use crate::{
    error::{Error, Result},
    toml_file,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    name: Spanned<String>,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    primary_key: Vec<Spanned<String>>,
    max_rejected: Option<Spanned<ShareOrCount>>,
    rest: Option<Spanned<String>>,
    #[serde(default)]
    csv: CsvDeclaration,
    parent: Option<ParentDeclaration>,
    #[serde(default)]
    fields: Vec<Spanned<FieldDeclaration>>,
    #[serde(default)]
    controls: Vec<ControlDeclaration>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a share such as \"1%\" or a number of rows"
)]
enum ShareOrCount {
    Share(String),
    Count(u64),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CsvDeclaration {
    delimiter: Option<Spanned<String>>,
    encoding: Option<Spanned<String>>,
    #[serde(default)]
    skip_lines: u64,
    #[serde(default)]
    ends_with_line_break: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentDeclaration {
    dataset: String,
    url_field: String,
    rows_field: Option<String>,
    #[serde(default)]
    inherit: Vec<InheritDeclaration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InheritDeclaration {
    field: Spanned<String>,
    column: Option<Spanned<String>>,
}

impl Contract {
    /// Reads a contract; `place` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Settings`] with file, line and a hint.
    pub fn parse(place: &str, text: &str) -> Result<Self> {
        parse(place, text)
    }
}

fn parse(name: &str, text: &str) -> Result<Contract> {
    let declared: Declaration = toml_file::parse(name, text)?;
    let place = Place { name, text };

    let parent = declared
        .parent
        .map(|parent| parent_of(&place, parent))
        .transpose()?;
    let fields = declared
        .fields
        .iter()
        .map(|field| field_of(&place, field))
        .collect::<Result<Vec<_>>>()?;
    if fields.is_empty() && parent.is_none() {
        return Err(place.error(0, "a contract needs at least one [[fields]]"));
    }
    let rest = match &declared.rest {
        Some(rest) => place.identifier(rest)?,
        None => Identifier::new("extra").map_err(Error::Internal)?,
    };
    check_names(&place, &declared.fields, &fields, &rest, parent.as_ref())?;
    let primary_key = primary_key_of(&place, &declared.primary_key, &fields)?;
    let controls = declared
        .controls
        .iter()
        .map(|control| control_of(&place, control, &fields))
        .collect::<Result<_>>()?;
    let max_rejected = match &declared.max_rejected {
        Some(declared) => max_rejected_of(&place, declared)?,
        None => MaxRejected::Share { ppm: 10_000 },
    };
    place.check_comment(declared.name.span().start, &declared.comment)?;
    Ok(Contract {
        name: place.identifier(&declared.name)?,
        comment: declared.comment,
        primary_key,
        max_rejected,
        csv: csv_of(&place, &declared.csv)?,
        fields,
        rest,
        controls,
        parent,
    })
}

fn primary_key_of(
    place: &Place<'_>,
    declared: &[Spanned<String>],
    fields: &[Field],
) -> Result<Vec<usize>> {
    let mut key = Vec::new();
    for column in declared {
        let at = column.span().start;
        let name = column.get_ref();
        let columns = || fields.iter().map(|field| field.column.as_str());
        let Some(index) = columns().position(|column| column == name) else {
            let message = format!("`primary_key` names the column `{name}`, which no field has");
            let hint = toml_file::nearest(name, columns())
                .map(|column| format!("did you mean `{column}`?"));
            return Err(place.error_with(at, message, hint));
        };
        if key.contains(&index) {
            return Err(place.error(at, format!("`primary_key` names the column `{name}` twice")));
        }
        key.push(index);
    }
    Ok(key)
}

fn parent_of(place: &Place<'_>, declared: ParentDeclaration) -> Result<Parent> {
    let inherit = declared
        .inherit
        .into_iter()
        .map(|inherit| {
            let column = match &inherit.column {
                Some(column) => place.identifier(column)?,
                None => Identifier::new(&snake_case(inherit.field.get_ref()))
                    .map_err(|message| place.error(inherit.field.span().start, message))?,
            };
            Ok(InheritedColumn {
                field: inherit.field.into_inner(),
                column,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Parent {
        dataset: declared.dataset,
        url_field: declared.url_field,
        rows_field: declared.rows_field,
        inherit,
    })
}

fn check_names(
    place: &Place<'_>,
    declared: &[Spanned<FieldDeclaration>],
    fields: &[Field],
    rest: &Identifier,
    parent: Option<&Parent>,
) -> Result<()> {
    let mut columns: Vec<&str> = vec!["batch_no", "file_id", "line"];
    let inherited = parent.iter().flat_map(|parent| &parent.inherit);
    for column in inherited
        .map(|inherit| inherit.column.as_str())
        .chain([rest.as_str()])
    {
        if columns.contains(&column) {
            return Err(place.error(0, format!("the column `{column}` is there twice")));
        }
        columns.push(column);
    }
    let mut names: Vec<&str> = Vec::new();
    for (declared, field) in declared.iter().zip(fields) {
        let at = declared.get_ref().name.span().start;
        if columns.contains(&field.column.as_str()) {
            return Err(place.error(at, format!("the column `{}` is there twice", field.column)));
        }
        columns.push(field.column.as_str());
        for name in std::iter::once(&*field.name).chain(field.aliases.iter().map(String::as_str)) {
            if names.contains(&name) {
                return Err(place.error(at, format!("two fields are named `{name}`")));
            }
            if !field.is_named(name) {
                return Err(place.error(
                    at,
                    format!(
                        "no header has a column `{name}`: there, spaces around a name are left out"
                    ),
                ));
            }
            names.push(name);
        }
    }
    Ok(())
}

fn csv_of(place: &Place<'_>, declared: &CsvDeclaration) -> Result<CsvFormat> {
    let delimiter = match &declared.delimiter {
        None => b',',
        Some(text) => match text.get_ref().as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => *byte,
            _ => {
                return Err(place.error(
                    text.span().start,
                    "`delimiter` is one ASCII character, such as \";\"",
                ));
            }
        },
    };
    let encoding = match &declared.encoding {
        None => None,
        Some(label) if label.get_ref() == "auto" => None,
        Some(label) => Some(
            encoding_rs::Encoding::for_label(label.get_ref().as_bytes()).ok_or_else(|| {
                place.error(
                    label.span().start,
                    format!(
                        "`{}` is not an encoding of the WHATWG list (such as utf-8, gb18030)",
                        label.get_ref()
                    ),
                )
            })?,
        ),
    };
    Ok(CsvFormat {
        delimiter,
        encoding,
        skip_lines: declared.skip_lines,
        ends_with_line_break: declared.ends_with_line_break,
    })
}

fn max_rejected_of(place: &Place<'_>, declared: &Spanned<ShareOrCount>) -> Result<MaxRejected> {
    let share = match declared.get_ref() {
        ShareOrCount::Count(rows) => return Ok(MaxRejected::Rows(*rows)),
        ShareOrCount::Share(share) => share,
    };
    let percent = share
        .trim()
        .strip_suffix('%')
        .and_then(|text| rust_decimal::Decimal::from_str_exact(text.trim()).ok());
    let ppm = percent
        .and_then(|percent| percent.checked_mul(rust_decimal::Decimal::from(10_000)))
        .map(|ppm| ppm.normalize())
        .filter(|ppm| ppm.scale() == 0)
        .and_then(|ppm| u32::try_from(ppm.mantissa()).ok())
        .filter(|ppm| *ppm <= 1_000_000);
    ppm.map(|ppm| MaxRejected::Share { ppm }).ok_or_else(|| {
        place.error(
            declared.span().start,
            "`max_rejected` is a share from \"0%\" to \"100%\" with at most 4 decimals, or a number of rows",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// What is wrong with a contract of these lines.
    fn fault(lines: &str) -> String {
        let text = format!("name = \"d\"\n{lines}");
        parse("d.toml", &text)
            .expect_err("no contract")
            .chain()
            .to_owned()
    }

    #[test]
    fn a_share_of_more_digits_than_can_be_counted_is_refused() {
        let largest = "79228162514264337593543950335";
        let found = fault(&format!(
            "max_rejected = \"{largest}%\"\n[[fields]]\nname = \"a\"\ntype = \"text\""
        ));
        assert!(
            found.starts_with("d.toml:2: `max_rejected` is a share"),
            "{found}"
        );
    }

    #[test]
    fn every_column_is_there_once() {
        let parent = |inherit: &str| {
            format!("[parent]\ndataset = \"p\"\nurl_field = \"u\"\ninherit = [{inherit}]")
        };
        for (inherit, column) in [
            ("{ field = 'a' }, { field = 'b', column = 'a' }", "a"),
            ("{ field = 'a', column = 'line' }", "line"),
            ("{ field = 'a', column = 'extra' }", "extra"),
        ] {
            let found = fault(&parent(inherit));
            assert!(
                found.contains(&format!("the column `{column}` is there twice")),
                "{found}"
            );
        }
        let found = fault("rest = 'file_id'\n[[fields]]\nname = 'a'\ntype = 'text'");
        assert!(
            found.contains("the column `file_id` is there twice"),
            "{found}"
        );
        let found = fault("primary_key = ['a', 'a']\n[[fields]]\nname = 'a'\ntype = 'text'");
        assert!(found.contains("names the column `a` twice"), "{found}");
    }

    #[test]
    fn bounds_that_leave_no_value_and_names_that_no_header_has_are_refused() {
        for field in [
            "name = 'a'\ntype = 'integer'\nmin = 2\nmax = 1",
            "name = 'a'\ntype = 'decimal'\nprecision = 4\nscale = 2\nmin = '0.02'\nmax = '0.01'",
        ] {
            let found = fault(&format!("[[fields]]\n{field}"));
            assert!(found.contains("`min` is more than `max`"), "{found}");
        }
        for name in ["name = ' a'\ncolumn = 'a'", "name = 'a'\naliases = ['b ']"] {
            let found = fault(&format!("[[fields]]\n{name}\ntype = 'text'"));
            assert!(found.contains("spaces around a name"), "{found}");
        }
    }

    #[test]
    fn a_comment_that_sql_can_not_hold_is_refused() {
        let field = "[[fields]]\nname = \"a\"\ntype = \"text\"";
        for lines in [
            format!("comment = \"\\u0000\"\n{field}"),
            format!("{field}\ncomment = \"a\\u0000b\""),
        ] {
            let found = fault(&lines);
            assert!(found.contains("a NUL character in `comment`"), "{found}");
        }
    }

    #[test]
    fn what_a_message_quotes_stays_on_its_line() {
        for lines in [
            "[[fields]]\nname = \"a\\n\\u001B[2J\"\ntype = \"text\"",
            "\"a\\n\\u001B\" = 1",
        ] {
            let found = fault(lines);
            assert!(!found.chars().any(char::is_control), "{found:?}");
        }
    }
}
