//! What a file's name says: when an announcement arrived, and what it is known by.
//!
//! `{stamp}-{content}[-i{id}][-r{resource}].json`: the stamp is in epoch microseconds, the rest are hashes. A clock may
//! step back; stamps never do, or the order of arrival would be another one. So each is later than all that are
//! stored, and than the one that any process has given last, which `known/last` says.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::folder::files;
use crate::durable::{create_private, lock};

/// No receiver has stamped anything before 2020-01-01, or stamps anything after 2200-01-01: another number is a name
/// that somebody has given by hand.
const STAMPS: std::ops::Range<i64> = 1_577_836_800_000_000..7_258_118_400_000_000;
/// Digits of a stamp.
const DIGITS: usize = 20;

/// An announcement as its file's name has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    /// In epoch microseconds.
    pub(super) stamp: i64,
    content: String,
    id: Option<String>,
    pub(super) resource: Option<String>,
}

impl Arrival {
    /// Of a body that has not got its stamp yet.
    pub(super) fn of(body: &[u8], envelope: Envelope<'_>) -> Self {
        Self {
            stamp: 0,
            content: hash_of(body),
            id: envelope.id.map(|id| hash_of(id.as_bytes())),
            resource: envelope.resource.map(hash_of),
        }
    }

    pub(super) fn name(&self) -> String {
        let mark = |letter: char, hash: &Option<String>| {
            hash.as_ref()
                .map_or_else(String::new, |hash| format!("-{letter}{hash}"))
        };
        format!(
            "{:0DIGITS$}-{}{}{}.json",
            self.stamp,
            self.content,
            mark('i', &self.id),
            mark('r', &self.resource)
        )
    }

    /// What a name says, if it was given by a receiver.
    pub(super) fn read(name: &str) -> Option<Self> {
        let stamp = stamp_of(name)?;
        let mut parts = name.strip_suffix(".json")?.split('-').skip(1);
        let content = parts.next()?.to_owned();
        let (mut id, mut resource) = (None, None);
        for part in parts {
            match part.split_at_checked(1)? {
                ("i", hash) => id = Some(hash.to_owned()),
                ("r", hash) => resource = Some(hash.to_owned()),
                _ => return None,
            }
        }
        Some(Self {
            stamp,
            content,
            id,
            resource,
        })
    }
}

/// When a file arrived, if a receiver has stamped its name.
pub(super) fn stamp_of(name: &str) -> Option<i64> {
    let (stamp, _) = name.split_once('-')?;
    let is_stamp = stamp.len() == DIGITS && stamp.bytes().all(|byte| byte.is_ascii_digit());
    let stamp = is_stamp.then(|| stamp.parse().ok()).flatten()?;
    STAMPS.contains(&stamp).then_some(stamp)
}

/// What is stored already.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The newest stamp; 0: none.
    pub(super) last: i64,
    /// By `id`, what was stored last for it.
    of_id: HashMap<String, Arrival>,
}

impl Known {
    /// Looks at all that is kept.
    pub(super) fn find(inbox: &Path) -> io::Result<Self> {
        let mut known = Self::default();
        for folder in [inbox.to_path_buf(), inbox.join("done"), inbox.join("bad")] {
            for path in files(&folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if let Some(arrival) = Arrival::read(&name) {
                    known.take_note(arrival);
                } else if let Some(stamp) = stamp_of(&name) {
                    known.last = known.last.max(stamp);
                }
            }
        }
        Ok(known)
    }

    pub(super) fn take_note(&mut self, arrival: Arrival) {
        self.last = self.last.max(arrival.stamp);
        if let Some(id) = &arrival.id {
            let newest = self
                .of_id
                .entry(id.clone())
                .or_insert_with(|| arrival.clone());
            if newest.stamp < arrival.stamp {
                *newest = arrival;
            }
        }
    }

    /// Whether an announcement says what was stored last for its `id`, and that file is kept.
    pub(super) fn is_repeated_by(&self, arrival: &Arrival, is_kept: impl Fn(&str) -> bool) -> bool {
        let stored = arrival.id.as_ref().and_then(|id| self.of_id.get(id));
        stored.is_some_and(|stored| stored.content == arrival.content && is_kept(&stored.name()))
    }
}

/// The stamp that was given last by any process, which others wait for until this is dropped.
pub(super) struct LastStamp {
    /// `None`: not known.
    pub(super) stamp: Option<i64>,
    file: File,
}

impl LastStamp {
    pub(super) fn lock(inbox: &Path) -> io::Result<Self> {
        let mut file = Self::open(inbox)?;
        lock(&file)?;
        let mut text = String::new();
        // What a power cut has left of it may be no text; then what is stored tells.
        let read = file.read_to_string(&mut text);
        let stamp = read.ok().and_then(|_| text.trim().parse().ok());
        let stamp = stamp.filter(|stamp| STAMPS.contains(stamp));
        Ok(Self { stamp, file })
    }

    /// Whether it could be written; waits for nobody.
    pub(super) fn probe(inbox: &Path) -> io::Result<()> {
        Self::open(inbox).map(drop)
    }

    fn open(inbox: &Path) -> io::Result<File> {
        let folder = inbox.join("known");
        create_private(&folder)?;
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("last"))
    }

    /// It need not last: after a power cut all processes are new, and look at what is stored.
    pub(super) fn write(&mut self, stamp: i64) -> io::Result<()> {
        self.file.rewind()?;
        writeln!(self.file, "{stamp:0DIGITS$}")
    }
}

/// The first 128 bits of the content's SHA-256: enough to tell deliveries apart.
fn hash_of(content: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(content)[..16])
}

/// What the sender says about an announcement beside its content.
#[derive(Debug, Clone, Copy, Default)]
pub struct Envelope<'a> {
    /// The envelope's `id`.
    pub id: Option<&'a str>,
    /// The signed part of it, where the rest is not signed.
    pub resource: Option<&'a [u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_an_announcement_is_known_by() {
        let envelope = Envelope {
            id: Some("an id"),
            resource: Some(b"{}"),
        };
        for envelope in [
            envelope,
            Envelope::default(),
            Envelope {
                id: None,
                ..envelope
            },
        ] {
            let mut arrival = Arrival::of(b"{}", envelope);
            arrival.stamp = 1_774_888_600_000_000;
            assert_eq!(Arrival::read(&arrival.name()), Some(arrival));
        }
        // An earlier release's, and names that people give.
        let old = "00001774888600000000-00112233445566778899aabbccddeeff.json";
        assert_eq!(Arrival::read(old).map(|of| of.name()), Some(old.into()));
        for name in [
            "a.json",
            "00000000000000000001-x.json",
            "09223372036854775807-x.json",
            "00001774888600000000-x-y.json",
            "00001774888600000000-x-.json",
            "00001774888600000000-x.txt",
        ] {
            assert_eq!(Arrival::read(name), None, "{name}");
        }
    }
}
