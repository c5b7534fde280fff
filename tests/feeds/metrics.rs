//! `run --metrics`, and the rules that are shipped for what it writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{said, tool};
use crate::support::{checkout::checkout, program::Workspace};

/// An announcement of `rows` inline rows, the first `spoilt` of which have too many decimals.
fn announced(batch_no: &str, rows: usize, spoilt: usize) -> Value {
    let row = |number: usize| {
        let amount = if number < spoilt {
            "-0.12345"
        } else {
            "-12.50"
        };
        json!({
            "accountId": format!("0193f2a4-0000-7000-8000-{number:012}"),
            "type": "0",
            "cardNegative": amount,
            "budgetNegative": "0",
            "currency": "USD",
            "statTime": "1774888560000",
        })
    };
    let list: Vec<Value> = (0..rows).map(row).collect();
    json!({"resource": {"batchNo": batch_no, "total": rows, "lastPage": true, "list": list}, "createTime": 1_774_888_560_000_i64})
}

/// A night with a batch of each kind: loaded with rejected rows, failed, waiting, and one that nobody understands.
fn night() -> Workspace {
    let workspace = Workspace::new()
        .set("EXPECTED_EVERY__ACCOUNT_NEGATIVE", "100000d")
        .set("EXPECTED_EVERY__ACCOUNT_REPAYMENT", "1d");
    let mut failed = announced("FAILED", 1, 0);
    failed["resource"]["total"] = 2.into();
    let mut waiting = announced("WAITING", 1, 0);
    waiting["resource"]["total"] = 5.into();
    waiting["resource"]["lastPage"] = false.into();
    waiting["resource"]["page"] = 1.into();
    waiting["resource"]["size"] = 1.into();
    for (name, hook) in [
        ("1.json", announced("LOADED", 200, 1)),
        ("2.json", failed),
        ("3.json", waiting),
    ] {
        workspace.receive(name, &hook.to_string());
    }
    workspace
}

/// The samples of a file by name and labels, once each.
fn samples(path: &Path) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(path).expect("metrics");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut samples = BTreeMap::new();
    for line in lines {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        let value = value.parse().expect("a number");
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "{name} is there twice"
        );
    }
    samples
}

#[test]
fn a_run_writes_down_what_it_did_and_what_stands() {
    let workspace = night();
    let path = workspace.path().join("redledger.prom");
    let ran = workspace.run(&["run", "--metrics", "redledger.prom"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert!(!ran.stderr.contains("--metrics"), "{}", ran.stderr);
    let found = samples(&path);
    let of = |name: &str| {
        let sample = found.get(&format!("redledger_{name}"));
        *sample.unwrap_or_else(|| panic!("no {name} in {found:#?}"))
    };
    for (name, value) in [
        ("run_exit_status", 3.0),
        (
            "run_batches{dataset=\"account_negative\",outcome=\"loaded\"}",
            1.0,
        ),
        (
            "run_batches{dataset=\"account_negative\",outcome=\"failed\"}",
            1.0,
        ),
        (
            "run_batches{dataset=\"account_negative\",outcome=\"waiting\"}",
            1.0,
        ),
        (
            "run_batches{dataset=\"account_repayment\",outcome=\"loaded\"}",
            0.0,
        ),
        ("run_rows_loaded{dataset=\"account_negative\"}", 199.0),
        (
            "batches{dataset=\"account_negative\",state=\"loaded\"}",
            1.0,
        ),
        (
            "batches{dataset=\"account_negative\",state=\"failed\"}",
            1.0,
        ),
        (
            "batches{dataset=\"account_negative\",state=\"waiting\"}",
            1.0,
        ),
        (
            "batches{dataset=\"account_negative_bill\",state=\"failed\"}",
            0.0,
        ),
        ("batches{dataset=\"(unknown)\",state=\"failed\"}", 0.0),
        (
            "newest_batch_accepted_timestamp_seconds{dataset=\"account_negative\"}",
            1_774_888_560.0,
        ),
        (
            "newest_batch_rows_read{dataset=\"account_negative\"}",
            200.0,
        ),
        (
            "newest_batch_rows_loaded{dataset=\"account_negative\"}",
            199.0,
        ),
        (
            "newest_batch_rows_rejected{dataset=\"account_negative\"}",
            1.0,
        ),
        ("dataset_late{dataset=\"account_negative\"}", 0.0),
        ("dataset_late{dataset=\"account_repayment\"}", 1.0),
    ] {
        assert_eq!(of(name), value, "{name}");
    }
    let now = jiff::Timestamp::now().as_second() as f64;
    let (began, ended) = (
        of("run_start_timestamp_seconds"),
        of("run_end_timestamp_seconds"),
    );
    assert!(now - 200.0 < began && began <= ended && ended <= now + 1.0);
    let size = fs::metadata(workspace.data().join("warehouse.duckdb")).expect("a warehouse");
    assert_eq!(of("warehouse_bytes"), size.len() as f64);
    assert!(of("filesystem_free_bytes") > 0.0);

    // Nothing that is private or without end.
    let text = fs::read_to_string(&path).expect("metrics");
    for word in ["LOADED", "FAILED", "WAITING", "0193f2a4", "12.5"] {
        assert!(!text.contains(word), "{word}:\n{text}");
    }

    // What is unchanged or has nothing to do does not count again; what stands does.
    workspace.receive("4.json", &announced("LOADED", 200, 1).to_string());
    assert_eq!(
        workspace.run(&["run", "--metrics", "redledger.prom"]).exit,
        Some(3)
    );
    let found = samples(&path);
    let of = |name: &str| found[&format!("redledger_{name}")];
    assert_eq!(
        of("run_batches{dataset=\"account_negative\",outcome=\"unchanged\"}"),
        1.0
    );
    assert_eq!(
        of("run_batches{dataset=\"account_negative\",outcome=\"failed\"}"),
        0.0
    );
    assert_eq!(of("run_rows_rejected{dataset=\"account_negative\"}"), 0.0);
    assert_eq!(
        of("batches{dataset=\"account_negative\",state=\"failed\"}"),
        1.0
    );
    assert_eq!(
        of("newest_batch_rows_rejected{dataset=\"account_negative\"}"),
        1.0
    );

    // What a person has closed is failed no more.
    let closed = workspace.run(&["dismiss", "FAILED", "--why", "a test"]);
    assert_eq!(closed.exit, Some(0), "{}", closed.stderr);
    workspace.run(&["run", "--metrics", "redledger.prom"]);
    let found = samples(&path);
    let of = |name: &str| found[&format!("redledger_{name}")];
    assert_eq!(
        of("batches{dataset=\"account_negative\",state=\"failed\"}"),
        0.0
    );
    assert_eq!(
        of("batches{dataset=\"account_negative\",state=\"dismissed\"}"),
        1.0
    );
}

#[test]
fn the_collector_can_read_the_file_and_meets_no_half_of_it() {
    let workspace = night();
    let folder = workspace.path().join("collected");
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("redledger.prom");
    fs::write(&path, "of another run\n").expect("to write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("to set");
    let before = fs::File::open(&path).expect("a file");
    workspace.run(&["run", "--metrics", "collected/redledger.prom"]);
    assert_eq!(
        std::io::read_to_string(before).expect("text"),
        "of another run\n"
    );
    let mode = fs::metadata(&path).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(
        fs::read_dir(&folder).expect("a folder").count(),
        1,
        "something is left"
    );
}

#[test]
fn metrics_that_cannot_be_written_change_nothing_but_are_told() {
    for place in ["no/such/folder/x.prom", "data"] {
        let workspace = night();
        let ran = workspace.run(&["run", "--format", "json", "--metrics", place]);
        assert_eq!(ran.exit, Some(3));
        let warned = format!("warning: --metrics {place}: not written: ");
        assert!(ran.stderr.contains(&warned), "{}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).expect("a report");
        assert_eq!(report["exit_code"], 3);
        assert_eq!(workspace.rows("account_negative").len(), 199);
    }
}

#[test]
fn a_run_that_does_nothing_says_nothing_and_one_that_fails_says_how() {
    let workspace = night();
    workspace.run(&["run", "--dry-run", "--metrics", "x.prom"]);
    let path = workspace.path().join("x.prom");
    assert!(!path.exists());

    let held = fs::File::create(workspace.data().join("lock")).expect("a lock");
    held.lock().expect("to lock");
    let ran = workspace.run(&["run", "--lock-wait", "0s", "--metrics", "x.prom"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert_eq!(samples(&path)["redledger_run_exit_status"], 3.0);
    drop(held);

    // A fault undoes the run: nothing of it is loaded, whatever it had come to.
    let archive = workspace.data().join("archive/account_negative");
    fs::create_dir_all(&archive).expect("a folder");
    fs::write(archive.join("FAILED"), "no folder").expect("to write");
    let ran = workspace.run(&["run", "--metrics", "x.prom"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    let found = samples(&path);
    assert_eq!(found["redledger_run_exit_status"], 2.0);
    let loaded = "redledger_run_batches{dataset=\"account_negative\",outcome=\"loaded\"}";
    assert_eq!(found[loaded], 0.0);
    assert_eq!(found["redledger_warehouse_bytes"], 0.0);

    // No warehouse to look at.
    fs::remove_file(archive.join("FAILED")).expect("to remove");
    let warehouse = workspace.data().join("warehouse.duckdb");
    fs::write(&warehouse, "garbage").expect("to write");
    let ran = workspace.damaged().run(&["run", "--metrics", "x.prom"]);
    assert_eq!(ran.exit, Some(2));
    let warned = "warning: --metrics x.prom: what the warehouse holds is not in it: ";
    assert!(ran.stderr.contains(warned), "{}", ran.stderr);
    assert_eq!(samples(&path)["redledger_run_exit_status"], 2.0);
}

fn promtool(arguments: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(arguments);
    command
}

#[test]
fn promtool_finds_no_fault_with_the_file() {
    let workspace = night();
    workspace.run(&["run", "--metrics", "redledger.prom"]);
    let mut command = promtool(&["check", "metrics"]);
    let file = fs::File::open(workspace.path().join("redledger.prom")).expect("metrics");
    command.stdin(Stdio::from(file));
    let Some(checked) = tool("promtool check metrics", command) else {
        return;
    };
    assert!(checked.status.success(), "{}", said(&checked));
    assert_eq!(said(&checked), "");
}

#[test]
fn the_shipped_rules_fire_when_they_should_and_are_about_what_is_written() {
    let rules = checkout("config/prometheus/rules.yml");
    let text = fs::read_to_string(&rules).expect("rules");
    let workspace = night();
    workspace.run(&["run", "--metrics", "redledger.prom"]);
    let found = samples(&workspace.path().join("redledger.prom"));
    let written: BTreeSet<&str> = found
        .keys()
        .filter_map(|name| name.split('{').next())
        .collect();
    let expressions: Vec<&str> = text.lines().filter(|line| line.contains("expr:")).collect();
    assert!(expressions.len() > 4);
    let words = expressions
        .iter()
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let named: BTreeSet<&str> = words
        .filter(|word| word.starts_with("redledger_"))
        .collect();
    assert!(named.is_subset(&written), "{named:?}");
    let page = fs::read_to_string(checkout("docs/operator.md")).expect("a page");
    for line in text.lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(
                page.contains(&format!("`{alert}`")),
                "docs/operator.md says nothing of {alert}"
            );
        }
    }
    for metric in &written {
        assert!(
            page.contains(&format!("`{metric}`")),
            "docs/operator.md says nothing of {metric}"
        );
    }

    let rules = rules.to_string_lossy();
    let tests = checkout("config/prometheus/rules_test.yml");
    for arguments in [
        ["check", "rules", &rules],
        ["test", "rules", &tests.to_string_lossy()],
    ] {
        let Some(checked) = tool("promtool", promtool(&arguments)) else {
            return;
        };
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(said(&checked).contains("SUCCESS"), "{}", said(&checked));
    }
}
