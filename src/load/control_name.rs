//! What controls are called in the ledger.

use std::fmt;

use crate::contract::Identifier;

/// A control, by what it checks or notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlName<'a> {
    /// Announced rows against rows read.
    HookTotal,
    /// Rows that the naming rows state against rows read of the files that they name.
    LineTotal,
    /// Rows that bills count and that are no lines: they are left out of what [`Self::LineTotal`] expects.
    LinesPassedOver,
    /// Every row of a dataset is loaded or rejected.
    Accounted(&'a str),
    /// Rows that break a rule of the contract, or [`MINOR_UNITS`].
    Broken(&'a str),
    /// The sum of an amount's column.
    Sum(&'a str),
}

/// The rule that every contract with a currency has.
pub(super) const MINOR_UNITS: &str = "no more decimals than the currency has";

const HOOK_TOTAL: &str = "hook total = rows read";
const LINE_TOTAL: &str = "bill total = lines received";
const LINES_PASSED_OVER: &str = "rows of nothing but delimiters that bills count in their total";
const ACCOUNTED: &str = ": read = loaded + rejected";
const BROKEN: &str = "rows that break: ";
const SUM: &str = "sum of ";

impl<'a> ControlName<'a> {
    /// The control that the ledger calls so; `None` for a figure of another kind.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Some(match text {
            HOOK_TOTAL => Self::HookTotal,
            LINE_TOTAL => Self::LineTotal,
            LINES_PASSED_OVER => Self::LinesPassedOver,
            text => {
                if let Some(dataset) = text.strip_suffix(ACCOUNTED) {
                    Self::Accounted(dataset)
                } else if let Some(rule) = text.strip_prefix(BROKEN) {
                    Self::Broken(rule)
                } else {
                    let column = text.strip_prefix(SUM)?;
                    Identifier::new(column).ok()?;
                    Self::Sum(column)
                }
            }
        })
    }
}

impl fmt::Display for ControlName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HookTotal => f.write_str(HOOK_TOTAL),
            Self::LineTotal => f.write_str(LINE_TOTAL),
            Self::LinesPassedOver => f.write_str(LINES_PASSED_OVER),
            Self::Accounted(dataset) => write!(f, "{dataset}{ACCOUNTED}"),
            Self::Broken(rule) => write!(f, "{BROKEN}{rule}"),
            Self::Sum(column) => write!(f, "{SUM}{column}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlName, MINOR_UNITS};

    #[test]
    fn what_a_control_is_called_says_what_it_is() {
        for name in [
            ControlName::HookTotal,
            ControlName::LineTotal,
            ControlName::LinesPassedOver,
            ControlName::Accounted("account_negative"),
            ControlName::Broken("a = b + c"),
            ControlName::Broken(MINOR_UNITS),
            ControlName::Sum("card_negative"),
        ] {
            assert_eq!(ControlName::parse(&name.to_string()), Some(name));
        }
        assert_eq!(ControlName::parse("sum of two columns"), None);
        assert_eq!(ControlName::parse("checksums that could not be read"), None);
    }
}
