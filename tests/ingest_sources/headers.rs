//! A file without a header: its first row is nobody's to read in messages, notes or the ledger.

use std::fs;

use crate::support::program::Workspace;

const ID: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8";
const ROW: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8,ACC-0099887766,Zoe,-1234.50,0,USD,1711785600000,https://files.example.com/a.csv?Signature=SECRETSIGNATURE";

/// What of the first row may be seen nowhere.
const CELLS: [&str; 5] = [
    ID,
    "0099887766",
    "1234.50",
    "1711785600000",
    "SECRETSIGNATURE",
];

#[track_caller]
fn assert_nowhere(workspace: &Workspace, ran: &crate::support::program::Ran) {
    let warehouse = fs::read(workspace.data().join("warehouse.duckdb")).unwrap_or_default();
    for cell in CELLS {
        for shown in [&ran.stdout, &ran.stderr] {
            assert!(!shown.contains(cell), "{cell} is shown: {shown}");
        }
        let bytes = cell.as_bytes();
        let is_kept = warehouse.windows(bytes.len()).any(|part| part == bytes);
        assert!(!is_kept, "{cell} is in the warehouse");
    }
}

#[test]
fn a_file_without_a_header_shows_nothing_of_its_first_row() {
    let contract = "name = \"anything\"\n[[fields]]\nname = \"note\"\ntype = \"text\"\n";
    for (delimiter, dataset) in [
        (",", Some("account_negative")),
        (",", Some("account_negative_bill")),
        (",", Some("anything")),
        (";", Some("account_negative")),
        (";", Some("anything")),
        (",", None),
        (";", None),
    ] {
        let workspace = Workspace::new().set("DATASETS_DIR", "datasets");
        fs::create_dir(workspace.path().join("datasets")).expect("a folder");
        fs::write(workspace.path().join("datasets/anything.toml"), contract).expect("to write");
        let rows = format!("{ROW}\n{ROW}\n{ROW}\n").replace(',', delimiter);
        let file = workspace.write("neg.csv", rows);
        let mut arguments = vec!["ingest", &file, "--batch-no", "B1", "--format", "json"];
        arguments.extend(dataset.iter().flat_map(|dataset| ["--dataset", dataset]));
        let ran = workspace.run(&arguments);
        assert!(
            matches!(ran.exit, Some(1 | 2)),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        assert_nowhere(&workspace, &ran);
        assert!(ran.stdout.contains("not shown"), "{}", ran.stdout);
    }
}

#[test]
fn a_misspelt_column_is_still_shown() {
    let workspace = Workspace::new();
    let header = "acctId,type,cardNegative,budgetNegative,currency,statTime,https://h/a?Signature=SECRETSIGNATURE";
    let row = format!("{ID},0,-1234.50,0,USD,1711785600000,x");
    let file = workspace.write("neg.csv", format!("{header}\n{row}\n"));
    for dataset in [Some("account_negative"), None] {
        let mut arguments = vec!["ingest", &file, "--batch-no", "B1", "--format", "json"];
        arguments.extend(dataset.iter().flat_map(|dataset| ["--dataset", dataset]));
        let ran = workspace.run(&arguments);
        assert!(ran.stdout.contains("accountId"), "{}", ran.stdout);
        assert!(ran.stdout.contains("`acctId`, `type`"), "{}", ran.stdout);
        assert!(
            ran.stdout.contains("and one more that is not shown"),
            "{}",
            ran.stdout
        );
        assert_nowhere(&workspace, &ran);
    }
}
