//! A line over days as SVG, with nothing but lines and text in it.

use std::fmt::Write as _;

/// Its box; a page scales it.
pub(super) const WIDTH: f64 = 320.0;
pub(super) const HEIGHT: f64 = 96.0;
/// For a line's width and a dot's radius at the edges.
const EDGE: f64 = 4.0;

/// The path of a line over equal steps that breaks where a value is missing, and the dots of values with neither neighbor.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) path: String,
    /// Their places.
    pub(super) dots: Vec<(String, String)>,
    /// Where zero is.
    pub(super) zero: String,
}

/// Zero is always in it: a line that begins elsewhere makes a little look like much.
pub(super) fn line(values: &[Option<f64>]) -> Line {
    let known = || values.iter().flatten().copied();
    let highest = known().fold(0.0, f64::max);
    let lowest = known().fold(0.0, f64::min);
    let range = if highest > lowest {
        highest - lowest
    } else {
        1.0
    };
    let step = (WIDTH - 2.0 * EDGE) / (values.len().max(2) - 1) as f64;
    let x = |at: usize| format!("{:.1}", EDGE + step * at as f64);
    let y = |value: f64| {
        let share = (highest - value) / range;
        format!("{:.1}", EDGE + share * (HEIGHT - 2.0 * EDGE))
    };
    let mut line = Line {
        path: String::new(),
        dots: Vec::new(),
        zero: y(0.0),
    };
    let is_there = |at: Option<usize>| {
        at.and_then(|at| values.get(at))
            .copied()
            .flatten()
            .is_some()
    };
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let goes_on = is_there(at.checked_sub(1));
        if !goes_on && !is_there(Some(at + 1)) {
            line.dots.push((x(at), y(*value)));
            continue;
        }
        let command = if goes_on { 'L' } else { 'M' };
        let _ = write!(line.path, "{command}{} {}", x(at), y(*value));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_a_day_has_no_value() {
        let drawn = line(&[Some(-1.0), Some(-2.0), None, Some(-2.0), None]);
        assert_eq!(drawn.path, "M4.0 48.0L82.0 92.0");
        assert_eq!(drawn.dots, [("238.0".to_owned(), "92.0".to_owned())]);
        assert_eq!(drawn.zero, "4.0");
    }

    #[test]
    fn what_is_all_zero_or_nothing_is_drawn_too() {
        assert_eq!(line(&[]).path, "");
        assert_eq!(line(&[Some(0.0)]).dots.len(), 1);
        assert_eq!(line(&[Some(0.0), Some(0.0)]).path, "M4.0 4.0L316.0 4.0");
    }
}
