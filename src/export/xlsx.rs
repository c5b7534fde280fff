//! A workbook of one sheet: what Excel can't hold exactly is text in it.

use std::path::Path;

use duckdb::{Connection, Row};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

use super::column::Column;
use crate::error::{Error, Result};

/// Excel's own limits: rows of a sheet, the header's included, and characters of a cell.
const MOST_ROWS: u64 = 1_048_576;
const MOST_CHARACTERS: usize = 32_767;
/// Excel keeps so many significant digits of a number, and makes zeros of the rest.
const MOST_DIGITS: usize = 15;
/// Characters of a sheet's name.
const LONGEST_NAME: usize = 31;

/// How a column's cells are written.
enum Kind {
    /// As numbers where Excel keeps all of their digits.
    Number(Format),
    Boolean,
    Text,
}

impl Kind {
    fn of(column: &Column) -> Self {
        let number = |scale: usize| {
            let zeros = "0".repeat(scale);
            let shown = if scale > 0 {
                format!("0.{zeros}")
            } else {
                "0".into()
            };
            Self::Number(Format::new().set_num_format(shown))
        };
        match column.kind.as_str() {
            "BOOLEAN" => Self::Boolean,
            "UTINYINT" | "INTEGER" | "BIGINT" | "HUGEINT" => number(0),
            kind => match kind
                .strip_prefix("DECIMAL(")
                .and_then(|of| of.strip_suffix(')'))
            {
                Some(of) => number(
                    of.rsplit(',')
                        .next()
                        .and_then(|scale| scale.trim().parse().ok())
                        .unwrap_or_default(),
                ),
                None => Self::Text,
            },
        }
    }

    /// In characters.
    fn width(&self, column: &Column) -> u32 {
        match (self, column.kind.as_str()) {
            (Self::Boolean, _) => 8,
            (Self::Number(_), _) => 16,
            (Self::Text, "UUID") => 38,
            (Self::Text, _) => 28,
        }
    }
}

/// Rows to a workbook, one after the other: finished ones are on disk, not in memory.
pub(super) struct Sheet<'a> {
    pub(super) connection: &'a Connection,
    pub(super) name: &'a str,
    pub(super) columns: &'a [Column],
    /// Selects every cell as text.
    pub(super) rows: String,
}

impl Sheet<'_> {
    /// Writes over the file `target`, with a folder beside it for what does not fit into memory; returns how many rows.
    ///
    /// # Errors
    /// [`Error::Usage`] for more rows, or more text in a cell, than Excel takes; [`Error::Database`]; [`Error::Io`].
    pub(super) fn write(&self, target: &Path) -> Result<u64> {
        self.check()?;
        let failed = |error: XlsxError| Error::io("write", target)(std::io::Error::other(error));
        let folder = target.parent().unwrap_or(Path::new("."));
        let mut workbook = Workbook::new();
        workbook.set_tempdir(folder).map_err(failed)?;
        let sheet = workbook
            .add_worksheet_with_constant_memory()
            .map_err(failed)?;
        let kinds: Vec<Kind> = self.columns.iter().map(Kind::of).collect();
        self.begin(sheet, &kinds).map_err(failed)?;
        let read = |error| Error::database("read the rows")(error);
        let mut statement = self.connection.prepare(&self.rows).map_err(read)?;
        let mut rows = statement.query([]).map_err(read)?;
        let mut written: u32 = 0;
        while let Some(row) = rows.next().map_err(read)? {
            written += 1;
            for (at, kind) in (0_u16..).zip(&kinds) {
                let cell: Option<String> = row.get(usize::from(at)).map_err(read)?;
                let Some(cell) = cell else { continue };
                if cell.chars().count() > MOST_CHARACTERS {
                    return Err(self.too_long(row, usize::from(at), cell.chars().count()));
                }
                put(sheet, (written, at), &cell, kind).map_err(failed)?;
            }
        }
        workbook.save(target).map_err(failed)?;
        Ok(written.into())
    }

    fn check(&self) -> Result<()> {
        let sql = format!("SELECT count(*) FROM ({})", self.rows);
        let rows: i64 = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(Error::database("count the rows"))?;
        let most = MOST_ROWS - 1;
        match u64::try_from(rows).unwrap_or_default() > most {
            false => Ok(()),
            true => Err(Error::Usage {
                message: format!("{rows} rows are more than a sheet takes, which is {most}"),
                hint: Some("take a part with --batch or --since, or use --format csv".into()),
            }),
        }
    }

    fn begin(&self, sheet: &mut Worksheet, kinds: &[Kind]) -> std::result::Result<(), XlsxError> {
        let name: String = self.name.chars().take(LONGEST_NAME).collect();
        sheet.set_name(name)?;
        sheet.set_freeze_panes(1, 0)?;
        let bold = Format::new().set_bold();
        for ((at, column), kind) in (0_u16..).zip(self.columns).zip(kinds) {
            sheet.set_column_width(at, kind.width(column))?;
            sheet.write_string_with_format(0, at, plain(&column.name), &bold)?;
        }
        Ok(())
    }

    fn too_long(&self, row: &Row<'_>, at: usize, characters: usize) -> Error {
        let place = |name: &str| {
            let at = self.columns.iter().position(|of| plain(&of.name) == name);
            let text = at.and_then(|at| row.get::<_, Option<String>>(at).ok().flatten());
            text.unwrap_or_default()
        };
        Error::Usage {
            message: format!(
                "`{}` of file {}, line {} has {characters} characters, more than a cell takes, which is {MOST_CHARACTERS}",
                plain(&self.columns[at].name),
                place("file_id"),
                place("line")
            ),
            hint: Some("use --format csv".into()),
        }
    }
}

fn plain(name: &str) -> String {
    name.trim_matches('"').replace("\"\"", "\"")
}

fn put(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    cell: &str,
    kind: &Kind,
) -> std::result::Result<(), XlsxError> {
    match kind {
        Kind::Boolean => sheet.write_boolean(row, column, cell == "true")?,
        Kind::Number(format) if digits(cell) <= MOST_DIGITS => match cell.parse::<f64>() {
            Ok(number) => sheet.write_number_with_format(row, column, number, format)?,
            Err(_) => sheet.write_string(row, column, cell)?,
        },
        // Never a formula, whatever it begins with.
        Kind::Number(_) | Kind::Text => sheet.write_string(row, column, cell)?,
    };
    Ok(())
}

/// Significant digits of a decimal number.
fn digits(number: &str) -> usize {
    let number = match number.contains('.') {
        true => number.trim_end_matches('0'),
        false => number,
    };
    let digits = number.chars().filter(char::is_ascii_digit);
    digits.skip_while(|digit| *digit == '0').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_that_say_nothing_are_no_digits() {
        let counted = [
            "0",
            "-12.5000",
            "0.0001",
            "100",
            "123456789012345.0",
            "1234567890123456",
        ]
        .map(digits);
        assert_eq!(counted, [0, 3, 1, 3, 15, 16]);
    }
}
