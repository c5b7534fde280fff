//! Names of tables and columns.

use std::{fmt, sync::Arc};

/// A column or table name that needs no thought in SQL: `[a-z][a-z0-9_]{0,62}`. Still always quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier(Arc<str>);

impl Identifier {
    /// Takes `text` if it is an identifier.
    ///
    /// # Errors
    /// A sentence that says what an identifier is.
    pub fn new(text: &str) -> Result<Self, String> {
        let ok = text.len() <= 63
            && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && text
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(format!(
                "`{text}` is not a name for a table or column: lower-case letters, digits and `_`, a letter first, at most 63"
            ))
        }
    }

    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in double quotes, for SQL.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `cardNegative` → `card_negative`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut column = String::with_capacity(name.len() + 4);
    let mut previous_lower = false;
    for c in name.trim().chars() {
        if c.is_uppercase() && previous_lower {
            column.push('_');
        }
        previous_lower = c.is_lowercase() || c.is_ascii_digit();
        column.extend(c.to_lowercase());
    }
    column
}
