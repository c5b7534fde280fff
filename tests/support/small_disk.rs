//! A file system of a size that tests choose.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted tmpfs; gone when dropped.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many bytes over `folder`; where one may not, says that the test is skipped.
    pub(crate) fn mount(folder: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let options = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: a small file system can't be mounted here");
        }
        mounted.then(|| Self {
            folder: folder.to_path_buf(),
        })
    }

    pub(crate) fn resize(&self, bytes: u64) {
        let options = format!("remount,size={bytes}");
        let resized = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.folder)
            .status();
        assert!(resized.is_ok_and(|status| status.success()), "mount");
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
