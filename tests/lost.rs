//! Where a warehouse was published and is gone, or its ledger is: never "all is well", and never an empty one in its
//! place.

use std::fs;

use crate::support::program::Workspace;

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";

fn load(workspace: &Workspace, batch_no: &str, amount: &str) -> crate::support::program::Ran {
    let row = format!("936da01f-9abd-4d9d-80c7-02af85c822a8,0,{amount},0,USD,1711785600000");
    workspace.write("rows.csv", format!("{HEADER}\n{row}\n"));
    workspace.run(&["ingest", "rows.csv", "--batch-no", batch_no])
}

/// Two batches, one of them twice.
fn loaded() -> Workspace {
    let workspace = Workspace::new();
    for (batch_no, amount) in [("B1", "-1"), ("B2", "-2"), ("B1", "-3")] {
        let ran = load(&workspace, batch_no, amount);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    }
    workspace
}

fn remove(workspace: &Workspace, names: &[&str]) {
    for name in names {
        fs::remove_file(workspace.data().join(name)).expect("to remove");
    }
}

const BOTH: [&str; 2] = ["warehouse.duckdb", "warehouse.duckdb.previous"];

#[test]
fn a_warehouse_that_is_gone_is_no_clean_one() {
    for names in [&BOTH[..1], &BOTH] {
        let workspace = loaded();
        remove(&workspace, names);
        for arguments in [
            &["verify"][..],
            &["verify", "--no-archive"],
            &["verify", "B1"],
        ] {
            let ran = workspace.run(arguments);
            assert!(
                matches!(ran.exit, Some(1 | 2)),
                "{arguments:?}: {:?} {}{}",
                ran.exit,
                ran.stdout,
                ran.stderr
            );
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains("backfill '*'"), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn no_empty_warehouse_is_published_where_one_is_gone() {
    for names in [&BOTH[..1], &BOTH] {
        for mode in ["replace", "in-place"] {
            let workspace = loaded().set("WAREHOUSE__MODE", mode);
            remove(&workspace, names);
            let row = r#"{"batchNo":"B3","lastPage":true,"list":[{"accountId":"936da01f-9abd-4d9d-80c7-02af85c822a8","type":0,"cardNegative":"-4","budgetNegative":0,"currency":"USD","statTime":1711785600000}]}"#;
            workspace.receive("1.json", row);
            let ran = load(&workspace, "B3", "-4");
            let run = workspace.run(&["run"]);
            for ran in [&ran, &run] {
                assert_eq!(ran.exit, Some(2), "{mode}: {}{}", ran.stdout, ran.stderr);
                assert!(
                    ran.stderr.contains("backfill '*'"),
                    "{mode}: {}",
                    ran.stderr
                );
            }
            assert!(!workspace.data().join("warehouse.duckdb").exists());
            assert!(workspace.data().join("inbox/1.json").exists());

            // One batch is not all there was.
            let ran = workspace.run(&["backfill", "B1"]);
            assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                said.contains("B2") || said.contains("backfill '*'"),
                "{said}"
            );
            let ran = workspace.run(&["backfill", "*"]);
            assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
            let rows = "SELECT batch_no || card_negative FROM account_negative ORDER BY ALL";
            assert_eq!(workspace.query(rows), ["B1-3.0000", "B2-2.0000"]);
            workspace.verify();
            let run = workspace.run(&["run"]);
            assert_eq!(run.exit, Some(0), "{}{}", run.stdout, run.stderr);
        }
    }
}

#[test]
fn a_first_run_that_died_is_no_warehouse_that_is_gone() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.data().join("archive/account_negative/B1")).expect("a folder");
    fs::write(workspace.data().join("archive/.incoming-dead"), "half").expect("to write");
    fs::write(workspace.data().join("warehouse.duckdb.next"), "half").expect("to write");
    let ran = load(&workspace, "B1", "-1");
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    workspace.verify();
}

#[test]
fn a_ledger_that_is_gone_or_has_lost_a_table_is_a_fault() {
    let tables = ["batch", "file", "rejection", "control", "run"];
    let dropped = tables.map(|table| format!("DROP TABLE redledger.{table}"));
    for sql in dropped
        .iter()
        .chain(&["DROP SCHEMA redledger CASCADE".to_owned()])
    {
        let workspace = loaded();
        workspace.damaged();
        let live = workspace.data().join("warehouse.duckdb");
        let connection = duckdb::Connection::open(&live).expect("the warehouse");
        connection.execute_batch(sql).expect(sql);
        connection.close().expect("closed");
        let before = fs::read(&live).expect("the warehouse");
        let ran = workspace.run(&["verify"]);
        assert!(
            matches!(ran.exit, Some(1 | 2)),
            "{sql}: {:?} {}",
            ran.exit,
            ran.stdout
        );
        let ran = load(&workspace, "B3", "-4");
        assert_eq!(ran.exit, Some(2), "{sql}: {}{}", ran.stdout, ran.stderr);
        assert!(fs::read(&live).is_ok_and(|now| now == before), "{sql}");
        let ran = workspace.run(&["rollback"]);
        assert_eq!(ran.exit, Some(0), "{sql}: {}", ran.stderr);
        let ran = workspace.run(&["verify"]);
        assert_eq!(ran.exit, Some(0), "{sql}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_link_that_leads_nowhere_is_a_volume_that_is_not_mounted() {
    let workspace = loaded();
    let live = workspace.data().join("warehouse.duckdb");
    remove(&workspace, &BOTH[..1]);
    std::os::unix::fs::symlink(workspace.path().join("volume/w.duckdb"), &live).expect("a link");
    for arguments in [&["verify"][..], &["status"], &["backfill", "*"]] {
        let ran = workspace.run(arguments);
        assert_eq!(
            ran.exit,
            Some(2),
            "{arguments:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
        assert!(
            ran.stderr.contains("mount"),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("backfill '*'"), "{}", ran.stderr);
    }
    let ran = load(&workspace, "B3", "-4");
    assert_eq!(ran.exit, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(live.is_symlink(), "it is left alone");
}

#[test]
fn a_folder_that_is_none_of_ours_is_not_verified() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.data()).expect("a folder");
    fs::write(workspace.data().join("letter.txt"), "dear all").expect("to write");
    let ran = workspace.run(&["verify"]);
    assert_eq!(ran.exit, Some(2), "{}{}", ran.stdout, ran.stderr);
}
