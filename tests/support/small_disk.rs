//! A file system of a size that tests choose.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::skipped;

/// A mounted tmpfs; gone when dropped.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many bytes over `folder`; where one may not, the test is skipped.
    #[track_caller]
    pub(crate) fn mount(folder: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let options = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            skipped(
                "a disk of a known size",
                "no file system can be mounted here; root may",
            );
        }
        mounted.then(|| Self {
            folder: folder.to_path_buf(),
        })
    }

    pub(crate) fn resize(&self, bytes: u64) {
        self.remount(&format!("remount,size={bytes}"));
    }

    /// From now on nobody may write there, whoever it is.
    pub(crate) fn forbid_writing(&self) {
        self.remount("remount,ro");
    }

    fn remount(&self, options: &str) {
        let remounted = Command::new("mount")
            .args(["-o", options])
            .arg(&self.folder)
            .status();
        assert!(remounted.is_ok_and(|status| status.success()), "mount");
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.folder).expect("its size");
        (space.f_blocks - space.f_bfree) * space.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that another test is just starting may have its files open for a moment.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(&self.folder)
            .status();
        if !std::thread::panicking() {
            assert!(unmounted.is_ok_and(|status| status.success()), "umount");
        }
    }
}
