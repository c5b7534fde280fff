//! How wide the terminal is.

use std::io::IsTerminal as _;

/// Of a terminal that does not say.
const USUAL: usize = 80;
/// What is narrower is taken for this.
const NARROWEST: usize = 20;

/// Places in a line of the terminal that stdout is, else those that `COLUMNS` asks for; `None` when there is no limit.
#[must_use]
pub fn width() -> Option<usize> {
    let asked = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    let stdout = std::io::stdout();
    let places = if stdout.is_terminal() {
        let size = rustix::termios::tcgetwinsize(&stdout).ok();
        size.map(|size| usize::from(size.ws_col))
            .filter(|places| *places > 0)
            .or_else(asked)
            .or(Some(USUAL))
    } else {
        asked()
    };
    places
        .filter(|places| *places > 0)
        .map(|places| places.max(NARROWEST))
}
