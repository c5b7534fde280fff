//! Who may read what is published.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use rustix::fs::XattrFlags;

use super::{batches, csv, ingest, live, load, previous, says};
use crate::{
    crash::strace,
    support::{
        program::{Workspace, finish, wait_until},
        server::{Reply, Server},
    },
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn mode_and_group_stay_what_they_were_and_rollback_keeps_them_too() {
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    for given in [0o600, 0o640, 0o664, 0o400] {
        set_mode(&live(&workspace), given);
        load(&workspace, "B", given);
        assert_eq!(mode(&live(&workspace)), given, "{given:o}");
    }
    // The one that is put back was open to more people.
    set_mode(&previous(&workspace), 0o666);
    set_mode(&live(&workspace), 0o600);
    says(&workspace.run(&["rollback"]), 0, &["published again"]);
    assert_eq!(mode(&live(&workspace)), 0o600);
    if chown(live(&workspace), Some(1234), Some(4321)).is_err() {
        println!("skipped: only root gives files away");
        return;
    }
    load(&workspace, "C", 3);
    let ids = |path: PathBuf| fs::metadata(path).map(|of| (of.uid(), of.gid()));
    assert_eq!(ids(live(&workspace)).expect("the file"), (1234, 4321));
    chown(live(&workspace), Some(1235), Some(4322)).expect("to be root");
    says(&workspace.run(&["rollback"]), 0, &["published again"]);
    assert_eq!(ids(live(&workspace)).expect("the file"), (1235, 4322));
    assert_eq!(mode(&live(&workspace)), 0o600);
}

#[test]
fn an_access_list_stays_what_it_was() {
    const LIST: &str = "system.posix_acl_access";
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    set_mode(&live(&workspace), 0o640);
    // user::rw-, user:1234:r--, group::---, mask::r--, other::--- (acl(5), linux/posix_acl_xattr.h)
    let mut list = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, rights, id) in [
        (0x01_u16, 6_u16, nobody),
        (0x02, 4, 1234),
        (0x04, 0, nobody),
        (0x10, 4, nobody),
        (0x20, 0, nobody),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    if rustix::fs::setxattr(live(&workspace), LIST, &list, XattrFlags::empty()).is_err() {
        println!("skipped: this file system has no access lists");
        return;
    }
    let list_of = |path: PathBuf| {
        let mut bytes = vec![0; 1000];
        rustix::fs::getxattr(path, LIST, bytes.as_mut_slice()).map(|length| {
            bytes.truncate(length);
            bytes
        })
    };
    load(&workspace, "B", 2);
    assert_eq!(list_of(live(&workspace)).expect("a list"), list);
    assert_eq!(mode(&live(&workspace)), 0o640);
    rustix::fs::removexattr(live(&workspace), LIST).expect("to remove");
    set_mode(&live(&workspace), 0o640);
    says(&workspace.run(&["rollback"]), 0, &["published again"]);
    assert!(list_of(live(&workspace)).is_err(), "a list came back");
    // Without the list, its mask would be rights of the group.
    rustix::fs::setxattr(live(&workspace), LIST, &list, XattrFlags::empty()).expect("a list");
    if !strace::works() {
        return;
    }
    let refused = [
        "-e",
        "trace=fsetxattr",
        "-e",
        "inject=fsetxattr:error=EPERM",
    ];
    let arguments = ingest(&workspace, "C", 3);
    let ran = finish(strace::start(&workspace, &refused, &arguments));
    says(&ran, 0, &["access list", "can't be kept"]);
    assert_eq!(mode(&live(&workspace)), 0o600);
}

#[test]
fn where_the_group_can_not_be_kept_nobody_gains_a_right_and_it_is_said() {
    if !strace::works() {
        return;
    }
    for (before, after) in [(0o640, 0o600), (0o664, 0o644), (0o604, 0o600)] {
        let workspace = Workspace::new();
        load(&workspace, "A", 1);
        if chown(live(&workspace), Some(1234), Some(4321)).is_err() {
            println!("skipped: only root gives files away");
            return;
        }
        set_mode(&live(&workspace), before);
        let refused = ["-e", "trace=fchown", "-e", "inject=fchown:error=EPERM"];
        let arguments = ingest(&workspace, "B", 2);
        let ran = finish(strace::start(&workspace, &refused, &arguments));
        says(&ran, 0, &["WARN", "owner and group", "can't be kept"]);
        assert_eq!(mode(&live(&workspace)), after, "{before:o}");
        assert_eq!(batches(&workspace), ["A", "B"]);
    }
}

#[test]
fn somebody_elses_file_is_put_back_unless_it_is_open_to_more_people() {
    if !strace::works() {
        return;
    }
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    let calls = "fchown,fchmod,fremovexattr";
    let (trace, inject) = (
        format!("trace={calls}"),
        format!("inject={calls}:error=EPERM"),
    );
    let rollback = || {
        finish(strace::start(
            &workspace,
            &["-e", &trace, "-e", &inject],
            &["rollback"],
        ))
    };
    set_mode(&live(&workspace), 0o640);
    set_mode(&previous(&workspace), 0o644);
    says(&rollback(), 2, &["cannot keep the rights", "not permitted"]);
    assert_eq!(batches(&workspace), ["A", "B"]);
    set_mode(&previous(&workspace), 0o600);
    says(
        &rollback(),
        0,
        &["WARN", "the warehouse's mode can't be kept"],
    );
    assert_eq!(batches(&workspace), ["A"]);
    assert_eq!(mode(&live(&workspace)), 0o600);
}

#[test]
fn while_it_is_written_only_its_owner_reads_the_next_one() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (open_gate, gate) = tokio::sync::watch::channel(false);
    let server = runtime.block_on(Server::start(move |_| {
        Reply::new(200, csv(2)).held(gate.clone())
    }));
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    let hook = workspace.announce(&server.url("/x.csv"), None);
    let run = workspace.start(&["ingest", &hook]);
    wait_until("the run is at work", || !server.requests().is_empty());
    assert_eq!(mode(&workspace.data().join("warehouse.duckdb.next")), 0o600);
    let was = mode(&live(&workspace));
    open_gate.send(true).expect("the server");
    says(&finish(run), 0, &[]);
    assert_eq!(mode(&live(&workspace)), was);
}
