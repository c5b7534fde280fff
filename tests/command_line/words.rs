//! Words of the command line: formats, lists, addresses, what a shell hands on.

use std::process::Stdio;

use super::{called, loaded, shell};
use crate::support::{program::Workspace, receiver::Receiver};

#[test]
fn every_command_with_a_format_takes_the_same_ones() {
    let workspace = loaded();
    let commands: [&[&str]; 13] = [
        &["status"],
        &["status", "BATCH_20260330163600"],
        &["rejections"],
        &["verify"],
        &["archive", "verify"],
        &["datasets", "list"],
        &["datasets", "show", "account_negative"],
        &["config", "show"],
        &["run"],
        &["run", "--dry-run"],
        &["ingest", "good.csv", "--batch-no", "BATCH_20260330163600"],
        &["backfill", "*", "--dry-run"],
        &["rollback", "--dry-run"],
    ];
    for command in commands {
        for format in ["table", "text", "json", "csv"] {
            let ran = workspace.run(&[command, &["--format", format]].concat());
            assert_eq!(ran.exit, Some(0), "{command:?} {format}: {}", ran.stderr);
            match format {
                "json" => {
                    serde_json::from_str::<serde_json::Value>(&ran.stdout).expect("JSON");
                }
                "csv" => {
                    let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
                    assert!(reader.headers().expect("a header").len() > 1, "{command:?}");
                    assert!(reader.records().all(|record| record.is_ok()), "{command:?}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn the_demo_ends_as_its_report_says_and_with_commands_that_work() {
    let workspace = Workspace::new();
    let place = "a look/it's here";
    let ran = workspace.run(&["demo", "--data-dir", place, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a report");
    assert_eq!(
        (ran.exit, &report["exit_code"]),
        (Some(0), &0.into()),
        "{report:#}"
    );
    assert_eq!(report["batches"][0]["rows_rejected"], 2);

    let ran = workspace.run(&["demo", "--data-dir", place]);
    let commands: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with("redledger "))
        .collect();
    assert_eq!(commands.len(), 3, "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().last(), commands.last().copied());
    for command in commands {
        let followed = shell(&workspace, command);
        assert_eq!(followed.exit, Some(0), "{command}: {}", followed.stderr);
        assert!(
            !followed.stderr.contains("Nothing loaded"),
            "{command}: {}",
            followed.stderr
        );
    }
}

#[test]
fn a_receiver_listens_on_a_name() {
    let workspace = Workspace::new().set("SERVE__SIGNATURE", "none");
    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    command.args(["serve", "--listen", "localhost:0"]);
    let receiver = Receiver::of(command);
    assert!(
        receiver.address().ip().is_loopback(),
        "{}",
        receiver.greeting
    );
    receiver.stop();
}

#[test]
fn infer_takes_what_a_shell_hands_it() {
    let workspace = loaded();
    workspace.write("2026 03.csv", "id,note\n1,a\n");
    workspace.write("more.csv", "id,note\n22,b\n");
    workspace.write("other.csv", "id,text\n22,b\n");
    for (line, rows, name) in [
        (
            "redledger datasets infer <(gzip -c good.csv)",
            "1 rows",
            "sample",
        ),
        ("redledger datasets infer - < good.csv", "1 rows", "sample"),
        (
            "cat good.csv | redledger datasets infer /dev/stdin --name card",
            "1 rows",
            "card",
        ),
        ("redledger datasets infer good.csv", "1 rows", "good"),
        (
            "redledger datasets infer more.csv '2026 03.csv'",
            "2 rows",
            "more",
        ),
        (
            "redledger datasets infer --name card <(cat more.csv) 2026*.csv",
            "2 rows",
            "card",
        ),
    ] {
        let ran = shell(&workspace, line);
        assert_eq!(ran.exit, Some(0), "{line}: {}", ran.stderr);
        assert!(
            ran.stdout.contains(&format!("name = \"{name}\"")),
            "{line}: {}",
            ran.stdout
        );
        let rows = rows
            .replace("1 rows", "all 1 row")
            .replace("2 rows", "all 2 rows");
        assert!(ran.stdout.contains(&rows), "{line}: {}", ran.stdout);
    }
    let ran = shell(&workspace, "redledger datasets infer more.csv other.csv");
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr
            .contains("other.csv has other columns than more.csv"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_manual_has_a_page_for_every_subcommand() {
    let workspace = Workspace::new();
    for page in [
        &["man"][..],
        &["man", "status"],
        &["man", "config", "check"],
        &["man", "datasets", "infer"],
        &["man", "archive-prune"],
        &["man", "redledger-datasets-show"],
    ] {
        let ran = workspace.run(page);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.contains(".SH NAME"), "{page:?}");
        assert!(
            !ran.stdout.contains("SUBCOMMANDS") || page.len() == 1,
            "{page:?}"
        );
    }
    let ran = workspace.run(&["man", "datasets", "infr"]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr.contains("did you mean `infer`?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn ingest_does_not_say_that_it_waits_where_nobody_types() {
    let workspace = Workspace::new();
    let ran = called(&workspace, &["ingest", "-"], |command| {
        command.stdin(Stdio::null());
    });
    assert!(!ran.stderr.contains("Ctrl-D"), "{}", ran.stderr);
}
