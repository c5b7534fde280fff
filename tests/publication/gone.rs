//! A warehouse that is gone, or can't be read.

use std::{fs, os::unix::fs::symlink};

use super::{batches, ingest, live, load, previous, says};
use crate::{
    crash::strace,
    support::program::{Workspace, finish},
};

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
