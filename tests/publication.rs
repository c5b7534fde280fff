//! What is published: for whom, where names can't be changed as usual, and where there was a warehouse before.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::XattrFlags;
use serde_json::Value;

use crate::{
    crash::strace,
    support::{
        program::{Ran, Workspace, finish, wait_until},
        server::{Reply, Server},
    },
};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";
fn csv(amount: u32) -> String {
    format!("{HEADER}\n936da01f-9abd-4d9d-80c7-02af85c822a8,0,-{amount},0,USD,1711785600000\n")
}

fn live(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb")
}

fn previous(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb.previous")
}

fn ingest<'a>(workspace: &Workspace, batch_no: &'a str, amount: u32) -> [&'a str; 4] {
    workspace.write("rows.csv", csv(amount));
    ["ingest", "rows.csv", "--batch-no", batch_no]
}

/// Runs with calls that name the published file refused, such as `linkat:error=EPERM`.
fn refused(workspace: &Workspace, calls: &[&str], arguments: &[&str]) -> Ran {
    let live = live(workspace).display().to_string();
    let calls: Vec<String> = calls.iter().map(|call| format!("inject={call}")).collect();
    let mut options = vec!["-e", "trace=linkat,renameat2", "-P", &live];
    options.extend(calls.iter().flat_map(|call| ["-e", call]));
    finish(strace::start(workspace, &options, arguments))
}

#[track_caller]
fn load(workspace: &Workspace, batch_no: &str, amount: u32) {
    let ran = workspace.run(&ingest(workspace, batch_no, amount));
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

fn batches(workspace: &Workspace) -> Vec<String> {
    workspace.query("SELECT batch_no FROM account_negative ORDER BY ALL")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

fn says(ran: &Ran, exit: i32, what: &[&str]) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.exit, Some(exit), "{said}");
    for text in what {
        assert!(said.contains(text), "{text}: {said}");
    }
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

#[test]
fn keep_previous_0_after_a_1_leaves_none_that_is_more_than_one_run_back() {
    for settings in ["keep_previous = 0", "mode = \"in-place\""] {
        let workspace = Workspace::new();
        load(&workspace, "A", 1);
        load(&workspace, "B", 2);
        assert!(previous(&workspace).exists());
        workspace.write("redledger.toml", format!("[warehouse]\n{settings}\n"));
        load(&workspace, "B", 2);
        assert!(previous(&workspace).exists(), "nothing was published");
        load(&workspace, "C", 3);
        assert!(!previous(&workspace).exists(), "{settings}");
        says(&workspace.run(&["rollback"]), 2, &["nothing to roll back"]);
        assert_eq!(batches(&workspace), ["A", "B", "C"]);
    }
}

#[test]
fn where_hard_links_are_refused_names_are_exchanged() {
    if !strace::works() {
        return;
    }
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    let arguments = ingest(&workspace, "C", 3);
    let no_links = ["linkat:error=EPERM"];
    let ran = refused(&workspace, &no_links, &arguments);
    says(&ran, 0, &["INJECTED"]);
    assert_eq!(batches(&workspace), ["A", "B", "C"]);
    for left in [&["A", "B"][..], &["A", "B", "C"]] {
        let ran = refused(&workspace, &no_links, &["rollback"]);
        says(&ran, 0, &["published again"]);
        assert_eq!(batches(&workspace), left);
    }
    assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn where_names_can_not_be_exchanged_either_nothing_is_lost() {
    if !strace::works() {
        return;
    }
    let neither = ["linkat:error=EPERM", "renameat2:error=EINVAL"];
    let no_exchange = ["renameat2:error=EINVAL"];
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    let files = || [live(&workspace), previous(&workspace)].map(|path| fs::read(path).ok());
    let before = files();
    let ran = refused(&workspace, &neither, &["rollback"]);
    says(&ran, 2, &["would be lost; nothing was changed"]);
    assert!(files() == before);
    // What is still published is not withdrawn.
    let withdrawn = fs::read_to_string(workspace.data().join("archive/withdrawn.json"));
    assert!(!withdrawn.expect("written").contains("\"B\""));
    let ran = refused(&workspace, &no_exchange, &["rollback"]);
    says(&ran, 0, &["published again"]);
    assert_eq!(batches(&workspace), ["A"]);
    // A run publishes all the same; what it replaces can't be kept, and neither is an older one.
    let arguments = ingest(&workspace, "C", 3);
    let ran = refused(&workspace, &neither, &arguments);
    says(&ran, 0, &["WARN", "can't be kept"]);
    assert_eq!(batches(&workspace), ["A", "C"]);
    assert!(!previous(&workspace).exists());
}

#[test]
fn a_warehouse_that_was_published_and_is_gone_is_not_replaced_by_an_empty_one() {
    for mode in ["replace", "in-place"] {
        let workspace = Workspace::new().set("WAREHOUSE__MODE", mode);
        load(&workspace, "A", 1);
        fs::remove_file(live(&workspace)).expect("removed");
        let ran = workspace.run(&ingest(&workspace, "B", 2));
        says(
            &ran,
            2,
            &["published before and is gone", "hint: ", "backfill '*'"],
        );
        assert!(!ran.stderr.contains("rollback"), "{}", ran.stderr);
        workspace.receive(
            "1.json",
            r#"{"batchNo": "N", "lastPage": true, "list": [{"accountId": "936da01f-9abd-4d9d-80c7-02af85c822a8", "type": 0, "cardNegative": "-1", "budgetNegative": "0", "currency": "USD", "statTime": 1711785600000}]}"#,
        );
        says(
            &workspace.run(&["run"]),
            2,
            &["published before and is gone"],
        );
        assert!(workspace.data().join("inbox/1.json").exists());
        assert!(!live(&workspace).exists());
        // Asked for one batch, a backfill says what else there is.
        says(&workspace.run(&["backfill", "A"]), 0, &[]);
        says(&workspace.run(&["run"]), 0, &[]);
        fs::remove_file(live(&workspace)).expect("removed");
        let ran = workspace.run(&["backfill", "N"]);
        says(
            &ran,
            0,
            &["WARN", "made anew", "A of account_negative", "backfill '*'"],
        );
        let ran = workspace.run(&["backfill", "*"]);
        says(&ran, 0, &[]);
        assert!(!ran.stderr.contains("made anew"), "{}", ran.stderr);
        assert_eq!(batches(&workspace), ["A", "N"]);
    }
}

#[test]
fn what_a_release_without_the_mark_has_published_counts_too() {
    let workspace = Workspace::new();
    let mark = workspace.data().join("published.json");
    let forget = || fs::remove_file(&mark).expect("the mark");
    load(&workspace, "A", 1);
    // As a first run leaves it that dies before it publishes.
    fs::remove_file(live(&workspace)).expect("removed");
    forget();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    forget();
    fs::remove_file(live(&workspace)).expect("removed");
    let ran = workspace.run(&ingest(&workspace, "C", 3));
    says(
        &ran,
        2,
        &["published before and is gone", "`redledger rollback`"],
    );
    says(&workspace.run(&["rollback"]), 0, &["published again"]);
    assert_eq!(batches(&workspace), ["A"]);
    // The mark is made up for by whatever loads, and announcements that were loaded tell as much.
    load(&workspace, "A", 1);
    forget();
    fs::remove_file(live(&workspace)).expect("removed");
    let done = workspace.data().join("inbox/done");
    fs::create_dir_all(&done).expect("a folder");
    fs::write(done.join("1.json"), "{}").expect("to write");
    let ran = workspace.run(&ingest(&workspace, "C", 3));
    says(&ran, 2, &["published before and is gone"]);
}

#[test]
fn a_first_run_that_dies_has_published_nothing() {
    if !strace::works() {
        return;
    }
    let workspace = Workspace::new();
    let next = workspace.data().join("warehouse.duckdb.next");
    let path = next.display().to_string();
    let dies = [
        "-e",
        "trace=rename",
        "-P",
        &path,
        "-e",
        "inject=rename:signal=KILL",
    ];
    let arguments = ingest(&workspace, "A", 1);
    let ran = finish(strace::start(&workspace, &dies, &arguments));
    assert_eq!(ran.exit, None, "{}", ran.stderr);
    // The call may have been done before the signal came.
    let _ = fs::rename(live(&workspace), &next);
    assert!(workspace.data().join("archive/account_negative/A").exists());
    load(&workspace, "A", 1);
    assert_eq!(batches(&workspace), ["A"]);
}

#[test]
fn a_link_that_leads_nowhere_is_a_question_for_its_volume() {
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "B", 2);
    fs::remove_file(live(&workspace)).expect("removed");
    symlink("/mnt/not-there/w.duckdb", live(&workspace)).expect("a link");
    for arguments in [
        &ingest(&workspace, "C", 3)[..],
        &["backfill", "*"],
        &["rollback"],
        &["status"],
    ] {
        let ran = workspace.run(arguments);
        says(&ran, 2, &["is the volume mounted"]);
        assert!(!ran.stderr.contains("backfill '*'"), "{}", ran.stderr);
        assert!(live(&workspace).is_symlink() && previous(&workspace).exists());
    }
    let _ = workspace.damaged();
}

#[test]
fn a_read_error_is_the_systems_and_no_reason_to_move_the_warehouse_away() {
    if !strace::works() {
        return;
    }
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    let path = live(&workspace).display().to_string();
    for (call, error, said) in [
        ("read", "EIO", "Input/output error"),
        ("openat", "EACCES", "Permission denied"),
    ] {
        let inject = format!("inject={call}:error={error}");
        let trace = format!("trace={call}");
        let broken = ["-e", &trace, "-P", &path, "-e", &inject];
        for arguments in [&["status"][..], &ingest(&workspace, "B", 2)] {
            let ran = finish(strace::start(&workspace, &broken, arguments));
            says(&ran, 2, &[said, &path]);
            assert!(!ran.stderr.contains("move it away"), "{}", ran.stderr);
        }
    }
    assert_eq!(batches(&workspace), ["A"]);
}

#[test]
fn what_a_rollback_withdraws_is_written_down_until_it_is_restored() {
    let workspace = Workspace::new();
    load(&workspace, "A", 1);
    load(&workspace, "A", 2);
    let withdrawn = || -> Value {
        let text = fs::read_to_string(workspace.data().join("archive/withdrawn.json"));
        serde_json::from_str(&text.expect("the document")).expect("JSON")
    };
    let dry = workspace.run(&["rollback", "--dry-run"]);
    says(&dry, 0, &["withdrawn: A", "rolling back once more"]);
    assert!(!workspace.data().join("archive/withdrawn.json").exists());
    let ran = workspace.run(&["rollback"]);
    says(&ran, 0, &["withdrawn: A", "a newer announcement"]);
    let document = withdrawn();
    assert_eq!(document["format"], 1);
    assert_eq!(document["withdrawn"][0]["dataset"], "account_negative");
    assert_eq!(document["withdrawn"][0]["batch_no"], "A");
    assert_eq!(document["withdrawn"][0]["revision"], 2);
    assert!(document["withdrawn"][0]["withdrawn_at_us"].is_i64());
    assert_eq!(document["withdrawn"].as_array().map(Vec::len), Some(1));
    says(&workspace.run(&["rollback"]), 0, &["loaded again: A"]);
    assert_eq!(withdrawn()["withdrawn"], serde_json::json!([]));
    // Nobody knows what a file held that can't be read.
    fs::write(live(&workspace), "no database any more").expect("to write");
    let ran = workspace.run(&["rollback"]);
    says(&ran, 0, &["can't be read", "backfill '*'"]);
    assert_eq!(withdrawn()["withdrawn"], serde_json::json!([]));
    // A document that can't be read is a reason to change nothing.
    load(&workspace, "B", 3);
    let document = workspace.data().join("archive/withdrawn.json");
    fs::write(&document, r#"{"format": 2}"#).expect("to write");
    says(
        &workspace.run(&["rollback"]),
        2,
        &["a newer redledger wrote it"],
    );
    assert_eq!(batches(&workspace), ["A", "B"]);
}
