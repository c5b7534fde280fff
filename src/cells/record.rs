//! One delivered row.

/// A record as delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The physical line on which it begins; in an inline list its position.
    pub(crate) line: u64,
    /// The one on which it ends.
    pub(crate) last_line: u64,
    /// Without the line break behind it.
    pub(crate) raw: String,
    /// `None`: an inline row does not have it.
    pub(crate) cells: Vec<Option<String>>,
    /// It can't be read: quotes break it, or it is no JSON.
    pub(crate) is_broken: bool,
}

impl Record {
    /// Whether it is no row: every cell is empty.
    pub(crate) fn is_empty(&self) -> bool {
        let is_empty = |cell: &Option<String>| cell.as_deref().unwrap_or_default().is_empty();
        !self.is_broken && self.cells.iter().all(is_empty)
    }
}
