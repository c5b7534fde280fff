//! `redledger verify` finds what was damaged, and nothing else.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    backfill::{kept, nights},
    support::{
        program::{Ran, Workspace},
        server::{Reply, Server},
    },
};

const REPAYMENTS: &str = "accountId,displayId,type,currency,cardNegative,budgetNegative,cardSettleAmount,budgetSettleAmount,cardUnpaidAmount,budgetUnpaidAmount,repayTime\n";

fn repayments(settled: &[u32]) -> String {
    let rows = settled.iter().zip(1..).map(|(settled, number)| {
        format!(
            "6f1b3c1e-0f5b-4a53-9a87-{number:012},01,0,USD,-10,0,{settled},0,{},0,1711785600000\n",
            -10 - i64::from(*settled)
        )
    });
    REPAYMENTS.to_owned() + &rows.collect::<String>()
}

/// Changes the published file as redledger never does.
#[track_caller]
fn damage(workspace: &Workspace, sql: &str) {
    let connection = duckdb::Connection::open(live(workspace)).expect("the warehouse opens");
    connection.execute_batch(sql).expect(sql);
    connection.close().expect("closed");
    workspace.damaged();
}

fn live(workspace: &Workspace) -> PathBuf {
    workspace.data().join("warehouse.duckdb")
}

fn verify(workspace: &Workspace, arguments: &[&str]) -> (Ran, Vec<Value>) {
    let ran = workspace.run(&[&["verify", "--format", "json"], arguments].concat());
    let findings = serde_json::from_str(&ran.stdout).unwrap_or_default();
    (ran, findings)
}

/// `dataset number rRevision what: ledger, found` of every finding.
fn lines(findings: &[Value]) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |of: &Value| {
        format!(
            "{} {} r{} {}: {}, {}",
            text(&of["dataset"]),
            text(&of["batch_no"]),
            of["revision"],
            text(&of["what"]),
            text(&of["ledger"]),
            text(&of["found"])
        )
    };
    findings.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_of_the_warehouse_is_found_and_where() {
    let nights = nights().await;
    let (ran, findings) = verify(&nights, &[]);
    assert_eq!(
        (ran.exit, lines(&findings)),
        (Some(0), vec![]),
        "{}",
        ran.stderr
    );
    // File ids: B1 has 1 and, as its second revision, 3; B2 has 2.
    for (sql, expected) in [
        (
            "DELETE FROM account_negative WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 r2 rows of file 3 in account_negative: 2, 1",
        ),
        (
            "INSERT INTO account_negative FROM account_negative WHERE batch_no = 'B2' AND line = 2",
            "account_negative B2 r1 control `account_negative: read = loaded + rejected`: 2, 3",
        ),
        (
            "UPDATE account_negative SET card_negative = -1.2345 WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 r2 control `rows that break: no more decimals than the currency has`: 0, 1",
        ),
        (
            "UPDATE account_negative SET card_negative = card_negative - 1 WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 r2 control `sum of card_negative`: -10.5000, -11.5000",
        ),
        (
            "ALTER TABLE account_negative DROP card_negative",
            "account_negative B2 r1 control `sum of card_negative`: tables with such an amount: 1, 0",
        ),
        (
            "ALTER TABLE account_negative ALTER card_negative TYPE DOUBLE",
            "account_negative B1 r2 control `sum of card_negative`: tables with such an amount: 1, 0",
        ),
        (
            "DELETE FROM redledger.control WHERE batch_no = 'B1' AND name = 'sum of card_negative'; \
             UPDATE account_negative SET card_negative = card_negative - 1 WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 r2 control `sum of card_negative` is missing: null, -11.5000",
        ),
        (
            "UPDATE redledger.batch SET rows_expected = 999 WHERE batch_no = 'B3' AND revision = 2",
            "account_negative_bill B3 r2 rows expected: 999, 3",
        ),
        (
            "UPDATE redledger.batch SET rows_loaded = -rows_loaded WHERE batch_no = 'B4'",
            "account_repayment B4 r1 rows loaded, by file: 18446744073709551615, 3",
        ),
        (
            "UPDATE account_repayment SET card_settle_amount = card_settle_amount + 1 WHERE line = 1",
            "account_repayment B4 r1 control `rows that break: card: settled + unpaid = negative`: 0, 1",
        ),
        (
            "UPDATE account_negative_bill SET total = total + 1",
            "account_negative_bill B3 r2 control `bill total = lines received`: expected: 2, 3",
        ),
        (
            "UPDATE account_negative_bill SET negative_url = NULL",
            "account_negative_bill B3 r2 files of account_negative_bill_line that rows of account_negative_bill name: 1, 0",
        ),
        (
            "DELETE FROM account_negative_bill_line",
            "account_negative_bill B3 r2 control `account_negative_bill_line: read = loaded + rejected`: 2, 0",
        ),
        (
            "DROP TABLE account_repayment",
            "account_repayment B4 r1 control `account_repayment: read = loaded + rejected`: 3, 0",
        ),
        (
            "UPDATE account_negative SET file_id = 1 WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 r1 rows of a revision that is superseded: 0, 1",
        ),
        (
            "UPDATE account_negative SET file_id = 2 WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 r1 rows of file 2, which is of B2: 0, 1",
        ),
        (
            "UPDATE account_negative SET file_id = 99 WHERE batch_no = 'B1' AND line = 2",
            "account_negative B1 rnull rows whose file the ledger does not have: 0, 1",
        ),
        (
            "UPDATE account_negative SET file_id = NULL, batch_no = NULL WHERE line = 2 AND batch_no = 'B1'",
            "account_negative  rnull rows whose file the ledger does not have: 0, 1",
        ),
        (
            "DELETE FROM redledger.file WHERE file_id = 3",
            "account_negative B1 r2 files: 1, 0",
        ),
        (
            "INSERT INTO redledger.file FROM redledger.file WHERE file_id = 3",
            "account_negative B1 r2 file_id 3 is entered more than once: 3, null",
        ),
        (
            "DELETE FROM redledger.batch WHERE batch_no = 'B4'",
            "account_repayment B4 r1 files or controls of a revision that the ledger does not have: null, 1",
        ),
        (
            "INSERT INTO redledger.batch FROM redledger.batch WHERE batch_no = 'B4'",
            "account_repayment B4 r1 entries of the revision: 2, 1",
        ),
        (
            "UPDATE redledger.batch SET state = 'loaded' WHERE batch_no = 'B1'",
            "account_negative B1 r2 revisions that are loaded: 2, 1",
        ),
        (
            "UPDATE redledger.batch SET state = 'superseded' WHERE batch_no = 'B1'",
            "account_negative B1 r2 superseded, and no later revision is loaded: superseded, null",
        ),
        (
            "UPDATE redledger.batch SET state = 'failed' WHERE batch_no = 'B4'",
            "account_repayment B4 r1 rows loaded of a revision that is failed: 3, 0",
        ),
        (
            "UPDATE redledger.batch SET rows_loaded = 7 WHERE batch_no = 'B4'",
            "account_repayment B4 r1 rows loaded, by file: 7, 3",
        ),
        (
            "UPDATE redledger.batch SET bytes = 7 WHERE batch_no = 'B1' AND revision = 1",
            "account_negative B1 r1 bytes, by file: 7, ",
        ),
        (
            "UPDATE redledger.file SET rows_rejected = 1 WHERE file_id = 3",
            "account_negative B1 r2 rows loaded + rejected of file 3: 2, 3",
        ),
        (
            "UPDATE redledger.batch SET content_hash = 'abc' WHERE batch_no = 'B3' AND revision = 2",
            "account_negative_bill B3 r2 content hash, by file: abc, ",
        ),
        (
            "DELETE FROM redledger.rejection WHERE file_id = 1 AND code = 'excess-scale'",
            "account_negative B1 r1 rejections kept of file 1: 1, 0",
        ),
        (
            "UPDATE redledger.control SET actual = '1', passed = false WHERE batch_no = 'B4' AND name LIKE '%card:%'",
            "account_repayment B4 r1 control `rows that break: card: settled + unpaid = negative`: 1, 0",
        ),
        (
            "UPDATE redledger.control SET passed = false WHERE batch_no = 'B4' AND name LIKE '%card:%'",
            "account_repayment B4 r1 control `rows that break: card: settled + unpaid = negative`: passed: false, true",
        ),
        (
            "DELETE FROM redledger.control WHERE batch_no = 'B4'",
            "account_repayment B4 r1 control `account_repayment: read = loaded + rejected` is missing: null, null",
        ),
    ] {
        let workspace = Workspace::new();
        workspace.copy_data_of(&nights);
        damage(&workspace, sql);
        let (ran, findings) = verify(&workspace, &["--no-archive"]);
        let found = lines(&findings);
        assert_eq!(ran.exit, Some(1), "{sql}: {}", ran.stderr);
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{sql}\nlacks {expected}\n{found:#?}"
        );
        assert!(
            ran.stderr.contains("redledger backfill '*'"),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_of_the_archive_is_found_and_files_that_retention_removed_are_none() {
    let nights = nights().await;
    let first = |folder, end| kept(&nights, folder, end).file_name().map(PathBuf::from);
    let csv = first("account_negative/B2", ".csv.zst").expect("a name");
    let csv = PathBuf::from("archive/account_negative/B2").join(csv);
    for (what, expected) in [
        ("cut", "can't be read"),
        ("other content", "where its name says"),
        ("missing", "missing: revision-1.json names it"),
        ("no document", "revision-1.json of the archive"),
        ("another document", "what the archive says was delivered"),
        ("a document that is none", "not as redledger wrote it"),
        ("all of it", "csv.zst: "),
        ("another path in the ledger", "archive_path of file 2"),
    ] {
        let workspace = Workspace::new();
        workspace.copy_data_of(&nights);
        workspace.damaged();
        let file = workspace.data().join(&csv);
        let document = file.with_file_name("revision-1.json");
        let bytes = fs::read(&file).expect("the file");
        let done = match what {
            "cut" => fs::write(&file, &bytes[..bytes.len() - 1]),
            "other content" => fs::write(&file, zstd::encode_all(&b"x"[..], 1).expect("zstd")),
            "missing" => fs::remove_file(&file),
            "no document" => fs::remove_file(&document),
            "another document" => {
                let other = fs::read_to_string(kept(&workspace, "account_negative/B1", "-2.json"));
                let other = other.expect("a document").replace("\"B1\"", "\"B2\"");
                fs::write(
                    &document,
                    other.replace("\"revision\": 2", "\"revision\": 1"),
                )
            }
            "a document that is none" => fs::write(&document, "{}"),
            "all of it" => fs::remove_dir_all(workspace.data().join("archive")),
            _ => {
                let sql = "UPDATE redledger.file SET archive_path = 'archive/x/abc.csv.zst' WHERE file_id = 2";
                damage(&workspace, sql);
                Ok(())
            }
        };
        done.expect(what);
        let (ran, findings) = verify(&workspace, &[]);
        let found = lines(&findings);
        assert_eq!(ran.exit, Some(1), "{what}: {}", ran.stderr);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{what}\n{found:#?}"
        );
        assert!(
            found
                .iter()
                .any(|line| line.starts_with("account_negative B2 r")),
            "{what}\n{found:#?}"
        );
        assert!(ran.stderr.contains("--refetch"), "{}", ran.stderr);
        let (ran, _) = verify(&workspace, &["--no-archive"]);
        assert_eq!(ran.exit, Some(0), "{what}: {}", ran.stderr);
        let (ran, _) = verify(&workspace, &["B4"]);
        assert_eq!(
            ran.exit,
            Some(i32::from(what == "all of it")),
            "{what}: {}",
            ran.stderr
        );
    }

    let workspace = Workspace::new().set("ARCHIVE__MAX_AGE", "1ns");
    workspace.copy_data_of(&nights);
    let ran = workspace.run(&["archive", "prune"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let ran = workspace.run(&["verify"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout
            .contains("5 files that the ledger names: no longer kept"),
        "{}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_datasets_can_be_picked() {
    let workspace = nights().await;
    damage(
        &workspace,
        "UPDATE account_repayment SET card_settle_amount = 5 WHERE line = 1",
    );
    for (arguments, exit) in [
        (&["B4"][..], 1),
        (&["B3..B4"], 1),
        (&["B[123]"], 0),
        (&["--dataset", "account_repayment"], 1),
        (&["--dataset", "account_negative_bill_line"], 0),
        (&["B4", "--dataset", "account_negative"], 0),
        (&["B77"], 2),
        (&["--dataset", "nothing"], 2),
    ] {
        let (ran, _) = verify(&workspace, arguments);
        assert_eq!(ran.exit, Some(exit), "{arguments:?}: {}", ran.stderr);
    }
    let ran = workspace.run(&["verify", "--dataset", "account_negative_bill_line"]);
    for said in [
        "counted again: 3 rows, ",
        "2 revisions",
        "Everything is as the ledger says.",
    ] {
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
}

#[test]
fn what_the_hints_say_repairs_it() {
    let workspace = Workspace::new();
    load(&workspace, "B1", &[1, 2, 3]);
    load(&workspace, "B2", &[4]);
    let delete = "DELETE FROM account_repayment WHERE batch_no = 'B1' AND line = 3";
    damage(&workspace, delete);
    assert_eq!(verify(&workspace, &[]).0.exit, Some(1));

    // The same content is loaded, as far as the ledger knows.
    let ran = workspace.run(&["backfill", "B1"]);
    assert!(ran.stdout.contains("unchanged"), "{}", ran.stdout);
    assert_eq!(verify(&workspace, &[]).0.exit, Some(1));

    let ran = workspace.run(&["rollback"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(verify(&workspace, &[]).0.exit, Some(0));

    damage(&workspace, delete);
    fs::rename(live(&workspace), workspace.path().join("away.duckdb")).expect("moved");
    let ran = workspace.run(&["backfill", "*"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    workspace.verify();
    let rows = workspace.query("SELECT count(*)::VARCHAR FROM account_repayment");
    // What was withdrawn stays so.
    assert_eq!(rows, ["3"]);
}

/// A warehouse with a batch whose link lives as long as the server.
async fn fetched() -> (Server, Workspace) {
    let server = Server::start(|_| Reply::new(200, repayments(&[1]))).await;
    let workspace = Workspace::new();
    let hook =
        serde_json::json!({"batchNo": "B1", "lastPage": true, "fileUrl": server.url("/rows.csv")});
    workspace.receive("1.json", &hook.to_string());
    assert_eq!(workspace.run(&["run"]).exit, Some(0));
    (server, workspace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_the_archive_is_fetched_again() {
    let (_server, workspace) = fetched().await;
    let file = kept(&workspace, "account_repayment/B1", ".zst");
    fs::write(&file, "no zstd").expect("written");
    assert_eq!(verify(&workspace, &[]).0.exit, Some(1));
    let ran = workspace.run(&["backfill", "B1", "--refetch"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    workspace.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_archive_has_forgotten_is_written_down_again() {
    let (_server, workspace) = fetched().await;
    let document = kept(&workspace, "account_repayment/B1", ".json");
    // Half of it is as good as nothing.
    for lose in [fs::remove_file, |document: &PathBuf| {
        fs::write(document, "{\"format\"")
    }] {
        lose(&document).expect("lost");
        let (ran, _) = verify(&workspace, &[]);
        assert_eq!(ran.exit, Some(1));
        let ran = workspace.run(&["backfill", "B1", "--refetch"]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        workspace.verify();
    }
}

#[test]
fn a_contract_that_has_changed_since_the_load_is_no_difference() {
    let workspace = Workspace::new();
    let contracts = workspace.path().join("contracts");
    fs::create_dir(&contracts).expect("a folder");
    let workspace = workspace.set("DATASETS_DIR", "contracts");
    let declare = |fields: &str, rule: &str| {
        let text = format!(
            "name = \"sums\"\ncomment = \"Sums\"\n\
             fields = [\n\
             {{ name = \"a\", type = \"decimal\", precision = 18, scale = 2, required = true, comment = \"a\" }},\n\
             {{ name = \"b\", type = \"decimal\", precision = 18, scale = 2, required = true, comment = \"b\" }},\n\
             {fields}]\n[[controls]]\n{rule}\n"
        );
        fs::write(contracts.join("sums.toml"), text).expect("written");
    };
    declare("", "name = \"equal\"\nrule = \"a = b\"");
    workspace.write("rows.csv", "a,b\n1,1\n1,2\n");
    let ran = workspace.run(&[
        "ingest",
        "rows.csv",
        "--dataset",
        "sums",
        "--batch-no",
        "B1",
    ]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    workspace.verify();

    let more = "{ name = \"c\", type = \"decimal\", precision = 18, scale = 2, comment = \"c\" },\n\
         { name = \"currency\", type = \"currency\", comment = \"currency\" },\n";
    declare(more, "name = \"other\"\nrule = \"a + c = b\"");
    let ran = workspace.run(&["verify"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("not counted again: 1 control:"),
        "{}",
        ran.stdout
    );
    fs::remove_file(contracts.join("sums.toml")).expect("removed");
    workspace.verify();
    damage(&workspace, "DELETE FROM sums WHERE line = 2");
    let (ran, findings) = verify(&workspace, &[]);
    assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
    assert!(
        lines(&findings).contains(&"sums B1 r1 rows of file 1 in sums: 2, 1".to_owned()),
        "{findings:?}"
    );
}

#[test]
fn without_a_warehouse_nothing_was_loaded_yet_or_it_is_gone_or_the_folder_is_none_of_ours() {
    let workspace = Workspace::new();
    let ran = workspace.run(&["verify"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (Some(2), ""));
    assert!(
        ran.stderr.contains("is --data-dir right?"),
        "{}",
        ran.stderr
    );
    assert!(!workspace.data().exists());
    fs::create_dir(workspace.data()).expect("a folder");
    assert_eq!(workspace.run(&["verify"]).exit, Some(2));

    workspace.receive("1.json", "{}");
    let ran = workspace.run(&["verify"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("Nothing loaded yet"), "{}", ran.stderr);
    let (ran, _) = verify(&workspace, &[]);
    assert_eq!((ran.exit, ran.stdout.trim()), (Some(0), "[]"));
    fs::write(live(&workspace), "no database").expect("written");
    workspace.damaged();
    assert_eq!(workspace.run(&["verify"]).exit, Some(2));
}

/// A workspace in which `B1` was loaded from a CSV file.
fn loaded() -> Workspace {
    let workspace = Workspace::new();
    load(&workspace, "B1", &[1, 2]);
    workspace
}

fn load(workspace: &Workspace, batch_no: &str, settled: &[u32]) {
    workspace.write("rows.csv", repayments(settled));
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", batch_no]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

#[test]
fn a_warehouse_that_is_gone_is_a_fault_whatever_shows_that_it_was_there() {
    for left in ["archive", "published.json", "warehouse.duckdb.previous"] {
        let workspace = loaded();
        load(&workspace, "B2", &[3]);
        fs::remove_file(live(&workspace)).expect("removed");
        for name in [
            "archive",
            "published.json",
            "warehouse.duckdb.previous",
            "lock",
        ] {
            let path = workspace.data().join(name);
            if name != left {
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
        let ran = workspace.run(&["verify"]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (Some(2), ""), "{left}");
        assert!(
            ran.stderr.contains("redledger backfill '*'"),
            "{left}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_ledger_that_is_gone_or_has_lost_a_table_is_a_fault_for_whoever_reads_it() {
    for sql in [
        "DROP SCHEMA redledger CASCADE",
        "DROP TABLE redledger.batch",
        "DROP TABLE redledger.rejection",
        "DROP TABLE redledger.run",
    ] {
        let workspace = loaded();
        damage(&workspace, sql);
        for arguments in [
            &["verify"][..],
            &["verify", "B1"],
            &["status"],
            &["rejections"],
        ] {
            let ran = workspace.run(arguments);
            assert_eq!(ran.exit, Some(2), "{sql}, {arguments:?}: {}", ran.stdout);
            assert!(
                ran.stderr.contains("rollback"),
                "{sql}, {arguments:?}: {}",
                ran.stderr
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_rejections_are_kept_as_the_ledger_says_and_where_it_does_not_as_there_must_be() {
    let nights = nights().await;
    for (sql, exit) in [
        (
            "UPDATE redledger.file SET rejections_kept = rejections_kept + 1 WHERE rows_rejected > 0",
            1,
        ),
        ("UPDATE redledger.file SET rejections_kept = NULL", 0),
        (
            "UPDATE redledger.file SET rejections_kept = NULL; DELETE FROM redledger.rejection WHERE file_id = 1",
            1,
        ),
        // Said to be left out, and left out.
        (
            "UPDATE redledger.file SET rejections_kept = 0; DELETE FROM redledger.rejection",
            0,
        ),
    ] {
        let workspace = Workspace::new();
        workspace.copy_data_of(&nights);
        damage(&workspace, sql);
        let (ran, findings) = verify(&workspace, &["--no-archive"]);
        assert_eq!(ran.exit, Some(exit), "{sql}: {:#?}", lines(&findings));
        assert!(
            lines(&findings)
                .iter()
                .all(|line| line.contains("rejections kept of file")),
            "{findings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_is_verified_without_opening_the_folders_of_others() {
    let workspace = nights().await;
    workspace.damaged();
    // Whoever reads it, is told.
    let file = kept(&workspace, "account_negative/B2", ".csv.zst");
    fs::write(file, "no zstd").expect("written");
    for (arguments, exit, files) in [
        (&["B1"][..], 0, "2 files"),
        (&["B4"], 0, "1 file"),
        (&["B3", "B4"], 0, ""),
        (&["B[13]"], 0, ""),
        (&["B2"], 1, ""),
    ] {
        let ran = workspace.run(&[&["verify"], arguments].concat());
        assert_eq!(
            ran.exit,
            Some(exit),
            "{arguments:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
        assert!(
            ran.stdout.contains(&format!("archive: {files}")),
            "{arguments:?}: {}",
            ran.stdout
        );
    }
}
