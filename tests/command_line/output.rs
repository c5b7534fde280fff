//! Output that can't be written, readers that have gone away, text that is none.

use std::{ffi::OsString, fs::OpenOptions, os::unix::ffi::OsStringExt as _, process::Stdio};

use super::{called, loaded, shell};
use crate::support::program::{Ran, Workspace, finish};

/// Every command that ends by itself, with what it needs, and how it ends.
const COMMANDS: [(&[&str], i32); 28] = [
    (&["status"], 0),
    (&["status", "BATCH_20260330163600"], 0),
    (&["status", "--format", "json"], 0),
    (&["status", "--format", "csv"], 0),
    (&["status", "no-such-batch"], 2),
    (&["rejections", "--limit", "1"], 0),
    (&["rejections", "--limit", "18446744073709551615"], 0),
    (&["verify"], 0),
    (&["run"], 0),
    (&["run", "--dry-run"], 0),
    (
        &["ingest", "good.csv", "--batch-no", "BATCH_20260330163600"],
        0,
    ),
    (&["backfill", "*", "--dry-run"], 0),
    (&["backfill", "BATCH_20260330163600"], 0),
    (&["rollback", "--dry-run"], 0),
    (&["archive", "verify"], 0),
    (&["archive", "prune", "--dry-run"], 0),
    (&["datasets", "list"], 0),
    (&["datasets", "show", "account_negative"], 0),
    (&["datasets", "check"], 0),
    (&["datasets", "infer", "good.csv"], 0),
    (&["config", "check"], 0),
    (&["config", "show"], 0),
    (&["completions", "bash"], 0),
    (&["man"], 0),
    (&["man", "datasets", "infer"], 0),
    (&["--help"], 0),
    (&["--version"], 0),
    (&["--version", "--verbose"], 0),
];

fn full() -> Stdio {
    let full = OpenOptions::new().write(true).open("/dev/full");
    full.expect("a device that takes nothing").into()
}

fn ran(
    workspace: &Workspace,
    arguments: &[&str],
    stdout: Stdio,
    stderr: Stdio,
) -> (Option<i32>, String) {
    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    let output = command
        .args(arguments)
        .stdout(stdout)
        .stderr(stderr)
        .output()
        .expect("to run");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_result_that_cannot_be_written_is_a_fault_and_is_said() {
    let workspace = loaded();
    for (arguments, ends) in COMMANDS {
        let (exit, said) = ran(&workspace, arguments, full(), Stdio::piped());
        assert_eq!(exit, Some(2), "{arguments:?}: {said}");
        if ends == 0 {
            assert!(
                said.contains("cannot write the result to standard output"),
                "{arguments:?}: {said}"
            );
        }
    }
}

#[test]
fn remarks_that_cannot_be_written_change_nothing() {
    let workspace = loaded();
    for (arguments, ends) in COMMANDS {
        for verbose in [&[][..], &["-vv"]] {
            let arguments = [verbose, arguments].concat();
            let (exit, _) = ran(&workspace, &arguments, Stdio::null(), full());
            assert_eq!(exit, Some(ends), "{arguments:?}");
        }
        let (exit, _) = ran(&workspace, arguments, full(), full());
        assert_eq!(exit, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_a_normal_end() {
    let workspace = loaded();
    for (arguments, ends) in COMMANDS {
        let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
        let mut child = command.args(arguments).spawn().expect("to run");
        // Nobody reads from now on.
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(
            child.wait().expect("its end").code(),
            Some(ends),
            "{arguments:?}"
        );
    }
    let ran = shell(
        &workspace,
        "redledger completions bash | head -n 1; echo ${PIPESTATUS[0]}",
    );
    assert_eq!(ran.stdout.lines().last(), Some("0"), "{}", ran.stderr);
}

#[test]
fn output_that_is_closed_from_the_start_is_a_normal_end() {
    let workspace = loaded();
    let ran = shell(
        &workspace,
        "for c in status verify 'config show'; do redledger $c >&- 2>&- || exit; done",
    );
    assert_eq!(ran.exit, Some(0));
}

#[test]
fn words_and_variables_that_are_no_text_are_names_or_errors() {
    let workspace = loaded();
    let odd = || OsString::from_vec(b"\xff.json".to_vec());
    let ends = |arguments: &[&str], more: &[OsString]| -> Ran {
        called(&workspace, arguments, |command| {
            command.args(more).env("LC_X", odd());
        })
    };
    for (arguments, _) in COMMANDS {
        assert_ne!(ends(arguments, &[odd()]).exit, Some(101), "{arguments:?}");
    }
    assert_eq!(ends(&["status"], &[]).exit, Some(0));

    // A file may be called so.
    let hook = workspace.write(
        "hook.json",
        r#"{"batchNo": "B9", "total": 0, "lastPage": true, "list": []}"#,
    );
    std::fs::rename(workspace.path().join(hook), workspace.path().join(odd())).expect("renamed");
    let ran = ends(&["ingest"], &[odd()]);
    assert!(!ran.stderr.contains("UTF-8"), "{}", ran.stderr);
    std::fs::rename(
        workspace.path().join("good.csv"),
        workspace.path().join(odd()),
    )
    .expect("renamed");
    let ran = ends(&["ingest", "--batch-no", "B10"], &[odd()]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    let ran = ends(&["datasets", "infer", "--name", "odd"], &[odd()]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);

    let ran = called(&workspace, &["status"], |command| {
        command.env("REDLEDGER_DOWNLOAD__ATTEMPTS", odd());
    });
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr
            .contains("REDLEDGER_DOWNLOAD__ATTEMPTS: its value is not UTF-8"),
        "{}",
        ran.stderr
    );
}

#[test]
fn announcements_whose_names_are_no_text_do_not_end_a_run() {
    let workspace = super::with_inbox();
    let name = OsString::from_vec(b"\xff\xfe.json".to_vec());
    let path = workspace.data().join("inbox").join(name);
    std::fs::write(path, "no JSON").expect("written");
    for arguments in [
        &["status"][..],
        &["run", "--dry-run"],
        &["run"],
        &["status"],
    ] {
        let ran = workspace.run(arguments);
        assert_ne!(ran.exit, Some(101), "{}", ran.stderr);
        assert!(ran.exit.is_some(), "{}", ran.stderr);
    }
}

#[test]
fn a_receiver_whose_greeting_nobody_takes_receives_all_the_same() {
    let workspace = Workspace::new().set("SERVE__SIGNATURE", "none");
    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "-v"])
        .stdout(full());
    let mut child = command.spawn().expect("the receiver starts");
    child.stdout = Some(
        std::process::Command::new("true")
            .stdout(Stdio::piped())
            .spawn()
            .expect("true")
            .stdout
            .take()
            .expect("piped"),
    );
    crate::support::program::wait_until("it listens", || workspace.data().join("inbox").is_dir());
    let asked = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(asked.expect("kill runs").success());
    let ran = finish(child);
    assert!(
        matches!(ran.exit, Some(2) | None),
        "{:?} {}",
        ran.exit,
        ran.stderr
    );
}
