//! Lines that fit: how a table gives way to a narrow terminal, and how text is shortened.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Between two columns.
const GAP: usize = 2;
/// Fewest places of a column that nobody has said anything about.
const FEWEST: usize = 6;

/// What gives way where a line has no room for all columns.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Shortened first, to no less than so many places each.
    pub(super) shortened: Vec<(&'static str, usize)>,
    /// Left out then, in this order.
    pub(super) dropped: Vec<&'static str>,
}

impl Layout {
    /// The table's lines, none of them longer than `room`. Numbers are never cut: half an amount is another amount.
    pub(super) fn lines(
        &self,
        names: &[String],
        rows: &[Vec<String>],
        numeric: &[bool],
        room: Option<usize>,
    ) -> Vec<String> {
        let widest = |index: usize| {
            let cells = rows.iter().map(|row| width(&row[index]));
            cells.max().unwrap_or(0).max(width(&names[index]))
        };
        let mut columns: Vec<Column> = (0..names.len())
            .map(|index| Column {
                index,
                name: &names[index],
                places: widest(index),
                numeric: numeric[index],
            })
            .collect();
        if let Some(room) = room {
            self.fit(&mut columns, room);
        }
        let header = names.iter().map(String::as_str).collect();
        let rows = rows
            .iter()
            .map(|row| row.iter().map(String::as_str).collect());
        std::iter::once(header)
            .chain(rows)
            .map(|cells: Vec<&str>| line(&columns, &cells))
            .collect()
    }

    fn fit(&self, columns: &mut Vec<Column<'_>>, room: usize) {
        let mut dropped = self.dropped.iter();
        loop {
            let at_least = |column: &Column<'_>| {
                let said = self.shortened.iter().find(|(name, _)| *name == column.name);
                said.map_or(column.places, |(_, least)| column.places.min(*least))
            };
            let least: usize = columns.iter().map(at_least).sum();
            if least + gaps(columns) <= room {
                return shorten(columns, room, at_least);
            }
            let Some(name) = dropped.next() else {
                break;
            };
            if columns.len() > 1 {
                columns.retain(|column| column.name != *name);
            }
        }
        shorten(columns, room, |column| match column.numeric {
            true => column.places,
            false => column.places.min(FEWEST),
        });
    }
}

struct Column<'n> {
    index: usize,
    name: &'n str,
    places: usize,
    numeric: bool,
}

fn gaps(columns: &[Column<'_>]) -> usize {
    GAP * columns.len().saturating_sub(1)
}

/// Takes places from the widest column that has some to give, until all fit.
fn shorten(columns: &mut [Column<'_>], room: usize, at_least: impl Fn(&Column<'_>) -> usize) {
    let least: Vec<usize> = columns.iter().map(at_least).collect();
    let gaps = gaps(columns);
    loop {
        let taken: usize = columns.iter().map(|column| column.places).sum();
        let Some(excess) = (taken + gaps)
            .checked_sub(room)
            .filter(|excess| *excess > 0)
        else {
            return;
        };
        let giving = (0..columns.len())
            .filter(|at| columns[*at].places > least[*at])
            .max_by_key(|at| columns[*at].places);
        let Some(widest) = giving else {
            return;
        };
        let next = (0..columns.len())
            .filter(|at| *at != widest && columns[*at].places > least[*at])
            .map(|at| columns[at].places)
            .max()
            .unwrap_or(0);
        let column = &mut columns[widest];
        let down_to = next.max(least[widest]).min(column.places - 1);
        column.places -= (column.places - down_to).min(excess);
    }
}

fn line(columns: &[Column<'_>], cells: &[&str]) -> String {
    let mut line = String::new();
    for (place, column) in columns.iter().enumerate() {
        let cell = shortened(cells[column.index], column.places);
        let blanks = column.places.saturating_sub(width(&cell));
        if place > 0 {
            line.extend(std::iter::repeat_n(' ', GAP));
        }
        if column.numeric {
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        line.push_str(&cell);
        if !column.numeric {
            line.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Text that neither breaks the line nor commands the terminal: characters that do are written out, as are those that
/// nobody sees or that turn the order of the others.
pub(super) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => line.extend(c.escape_unicode()),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// As much of `text` as `most` places of a line hold, with `…` where something was left out.
pub(in crate::commands) fn shortened(text: &str, most: usize) -> String {
    let line = on_one_line(text);
    if width(&line) <= most {
        return line;
    }
    let room = most.saturating_sub(1);
    let mut kept = String::new();
    for c in line.chars() {
        if width(&kept) + c.width().unwrap_or(0) > room {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// `text` in lines that are no longer than `room`, broken between words; all but the first are indented a little more
/// than it is. A word that is longer, such as a path, stays whole: it may be copied.
pub(super) fn wrapped(text: &str, room: Option<usize>) -> String {
    let Some(room) = room else {
        return text.to_owned();
    };
    let words = text.trim_start_matches(' ');
    let mut lines = text[..text.len() - words.len()].to_owned();
    let indent = format!("{lines}  ");
    let mut taken = 0;
    for word in words.split(' ') {
        if taken == 0 {
            taken = lines.len();
        } else if taken + 1 + width(word) > room {
            lines.push('\n');
            lines.push_str(&indent);
            taken = indent.len();
        } else {
            lines.push(' ');
            taken += 1;
        }
        lines.push_str(word);
        taken += width(word);
    }
    lines
}

/// Places that `text` takes on a line: East Asian characters take two.
pub(in crate::commands) fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(layout: &Layout, rows: &[[&str; 4]], room: usize) -> Vec<String> {
        let names = ["batch", "rows", "message", "note"].map(str::to_owned);
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect();
        layout.lines(&names, &rows, &[false, true, false, false], Some(room))
    }

    fn layout() -> Layout {
        Layout {
            shortened: vec![("message", 8)],
            dropped: vec!["note"],
        }
    }

    #[test]
    fn a_table_that_fits_is_left_alone() {
        assert_eq!(
            lines(&layout(), &[["B1", "5", "fine", "x"]], 30),
            ["batch  rows  message  note", "B1        5  fine     x"]
        );
    }

    #[test]
    fn first_text_is_shortened_then_columns_go_then_everything_but_numbers_gives_way() {
        let row = [["BATCH_1", "123456", "a long message", "why"]];
        let at = |room| lines(&layout(), &row, room)[1].clone();
        assert_eq!(at(37), "BATCH_1  123456  a long message  why");
        assert_eq!(at(34), "BATCH_1  123456  a long mes…  why");
        assert_eq!(at(31), "BATCH_1  123456  a long …  why");
        assert_eq!(at(30), "BATCH_1  123456  a long messa…");
        assert_eq!(at(22), "BATCH…  123456  a lon…");
    }

    #[test]
    fn no_line_is_longer_than_the_room_whatever_is_in_it() {
        let row = [
            "余额余额余额余额",
            "12345",
            "消息消息消息消息消息消息",
            "余额\u{200b}x",
        ];
        for room in 30..60 {
            for line in lines(&layout(), &[row], room) {
                assert!(width(&line) <= room, "{room}: {line}");
                assert!(line.contains("rows") || line.contains("12345"), "{line}");
            }
        }
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let text = "B1: 2 of 3 rows rejected; see a/very/long/path/to/a/file";
        assert_eq!(wrapped(text, None), text);
        assert_eq!(
            wrapped(text, Some(20)),
            "B1: 2 of 3 rows\n  rejected; see\n  a/very/long/path/to/a/file"
        );
        assert_eq!(
            wrapped("  hint: run again", Some(12)),
            "  hint: run\n    again"
        );
    }

    #[test]
    fn shortened_text_stays_on_its_line_and_does_not_command_the_terminal() {
        assert_eq!(shortened("a\nb", 10), "a\\nb");
        assert_eq!(shortened("\u{1b}[31m", 20), "\\u{1b}[31m");
        assert_eq!(shortened("a\u{202e}b\u{200b}", 20), "a\\u{202e}b\\u{200b}");
        assert_eq!(shortened("余额余额余额", 7), "余额余…");
        assert_eq!(shortened("余额余额余额", 8), "余额余…");
        assert_eq!(shortened("余额余额余额", 12), "余额余额余额");
    }
}
