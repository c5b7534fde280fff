//! Announcements waiting to be loaded: `inbox/`, and what becomes of them: `inbox/done/`, `inbox/bad/`.
//!
//! An announcement is durable once it is stored: written under a temporary name, synced, renamed, the
//! folder synced. Its name is when it was received and its content's hash, so that files sort by arrival
//! and a second delivery is recognised. Announcements hold signed URLs: files are 0600, folders 0700.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::{
    durable::{INCOMING, create_private, entries, half_written, sync_folder, try_lock},
    error::{Error, Result},
};

/// How the inbox is laid out: the newest format that this program knows.
const FORMAT: u32 = 1;
/// The file that says in which format it is; where there is none, it is 1.
const FORMAT_FILE: &str = "format";
/// No receiver has stamped anything before 2020-01-01: a lower number is a name that somebody has given by hand.
const FIRST_STAMP: i64 = 1_577_836_800_000_000;
/// Digits of the time that a file's name begins with.
const STAMP: usize = 20;

/// The inbox below `data_dir`.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    /// What is waiting or was loaded, hash to file name; filled when it is first asked for.
    known: Mutex<Option<HashMap<String, String>>>,
}

/// Whether a delivery was news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in the inbox now.
    New,
    /// The same bytes are waiting or were loaded.
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
            folder: data_dir.join("inbox"),
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

    /// Stores an announcement durably, unless the same bytes are waiting or were loaded. Bytes that could
    /// not be loaded are news: the file they name may be there by now.
    ///
    /// # Errors
    /// The operating system's, a full disk for instance: then nothing is stored.
    pub fn store(&self, body: &[u8], received_at: i64) -> io::Result<Stored> {
        self.create()?;
        self.check_format()
            .map_err(|error| io::Error::other(error.chain()))?;
        let hash = hash_of(body);
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let known = match &mut *known {
                Some(known) => known,
                none => none.insert(self.hashes()?),
            };
            if let Some(name) = known.get(&hash) {
                // A run moves files while a receiver remembers them.
                if self.folder.join(name).exists() || self.folder.join("done").join(name).exists() {
                    return Ok(Stored::Duplicate);
                }
            }
        }
        // Two deliveries of the same bytes at the same time may both get here; then both are stored, and
        // the run finds the second batch unchanged.
        let mut file = incoming(&self.folder)?;
        file.write_all(body)?;
        file.as_file().sync_all()?;
        let name = format!("{received_at:0STAMP$}-{hash}.json");
        file.persist(self.folder.join(&name))
            .map_err(|error| error.error)?;
        sync_folder(&self.folder)?;
        if let Some(known) = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            known.insert(hash, name);
        }
        Ok(Stored::New)
    }

    /// When an announcement was received, in epoch microseconds: its name says so, else its file's time does.
    #[must_use]
    pub fn received_at(path: &Path) -> Option<i64> {
        let name = path.file_name()?.to_str()?;
        let stamp = name.split_once('-').map(|(stamp, _)| stamp);
        let stamped = stamp
            .filter(|stamp| stamp.len() == STAMP && stamp.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|stamp| stamp.parse().ok())
            .filter(|stamped| *stamped >= FIRST_STAMP);
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

    /// The first line of the note beside an announcement that was put aside: why.
    #[must_use]
    pub fn note_of(bad: &Path) -> Option<String> {
        let note = fs::read_to_string(bad.with_extension("txt")).ok()?;
        note.lines().next().map(str::to_owned)
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

    fn hashes(&self) -> io::Result<HashMap<String, String>> {
        let mut hashes = HashMap::new();
        for folder in [self.folder.clone(), self.folder.join("done")] {
            for path in files(&folder)?.iter().filter(|path| is_announcement(path)) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let stem = name.trim_end_matches(".json");
                if let Some((_, hash)) = stem.split_once('-') {
                    hashes.insert(hash.to_owned(), name.into_owned());
                }
            }
        }
        Ok(hashes)
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

fn is_announcement(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension == "json")
}

/// The files of a folder; none when it is not there. What is named as an announcement and is something else, such as
/// a link that leads nowhere, is among them: whoever reads it has to say so.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in entries(folder)? {
        let path = entry.path();
        if entry.file_type()?.is_file() || is_announcement(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The first 128 bits of the content's SHA-256: enough to tell deliveries apart.
fn hash_of(body: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(body)[..16])
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

    #[test]
    fn a_second_delivery_is_stored_once_even_after_a_restart_and_after_it_was_loaded() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::new(data_dir.path());
        assert_eq!(inbox.store(b"{}", 5).expect("stored"), Stored::New);
        assert_eq!(inbox.store(b"{}", 6).expect("stored"), Stored::Duplicate);
        assert_eq!(
            Inbox::new(data_dir.path()).store(b"{}", 7).expect("stored"),
            Stored::Duplicate
        );
        let waiting = inbox.waiting().expect("a list");
        inbox.settle(&waiting[0], Fate::Done, None).expect("moved");
        assert_eq!(
            Inbox::new(data_dir.path()).store(b"{}", 8).expect("stored"),
            Stored::Duplicate
        );
        assert_eq!(inbox.waiting().expect("a list"), Vec::<PathBuf>::new());
    }

    #[test]
    fn announcements_wait_in_the_order_of_arrival_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let data_dir = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::new(data_dir.path());
        for (at, body) in [
            (1_700_000_000_000_002, "b"),
            (1_700_000_000_000_001, "a"),
            (99, "c"),
        ] {
            inbox.store(body.as_bytes(), at).expect("stored");
        }
        let read: Vec<String> = inbox
            .waiting()
            .expect("a list")
            .iter()
            .map(|path| fs::read_to_string(path).expect("a file"))
            .collect();
        assert_eq!(read, ["c", "a", "b"]);
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
        inbox.store(b"not a hook", 1).expect("stored");
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
