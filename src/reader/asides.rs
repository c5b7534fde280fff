//! What a reader leaves out or does not believe: nothing of it is a row, all of it is counted.

use std::ops::AddAssign;

/// Figures of files, for the ledger's controls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asides {
    /// Records of which every cell is empty, such as `,,,`. They are no rows, neither read nor rejected.
    pub passed_over: u64,
    /// Records behind a byte order mark, which is no part of their first cell.
    pub marks: u64,
    /// Files that are read as UTF-8 because they are Chinese in it, although the response said GBK.
    pub overruled: u64,
}

impl Asides {
    /// The rows that `stated` means, where `read` are there: whoever states a number may count what was passed
    /// over, or not.
    #[must_use]
    pub fn rows_of(&self, stated: u64, read: u64) -> u64 {
        if stated == read + self.passed_over {
            read
        } else {
            stated
        }
    }

    /// Each figure with its name.
    #[must_use]
    pub fn figures(&self) -> [(&'static str, u64); 3] {
        [
            (
                "rows of nothing but delimiters, passed over",
                self.passed_over,
            ),
            ("byte order marks taken off a row", self.marks),
            (
                "files in UTF-8 although the response said GBK",
                self.overruled,
            ),
        ]
    }
}

impl AddAssign for Asides {
    fn add_assign(&mut self, more: Self) {
        self.passed_over += more.passed_over;
        self.marks += more.marks;
        self.overruled += more.overruled;
    }
}
