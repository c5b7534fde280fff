//! Revisions are counted by ledger and archive together: a number is given once, and what a loaded one was made of stays
//! written down.

use std::fs;

use serde_json::Value;

use super::{by_hand, command, documents, history, lose, stands};
use crate::support::program::Workspace;

/// The documents' revisions and hashes, to see that nothing was written over.
fn written(workspace: &Workspace) -> Vec<(i64, String)> {
    let documents = documents(workspace);
    let of = |text: &String| {
        let document: Value = serde_json::from_str(text).expect("JSON");
        let hash = document["files"][0]["content_hash"].as_str();
        (
            document["revision"].as_i64().expect("a number"),
            hash.expect("a hash").to_owned(),
        )
    };
    let mut written: Vec<_> = documents.values().map(of).collect();
    written.sort();
    written
}

/// Loads -3 after the warehouse was lost beside its archive. A new warehouse may be refused there; then the old one comes
/// back first.
fn load_after_a_loss(workspace: &Workspace) {
    lose(workspace);
    let row = "6f1b3c1e-0f5b-4a53-9a87-000000000001,01,0,-3,0,USD,1711785600000";
    let header = "accountId,displayId,type,cardNegative,budgetNegative,currency,statTime";
    workspace.write("rows.csv", format!("{header}\n{row}\n"));
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", "B1"]);
    if ran.exit != Some(0) {
        assert_eq!(ran.exit, Some(2), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("backfill"), "{}", ran.stderr);
        assert!(!workspace.data().join("warehouse.duckdb").exists());
        command(workspace, &["backfill", "*"], 0);
        stands(workspace, "-2");
        by_hand(workspace, "-3").loaded(3);
    }
}

#[test]
fn what_was_loaded_after_a_loss_is_the_next_revision_and_stays_when_the_others_come_back() {
    let workspace = Workspace::new();
    by_hand(&workspace, "-1").loaded(1);
    by_hand(&workspace, "-2").loaded(2);
    let before = written(&workspace);
    load_after_a_loss(&workspace);
    stands(&workspace, "-3");
    for _ in 0..2 {
        command(&workspace, &["backfill", "*"], 0);
        stands(&workspace, "-3");
    }
    let after = written(&workspace);
    assert_eq!(after[..2], before, "what was loaded stays written down");
    assert_eq!(after.len(), 3);
    assert_eq!(after[2].0, 3);
    assert_eq!(
        history(&workspace).last().map(String::as_str),
        Some("3 loaded")
    );
    // And once more from nothing.
    lose(&workspace);
    command(&workspace, &["backfill", "*"], 0);
    stands(&workspace, "-3");
}

#[test]
fn a_batch_of_another_data_folders_archive_goes_on_where_that_ended() {
    let first = Workspace::new();
    by_hand(&first, "-1").loaded(1);
    by_hand(&first, "-2").loaded(2);
    let other = Workspace::new();
    let data = first.data().display().to_string();
    command(&other, &["backfill", "*", "--from-data-dir", &data], 0);
    stands(&other, "-2");
    by_hand(&other, "-3").loaded(3);
    // The first knows nothing of that, and brings nothing older; that its bytes can't be checked there may be said.
    let ran = other.run(&["backfill", "*", "--from-data-dir", &data]);
    assert!(
        matches!(ran.exit, Some(0 | 1)),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    stands(&other, "-3");
}

#[test]
fn an_attempt_that_failed_is_written_over_and_a_revision_that_was_loaded_never() {
    let workspace = Workspace::new();
    by_hand(&workspace, "-1").loaded(1);
    let before = written(&workspace);
    let failing = "accountId,displayId,type,cardNegative,budgetNegative,currency,statTime\n\
         6f1b3c1e-0f5b-4a53-9a87-000000000001,01,0,1e5,0,USD,1711785600000\n";
    workspace.write("failing.csv", failing);
    for _ in 0..2 {
        command(
            &workspace,
            &["ingest", "failing.csv", "--batch-no", "B1"],
            1,
        );
        stands(&workspace, "-1");
        assert_eq!(written(&workspace)[..1], before);
    }
    assert!(written(&workspace).len() <= 2, "{:?}", written(&workspace));
    // The warehouse of before the failure, which knows one revision, and an archive that has two.
    let live = workspace.data().join("warehouse.duckdb");
    let old = fs::read(workspace.data().join("warehouse.duckdb.previous")).expect("the one before");
    by_hand(&workspace, "-2");
    fs::write(&live, old).expect("to write");
    let loaded = written(&workspace);
    let last = loaded.last().expect("a revision").0;
    by_hand(&workspace, "-3").loaded(last + 1);
    assert_eq!(written(&workspace)[..loaded.len()], loaded);
    stands(&workspace, "-3");
}
