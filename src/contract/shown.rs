//! A header as messages show it: a file without one must not put its first row there.

use crate::characters::{is_invisible, visible};

/// Most cells that are shown.
const MOST_CELLS: usize = 40;
/// Most characters of a cell that are shown.
const LONGEST_CELL: usize = 60;
/// How alike a cell and a declared name are when the one is the other, misspelt (Jaro and Winkler).
const MISSPELT: f64 = 0.85;

/// A header's cells beside the names that are declared.
///
/// Column names are shown, account numbers and signed URLs are not. A row that names no declared column and has a
/// digit anywhere may be data: of it only what is nearly a declared name is shown. In a header, cells that look
/// like values are left out. What is left out is counted.
pub(super) struct Shown<'a> {
    header: &'a [String],
    declared: Vec<&'a str>,
    is_header: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn new(header: &'a [String], declared: Vec<&'a str>) -> Self {
        let is_header = header.iter().any(|cell| declared.contains(&plain(cell)))
            || !header.iter().any(|cell| may_be_value(cell));
        Self {
            header,
            declared,
            is_header,
        }
    }

    /// Whether the row is data rather than a header: it names no declared column, and has an amount, an address or
    /// an id of many digits.
    pub(super) fn is_data(&self) -> bool {
        let is_sure = |cell: &String| {
            let has_letters = cell.chars().any(char::is_alphabetic);
            let digits = digits(cell);
            cell.contains("://") || digits > 8 || (digits > 0 && !has_letters && cell.contains('.'))
        };
        !self.is_header && self.header.iter().any(is_sure)
    }

    /// The cell in backticks, its invisible characters named; `None` where it may be somebody's data.
    pub(super) fn cell(&self, cell: &str) -> Option<String> {
        let name: String = plain(cell).chars().filter(|c| !is_invisible(*c)).collect();
        let is_shown = self.declared.contains(&name.as_str())
            || (self.is_header && !is_value(&name))
            || (digits(&name) == 0 && self.is_near(&name));
        is_shown.then(|| {
            let shown: String = visible(cell).chars().take(LONGEST_CELL).collect();
            let more = if visible(cell).chars().count() > LONGEST_CELL {
                "…"
            } else {
                ""
            };
            format!("`{shown}{more}`")
        })
    }

    fn is_near(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.declared
            .iter()
            .any(|declared| strsim::jaro_winkler(&declared.to_lowercase(), &name) > MISSPELT)
    }

    /// All cells, and how many are not shown.
    pub(super) fn cells(&self) -> String {
        let shown: Vec<String> = self
            .header
            .iter()
            .filter_map(|cell| self.cell(cell))
            .take(MOST_CELLS)
            .collect();
        let hidden = self.header.len() - shown.len();
        let why = if self.is_header {
            ""
        } else {
            " (the first row may be data)"
        };
        match (shown.is_empty(), hidden) {
            (_, 0) => shown.join(", "),
            (true, hidden) => format!("{hidden} cells that are not shown{why}"),
            (false, 1) => format!("{} and one more that is not shown{why}", shown.join(", ")),
            (false, hidden) => {
                format!(
                    "{} and {hidden} more that are not shown{why}",
                    shown.join(", ")
                )
            }
        }
    }
}

fn plain(cell: &str) -> &str {
    cell.trim().trim_start_matches('\u{feff}')
}

fn digits(cell: &str) -> usize {
    cell.chars().filter(|c| c.is_numeric()).count()
}

/// Whether a row with this cell may be data, unless a declared name says otherwise.
fn may_be_value(cell: &str) -> bool {
    digits(cell) > 0 || is_value(cell)
}

/// Whether no column is named so: a number, an id of many digits, an address, a formula.
fn is_value(cell: &str) -> bool {
    let cell = plain(cell);
    let is_number = digits(cell) > 0 && !cell.chars().any(char::is_alphabetic);
    is_number
        || digits(cell) > 4
        || cell.contains("://")
        || cell.contains(['@', '='])
        || cell.contains('?')
}

#[cfg(test)]
mod tests {
    use super::Shown;

    fn shown(header: &str) -> String {
        let cells: Vec<String> = header.split('|').map(str::to_owned).collect();
        let declared = vec!["accountId", "cardNegative", "currency", "账户名称"];
        Shown::new(&cells, declared).cells()
    }

    #[test]
    fn names_are_shown_and_values_are_counted() {
        for (header, expected) in [
            ("accountId|moneda|line2", "`accountId`, `moneda`, `line2`"),
            ("acctId|moneda", "`acctId`, `moneda`"),
            (
                "acctId|amount_1",
                "`acctId` and one more that is not shown (the first row may be data)",
            ),
            ("账户名称|卡 1", "`账户名称`, `卡 1`"),
            ("acct\u{200b}Id|x", "`acct⟨U+200B⟩Id`, `x`"),
            (
                "account\u{200b}Id|x 1",
                "`account⟨U+200B⟩Id` and one more that is not shown (the first row may be data)",
            ),
            ("\u{feff}accountId|x1", "`⟨U+FEFF⟩accountId`, `x1`"),
            (
                "936da01f-9abd-4d9d-80c7-02af85c822a8|Acme|-10.50|https://h/a?s=1",
                "4 cells that are not shown (the first row may be data)",
            ),
            (
                "ACC-1|Alice",
                "2 cells that are not shown (the first row may be data)",
            ),
            (
                "accountId|https://h/a?Signature=x|711785600000",
                "`accountId` and 2 more that are not shown",
            ),
            ("a;b", "`a;b`"),
        ] {
            assert_eq!(shown(header), expected, "{header}");
        }
        let long = shown(&format!("accountId|{}", "x".repeat(1000)));
        assert_eq!(long, format!("`accountId`, `{}…`", "x".repeat(60)));
        let wide = shown(&vec!["x"; 1000].join("|"));
        assert!(wide.ends_with("and 960 more that are not shown"), "{wide}");
    }
}
