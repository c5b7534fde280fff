//! What one column of a sample can be, narrowed by every row.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{BuildHasher as _, RandomState},
};

use crate::{
    contract::TimeUnit,
    normalize::{self, Currencies},
};

/// Most distinct values that are kept as possible codes.
const MOST_CODES: usize = 10;
/// Longest of them in bytes.
const LONGEST_CODE: usize = 40;
/// Fewest filled cells that make few values a list of codes.
const FEWEST_CODED_ROWS: u64 = 100;
/// Most digits of a number: with more it is an id, as are digits after a leading zero.
const MOST_DIGITS: usize = 18;
/// Most digits of a decimal column.
const MOST_DECIMAL_DIGITS: usize = 38;
const UNITS: [TimeUnit; 3] = [
    TimeUnit::Seconds,
    TimeUnit::Milliseconds,
    TimeUnit::Microseconds,
];

/// What the column should be declared as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proposed {
    Text,
    Uuid,
    Url,
    Boolean,
    Currency,
    Integer,
    Timestamp(TimeUnit),
    Decimal { precision: usize, scale: usize },
    Enum(Vec<String>),
}

/// Everything known of a column; its size does not grow with the sample.
pub(crate) struct Column {
    /// Header cell, trimmed.
    pub(crate) name: String,
    /// Cells that are not empty.
    pub(crate) filled: u64,
    /// Empty cells.
    pub(crate) empty: u64,
    /// Cells that are no text in the encoding, or hold a NUL.
    pub(crate) not_text: u64,
    /// Cells in a spreadsheet's wrapping, such as `="001"`.
    pub(crate) wrapped: u64,
    /// Most characters of a cell.
    pub(crate) longest: usize,
    /// Fewest and most digits of a cell that is a number.
    pub(crate) digits: Option<(usize, usize)>,
    /// Cells that begin with a zero and another digit.
    pub(crate) leading_zeros: u64,
    distinct: Distinct,
    codes: Option<BTreeSet<String>>,
    maybe: Maybe,
    most_whole_digits: usize,
    most_decimals: usize,
}

/// Types that no cell has ruled out yet.
struct Maybe {
    uuid: bool,
    url: bool,
    boolean: bool,
    currency: bool,
    integer: bool,
    decimal: bool,
    units: [bool; UNITS.len()],
    /// A boolean that is not only written 0 and 1.
    boolean_in_words: bool,
}

/// Hashes of the values seen, up to a limit.
struct Distinct {
    seen: HashSet<u64>,
    most: usize,
    over: bool,
}

/// What all columns of a sample share.
pub(crate) struct Ground {
    currencies: Currencies,
    hasher: RandomState,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self {
            currencies: Currencies::new(&[]),
            hasher: RandomState::new(),
        }
    }
}

impl Column {
    /// A column of which nothing was seen; up to `most_distinct` values are told apart.
    pub(crate) fn new(name: &str, most_distinct: usize) -> Self {
        Self {
            name: name.to_owned(),
            filled: 0,
            empty: 0,
            not_text: 0,
            wrapped: 0,
            longest: 0,
            digits: None,
            leading_zeros: 0,
            distinct: Distinct {
                seen: HashSet::new(),
                most: most_distinct,
                over: false,
            },
            codes: Some(BTreeSet::new()),
            maybe: Maybe {
                uuid: true,
                url: true,
                boolean: true,
                currency: true,
                integer: true,
                decimal: true,
                units: [true; UNITS.len()],
                boolean_in_words: false,
            },
            most_whole_digits: 0,
            most_decimals: 0,
        }
    }

    /// Takes one more cell into account.
    pub(crate) fn see(&mut self, cell: &[u8], ground: &Ground) {
        if cell.is_empty() {
            self.empty += 1;
            return;
        }
        self.filled += 1;
        let unwrapped = normalize::unwrap_spreadsheet(cell);
        let cell = unwrapped.unwrap_or(cell);
        let Ok(text) = normalize::text(cell, None) else {
            self.not_text += 1;
            return;
        };
        self.longest = self.longest.max(text.chars().count());
        self.distinct.see(ground.hasher.hash_one(text));
        self.note_code(text);

        let maybe = &mut self.maybe;
        maybe.uuid = maybe.uuid && normalize::uuid(cell).is_ok();
        if unwrapped.is_some() {
            // Somebody has protected it from being taken for a number.
            self.wrapped += 1;
            self.maybe = Maybe {
                uuid: self.maybe.uuid,
                ..Maybe::nothing()
            };
            self.note_digits(text);
            return;
        }
        maybe.url = maybe.url && normalize::url(cell).is_ok();
        maybe.currency = maybe.currency && ground.currencies.check(cell).is_ok();
        maybe.boolean = maybe.boolean && normalize::boolean(cell).is_ok();
        maybe.boolean_in_words |= !matches!(text.trim(), "0" | "1");
        for (maybe, unit) in maybe.units.iter_mut().zip(UNITS) {
            *maybe = *maybe && normalize::timestamp(cell, unit).is_ok();
        }
        self.see_number(cell, text);
        self.note_digits(text);
    }

    fn see_number(&mut self, cell: &[u8], text: &str) {
        let number = text.trim_matches(' ');
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let leading_zero = whole.len() > 1
            && whole.starts_with('0')
            && whole.bytes().all(|byte| byte.is_ascii_digit());
        if leading_zero {
            self.leading_zeros += 1;
        }
        // A leading zero or plus sign is lost in a number: 0049 and +49 are ids.
        let keeps_its_look = !leading_zero && !number.starts_with('+');
        let maybe = &mut self.maybe;
        maybe.integer = maybe.integer
            && keeps_its_look
            && whole.len() <= MOST_DIGITS
            && normalize::integer(cell, i64::MIN, i64::MAX).is_ok();
        if !maybe.decimal {
            return;
        }
        let scale = u8::try_from(decimals.len()).unwrap_or(u8::MAX);
        maybe.decimal = keeps_its_look
            && usize::from(scale) <= MOST_DECIMAL_DIGITS
            && normalize::decimal(cell, 38, scale, None, None).is_ok();
        if maybe.decimal {
            self.most_whole_digits = self.most_whole_digits.max(whole.len());
            self.most_decimals = self.most_decimals.max(decimals.len());
            // The parts may come from different rows; a column has to hold both.
            if self.most_whole_digits + self.most_decimals > MOST_DECIMAL_DIGITS {
                self.maybe.decimal = false;
            }
        }
    }

    fn note_digits(&mut self, text: &str) {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let only = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b" +-.".contains(&byte));
        if digits > 0 && only {
            let (fewest, most) = self.digits.unwrap_or((digits, digits));
            self.digits = Some((fewest.min(digits), most.max(digits)));
        }
    }

    fn note_code(&mut self, text: &str) {
        let Some(codes) = &mut self.codes else {
            return;
        };
        // Codes are looked up without the spaces around them.
        let code = text.trim_matches(' ');
        let fits = !code.is_empty()
            && code.len() <= LONGEST_CODE
            && !code.chars().any(char::is_control)
            && (codes.len() < MOST_CODES || codes.contains(code));
        if !fits {
            self.codes = None;
        } else if !codes.contains(code) {
            codes.insert(code.to_owned());
        }
    }

    /// How many different values there are; `Err` with the limit when they are more.
    pub(crate) fn distinct(&self) -> Result<usize, usize> {
        if self.distinct.over {
            Err(self.distinct.most)
        } else {
            Ok(self.distinct.seen.len())
        }
    }

    /// Whether every row has another value.
    pub(crate) fn is_unique(&self) -> bool {
        self.empty == 0
            && self.not_text == 0
            && self.filled > 1
            && self
                .distinct()
                .is_ok_and(|values| values as u64 == self.filled)
    }

    /// Whether every cell is filled.
    pub(crate) fn is_always_filled(&self) -> bool {
        self.filled > 0 && self.empty == 0
    }

    /// The epoch unit that all cells fit, whatever the column is called.
    pub(crate) fn epoch_unit(&self) -> Option<TimeUnit> {
        if self.filled == 0 || !self.maybe.integer {
            return None;
        }
        let mut units = UNITS.into_iter().zip(self.maybe.units);
        units.find(|(_, maybe)| *maybe).map(|(unit, _)| unit)
    }

    /// Whether the column's name speaks of a time: an id may have as many digits as one.
    fn is_named_like_a_time(&self) -> bool {
        let name = self.name.to_lowercase();
        let words = crate::contract::snake_case(&self.name);
        let within = ["time", "date", "stamp", "epoch", "时间", "日期"];
        within.iter().any(|part| name.contains(part))
            || words
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| matches!(word, "at" | "ts" | "when" | "since" | "until" | "expires"))
    }

    /// The narrowest type that every cell fits.
    pub(crate) fn proposed(&self) -> Proposed {
        let maybe = &self.maybe;
        if self.filled == self.not_text {
            return Proposed::Text;
        }
        if maybe.uuid {
            return Proposed::Uuid;
        }
        if maybe.url {
            return Proposed::Url;
        }
        if maybe.boolean && maybe.boolean_in_words {
            return Proposed::Boolean;
        }
        if maybe.currency {
            return Proposed::Currency;
        }
        if let Some(unit) = self.epoch_unit()
            && self.is_named_like_a_time()
        {
            return Proposed::Timestamp(unit);
        }
        if let Some(codes) = self.codes_worth_listing() {
            return Proposed::Enum(codes);
        }
        if maybe.integer {
            return Proposed::Integer;
        }
        if maybe.decimal && self.most_decimals > 0 {
            // Room for larger amounts than the sample's: 18 digits take the same eight bytes as five.
            let seen = self.most_whole_digits + self.most_decimals;
            let precision = if seen <= MOST_DIGITS {
                MOST_DIGITS
            } else {
                MOST_DECIMAL_DIGITS
            };
            return Proposed::Decimal {
                precision,
                scale: self.most_decimals,
            };
        }
        Proposed::Text
    }

    fn codes_worth_listing(&self) -> Option<Vec<String>> {
        let codes = self.codes.as_ref()?;
        let small = |code: &String| {
            code.parse::<u8>()
                .is_ok_and(|number| number.to_string() == *code)
        };
        let is_number = self.maybe.integer || self.maybe.decimal;
        let few = codes.len() >= 2 && self.filled >= FEWEST_CODED_ROWS.max(20 * codes.len() as u64);
        // Amounts and counts with few values are amounts and counts all the same.
        (few && self.wrapped == 0 && (!is_number || codes.iter().all(small)))
            .then(|| codes.iter().cloned().collect())
    }

    /// Most digits before and after the point, for a column that is a number.
    pub(crate) fn decimal_digits(&self) -> (usize, usize) {
        (self.most_whole_digits, self.most_decimals)
    }
}

impl Maybe {
    fn nothing() -> Self {
        Self {
            uuid: false,
            url: false,
            boolean: false,
            currency: false,
            integer: false,
            decimal: false,
            units: [false; UNITS.len()],
            boolean_in_words: false,
        }
    }
}

impl Distinct {
    fn see(&mut self, hash: u64) {
        if self.over || self.seen.contains(&hash) {
            return;
        }
        if self.seen.len() == self.most {
            self.over = true;
            self.seen = HashSet::new();
        } else {
            self.seen.insert(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, cells: &[&str]) -> Column {
        let ground = Ground::new();
        let mut column = Column::new(name, 1_000);
        for cell in cells {
            column.see(cell.as_bytes(), &ground);
        }
        column
    }

    fn proposed(name: &str, cells: &[&str]) -> Proposed {
        column(name, cells).proposed()
    }

    #[test]
    fn the_type_is_the_narrowest_that_every_cell_fits() {
        let decimal = |scale| Proposed::Decimal {
            precision: 18,
            scale,
        };
        let cases: &[(&str, &[&str], Proposed)] = &[
            (
                "id",
                &["6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001"],
                Proposed::Uuid,
            ),
            (
                "id",
                &["6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001", "x"],
                Proposed::Text,
            ),
            ("n", &["1", "-20", ""], Proposed::Integer),
            ("n", &["1", "2.50", "-3.125"], decimal(3)),
            ("n", &["1", "2.50", "1e3"], Proposed::Text),
            ("n", &["1,000.00"], Proposed::Text),
            ("currency", &["USD", "JPY"], Proposed::Currency),
            ("currency", &["USD", "usd"], Proposed::Text),
            ("link", &["https://example.com/a.csv"], Proposed::Url),
            ("open", &["true", "FALSE"], Proposed::Boolean),
            ("open", &["1", "0"], Proposed::Integer),
            ("empty", &["", ""], Proposed::Text),
        ];
        for (name, cells, expected) in cases {
            assert_eq!(proposed(name, cells), *expected, "{name} {cells:?}");
        }
    }

    #[test]
    fn ids_that_a_number_would_change_stay_text() {
        for cells in [
            &["0001", "12"][..],
            &["1234567890123456789"],
            &["=\"0012\"", "=\"13\""],
            &["\t77"],
            &["+4912345"],
            &["-007"],
        ] {
            assert_eq!(proposed("displayId", cells), Proposed::Text, "{cells:?}");
        }
    }

    #[test]
    fn epoch_numbers_are_times_only_where_the_name_says_so() {
        let cells = &["1711785600000", "1711785600001"];
        let times = Proposed::Timestamp(TimeUnit::Milliseconds);
        for name in ["statTime", "created_at", "createdAt", "统计时间戳", "ts"] {
            assert_eq!(proposed(name, cells), times, "{name}");
        }
        assert_eq!(proposed("orderNo", cells), Proposed::Integer);
        let mixed = &["1711785600000", "1711785600"];
        assert_eq!(proposed("statTime", mixed), Proposed::Integer);
        let seconds = Proposed::Timestamp(TimeUnit::Seconds);
        assert_eq!(proposed("time", &["1711785600"]), seconds);
    }

    #[test]
    fn few_values_in_many_rows_are_codes_and_amounts_never_are() {
        let many = |values: &[&'static str]| -> Vec<&'static str> {
            values.iter().copied().cycle().take(400).collect()
        };
        let codes = |codes: &[&str]| Proposed::Enum(codes.iter().map(|&c| c.to_owned()).collect());
        assert_eq!(proposed("type", &many(&["1", "0"])), codes(&["0", "1"]));
        assert_eq!(
            proposed("state", &many(&["open", "shut"])),
            codes(&["open", "shut"])
        );
        assert_eq!(proposed("state", &["open", "shut"]), Proposed::Text);
        assert_eq!(
            proposed("total", &many(&["1000", "2000"])),
            Proposed::Integer
        );
        let decimal = Proposed::Decimal {
            precision: 18,
            scale: 1,
        };
        assert_eq!(proposed("fee", &many(&["1.5", "2"])), decimal);
        assert_eq!(proposed("constant", &many(&["same"])), Proposed::Text);
    }

    #[test]
    fn a_decimal_holds_the_widest_parts_of_different_rows() {
        let wide = "12345678901234567890.1";
        assert_eq!(
            proposed("n", &[wide, "0.12345"]),
            Proposed::Decimal {
                precision: 38,
                scale: 5
            }
        );
        let whole = format!("{}.5", "9".repeat(36));
        assert_eq!(proposed("n", &[&whole, "0.123"]), Proposed::Text);
    }

    #[test]
    fn memory_stays_bounded_however_many_values() {
        let ground = Ground::new();
        let mut column = Column::new("id", 100);
        for number in 0..10_000 {
            column.see(format!("value {number}").as_bytes(), &ground);
        }
        assert_eq!(column.distinct(), Err(100));
        assert!(!column.is_unique() && column.distinct.seen.capacity() == 0);
    }
}
