//! Values from a closed list: enum codes, currencies, booleans.

use iso_currency::Currency;

use crate::rejection::{CellFault, RejectionCode};

use super::trimmed;

/// Most codes a message lists.
const LISTED: usize = 20;

fn not_allowed(message: impl Into<std::borrow::Cow<'static, str>>) -> CellFault {
    CellFault::new(RejectionCode::NotAllowed, message)
}

/// The codes of one enum field, ready to look cells up.
#[derive(Debug, Clone)]
pub struct Codes {
    /// Sorted.
    codes: Vec<Box<str>>,
    /// By number; all false unless the codes are numbers.
    numbers: [bool; 256],
    /// What a cell should have been.
    message: String,
}

impl Codes {
    /// The codes of a contract's `values`: pairs of code and meaning.
    ///
    /// `numeric` says that every code is a number from 0 to 255 without leading zeros.
    #[must_use]
    pub fn new(values: &[(String, String)], numeric: bool) -> Self {
        let mut codes: Vec<Box<str>> = values
            .iter()
            .map(|(code, _)| code.as_str().into())
            .collect();
        codes.sort_unstable();
        let mut numbers = [false; 256];
        if numeric {
            for number in codes.iter().filter_map(|code| code.parse::<u8>().ok()) {
                numbers[usize::from(number)] = true;
            }
        }
        let listed: Vec<String> = values
            .iter()
            .take(LISTED)
            .map(|(code, meaning)| match meaning.as_str() {
                "" => code.clone(),
                meaning => format!("{code} ({meaning})"),
            })
            .collect();
        let more = match values.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("none of the codes {}{more}", listed.join(", "));
        Self {
            codes,
            numbers,
            message,
        }
    }

    /// The number of a numeric code; spaces around it are no fault, `00` and `0.0` are not `0`.
    ///
    /// # Errors
    /// `not-allowed` with the list of codes; always so when the codes are not numbers.
    #[inline]
    pub fn number(&self, cell: &[u8]) -> Result<u8, CellFault> {
        let number = match trimmed(cell) {
            [digit @ b'0'..=b'9'] => u16::from(digit - b'0'),
            [b'1'..=b'9', ..] => small_number(trimmed(cell)),
            _ => u16::MAX,
        };
        match u8::try_from(number) {
            Ok(number) if self.numbers[usize::from(number)] => Ok(number),
            _ => Err(self.fault()),
        }
    }

    /// The code that a cell names; spaces around it are no fault, another case is.
    ///
    /// # Errors
    /// `not-allowed` with the list of codes.
    #[inline]
    pub fn text(&self, cell: &[u8]) -> Result<&str, CellFault> {
        let cell = trimmed(cell);
        let found = self
            .codes
            .binary_search_by(|code| code.as_bytes().cmp(cell));
        match found.ok().and_then(|at| self.codes.get(at)) {
            Some(code) => Ok(code),
            None => Err(self.fault()),
        }
    }

    #[cold]
    fn fault(&self) -> CellFault {
        not_allowed(self.message.clone())
    }
}

/// The value of two or three digits; [`u16::MAX`] for anything else.
fn small_number(text: &[u8]) -> u16 {
    if text.len() > 3 || !text.iter().all(u8::is_ascii_digit) {
        return u16::MAX;
    }
    text.iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
}

/// How many codes of three upper-case letters there are.
const THREE_LETTERS: usize = 26 * 26 * 26;

/// The number of a code among all codes of three upper-case letters.
#[inline]
fn three_letters(code: &[u8]) -> Option<usize> {
    let [a, b, c] = *code else { return None };
    let letter = |byte: u8| {
        let letter = byte.wrapping_sub(b'A');
        (letter < 26).then_some(usize::from(letter))
    };
    Some((letter(a)? * 26 + letter(b)?) * 26 + letter(c)?)
}

/// The currency codes a field takes: those of ISO 4217 and the contract's own.
///
/// ISO codes are the alphabetic ones of the `iso_currency` crate: with funds, metals, `XXX` and `XTS`, and
/// with some that are out of use (`HRK`), as old balances stay what they were. Others, such as `ANG`, a
/// contract lists itself.
#[derive(Debug, Clone)]
pub struct Currencies {
    /// A bit for each code of three letters.
    bits: Box<[u64]>,
    /// The contract's own codes of another shape.
    others: Vec<Box<str>>,
    /// Whether the contract has codes of its own.
    has_own: bool,
}

impl Currencies {
    /// ISO 4217 and `also`.
    #[must_use]
    pub fn new(also: &[String]) -> Self {
        let mut bits = vec![0_u64; THREE_LETTERS.div_ceil(64)].into_boxed_slice();
        let mut others = Vec::new();
        let iso = iso_codes().map(|currency| currency.code());
        for code in iso.chain(also.iter().map(String::as_str)) {
            match three_letters(code.as_bytes()) {
                Some(at) => bits[at / 64] |= 1 << (at % 64),
                None => others.push(code.into()),
            }
        }
        Self {
            bits,
            others,
            has_own: !also.is_empty(),
        }
    }

    /// Whether a cell is a currency code, byte for byte: it is stored as it is.
    ///
    /// # Errors
    /// `not-allowed`, saying so where only the case or spaces are wrong.
    #[inline]
    pub fn check(&self, cell: &[u8]) -> Result<(), CellFault> {
        if self.has(cell) {
            Ok(())
        } else {
            Err(self.fault(cell))
        }
    }

    #[inline]
    fn has(&self, code: &[u8]) -> bool {
        match three_letters(code) {
            Some(at) => self.bits[at / 64] & (1 << (at % 64)) != 0,
            None => self.others.iter().any(|other| other.as_bytes() == code),
        }
    }

    #[cold]
    fn fault(&self, cell: &[u8]) -> CellFault {
        let bare = cell.trim_ascii();
        not_allowed(if self.has(bare) {
            "a currency code with blanks around it"
        } else if self.has(&bare.to_ascii_uppercase()) {
            "a currency code in lower case where upper case is expected"
        } else if self.has_own {
            "neither an ISO 4217 code of three letters nor one of the contract's own"
        } else {
            "not an ISO 4217 code of three letters"
        })
    }
}

fn iso_codes() -> impl Iterator<Item = Currency> {
    // The crate lists its codes only with a feature; numeric codes have three digits and are unique.
    (0..=999).filter_map(Currency::from_numeric)
}

/// Every ISO 4217 code that has minor units, and how many decimals they are: `("JPY", 0)`, `("USD", 2)`.
///
/// Metals and other codes without minor units are left out. In the order of the numeric codes.
pub fn iso_minor_units() -> impl Iterator<Item = (&'static str, u8)> {
    iso_codes().filter_map(|currency| Some((currency.code(), decimals(currency)?)))
}

/// How many decimals the minor unit of an ISO 4217 currency is: 2 for `USD`, 0 for `JPY`, 3 for `KWD`.
///
/// `None` for a code that is not in ISO 4217 or has no minor unit, such as gold.
#[must_use]
pub fn minor_units(code: &str) -> Option<u8> {
    decimals(Currency::from_code(code)?)
}

fn decimals(currency: Currency) -> Option<u8> {
    u8::try_from(currency.exponent()?).ok()
}

/// `true`, `false`, `1` or `0`, in any case, with spaces around it or not.
///
/// # Errors
/// `not-allowed` for anything else, `yes` and `no` too.
#[inline]
pub fn boolean(cell: &[u8]) -> Result<bool, CellFault> {
    match trimmed(cell) {
        b"1" => Ok(true),
        b"0" => Ok(false),
        text if text.eq_ignore_ascii_case(b"true") => Ok(true),
        text if text.eq_ignore_ascii_case(b"false") => Ok(false),
        _ => Err(not_allowed("none of true, false, 1 and 0")),
    }
}

#[cfg(test)]
mod tests;
