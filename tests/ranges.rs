//! `A..B` means every number from A to those that begin with B, in every command that takes ranges.

use crate::support::program::Workspace;

const CSV: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime\n\
    936da01f-9abd-4d9d-80c7-02af85c822a8,0,-1,0,USD,1711785600000\n";
const NUMBERS: [&str; 6] = [
    "BATCH_20260228235959",
    "BATCH_20260301000000",
    "BATCH_20260331163600",
    "BATCH_20260331235959-2",
    "BATCH_20260401000000",
    "X_20260331",
];

/// The numbers that a dry backfill would look at.
fn taken(workspace: &Workspace, arguments: &[&str]) -> Vec<String> {
    let all = [&["backfill", "--dry-run", "--format", "json"], arguments].concat();
    let ran = workspace.run(&all);
    assert_eq!(ran.exit, Some(0), "{arguments:?}: {}", ran.stderr);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&ran.stdout).expect("JSON");
    let of = |row: &serde_json::Value| row["batch"].as_str().unwrap_or("?").to_owned();
    let mut numbers: Vec<String> = rows.iter().map(of).collect();
    numbers.sort();
    numbers
}

#[test]
fn a_range_takes_every_number_that_begins_with_its_end() {
    let workspace = Workspace::new();
    workspace.write("rows.csv", CSV);
    for number in NUMBERS {
        let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", number]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    }
    let march = &NUMBERS[1..4];
    for (range, expected) in [
        ("BATCH_20260301..BATCH_20260331", march.to_vec()),
        ("BATCH_20260331..BATCH_20260331", march[1..].to_vec()),
        ("BATCH_2026033116..BATCH_20260331", march[1..].to_vec()),
        ("BATCH_20260301..BATCH_202603311", march[..2].to_vec()),
        ("BATCH_20260301..BATCH_2026033", march.to_vec()),
        ("..BATCH_202602", vec![NUMBERS[0]]),
        ("BATCH_20260401..", vec![NUMBERS[4], NUMBERS[5]]),
    ] {
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(taken(&workspace, &[range]), expected, "{range}");
        workspace.write("list.txt", format!("{range}\n"));
        assert_eq!(
            taken(&workspace, &["--from-file", "list.txt"]),
            expected,
            "{range}"
        );
        let ran = workspace.run(&["verify", range]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        let said = format!("{} revision", expected.len());
        assert!(ran.stdout.contains(&said), "{range}: {}", ran.stdout);
    }
    for none in ["BATCH_20260401..BATCH_20260331", "B..A"] {
        let ran = workspace.run(&["verify", none]);
        assert_eq!(ran.exit, Some(2), "{none}: {}", ran.stdout);
    }
}
