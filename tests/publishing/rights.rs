//! Who may read the warehouse is the operator's word: a publication keeps the file's mode and group.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
};

use super::{live, load};
use crate::support::program::Workspace;

fn mode(workspace: &Workspace) -> u32 {
    let metadata = fs::metadata(live(workspace)).expect("the warehouse");
    metadata.permissions().mode() & 0o7777
}

#[test]
fn a_files_mode_is_kept() {
    for wanted in [0o600, 0o640, 0o660, 0o664, 0o644] {
        for how in ["replace", "in-place"] {
            let workspace = Workspace::new().set("WAREHOUSE__MODE", how);
            load(&workspace, "B1", "-1");
            let permissions = fs::Permissions::from_mode(wanted);
            fs::set_permissions(live(&workspace), permissions).expect("to set");
            load(&workspace, "B2", "-2");
            assert_eq!(mode(&workspace), wanted, "{how}");
            load(&workspace, "B3", "-3");
            assert_eq!(mode(&workspace), wanted, "{how}");
            if how == "replace" {
                let ran = workspace.run(&["rollback"]);
                assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
                assert_eq!(mode(&workspace), wanted, "after a rollback");
            }
        }
    }
}

#[test]
fn a_files_group_is_kept_or_it_is_said() {
    let workspace = Workspace::new();
    load(&workspace, "B1", "-1");
    // Group 1 is `daemon` nearly everywhere; only root may give a file to it.
    let given = chown(live(&workspace), None, Some(1));
    fs::set_permissions(live(&workspace), fs::Permissions::from_mode(0o640)).expect("to set");
    let group = |workspace: &Workspace| fs::metadata(live(workspace)).expect("the file").gid();
    let before = group(&workspace);
    assert_eq!(before == 1, given.is_ok());
    let ran = load(&workspace, "B2", "-2");
    let kept = (group(&workspace), mode(&workspace)) == (before, 0o640);
    assert!(
        kept || ran.stderr.contains("group"),
        "{}: {}",
        group(&workspace),
        ran.stderr
    );
}

#[test]
fn a_first_warehouse_is_as_the_umask_says() {
    let workspace = Workspace::new();
    let mut command = workspace.command("sh");
    workspace.write("rows.csv", super::csv("-1"));
    let script = "umask 027; exec \"$0\" ingest rows.csv --batch-no B1";
    command.args(["-c", script, env!("CARGO_BIN_EXE_redledger")]);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(mode(&workspace), 0o640);
}
