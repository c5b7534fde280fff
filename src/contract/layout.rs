//! How one file's header lies on its contract.

use std::{collections::HashSet, sync::Arc};

use super::{Contract, shown::Shown};
use crate::error::{Error, Result};

/// What to do about a file that begins with a row of data.
const NO_HEADER: &str =
    "redledger reads columns by their names: ask for the file with a header row";

/// Which column of a file holds which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For each field of the contract its column in the file, if the file has it.
    pub fields: Vec<Option<usize>>,
    /// Columns that no field declares, with the name they are kept under.
    pub rest: Vec<(usize, Arc<str>)>,
    /// The header's cells.
    pub header: Vec<String>,
}

/// A message, and what can be done.
type Refused = (String, Option<String>);

impl Contract {
    /// The layout of a file without a header, of which no rows were announced.
    #[must_use]
    pub fn layout_of_nothing(&self) -> Layout {
        Layout {
            fields: vec![None; self.fields.len()],
            rest: Vec::new(),
            header: Vec::new(),
        }
    }

    /// Lays a header on the contract: by name or alias, trimmed, in any order.
    ///
    /// # Errors
    /// [`Error::File`] when a required field is missing or one is there twice, showing what was found.
    pub fn layout(&self, origin: &str, header: &[String]) -> Result<Layout> {
        let refuse = |message: String, hint: Option<String>| Error::File {
            origin: origin.to_owned(),
            message,
            hint,
        };
        let shown = Shown::new(header, self.names().collect());
        self.check_is_header(header, &shown)
            .map_err(|(message, hint)| refuse(message, hint))?;
        let mut fields: Vec<Option<usize>> = vec![None; self.fields.len()];
        let mut rest: Vec<(usize, Arc<str>)> = Vec::new();
        let mut names: HashSet<Arc<str>> = HashSet::new();
        for (column, cell) in header.iter().enumerate() {
            if let Some(field) = self.field_for_header(cell) {
                if let Some(first) = fields[field].replace(column) {
                    let name = &self.fields[field].name;
                    return Err(refuse(
                        format!(
                            "the header has the field `{name}` twice, in columns {} and {}: {}",
                            first + 1,
                            column + 1,
                            shown.cells()
                        ),
                        None,
                    ));
                }
                continue;
            }
            let name: Arc<str> = if cell.is_empty() {
                format!("column_{}", column + 1).into()
            } else {
                cell.as_str().into()
            };
            if !names.insert(Arc::clone(&name)) {
                let twice = shown.cell(&name).unwrap_or_else(|| "(not shown)".into());
                return Err(refuse(
                    format!(
                        "the header has the column {twice} twice, the second time in column {}: {}",
                        column + 1,
                        shown.cells()
                    ),
                    None,
                ));
            }
            rest.push((column, name));
        }
        self.check_complete(&fields, &shown)
            .map_err(|(message, hint)| refuse(message, hint))?;
        Ok(Layout {
            fields,
            rest,
            header: header.to_vec(),
        })
    }

    /// That it is no row of data, and has the contract's delimiter.
    fn check_is_header(&self, header: &[String], shown: &Shown<'_>) -> Result<(), Refused> {
        if shown.is_data() {
            return Err((
                format!(
                    "the first row has no column of dataset `{}` and looks like data: {}",
                    self.name,
                    shown.cells()
                ),
                Some(NO_HEADER.into()),
            ));
        }
        if let [only] = header
            && self.field_for_header(only).is_none()
            && let Some(other) = only.chars().find(|c| matches!(c, ',' | ';' | '\t' | '|'))
        {
            let only = shown.cell(only).unwrap_or_else(|| {
                format!("of {} characters that are not shown", only.chars().count())
            });
            return Err((
                format!("the header is one column, {only}"),
                Some(format!(
                    "if its columns are separated by {other:?}, say so in the contract of `{}`: [csv] delimiter",
                    self.name
                )),
            ));
        }
        Ok(())
    }

    /// That every required field has a column.
    fn check_complete(&self, fields: &[Option<usize>], shown: &Shown<'_>) -> Result<(), Refused> {
        let missing: Vec<&str> = self
            .fields
            .iter()
            .zip(fields)
            .filter(|(field, column)| field.required && column.is_none())
            .map(|(field, _)| &*field.name)
            .collect();
        if !missing.is_empty() {
            return Err((
                format!(
                    "the header lacks {} of dataset `{}`; found {}",
                    missing.join(", "),
                    self.name,
                    shown.cells()
                ),
                Some(format!(
                    "if the provider renamed a column, add the new name to `aliases` in a contract of your own (see `redledger datasets show {}`)",
                    self.name
                )),
            ));
        }
        Ok(())
    }
}
