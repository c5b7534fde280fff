//! What is in the inbox: announcements that the next run takes up, and those that wait for a person.

use std::path::Path;

use crate::{
    commands::output::{self, counted, say, shortened},
    error::Result,
    hook::{self, Announcement},
    inbox::Inbox,
};

/// Most announcements that are named of those put aside.
const BAD_SHOWN: usize = 10;
/// Larger announcements, and more of them, are not looked into: that is a run's work.
const LARGEST: u64 = 4 << 20;
const MOST: usize = 500;

pub(super) fn say(inbox: &Inbox) -> Result<()> {
    let waiting = inbox.waiting()?;
    if !waiting.is_empty() {
        let count = counted(waiting.len() as u64, "announcement");
        say!("inbox: {count} for the next run");
    }
    let mut announcements = Vec::new();
    for path in waiting.iter().take(MOST) {
        let name = name_of(path);
        match read(path) {
            Err(error) => output::say_wrapped(&format!("inbox: {name} can't be read: {error}")),
            Ok(None) => {}
            Ok(Some(bytes)) => match hook::index(&name, &bytes) {
                Ok(parsed) => {
                    announcements.extend(parsed.into_iter().map(|announcement| Announcement {
                        received_at: Inbox::received_at(path),
                        ..announcement
                    }));
                }
                Err(error) => will_be_bad(&error.chain()),
            },
        }
    }
    for path in inbox.passed_over()? {
        output::say_wrapped(&format!(
            "inbox: {} is not read: an announcement's name ends in .json",
            name_of(&path)
        ));
    }
    for assembled in hook::assemble(announcements) {
        match assembled.batch {
            Ok(batch) => {
                if let Some(missing) = &batch.missing {
                    output::say_wrapped(&format!("{} waits for {missing}", batch.batch_no));
                    output::say_wrapped(
                        "  to do: nothing, unless they don't come: then have it announced again",
                    );
                }
            }
            Err(error) => will_be_bad(&error.chain()),
        }
    }
    say_bad(inbox)
}

fn will_be_bad(why: &str) {
    output::say_wrapped(&format!("the next run puts aside {}", shortened(why, 300)));
}

/// The bytes of an announcement; `None` when there are too many to look into, after the first has shown that they can
/// be read.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;

    let mut file = Inbox::open(path)?;
    let is_small = file.metadata()?.len() <= LARGEST;
    let mut bytes = Vec::new();
    if is_small {
        file.read_to_end(&mut bytes)?;
    } else {
        file.read_exact(&mut [0])?;
    }
    Ok(is_small.then_some(bytes))
}

fn say_bad(inbox: &Inbox) -> Result<()> {
    let bad = inbox.put_aside()?;
    if bad.is_empty() {
        return Ok(());
    }
    say!(
        "inbox/bad: {} put aside, each with a note",
        counted(bad.len() as u64, "announcement")
    );
    // The newest tell more than those that nobody has looked at for a year.
    for path in bad.iter().rev().take(BAD_SHOWN) {
        let note = Inbox::note_of(path).unwrap_or_default();
        let why = note.lines().next().unwrap_or("there is no note");
        let line = format!("{}: {}", shortened(&name_of(path), 60), shortened(why, 300));
        output::say_wrapped(&line);
    }
    if bad.len() > BAD_SHOWN {
        say!("… and {} more", bad.len() - BAD_SHOWN);
    }
    output::say_wrapped(
        "  to do: mend what the note names and move the file back into inbox/, or remove it and its note",
    );
    Ok(())
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
