//! `redledger report`: the page as a file.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{between, load, report, text, workspace};
use crate::support::program::Workspace;

#[track_caller]
fn says(workspace: &Workspace, verdict: &str) -> String {
    let page = report(workspace, &[]);
    let heading = text(&format!("<body>{}", between(&page, "<h1>", "</h1>")));
    assert_eq!(heading, verdict);
    text(&page)
}

#[test]
fn the_first_line_says_whether_the_night_was_right() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    says(&workspace, "✓ The night was right");

    load(&workspace, "B2", 31, 1);
    let said = says(&workspace, "! The night was right, with rejected rows");
    assert!(said.contains("B2 1 rows rejected"), "{said}");

    // What was rejected in an earlier night is no matter of this one.
    load(&workspace, "B3", 32, 0);
    says(&workspace, "✓ The night was right");

    // More than is allowed: nothing of it is loaded, and that stays so whatever comes later.
    load(&workspace, "B4", 32, 90);
    load(&workspace, "B5", 33, 0);
    let said = says(&workspace, "✗ The night was not right");
    assert!(said.contains("B4 not loaded"), "{said}");

    let dismissed = workspace.run(&["dismiss", "B4", "--why", "a test"]);
    assert_eq!(dismissed.exit, Some(0), "{}", dismissed.stderr);
    says(&workspace, "✓ The night was right");
}

#[test]
fn a_dataset_is_late_only_where_it_is_expected() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    says(&workspace, "✓ The night was right");
    let workspace = workspace.set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", "1d");
    let said = says(&workspace, "✗ A dataset is late");
    assert!(
        said.contains("account_negative is late: its newest batch is of 2026-03-30 01:00"),
        "{said}"
    );
}

#[test]
fn the_grid_agrees_with_the_view_of_nights() {
    let workspace = workspace().set("REPORTING__TIME_ZONE", "America/New_York");
    for (batch, day, spoiled) in [("B1", 5, 0), ("B2", 7, 2), ("B3", 7, 0), ("B4", 8, 70)] {
        load(&workspace, batch, day, spoiled);
    }
    let page = report(&workspace, &["--days", "3660"]);
    let grid = between(&page, "id=\"nights\"", "id=\"exposure\"");
    let shown: Vec<String> = grid
        .split("<tr>")
        .skip(2)
        .map(|row| text(&format!("<body>{row}")))
        .filter(|row| row.starts_with("2026-03"))
        .map(|row| {
            row.split(" Earlier nights")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let of_view = workspace.query(
        "SELECT reporting_day || CASE WHEN open > 0 THEN ' ✗ not loaded ' || rows_loaded WHEN batches = 0 THEN ' · no batch' \
         WHEN rows_rejected > 0 THEN ' ! loaded, with rejected rows ' || rows_loaded ELSE ' ✓ loaded ' || rows_loaded END \
         FROM night ORDER BY reporting_day DESC",
    );
    assert_eq!(shown, of_view);
    // The evening before, in New York.
    assert_eq!(of_view[0], "2026-03-07 ✗ not loaded 0");
    assert_eq!(of_view[1], "2026-03-06 ! loaded, with rejected rows 4");
    assert_eq!(of_view[2], "2026-03-05 · no batch");
}

#[test]
fn figures_are_the_exact_ones_of_the_views() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    let said = text(&report(&workspace, &[]));
    assert!(
        said.contains("2026-03-30 USD 2 -25.00 -2,469.1356 B1"),
        "{said}"
    );
    assert!(said.contains("USD card 0–7 2 -25.00"), "{said}");
}

#[test]
fn a_report_is_private_and_replaces_reports_alone() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    report(&workspace, &[]);
    let path = workspace.path().join("night.html");
    let mode = || fs::metadata(&path).expect("a report").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    report(&workspace, &["--lang", "zh"]);
    assert_eq!(mode(), 0o600);

    for name in ["B1.json", "datasets"] {
        let ran = workspace.run(&["report", "--out", name]);
        assert_eq!(ran.exit, Some(2), "{}", ran.stdout);
        assert!(
            ran.stderr.contains("is there and is no report"),
            "{}",
            ran.stderr
        );
    }
    std::os::unix::fs::symlink("night.html", workspace.path().join("link.html")).expect("a link");
    assert_eq!(
        workspace.run(&["report", "--out", "link.html"]).exit,
        Some(2)
    );

    let ran = workspace.run(&["report", "--out", "nowhere/night.html"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("nowhere"), "{}", ran.stderr);
    let left = fs::read_dir(workspace.path()).expect("the folder");
    let left: Vec<String> = left
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_page_asks_for_nothing_and_runs_nothing() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 2);
    for page in [
        report(&workspace, &[]),
        report(&workspace, &["--lang", "zh"]),
        report(&workspace, &["--batch", "B1"]),
    ] {
        assert!(page.contains("&#60;script&#62;alert(1)"), "no rejected row");
        assert!(!page.contains("<script"), "a script");
        for attribute in ["src=", "srcset=", "@import", "url(", "style=\"", "onclick"] {
            assert!(!page.contains(attribute), "{attribute}");
        }
        for link in page.split("href=\"").skip(1) {
            assert!(
                link.starts_with('#') || link.starts_with("data:,"),
                "{link:.60}"
            );
        }
    }
}

#[test]
fn cells_are_left_out_where_that_is_asked_for() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 2);
    for options in [&["--no-records"][..], &["--no-records", "--batch", "B1"]] {
        let page = report(&workspace, options);
        assert!(!page.contains("alert(1)"));
        assert!(!page.contains("甲公司"));
        let said = text(&page);
        assert!(
            said.contains("B1 3 cardNegative redledger trace 1:3"),
            "{said}"
        );
    }
}

#[test]
fn a_batch_has_a_page_of_its_own() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    load(&workspace, "B1", 31, 1);
    let said = text(&report(&workspace, &["--batch", "B1"]));
    for part in [
        "B1: loaded",
        "2 loaded 3 3 2 1 +0 −0 ~2",
        "1 replaced by a later revision 2 2 2 0 +2 −0 ~0",
        "hook total = rows read 3 3 ✓ agrees",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let unknown = workspace.run(&["report", "--out", "other.html", "--batch", "B2"]);
    assert_eq!(unknown.exit, Some(2));
    assert!(
        unknown.stderr.contains("no batch `B2`"),
        "{}",
        unknown.stderr
    );
    assert!(!workspace.path().join("other.html").exists());
}

#[test]
fn where_nothing_is_loaded_that_is_said() {
    let workspace = Workspace::new();
    std::fs::create_dir_all(workspace.data().join("inbox")).expect("a folder");
    let ran = workspace.run(&["report", "--out", "night.html"]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr.contains("nothing is loaded yet"),
        "{}",
        ran.stderr
    );
    assert!(!workspace.path().join("night.html").exists());
}

#[test]
fn a_warehouse_without_the_views_has_a_page_all_the_same() {
    let workspace = workspace().set("REPORTING__SNAPSHOT", "false");
    load(&workspace, "B1", 30, 0);
    let said = says(&workspace, "✓ The night was right");
    assert!(
        said.contains("Not in this warehouse: exposure_by_day"),
        "{said}"
    );
    assert!(said.contains("2026-03-30"), "{said}");
}
