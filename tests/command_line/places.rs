//! Where things are: a folder that is not ours, and who may go through one that is.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{shell, with_inbox};
use crate::support::{program::Workspace, receiver::Receiver};

#[test]
fn a_run_on_a_folder_that_is_not_ours_is_a_fault() {
    let workspace = Workspace::new();
    let missing = workspace.run(&["run"]);
    assert_eq!(missing.exit, Some(2));
    assert!(
        missing.stderr.contains("there is no folder"),
        "{}",
        missing.stderr
    );
    assert!(!workspace.data().exists(), "nothing is made");

    fs::create_dir_all(workspace.data().join("lost+found")).expect("a mount point");
    for arguments in [
        &["run"][..],
        &["run", "--dry-run"],
        &["run", "--format", "json"],
    ] {
        let ran = workspace.run(arguments);
        assert_eq!(ran.exit, Some(2), "{}", ran.stdout);
        assert!(
            ran.stderr.contains("neither an inbox nor a warehouse"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(
        workspace.run(&["status"]).exit,
        Some(0),
        "reading stays as it is"
    );

    let rows = workspace.write("good.csv", super::ROWS);
    assert_eq!(
        workspace.run(&["ingest", &rows, "--batch-no", "B1"]).exit,
        Some(0)
    );
    assert_eq!(
        workspace.run(&["run"]).exit,
        Some(0),
        "ingest has made a warehouse"
    );
    assert_eq!(with_inbox().run(&["run"]).exit, Some(0));
}

#[test]
fn a_receiver_makes_a_folder_that_a_run_works_on() {
    let workspace = Workspace::new().set("SERVE__SIGNATURE", "none");
    let receiver = Receiver::start(&workspace);
    assert_eq!(workspace.run(&["run"]).exit, Some(0));
    receiver.stop();
}

#[test]
fn analysts_may_go_through_the_data_directory_whoever_made_it() {
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    let by_serve = Workspace::new().set("SERVE__SIGNATURE", "none");
    Receiver::start(&by_serve).stop();
    let by_ingest = Workspace::new();
    let rows = by_ingest.write("good.csv", super::ROWS);
    by_ingest.run(&["ingest", &rows, "--batch-no", "B1"]);
    let by_demo = Workspace::new();
    let data = by_demo.data();
    shell(
        &by_demo,
        &format!("redledger demo --data-dir '{}'", data.display()),
    );
    assert_eq!(mode(&by_serve.data()), mode(&by_ingest.data()));
    assert_eq!(mode(&by_demo.data()), mode(&by_ingest.data()));
    assert_eq!(mode(&by_serve.data().join("inbox")), 0o700);
    assert_eq!(mode(&by_ingest.data().join("archive")), 0o700);
}
