//! From the archive: the same tables as the first time, or it says why not.

use std::fs;

use super::{Workspace, backfill, digest, kept, nights, outcomes, report};

const ALL: [&str; 8] = [
    "B1 r1 loaded",
    "B1 r2 loaded",
    "B2 r1 loaded",
    "B2 r2 failed",
    "B3 r1 loaded",
    "B3 r2 loaded",
    "B4 r1 loaded",
    "B5 r1 failed",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_warehouse_comes_back_with_its_history() {
    // The server is gone: nothing can come from the network.
    let workspace = nights().await;
    let before = digest(&workspace);
    assert!(before.iter().all(|table| !table.is_empty()), "{before:?}");
    fs::remove_file(workspace.data().join("warehouse.duckdb")).expect("removed");

    let ran = backfill(&workspace, &["*"]);
    assert_eq!(outcomes(&ran), ALL, "{}", ran.stderr);
    assert_eq!(ran.exit, Some(1));
    assert_eq!(digest(&workspace), before);

    // Once more: everything is checked, nothing changes.
    let ran = backfill(&workspace, &["*"]);
    let unchanged = [
        "B1 r2 unchanged",
        "B2 r1 unchanged",
        "B2 r2 failed",
        "B3 r2 unchanged",
        "B4 r1 unchanged",
        "B5 r1 failed",
    ];
    assert_eq!(outcomes(&ran), unchanged);
    assert_eq!(digest(&workspace), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_data_directory_is_filled_from_the_archive_of_the_first() {
    let nights = nights().await;
    let other = Workspace::new();
    let data = nights.data();
    let ran = backfill(
        &other,
        &["*", "--from-data-dir", data.to_str().expect("a path")],
    );
    assert_eq!(outcomes(&ran), ALL, "{}", ran.stderr);
    assert_eq!(digest(&other), digest(&nights));
    // It has an archive of its own now.
    fs::remove_dir_all(data).expect("removed");
    fs::remove_file(other.data().join("warehouse.duckdb")).expect("removed");
    assert_eq!(outcomes(&backfill(&other, &["*"])), ALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_globs_ranges_lists_datasets_and_times_select() {
    let workspace = nights().await;
    workspace.write("list.txt", "B5 # the one that failed\nB4\n");
    let named = |arguments: &[&str]| {
        let ran = backfill(&workspace, &[arguments, &["--dry-run"]].concat());
        let rows: Vec<serde_json::Value> = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let of = |row: &serde_json::Value| {
            format!(
                "{} r{} {}",
                row["batch"].as_str().unwrap_or("?"),
                row["revision"],
                row["would"].as_str().unwrap_or("?")
            )
        };
        (ran.exit, rows.iter().map(of).collect::<Vec<_>>())
    };
    let check = |number: &str, revision: u32| format!("{number} r{revision} check: it is loaded");
    let load = |number: &str, revision: u32| format!("{number} r{revision} load from the archive");
    let all = named(&["*"]).1;
    let before = digest(&workspace);
    for (arguments, expected) in [
        (&["B4"][..], vec![check("B4", 1)]),
        (&["B[34]"], vec![check("B3", 2), check("B4", 1)]),
        (
            &["B1..B2"],
            vec![check("B1", 2), check("B2", 1), load("B2", 2)],
        ),
        (&["B..B"], all.clone()),
        (
            &["--from-file", "list.txt"],
            vec![check("B4", 1), load("B5", 1)],
        ),
        (
            &["*", "--dataset", "account_repayment"],
            vec![check("B4", 1)],
        ),
        (
            &["*", "--since", "2026-03-30", "--until", "2026-03-31"],
            vec![],
        ),
        (
            &[
                "*",
                "--since",
                "2026-03-31T00:00:00Z",
                "--until",
                "2026-04-01",
            ],
            vec![check("B2", 1)],
        ),
    ] {
        assert_eq!(named(arguments), (Some(0), expected), "{arguments:?}");
    }
    assert_eq!(named(&["B9"]), (Some(2), vec![]));
    assert_eq!(digest(&workspace), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_is_found_even_where_the_batch_is_loaded_and_the_ledger_stays_as_it_was()
{
    let workspace = nights().await;
    let before = digest(&workspace);
    workspace.damaged();
    let other = zstd::encode_all("accountId\n".as_bytes(), 1).expect("zstd");
    for (folder, end, batch) in [
        ("account_repayment/B4", ".jsonl.zst", "B4"),
        ("account_negative/B2", ".csv.zst", "B2"),
        ("account_negative_bill_line/B3", ".csv.zst", "B3"),
    ] {
        for path in fs::read_dir(workspace.data().join("archive").join(folder)).expect("a folder") {
            let path = path.expect("an entry").path();
            if path.to_string_lossy().ends_with(end) {
                fs::write(path, &other).expect("written");
            }
        }
        let ran = backfill(&workspace, &[batch]);
        assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
        let text = report(&ran).to_string();
        assert!(text.contains("the archive is damaged: SHA-256"), "{text}");
        assert!(text.contains("--refetch"), "{text}");
        assert_eq!(digest(&workspace), before);
    }
    let ran = workspace.run(&["archive", "verify", "--format", "json"]);
    assert_eq!(ran.exit, Some(1));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&ran.stdout).expect("JSON");
    // B2 was delivered twice, and B3's lines are in two files.
    assert_eq!(findings.len(), 5, "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_from_the_archive_is_named() {
    let workspace = nights().await;
    let gone = kept(&workspace, "account_negative/B2", ".csv.zst");
    fs::remove_file(&gone).expect("removed");
    workspace.damaged();
    fs::remove_file(workspace.data().join("warehouse.duckdb")).expect("removed");
    let ran = backfill(&workspace, &["B2"]);
    assert_eq!(ran.exit, Some(1));
    let text = report(&ran).to_string();
    let name = gone.file_name().expect("a name").to_string_lossy();
    assert!(
        text.contains(name.as_ref()) && text.contains("no such file"),
        "{text}"
    );
    let ran = workspace.run(&["archive", "verify"]);
    assert!(ran.stdout.contains("missing"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_warehouse_is_brought_up_to_date_and_a_newer_one_is_never_turned_back() {
    let workspace = nights().await;
    workspace.damaged();
    let newest = digest(&workspace);
    let data = workspace.data();
    let path = data.join("archive/account_negative/B1/revision-2.json");
    let aside = data.join("aside.json");
    // As it was before B1 was issued again.
    fs::rename(&path, &aside).expect("moved");
    fs::remove_file(data.join("warehouse.duckdb")).expect("removed");
    backfill(&workspace, &["*"]);
    assert_ne!(digest(&workspace), newest);
    fs::rename(&aside, &path).expect("moved");
    let ran = backfill(&workspace, &["B1"]);
    assert_eq!(outcomes(&ran), ["B1 r1 unchanged", "B1 r2 loaded"]);
    assert_eq!(digest(&workspace), newest);

    fs::remove_file(path).expect("removed");
    let ran = backfill(&workspace, &["B1"]);
    assert_eq!(ran.exit, Some(1), "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("revision 2 of account_negative is loaded"),
        "{}",
        ran.stdout
    );
    assert_eq!(digest(&workspace), newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_the_archive_leaves_what_the_warehouse_stands_on() {
    let workspace = nights().await.set("ARCHIVE__MAX_AGE", "0s");
    let ran = workspace.run(&["archive", "prune", "--dry-run"]);
    assert!(
        ran.stdout.contains("Would remove 4 revisions"),
        "{}",
        ran.stdout
    );
    let ran = workspace.run(&["archive", "prune"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let ran = workspace.run(&["archive", "verify"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stdout);
    let tables = &digest(&workspace)[..4];
    fs::remove_file(workspace.data().join("warehouse.duckdb")).expect("removed");
    let ran = backfill(&workspace, &["*"]);
    assert_eq!(
        outcomes(&ran),
        [
            "B1 r2 loaded",
            "B2 r1 loaded",
            "B3 r2 loaded",
            "B4 r1 loaded"
        ]
    );
    assert_eq!(&digest(&workspace)[..4], tables);
}
