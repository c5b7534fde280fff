//! What people see on a terminal, 80 places wide or 120.

use clap::CommandFactory as _;
use redledger::cli::Cli;
use unicode_width::UnicodeWidthStr as _;

use super::loaded;
use crate::support::{
    program::{Ran, Workspace, finish},
    skipped,
};

/// What a command shows on a terminal so wide; `None` where there is no `script` to make one.
fn on_a_terminal(workspace: &Workspace, columns: usize, line: &str) -> Option<Ran> {
    let mut command = workspace.command("script");
    let program = env!("CARGO_BIN_EXE_redledger");
    let line = format!(
        "stty cols {columns}; {}",
        line.replacen("redledger", program, 1)
    );
    command.args(["-qec", &line, "/dev/null"]);
    command.env_remove("COLUMNS").env("NO_COLOR", "1");
    match command.spawn() {
        Ok(child) => Some(finish(child)),
        Err(error) => {
            skipped("a terminal", &format!("there is no `script`: {error}"));
            None
        }
    }
}

/// Batches with long numbers and wide names, in every state that a run leaves behind.
fn varied() -> Workspace {
    let workspace = loaded();
    workspace.receive(
        "a.json",
        r#"{"batchNo": "BATCH_20260403163600", "page": 1, "size": 1, "total": 5, "lastPage": false,
            "list": [{"accountId": "a"}]}"#,
    );
    workspace.receive("余额余额余额余额余额余额余额余额.json", "no JSON");
    let wide = super::ROWS.replace("Alpha", &"余额".repeat(40));
    let wide = workspace.write(&format!("{}.csv", "余额".repeat(20)), wide);
    let number = format!("BATCH_{}", "9".repeat(100));
    let ran = workspace.run(&["ingest", &wide, "--batch-no", &number]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(workspace.run(&["run"]).exit, Some(2), "one is not JSON");
    workspace
}

#[test]
fn no_line_of_a_table_is_longer_than_the_terminal() {
    let workspace = varied();
    for columns in [80, 120] {
        for line in [
            "redledger status",
            "redledger status BATCH_20260330163600",
            "redledger rejections",
            "redledger rejections BATCH_20260331163600",
            "redledger datasets list",
            "redledger datasets show account_repayment",
            "redledger backfill '*' --dry-run",
            "redledger run --dry-run",
            "redledger ingest good.csv --batch-no BATCH_20260330163600",
            "redledger verify --no-progress",
            "redledger archive verify --no-progress",
            "redledger archive prune --dry-run",
        ] {
            let Some(ran) = on_a_terminal(&workspace, columns, line) else {
                return;
            };
            assert!(!ran.stdout.is_empty(), "{line}");
            for row in ran.stdout.lines().map(str::trim_end) {
                assert!(
                    row.width() <= columns,
                    "{line}: {} places: {row}",
                    row.width()
                );
            }
        }
    }
}

#[test]
fn what_is_no_table_is_broken_between_words() {
    let workspace = varied();
    if let Some(ran) = on_a_terminal(&workspace, 80, "redledger status BATCH_20260331163600") {
        let longest = ran.stdout.lines().map(|line| line.trim_end().width()).max();
        assert!(longest <= Some(80), "{}", ran.stdout);
    }
}

#[test]
fn status_says_why_and_what_to_do() {
    let workspace = varied();
    let shown = workspace.run(&["status"]).stdout;
    for said in [
        "BATCH_20260331163600 failed: 2 of 3 rows rejected",
        "to do: see `redledger rejections BATCH_20260331163600`",
        "BATCH_20260403163600 waits for pages 2 to 5 of 5",
        "to do: nothing, unless they don't come",
        "not JSON",
        "to do: mend what the note names",
    ] {
        assert!(shown.contains(said), "{said}\n{shown}");
    }
    let numbers: Vec<&str> = shown
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.contains(" account_negative "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        numbers[1..],
        ["BATCH_20260331163600", "BATCH_20260330163600"],
        "{shown}"
    );
    let report = workspace.run(&["status", "--data-dir", "data"]).stdout;
    assert!(
        report.contains("BATCH_20260331163600 --data-dir data`"),
        "{report}"
    );
}

#[test]
fn a_control_that_blocks_nothing_is_noted_and_no_failure() {
    let workspace = Workspace::new();
    let rows = super::ROWS.replace("-12.50", "-12.505");
    let rows = workspace.write("fine.csv", rows);
    assert_eq!(
        workspace.run(&["ingest", &rows, "--batch-no", "B1"]).exit,
        Some(0)
    );
    let shown = workspace.run(&["status", "B1"]).stdout;
    assert!(
        shown.contains("noted: 1 row\n") && !shown.contains("FAILED"),
        "{shown}"
    );
}

#[test]
fn help_fits_has_examples_and_says_options_of_every_command_once() {
    let workspace = Workspace::new();
    let mut commands = vec![String::new()];
    let program = Cli::command();
    for command in program.get_subcommands().filter(|of| !of.is_hide_set()) {
        commands.push(command.get_name().to_owned());
        let nested = command.get_subcommands();
        commands.extend(nested.map(|of| format!("{} {}", command.get_name(), of.get_name())));
    }
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        for columns in [80, 120] {
            let line = format!("redledger {command} --help");
            let Some(ran) = on_a_terminal(&workspace, columns, &line) else {
                return;
            };
            let longest = ran.stdout.lines().map(|line| line.trim_end().width()).max();
            assert!(longest <= Some(columns), "{line}: {}", ran.stdout);
            let mentions = ran.stdout.matches("--log-format").count();
            assert_eq!(
                mentions,
                usize::from(command.is_empty()),
                "{line}: {}",
                ran.stdout
            );
            assert!(
                ran.stdout.matches("--data-dir").count() <= 3,
                "{line}: {}",
                ran.stdout
            );
            // What has one of each thing to say needs none.
            let is_plain = ["archive", "archive verify", "datasets", "config"].contains(&&*command);
            let is_nested = command.contains(' ');
            let has_example = ran.stdout.contains("Example") || ran.stdout.contains("Exit status");
            assert!(
                has_example || is_plain || is_nested,
                "{line}: {}",
                ran.stdout
            );
        }
    }
    let help = workspace.run(&["--help"]).stdout;
    for said in [
        "REDLEDGER_CONFIG",
        "REDLEDGER_DATA_DIR",
        "REDLEDGER_HOOK_SECRET",
        "Exit status",
    ] {
        assert!(help.contains(said), "{said}");
    }
    let help = workspace.run(&["serve", "--help"]).stdout;
    assert!(help.contains("REDLEDGER_HOOK_SECRET"), "{help}");
    // They are understood where they are not shown.
    assert_eq!(
        workspace
            .run(&["datasets", "list", "-q", "--data-dir", "x"])
            .exit,
        Some(0)
    );
    assert_eq!(workspace.run(&["status", "--version"]).exit, Some(0));
}

#[test]
fn the_version_in_full_names_the_engine_and_the_formats_of_what_is_stored() {
    let workspace = loaded();
    let warehouse = workspace.warehouse();
    let engine: String = warehouse
        .query_row("SELECT ltrim(version(), 'v')", [], |row| row.get(0))
        .expect("a version");
    let ledger: i64 = warehouse
        .query_row("SELECT max(version) FROM redledger.format", [], |row| {
            row.get(0)
        })
        .expect("a format");
    for words in [
        &["--version", "--verbose"][..],
        &["-vV"],
        &["-v", "--version"],
    ] {
        let ran = workspace.run(words);
        assert_eq!((ran.exit, &*ran.stderr), (Some(0), ""), "{words:?}");
        for said in [
            concat!("redledger ", env!("CARGO_PKG_VERSION"), "\n"),
            &format!("DuckDB     {engine}, "),
            &format!("formats    ledger {ledger}, "),
        ] {
            assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
        }
    }
    let ran = workspace.run(&["--version"]);
    assert_eq!(
        ran.stdout,
        concat!("redledger ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn ingest_from_a_terminal_says_that_it_waits() {
    let workspace = Workspace::new();
    // The terminal ends when nothing more is typed.
    for line in ["redledger ingest -", "redledger ingest - --batch-no B1"] {
        if let Some(ran) = on_a_terminal(&workspace, 80, line) {
            assert!(
                ran.stdout.contains("from the terminal; Ctrl-D"),
                "{}",
                ran.stdout
            );
        }
    }
}

#[test]
fn a_width_may_be_asked_for_where_there_is_no_terminal() {
    let workspace = loaded();
    let narrow = super::called(&workspace, &["rejections"], |command| {
        command.env("COLUMNS", "80");
    });
    assert!(
        narrow.stdout.lines().all(|line| line.width() <= 80),
        "{}",
        narrow.stdout
    );
    let wide = super::called(&workspace, &["rejections"], |command| {
        command.env_remove("COLUMNS");
    });
    assert!(
        wide.stdout.lines().any(|line| line.width() > 80),
        "{}",
        wide.stdout
    );
}
