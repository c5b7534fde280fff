//! A file on its way into the archive.
//!
//! The bytes are compressed while they stream past, small files on the spot, large ones on a thread of
//! their own, so that reading does not wait for the disk. A file is written under a temporary name and
//! renamed; it is named by its content, so the same content is kept once. Large files are synced here, small
//! ones together once a batch: a sync for each of 10,000 bills took longer than all the rest of their loading.

use std::{
    cell::RefCell,
    io::{self, Write as _},
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::place::Archive;
use crate::{
    batch_no::BatchNo,
    durable::{INCOMING, create_private},
    error::{Error, Result},
};

/// Fast, and already a fifth of a CSV's size.
const ZSTD_LEVEL: i32 = 1;
/// Up to so many bytes are held and compressed at the end; more get a thread.
const SMALL: usize = 1 << 20;
/// Pieces on their way to the thread.
const PIECES: usize = 8;

/// A file being kept. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct ArchiveWriter {
    archive: Archive,
    state: State,
}

#[derive(Debug)]
enum State {
    Small(Vec<u8>),
    Large {
        pieces: SyncSender<Bytes>,
        thread: JoinHandle<io::Result<NamedTempFile>>,
    },
    /// The thread has ended early; it says why at the end.
    Broken(JoinHandle<io::Result<NamedTempFile>>),
    Taken,
}

impl ArchiveWriter {
    pub(super) fn new(archive: &Archive) -> Self {
        Self {
            archive: archive.clone(),
            state: State::Small(Vec::new()),
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`Error::Io`] when the archive's folder can't be made.
    pub fn write(&mut self, piece: &Bytes) -> Result<()> {
        match &mut self.state {
            State::Small(held) if held.len() + piece.len() <= SMALL => {
                held.extend_from_slice(piece);
                Ok(())
            }
            State::Small(held) => {
                let held = Bytes::from(std::mem::take(held));
                self.state = self.archive.start_thread()?;
                self.write(&held)?;
                self.write(piece)
            }
            State::Large { pieces, .. } => {
                if pieces.send(piece.clone()).is_err()
                    && let State::Large { thread, .. } =
                        std::mem::replace(&mut self.state, State::Taken)
                {
                    self.state = State::Broken(thread);
                }
                Ok(())
            }
            State::Broken(_) | State::Taken => Ok(()),
        }
    }

    /// Puts the file in its place; returns the path below `data_dir`. It is durable once [`Archive::record`]
    /// has written down what it was delivered for.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be written, the disk being full for instance.
    pub fn finish(
        mut self,
        dataset: &str,
        batch_no: &BatchNo,
        hash: &str,
        extension: &str,
    ) -> Result<String> {
        let folder = self.archive.folder.join(dataset).join(batch_no.as_str());
        let failed = |source| Error::io("keep a delivered file in", &folder)(source);
        let path = folder.join(format!("{hash}.{extension}.zst"));
        let is_large = !matches!(self.state, State::Small(_));
        let file = match std::mem::replace(&mut self.state, State::Taken) {
            State::Small(held) => self.archive.temporary().and_then(|mut file| {
                file.write_all(&compressed(&held)?)?;
                Ok(file)
            }),
            State::Large { pieces, thread } => {
                drop(pieces);
                join(thread)
            }
            State::Broken(thread) => join(thread),
            State::Taken => Err(io::Error::other("already taken")),
        };
        file.and_then(|file| {
            if is_large {
                file.as_file().sync_all()?;
            }
            persist(file, &path)
        })
        .map_err(failed)?;
        Ok(self.archive.below(&path))
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        // The temporary file goes with the thread's result, before the process can end.
        match std::mem::replace(&mut self.state, State::Taken) {
            State::Large { pieces, thread } => {
                drop(pieces);
                drop(join(thread));
            }
            State::Broken(thread) => drop(join(thread)),
            State::Small(_) | State::Taken => {}
        }
    }
}

impl Archive {
    fn temporary(&self) -> io::Result<NamedTempFile> {
        let create = || {
            tempfile::Builder::new()
                .prefix(INCOMING)
                .tempfile_in(&self.folder)
        };
        match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_private(&self.folder)?;
                create()
            }
            made => made,
        }
    }

    fn start_thread(&self) -> Result<State> {
        let file = self
            .temporary()
            .map_err(Error::io("write to", &self.folder))?;
        let (pieces, received) = sync_channel::<Bytes>(PIECES);
        let thread = std::thread::Builder::new()
            .name("redledger-archive".into())
            .spawn(move || {
                compress(file, |encoder| {
                    received
                        .iter()
                        .try_for_each(|piece| encoder.write_all(&piece))
                })
            })
            .map_err(Error::io("start a thread for", &self.folder))?;
        Ok(State::Large { pieces, thread })
    }
}

/// Renames, into a folder that may have to be made.
fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    let Err(failed) = file.persist_noclobber(path) else {
        return Ok(());
    };
    match failed.error.kind() {
        io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                create_private(folder)?;
            }
        }
        // The document of an earlier revision may name what is replaced: it must not be lost now.
        io::ErrorKind::AlreadyExists => failed.file.as_file().sync_all()?,
        _ => return Err(failed.error),
    }
    failed.file.persist(path)?;
    Ok(())
}

thread_local! {
    /// Making one takes longer than what it does to a small file.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => {
                let mut new = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                new.include_checksum(true)?;
                slot.insert(new)
            }
        };
        compressor.compress(bytes)
    })
}

fn compress(
    file: NamedTempFile,
    fill: impl FnOnce(&mut zstd::Encoder<'_, NamedTempFile>) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    fill(&mut encoder)?;
    encoder.finish()
}

fn join(thread: JoinHandle<io::Result<NamedTempFile>>) -> io::Result<NamedTempFile> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the archive's thread has panicked")))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn kept(pieces: &[Bytes]) -> (tempfile::TempDir, String) {
        let data_dir = tempfile::tempdir().expect("a folder");
        let mut writer = Archive::new(data_dir.path()).writer();
        for piece in pieces {
            writer.write(piece).expect("to write");
        }
        let batch_no = BatchNo::new("B1").expect("a number");
        let path = writer
            .finish("account_negative", &batch_no, "abc", "csv")
            .expect("to finish");
        (data_dir, path)
    }

    #[test]
    fn small_and_large_files_come_back_byte_for_byte() {
        for pieces in [
            vec![],
            vec![Bytes::from_static(b"a,b\n1,2\n")],
            vec![Bytes::from(vec![b'x'; SMALL]), Bytes::from_static(b"y")],
            (0..200_u32)
                .map(|n| Bytes::from(n.to_le_bytes().repeat(10_000)))
                .collect(),
        ] {
            let (data_dir, path) = kept(&pieces);
            assert_eq!(path, "archive/account_negative/B1/abc.csv.zst");
            let found = zstd::decode_all(File::open(data_dir.path().join(path)).expect("the file"))
                .expect("zstd");
            assert!(found == pieces.concat(), "{} bytes", found.len());
        }
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let data_dir = tempfile::tempdir().expect("a folder");
        let mut writer = Archive::new(data_dir.path()).writer();
        writer
            .write(&Bytes::from(vec![b'x'; 3 * SMALL]))
            .expect("to write");
        drop(writer);
        // At once: the process may end now.
        let left = fs::read_dir(data_dir.path().join("archive")).expect("the folder");
        assert_eq!(left.count(), 0, "a temporary file is left");
    }
}
