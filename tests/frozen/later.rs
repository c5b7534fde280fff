//! Stored by a release of the future: refused with a clear message, and left alone.

use std::{fs, path::PathBuf};

use duckdb::Connection;

use super::{contents, live, load, releases, run, thawed};
use crate::support::program::Workspace;

/// A warehouse as a later release may leave it, with announcements to load.
fn of_a_later_release() -> Workspace {
    let release = releases().pop().expect("a release");
    let workspace = thawed(&release);
    let connection = Connection::open(live(&workspace)).expect("the warehouse");
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS redledger.format(version INTEGER, written_by VARCHAR); \
             DELETE FROM redledger.format; \
             INSERT INTO redledger.format VALUES (99, 'redledger 99.0.0'); \
             ALTER TABLE redledger.batch ADD COLUMN what_nobody_knows_yet VARCHAR",
        )
        .expect("another version");
    connection.close().expect("closed");
    workspace.damaged();
    workspace
}

const CSV: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime\n\
    6f1b3c1e-0f5b-4a53-9a87-000000000001,0,-1,0,USD,1711785600000\n";

#[test]
fn a_warehouse_of_a_later_release_is_refused_and_left_untouched() {
    for mode in ["replace", "in-place"] {
        let workspace = of_a_later_release().set("WAREHOUSE__MODE", mode);
        workspace.write("rows.csv", CSV);
        let before = contents(&workspace);
        for arguments in [
            &["ingest", "rows.csv", "--batch-no", "NEW_1"][..],
            &["run"],
            &["backfill", "*"],
            &["status"],
            &["status", "NEGATIVE_1"],
            &["rejections"],
            &["verify"],
            &["verify", "NEGATIVE_1"],
        ] {
            let ran = run(&workspace, arguments, 2);
            assert!(
                ran.stderr.contains("99") && ran.stderr.contains("hint: "),
                "{arguments:?}: {}",
                ran.stderr
            );
            // That a warehouse was published here may be written down beside it.
            let after = contents(&workspace);
            let changed: Vec<_> = before
                .iter()
                .filter(|(path, bytes)| after.get(*path) != Some(*bytes))
                .collect();
            assert!(changed.is_empty(), "{mode}, {arguments:?}");
            assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new());
        }
    }
}

#[test]
fn a_rollback_goes_from_a_later_release_to_the_one_before() {
    let workspace = of_a_later_release();
    run(&workspace, &["rollback"], 0);
    run(&workspace, &["verify"], 0);
    load(&workspace, "NEW_1", "-7");
    run(&workspace, &["verify"], 0);
}

#[test]
fn a_document_of_a_later_release_keeps_only_its_own_batch_out() {
    let workspace = thawed(&releases().pop().expect("a release"));
    workspace.damaged();
    let document = "archive/account_negative/NEGATIVE_1/revision-2.json";
    let document = workspace.data().join(document);
    let text = fs::read_to_string(&document).expect("a document");
    let mut later: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    later["format"] = 99.into();
    later["what_nobody_knows_yet"] = true.into();
    let later = later.to_string();
    fs::write(&document, &later).expect("to write");

    let ran = run(&workspace, &["verify"], 1);
    assert!(ran.stdout.contains("NEGATIVE_1"), "{}", ran.stdout);
    fs::remove_file(live(&workspace)).expect("to remove");
    let ran = workspace.run(&["backfill", "*"]);
    assert!(
        matches!(ran.exit, Some(1 | 2)),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(
        said.contains("revision-2.json") && said.contains("99"),
        "{said}"
    );
    let loaded = "SELECT DISTINCT batch_no FROM redledger.batch WHERE state = 'loaded' ORDER BY 1";
    let loaded = workspace.query(loaded);
    for batch in ["BILLS_1", "REJECTED_1", "REPAYMENTS_1"] {
        assert!(loaded.iter().any(|other| other == batch), "{loaded:?}");
    }
    assert!(!loaded.contains(&"NEGATIVE_1".to_owned()), "{loaded:?}");
    // What it says stays for the release that wrote it, and other batches load.
    load(&workspace, "NEW_1", "-7");
    assert!(fs::read_to_string(&document).is_ok_and(|now| now == later));
}
