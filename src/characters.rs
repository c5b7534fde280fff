//! Characters that nobody sees, and how a message names them.
//!
//! A zero-width space in a header, a no-break space behind an amount: a message that repeats the text shows a text
//! without a fault. It says `U+200B` instead.

use std::borrow::Cow;

/// Whether `c` looks like nothing or like a plain blank, and is none: controls, marks of direction, blanks of other
/// widths, joiners, fillers, what Unicode has for private use or not at all.
///
/// ```
/// use redledger::characters::is_invisible;
/// assert!(is_invisible('\u{200b}') && is_invisible('\u{a0}') && is_invisible('\t'));
/// assert!(!is_invisible(' ') && !is_invisible('é') && !is_invisible('账'));
/// ```
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        | '\u{1680}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{f0000}'..='\u{10ffff}')
}

/// The character's code point, as Unicode writes it: `U+200B`.
#[must_use]
pub fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// `text` with every invisible character written as its code point, in brackets: `acct⟨U+200B⟩Id`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_invisible(c) {
            shown.push_str(&format!("⟨{}⟩", code_point(c)));
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::{is_invisible, visible};

    #[test]
    fn what_is_seen_stays_and_what_is_not_is_named() {
        for text in ["accountId", "账户 名称", "e\u{301}", "¥ 5’", "🦀", ""] {
            assert_eq!(visible(text), text);
        }
        assert_eq!(visible("acct\u{200b}Id"), "acct⟨U+200B⟩Id");
        assert_eq!(visible("\u{feff}a\tb\u{a0}"), "⟨U+FEFF⟩a⟨U+0009⟩b⟨U+00A0⟩");
    }

    #[test]
    fn all_controls_and_all_blanks_but_one_are_invisible() {
        for c in '\0'..=char::MAX {
            if c.is_control() || (c.is_whitespace() && c != ' ') {
                assert!(is_invisible(c), "{c:?}");
            }
            if c.is_alphanumeric()
                && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
            {
                assert!(!is_invisible(c), "{c:?}");
            }
        }
    }
}
