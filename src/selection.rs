//! Which batches: numbers, globs and ranges.

use std::path::Path;

use crate::{
    batch_no::BatchNo,
    error::{Error, Result},
};

/// Batches as the command line names them.
#[derive(Debug)]
pub(crate) enum Selection {
    /// One.
    Number(BatchNo),
    /// All whose numbers match.
    Glob(glob::Pattern),
    /// All from the first number to the last, in the order of their text, and all that begin with the last.
    Range(String, String),
}

impl Selection {
    /// A number, a glob with `*`, `?` or `[…]`, or `A..B`: from `A` to every number that begins with `B`. Either end
    /// may be left out.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some((first, last)) = text.split_once("..") {
            for end in [first, last] {
                if !end.is_empty() {
                    number(end)?;
                }
            }
            if !is_up_to(first, last) {
                return Err(Error::Usage {
                    message: format!("`{text}`: no batch is in this range"),
                    hint: Some(format!("the smaller number comes first: {last}..{first}")),
                });
            }
            return Ok(Self::Range(first.into(), last.into()));
        }
        if text.contains(['*', '?', '[']) {
            return glob::Pattern::new(text)
                .map(Self::Glob)
                .map_err(|error| Error::usage(format!("`{text}` is no glob ({})", error.msg)));
        }
        number(text).map(Self::Number)
    }

    /// Those of a file with one a line.
    pub(crate) fn read(path: &Path) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let mut found = Vec::new();
        // Some editors put a byte order mark before it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                found.push(Self::parse(line).map_err(|error| Error::Usage {
                    message: format!("{}:{number}: {error}", path.display()),
                    hint: error.hint().map(str::to_owned),
                })?);
            }
        }
        if found.is_empty() {
            return Err(Error::usage(format!("{} names no batch", path.display())));
        }
        Ok(found)
    }

    /// Whether it means this batch.
    pub(crate) fn takes(&self, batch_no: &BatchNo) -> bool {
        match self {
            Self::Number(number) => number == batch_no,
            Self::Glob(pattern) => pattern.matches(batch_no.as_str()),
            Self::Range(first, last) => {
                let number = batch_no.as_str();
                first.as_str() <= number && is_up_to(number, last)
            }
        }
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Glob(pattern) => write!(f, "{pattern}"),
            Self::Range(first, last) => write!(f, "{first}..{last}"),
        }
    }
}

/// Whether a number comes before the end of a range or belongs to it: an end may be a day, whose batches all begin
/// with it.
fn is_up_to(number: &str, last: &str) -> bool {
    number <= last || number.starts_with(last)
}

fn number(text: &str) -> Result<BatchNo> {
    BatchNo::new(text).map_err(|invalid| Error::usage(format!("`{text}`: {}", invalid.of("it"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_globs_and_ranges_take_what_they_name() {
        let all = ["BATCH_20260301", "BATCH_20260302", "BATCH_20260401", "X1"];
        for (text, expected) in [
            ("BATCH_20260302", &all[1..2]),
            ("BATCH_202603*", &all[..2]),
            ("BATCH_2026030?", &all[..2]),
            ("*", &all[..]),
            ("BATCH_20260302..BATCH_20260401", &all[1..3]),
            ("BATCH_20260302..", &all[1..]),
            ("..BATCH_20260302", &all[..2]),
            ("BATCH_9", &[]),
            ("..", &all[..]),
            ("..BATCH", &all[..3]),
            ("BATCH_20260302..BATCH", &all[1..3]),
            ("BATCH_20260302..X", &all[1..]),
            ("BATCH_202603..BATCH_202603", &all[..2]),
            ("BATCH_20260303..BATCH_202603", &[]),
            ("X..X", &all[3..]),
        ] {
            let selection = Selection::parse(text).expect(text);
            let taken: Vec<&str> = all
                .into_iter()
                .filter(|number| selection.takes(&BatchNo::new(number).expect("a number")))
                .collect();
            assert_eq!(taken, expected, "{text}");
        }
    }

    #[test]
    fn a_range_of_days_takes_all_batches_of_its_last_day() {
        let march = Selection::parse("BATCH_20260301..BATCH_20260331").expect("a range");
        for (number, expected) in [
            ("BATCH_20260228235959", false),
            ("BATCH_20260301", true),
            ("BATCH_20260301000000", true),
            ("BATCH_20260331", true),
            ("BATCH_20260331163600", true),
            ("BATCH_20260331_2", true),
            ("BATCH_20260332", false),
            ("BATCH_20260401000000", false),
        ] {
            let number = BatchNo::new(number).expect("a number");
            assert_eq!(march.takes(&number), expected, "{number}");
        }
    }

    #[test]
    fn what_names_no_batch_is_refused() {
        for text in [
            "",
            "../x",
            "a/b",
            "B2..B1",
            "B20..B1",
            "B1_2..B1_1",
            "[",
            "B1../x",
        ] {
            assert!(Selection::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_has_comments_and_its_mistakes_are_found_by_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.txt");
        std::fs::write(&path, "# March\nB1  # lost\n\nB2..B3\n").expect("written");
        let read = Selection::read(&path).expect("a list");
        assert_eq!(
            read.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["B1", "B2..B3"]
        );
        std::fs::write(&path, "B1\na/b\n").expect("written");
        let error = Selection::read(&path).expect_err("a mistake").to_string();
        assert!(error.contains("list.txt:2: "), "{error}");
    }
}
