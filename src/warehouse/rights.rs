//! Who may read the file that is published: the same as before.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{Gid, Uid, XattrFlags},
    io::Errno,
};

use crate::error::{Error, Result};

/// Where Linux keeps the access list of a file (acl(5)).
const ACCESS_LIST: &str = "system.posix_acl_access";
/// The most that an extended attribute holds (xattr(7)).
const MOST: usize = 64 << 10;

/// Gives `to`, which is to be `live`, the owner, group, mode and access list of `of`. What can't be given is said,
/// and nobody gains a right by it.
///
/// # Errors
/// [`Error::Io`] when the rights can't be looked at, or not be made as narrow as they were.
pub(super) fn give(to: &File, of: &File, live: &Path) -> Result<()> {
    let lost = try_to_give(to, of).map_err(Error::io("keep the rights of", live))?;
    if !lost.is_empty() {
        let mode = to
            .metadata()
            .map(|metadata| format!("{:04o}", metadata.mode() & 0o7777));
        tracing::warn!(
            path = %live.display(),
            mode = mode.unwrap_or_default(),
            "the warehouse's {} can't be kept: this process may not set it, and nobody gains a right by that",
            lost.join(" and ")
        );
    }
    Ok(())
}

/// Returns what could not be given.
fn try_to_give(to: &File, of: &File) -> io::Result<Vec<&'static str>> {
    let (wanted, has) = (of.metadata()?, to.metadata()?);
    let mut lost = Vec::new();
    // One by one: who may not give a file away may still give it to a group of his.
    let owner = Uid::from_raw(wanted.uid());
    if wanted.uid() != has.uid() && rustix::fs::fchown(to, Some(owner), None).is_err() {
        lost.push("owner");
    }
    let group = Gid::from_raw(wanted.gid());
    let same_group = wanted.gid() == has.gid() || rustix::fs::fchown(to, None, Some(group)).is_ok();
    let mut mode = wanted.mode() & 0o7777;
    if !same_group {
        lost.push("group");
        // Members of either group may do what both the group and everybody else might.
        let both = (mode >> 3) & mode & 0o7;
        mode = (mode & 0o700) | (both << 3) | both;
    }
    match access_list(of)? {
        Some(list) => {
            // The group's bits of the mode are the list's mask: without the list they say something else.
            let given = same_group
                && rustix::fs::fsetxattr(to, ACCESS_LIST, &list, XattrFlags::empty()).is_ok();
            if !given {
                lost.push("access list");
                remove_access_list(to)?;
                mode &= 0o700;
            }
        }
        // A folder may give one to every new file.
        None => remove_access_list(to)?,
    }
    let now = to.metadata()?.mode() & 0o7777;
    if now != mode
        && let Err(error) = to.set_permissions(Permissions::from_mode(mode))
    {
        // Somebody else's file, which a rollback puts back: good enough if it is no more open.
        if now & !mode != 0 {
            return Err(error);
        }
        lost.push("mode");
    }
    Ok(lost)
}

fn access_list(of: &File) -> io::Result<Option<Vec<u8>>> {
    let mut list = vec![0; MOST];
    match rustix::fs::fgetxattr(of, ACCESS_LIST, list.as_mut_slice()) {
        Ok(length) => {
            list.truncate(length);
            Ok(Some(list))
        }
        Err(error) => none_there(error).map(|()| None),
    }
}

fn remove_access_list(from: &File) -> io::Result<()> {
    match access_list(from)? {
        // Asked to remove what is not there, a file of somebody else's says that one may not.
        None => Ok(()),
        Some(_) => Ok(rustix::fs::fremovexattr(from, ACCESS_LIST)?),
    }
}

/// No list, or a file system that knows none.
fn none_there(error: Errno) -> io::Result<()> {
    match error {
        Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS => Ok(()),
        error => Err(error.into()),
    }
}
