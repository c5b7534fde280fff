//! What the demo delivers: the shipped examples, and a month of nights. Pure: who plays it serves and announces it.

mod accounts;
mod month;

use include_dir::{Dir, include_dir};

pub(crate) use self::month::{Night, month};

/// What a provider would serve: announcements and the files they name. `{server}` stands for its address.
pub(crate) static EXAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/demo");
