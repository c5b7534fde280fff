//! Announcements waiting to be loaded: `inbox/`, and what becomes of them: `inbox/done/`, `inbox/bad/`.
//!
//! An announcement is durable once it is stored: written under a temporary name, synced, renamed, the
//! folder synced. Its name says when it arrived (see `arrivals`), so that files sort by arrival, and what it is
//! known by. Announcements hold signed URLs: files are 0600, folders 0700.

mod arrivals;
mod folder;
mod resources;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use tempfile::NamedTempFile;

pub use self::{
    arrivals::Envelope,
    resources::{FirstDelivery, Kept},
};
use self::{
    arrivals::{Arrival, Known, LastStamp},
    folder::{files, is_announcement},
};
use crate::{
    data_dir,
    durable::{INCOMING, create_private, entries, half_written, sync_folder, try_lock},
    error::{Error, Result},
};

/// How the inbox is laid out: the newest format that this program knows.
pub(crate) const FORMAT: u32 = 1;
/// The file that says in which format it is; where there is none, it is 1.
const FORMAT_FILE: &str = "format";

/// The inbox below `data_dir`.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    /// What was stored already; nothing until it is first asked for.
    known: Mutex<Known>,
}

/// Whether a delivery was news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in the inbox now.
    New,
    /// The same bytes were stored last under the same `id`, and are waiting or were loaded.
    Duplicate,
}

/// What becomes of an announcement that is not waiting any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its batches are loaded.
    Done,
    /// It can't be understood, or what it names can't be loaded without a person. Delivered again, it is
    /// tried again.
    Bad,
}

impl Inbox {
    /// The inbox of a data directory; made when something is stored.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir::inbox(data_dir),
            known: Mutex::default(),
        }
    }

    /// Makes its folder, which only this user reads. The data directory gets the mode that it gets from commands that
    /// load: analysts go through it to the warehouse.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(&self) -> io::Result<()> {
        if let Some(data_dir) = self.folder.parent() {
            fs::create_dir_all(data_dir)?;
        }
        create_private(&self.folder)
    }

    /// Stores an announcement durably, unless its `id` was seen and the same bytes are what was stored last for it. What
    /// has no `id` is news each time, for the file that it names may have changed; so is what could not be loaded, for
    /// that file may be there by now.
    ///
    /// `now` is the clock in epoch microseconds; an arrival is never stamped earlier than the one before it.
    ///
    /// # Errors
    /// The operating system's, a full disk for instance: then nothing is stored.
    pub fn store(&self, body: &[u8], envelope: Envelope<'_>, now: i64) -> io::Result<Stored> {
        self.create()?;
        self.check_format()
            .map_err(|error| io::Error::other(error.chain()))?;
        let mut arrival = Arrival::of(body, envelope);
        let mut file = incoming(&self.folder)?;
        file.write_all(body)?;
        file.as_file().sync_all()?;
        let stored = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            // Another process waits here.
            let mut last = LastStamp::lock(&self.folder)?;
            // Somebody else has stored something since, or a process that is gone.
            if last.stamp != Some(known.last) {
                *known = Known::find(&self.folder)?;
                known.last = known.last.max(last.stamp.unwrap_or_default());
            }
            if known.is_repeated_by(&arrival, |name| self.is_kept(name)) {
                Stored::Duplicate
            } else {
                arrival.stamp = now.max(known.last.saturating_add(1));
                last.write(arrival.stamp)?;
                file.persist(self.folder.join(arrival.name()))
                    .map_err(|error| error.error)?;
                known.take_note(arrival);
                Stored::New
            }
        };
        // Of a duplicate too: whoever stores the first of them may not have come here yet.
        sync_folder(&self.folder)?;
        Ok(stored)
    }

    /// Writes and removes a little where announcements are stored.
    ///
    /// # Errors
    /// The operating system's, if nothing can be stored.
    pub fn try_to_store(&self) -> io::Result<()> {
        self.create()?;
        self.check_format()
            .map_err(|error| io::Error::other(error.chain()))?;
        LastStamp::probe(&self.folder)?;
        let mut file = incoming(&self.folder)?;
        file.write_all(&[b' '; 1 << 10])?;
        file.as_file().sync_all()
    }

    /// Whether a file is waiting or was loaded. A run moves files while a receiver remembers them.
    fn is_kept(&self, name: &str) -> bool {
        self.folder.join(name).exists() || self.folder.join("done").join(name).exists()
    }

    /// When an announcement was received, in epoch microseconds: its name says so, else its file's time does.
    #[must_use]
    pub fn received_at(path: &Path) -> Option<i64> {
        let stamped = path.file_name()?.to_str().and_then(arrivals::stamp_of);
        stamped.or_else(|| {
            let modified = fs::metadata(path).and_then(|of| of.modified()).ok()?;
            let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_micros()).ok()
        })
    }

    /// That this program knows how the inbox is laid out.
    fn check_format(&self) -> Result<()> {
        let path = self.folder.join(FORMAT_FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(Error::io("read", &path))?,
        };
        match text.trim().parse::<u32>() {
            Ok(1..=FORMAT) => Ok(()),
            _ => Err(Error::Settings {
                place: path.display().to_string(),
                message: format!(
                    "the inbox has another format than {FORMAT}, the newest that this redledger knows; it was left untouched"
                ),
                hint: Some("use the redledger that wrote it, or a newer one".into()),
            }),
        }
    }

    /// What is waiting, in the order of arrival; some of it perhaps nothing that can be read.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder can't be read; [`Error::Settings`] when a newer release has laid it out.
    pub fn waiting(&self) -> Result<Vec<PathBuf>> {
        self.check_format()?;
        let mut paths = files(&self.folder).map_err(Error::io("read the inbox", &self.folder))?;
        paths.retain(|path| is_announcement(path));
        paths.sort();
        Ok(paths)
    }

    /// Opens what is waiting.
    ///
    /// # Errors
    /// The operating system's; also for what is no file, such as a pipe, which might never end.
    pub fn open(path: &Path) -> io::Result<File> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        File::open(path)
    }

    /// The bytes of what is waiting.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Self::open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What lies in the inbox and is never read, since its name is no announcement's.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder can't be read.
    pub fn passed_over(&self) -> Result<Vec<PathBuf>> {
        const OWN: [&str; 4] = ["done", "bad", "known", FORMAT_FILE];
        let read = || -> io::Result<Vec<PathBuf>> {
            let paths = entries(&self.folder)?.into_iter().map(|entry| entry.path());
            Ok(paths.collect())
        };
        let mut paths = read().map_err(Error::io("read the inbox", &self.folder))?;
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default();
            let is_being_written = || name.as_encoded_bytes().starts_with(INCOMING.as_bytes());
            !is_announcement(path) && !OWN.iter().any(|own| name == *own) && !is_being_written()
        });
        paths.sort();
        Ok(paths)
    }

    /// All that was received and is still kept, in the order of arrival.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder can't be read.
    pub fn received(&self) -> Result<Vec<PathBuf>> {
        let mut paths = self.waiting()?;
        for fate in ["done", "bad"] {
            let folder = self.folder.join(fate);
            paths.extend(files(&folder).map_err(Error::io("read the inbox", &folder))?);
        }
        paths.retain(|path| is_announcement(path));
        paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        Ok(paths)
    }

    /// The announcements that were put aside as bad, in the order of arrival.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder can't be read.
    pub fn put_aside(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("bad");
        let mut paths = files(&folder).map_err(Error::io("read the inbox", &folder))?;
        paths.retain(|path| is_announcement(path));
        paths.sort();
        Ok(paths)
    }

    /// The note beside an announcement that was put aside: why.
    #[must_use]
    pub fn note_of(bad: &Path) -> Option<String> {
        fs::read_to_string(bad.with_extension("txt")).ok()
    }

    /// Moves an announcement that was put aside to those that are done, without its note.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be moved.
    pub fn close(&self, bad: &Path) -> Result<()> {
        self.settle(bad, Fate::Done, None)?;
        let note = bad.with_extension("txt");
        match fs::remove_file(&note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &note)(error))
            }
            _ => Ok(()),
        }
    }

    /// Moves an announcement out of the way, with a note beside it where there is something to say.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be moved.
    pub fn settle(&self, path: &Path, fate: Fate, note: Option<&str>) -> Result<()> {
        let folder = self.folder.join(match fate {
            Fate::Done => "done",
            Fate::Bad => "bad",
        });
        let name = path.file_name().unwrap_or_default();
        let move_it = || -> io::Result<()> {
            create_private(&folder)?;
            if let Some(note) = note {
                let mut file = incoming(&folder)?;
                file.write_all(note.as_bytes())?;
                file.persist(folder.join(name).with_extension("txt"))
                    .map_err(|error| error.error)?;
            }
            match fs::rename(path, folder.join(name)) {
                // A run that had the lock before this one has seen to it.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && folder.join(name).exists() => {}
                moved => moved?,
            }
            // From now on counts how long it is kept.
            let touched =
                File::open(folder.join(name)).and_then(|file| file.set_modified(SystemTime::now()));
            if let Err(error) = touched {
                tracing::warn!(announcement = %name.display(), %error, "kept no longer than if it had been done when it arrived");
            }
            sync_folder(&folder)
        };
        move_it().map_err(Error::io("move out of the inbox", path))
    }

    /// Removes what dead processes have left half-written. One that still writes, such as a receiver beside
    /// this run, holds a lock on its file.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder can't be read or a file not removed.
    pub fn remove_leftovers(&self) -> Result<()> {
        for folder in [
            self.folder.clone(),
            self.folder.join("done"),
            self.folder.join("bad"),
        ] {
            for path in half_written(&folder).map_err(Error::io("read", &folder))? {
                remove_unless_written(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// A new file, locked while it is written, so that nobody takes it for a dead process's.
fn incoming(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempfile_in(folder)?;
        // Somebody who has it locked removes it.
        match try_lock(file.as_file()) {
            Err(TryLockError::WouldBlock) => continue,
            locked => locked?,
        }
        // Before it was locked it may have been removed.
        if file.path().try_exists()? {
            return Ok(file);
        }
    }
}

/// Removes a half-written file unless somebody is at it, or has just given it its name.
fn remove_unless_written(path: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if gone(&error) => return Ok(()),
        file => file?,
    };
    match try_lock(&file) {
        Err(TryLockError::WouldBlock) => return Ok(()),
        locked => locked?,
    }
    tracing::warn!(path = %path.display(), "removing a half-written announcement; its sender was never told that it is stored");
    match fs::remove_file(path) {
        Err(error) if gone(&error) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = files(folder)
            .expect("a folder")
            .iter()
            .map(|path| {
                path.file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    const NOON: i64 = 1_774_888_600_000_000;

    fn with_id(id: &str) -> Envelope<'_> {
        Envelope {
            id: Some(id),
            ..Envelope::default()
        }
    }

    fn read(inbox: &Inbox) -> Vec<String> {
        let waiting = inbox.waiting().expect("a list");
        let read = waiting.iter().map(fs::read_to_string);
        read.map(|text| text.expect("a file")).collect()
    }

    #[test]
    fn what_was_stored_last_under_an_id_is_stored_once_even_after_a_restart_and_after_it_was_loaded()
     {
        let data_dir = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::new(data_dir.path());
        let again = || Inbox::new(data_dir.path()).store(b"{}", with_id("1"), NOON);
        let stored = inbox.store(b"{}", with_id("1"), NOON).expect("stored");
        assert_eq!(stored, Stored::New);
        let stored = inbox.store(b"{}", with_id("1"), NOON).expect("stored");
        assert_eq!(stored, Stored::Duplicate);
        assert_eq!(again().expect("stored"), Stored::Duplicate);
        let waiting = inbox.waiting().expect("a list");
        inbox.settle(&waiting[0], Fate::Done, None).expect("moved");
        assert_eq!(again().expect("stored"), Stored::Duplicate);
        assert_eq!(inbox.waiting().expect("a list"), Vec::<PathBuf>::new());
        // What could not be loaded may come again.
        let done = data_dir
            .path()
            .join("inbox/done")
            .join(waiting[0].file_name().expect("a name"));
        inbox.settle(&done, Fate::Bad, None).expect("moved");
        assert_eq!(again().expect("stored"), Stored::New);
    }

    #[test]
    fn other_bytes_another_id_or_none_are_news_and_so_is_what_comes_again_after_them() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::new(data_dir.path());
        let none = Envelope::default();
        for (body, envelope, expected) in [
            ("a", none, Stored::New),
            ("b", none, Stored::New),
            ("a", none, Stored::New),
            ("a", none, Stored::New),
            ("a", with_id("1"), Stored::New),
            ("b", with_id("1"), Stored::New),
            ("a", with_id("1"), Stored::New),
            ("a", with_id("2"), Stored::New),
            ("a", with_id("1"), Stored::Duplicate),
        ] {
            let stored = inbox
                .store(body.as_bytes(), envelope, NOON)
                .expect("stored");
            assert_eq!(stored, expected, "{body} {envelope:?}");
        }
        assert_eq!(read(&inbox).concat(), "abaaabaa");
    }

    #[test]
    fn arrivals_keep_their_order_when_the_clock_steps_back_within_a_process_or_between_two() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let (one, other) = (Inbox::new(data_dir.path()), Inbox::new(data_dir.path()));
        let store = |inbox: &Inbox, body: &str, now: i64| {
            let stored = inbox.store(body.as_bytes(), Envelope::default(), now);
            assert_eq!(stored.expect("stored"), Stored::New);
        };
        store(&one, "a", NOON);
        store(&one, "b", NOON - 5_000_000);
        store(&other, "c", NOON - 5_000_000);
        store(&one, "d", 99);
        store(&other, "e", NOON + 5_000_000);
        store(&one, "f", NOON);
        // A power cut forgets what was given last; what is stored tells, wherever it is by now.
        fs::remove_dir_all(data_dir.path().join("inbox/known")).expect("to remove");
        let last = one.waiting().expect("a list").pop().expect("a file");
        one.settle(&last, Fate::Done, None).expect("moved");
        store(&Inbox::new(data_dir.path()), "g", NOON);
        assert_eq!(read(&one).concat(), "abcdeg");
        let stamps: Vec<_> = one.received().expect("a list");
        let stamps: Vec<_> = stamps.iter().map(|path| Inbox::received_at(path)).collect();
        assert!(stamps.is_sorted() && stamps.len() == 7, "{stamps:?}");
    }

    #[test]
    fn announcements_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let data_dir = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::new(data_dir.path());
        inbox
            .store(b"a", Envelope::default(), NOON)
            .expect("stored");
        let folder = data_dir.path().join("inbox");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert!(
            inbox
                .waiting()
                .expect("a list")
                .iter()
                .all(|path| mode(path) == 0o600)
        );
    }

    #[test]
    fn what_is_bad_is_kept_with_a_note_and_what_a_dead_process_has_half_written_is_removed() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::new(data_dir.path());
        inbox
            .store(b"not a hook", Envelope::default(), NOON)
            .expect("stored");
        inbox
            .settle(&inbox.waiting().expect("a list")[0], Fate::Bad, Some("why"))
            .expect("moved");
        let bad = data_dir.path().join("inbox/bad");
        assert_eq!(names(&bad).len(), 2);
        fs::write(data_dir.path().join("inbox/.incoming-x"), "half").expect("to write");
        let alive = fs::File::create(data_dir.path().join("inbox/.incoming-y")).expect("a file");
        alive.lock().expect("a lock");
        inbox.remove_leftovers().expect("removed");
        assert_eq!(names(&data_dir.path().join("inbox")), [".incoming-y"]);
        drop(alive);
        inbox.remove_leftovers().expect("removed");
        assert_eq!(names(&data_dir.path().join("inbox")), Vec::<String>::new());
    }
}
