//! `redledger verify --cells`: what no sum and no count shows.

use serde_json::Value;

use super::{damage, workspace};
use crate::support::program::Workspace;

/// What `verify --cells` finds: what, loaded, delivered.
fn findings(workspace: &Workspace) -> Vec<String> {
    let ran = workspace.run(&["verify", "--cells", "B1", "--format", "json"]);
    let findings: Vec<Value> = serde_json::from_str(&ran.stdout).expect("findings");
    assert_eq!(
        ran.exit,
        Some(i32::from(!findings.is_empty())),
        "{}",
        ran.stderr
    );
    let line =
        |of: &Value| format!("{}: {}, {}", of["what"], of["ledger"], of["found"]).replace('"', "");
    findings.iter().map(line).collect()
}

#[test]
fn cells_are_compared_and_counted() {
    let workspace = workspace();
    let ran = workspace.run(&["verify", "--cells", "B1"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout
            .contains("40 cells of 4 rows compared with what was delivered"),
        "{}",
        ran.stdout
    );
}

/// No count and no sum of the ledger tells these.
#[test]
fn what_sums_and_counts_do_not_show_is_found() {
    let whole = workspace();
    for (sql, expected) in [
        (
            "UPDATE account_negative SET account_name = '丙' WHERE line = 2",
            "account_name of file 1, line 2: 丙, 甲, \\乙\\",
        ),
        (
            "UPDATE account_negative SET display_id = '1' WHERE line = 2",
            "display_id of file 1, line 2: 1, 0000001",
        ),
        (
            "UPDATE account_negative SET stat_time = stat_time + INTERVAL 1 MILLISECOND WHERE line = 5",
            "stat_time of file 1, line 5: 1774888560001000, 1774888560000",
        ),
        (
            "UPDATE account_negative SET account_en = NULL WHERE line = 6",
            "account_en of file 1, line 6: null, Alpha",
        ),
        (
            "UPDATE account_negative SET extra = MAP {'region': 'Europe'} WHERE line = 3",
            "extra of file 1, line 3: [(\\region\\, Some(\\Europe\\))], [(\\region\\, Some(\\Asia\\))]",
        ),
        (
            "UPDATE account_negative SET account_id = '0193f2a4-0000-7000-8000-000000000009' WHERE line = 2",
            "account_id of file 1, line 2: 0193f2a4-0000-7000-8000-000000000009, 0193f2a4-0000-7000-8000-000000000001",
        ),
        // Two amounts that keep their sum.
        (
            "UPDATE account_negative SET card_negative = CASE line WHEN 2 THEN -7 ELSE -12.50 END WHERE line IN (2, 3)",
            "card_negative of file 1, line 2: -7.0000, -12.50",
        ),
        // Two rows that have changed places.
        (
            "UPDATE account_negative SET line = 5 - line WHERE line IN (2, 3)",
            "account_id of file 1, line 2: 0193f2a4-0000-7000-8000-000000000002, 0193f2a4-0000-7000-8000-000000000001",
        ),
        // A row from elsewhere in place of a delivered one.
        (
            "UPDATE account_negative SET line = 4 WHERE line = 5",
            "account_id of file 1, line 4: 0193f2a4-0000-7000-8000-000000000004, 0193f2a4-0000-7000-8000-000000000003",
        ),
        (
            "UPDATE account_negative SET line = 70 WHERE line = 6",
            "a row where no record begins of file 1, line 70: null, null",
        ),
        (
            "UPDATE account_negative SET line = 2 WHERE line = 3",
            "a second row of file 1, line 2: null, null",
        ),
    ] {
        let workspace = Workspace::new().set(
            "DATASETS_DIR",
            &whole.path().join("datasets").to_string_lossy(),
        );
        workspace.copy_data_of(&whole);
        damage(&workspace, sql);
        let found = findings(&workspace);
        assert!(
            found.iter().any(|line| line == expected),
            "{sql}: {found:#?}"
        );
    }
}

#[test]
fn a_record_that_is_neither_loaded_nor_rejected_is_found() {
    let workspace = workspace();
    // Both books agree on one row less.
    damage(
        &workspace,
        "DELETE FROM account_negative WHERE line = 3; \
         UPDATE redledger.file SET rows_loaded = 3, rows_read = 4; \
         UPDATE redledger.batch SET rows_loaded = 3, rows_read = 4",
    );
    let found = findings(&workspace);
    assert!(
        found.iter().any(|line| line.starts_with(
            "a record that is neither loaded nor rejected of file 1, line 3: null, 0193f2a4"
        )),
        "{found:#?}"
    );
}

#[test]
fn where_bytes_are_not_kept_that_is_said() {
    let workspace = Workspace::new().set("ARCHIVE__KEEP", "false");
    workspace.write(
        "rows.csv",
        super::NEGATIVE.to_owned() + &super::row(1, "-12.50"),
    );
    workspace.run(&["ingest", "rows.csv", "--batch-no", "B1"]);
    let ran = workspace.run(&["verify", "--cells"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("0 cells of 0 rows compared")
            && ran.stdout.contains("1 file: not compared"),
        "{}",
        ran.stdout
    );
}
