//! What the documents claim is held to the code: commands, settings, codes, types, statuses, tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use clap::{CommandFactory as _, Parser as _};
use redledger::{
    cli::Cli, contract::Contracts, error::ExitStatus, ledger::State, rejection::RejectionCode,
};

use crate::support::{checkout::checkout, program::Workspace};

/// Every page, by its name.
fn pages() -> BTreeMap<String, String> {
    let top = [
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "fixtures/README.md",
    ];
    let mut paths: Vec<PathBuf> = top.iter().map(|name| checkout(name)).collect();
    let docs = fs::read_dir(checkout("docs")).expect("docs");
    paths.extend(docs.map(|entry| entry.expect("an entry").path()));
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    let pages = paths.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path
            .parent()
            .and_then(|of| of.file_name())
            .unwrap_or_default();
        let name = format!("{}/{name}", folder.to_string_lossy());
        (name, fs::read_to_string(&path).expect("a page"))
    });
    pages.collect()
}

/// The code between single backticks, outside of blocks.
fn inline(page: &str) -> Vec<String> {
    let mut in_block = false;
    let mut prose = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    let parts = prose.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The lines of blocks.
fn blocks(page: &str) -> Vec<&str> {
    let mut in_block = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        in_block && !is_fence
    });
    lines.map(str::trim).collect()
}

/// A line as a shell splits it, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, '>' | '|') if word.is_none() => break,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The lines of `text` that call the program.
fn calls(lines: &[&str]) -> Vec<Vec<String>> {
    let calls = lines.iter().filter_map(|line| {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.strip_prefix("cargo run --release -- ").map_or_else(
            || line.to_owned(),
            |arguments| format!("redledger {arguments}"),
        );
        line.starts_with("redledger ").then(|| words(&line))
    });
    calls.collect()
}

#[test]
fn every_command_of_a_block_is_one() {
    let mut tried = 0;
    for (name, page) in pages() {
        for call in calls(&blocks(&page)) {
            if let Err(error) = Cli::try_parse_from(&call) {
                panic!("{name}: {call:?}: {error}");
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} commands were found");
}

#[test]
fn every_command_and_option_that_prose_names_is_there() {
    let program = Cli::command();
    let global: BTreeSet<&str> = program
        .get_arguments()
        .filter_map(|of| of.get_long())
        .collect();
    let mut tried = 0;
    for (name, page) in pages() {
        for code in inline(&page) {
            let Some(rest) = code.strip_prefix("redledger ") else {
                continue;
            };
            let mut command = &program;
            let mut options = global.clone();
            for word in words(rest) {
                if let Some(option) = word.strip_prefix("--") {
                    let option = option.split('=').next().unwrap_or_default();
                    let known = options.contains(option) || ["help", "version"].contains(&option);
                    assert!(known, "{name}: `{code}`: no option --{option}");
                    continue;
                }
                let alternatives: Vec<&str> = word.split('|').collect();
                let found = alternatives
                    .iter()
                    .map(|word| command.find_subcommand(word));
                let found: Vec<_> = found.collect();
                match found.as_slice() {
                    [Some(only)] => {
                        command = only;
                        options.extend(command.get_arguments().filter_map(|of| of.get_long()));
                    }
                    several if command.has_subcommands() && word != "…" => {
                        assert!(
                            several.iter().all(Option::is_some),
                            "{name}: `{code}`: no command {word}"
                        );
                    }
                    _ => {}
                }
            }
            tried += 1;
        }
    }
    assert!(tried > 30, "only {tried} commands were found");
}

#[test]
fn every_command_is_shown() {
    let pages: Vec<String> = pages().into_values().collect();
    let shown = |name: &str| {
        let call = format!("redledger {name}");
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        pages.iter().any(|page| {
            let mut calls = page.match_indices(&call);
            calls.any(|(at, _)| ends(&page[at + call.len()..]))
        })
    };
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(
            command.is_hide_set() || shown(name),
            "no page shows `redledger {name}`"
        );
    }
}

#[test]
fn every_setting_that_is_named_is_one() {
    let settings = fs::read_to_string(checkout("config/redledger.toml")).expect("settings");
    let settings: toml::Table = settings.parse().expect("TOML");
    // Of a contract, whose keys are another page's.
    let contract = ["csv", "parent", "fields", "controls", "load.x"];
    let mut tried = 0;
    for (name, page) in pages() {
        for code in inline(&page) {
            let Some((section, key)) = code.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            else {
                continue;
            };
            if contract.contains(&section) || section.starts_with('[') {
                continue;
            }
            let Some(found) = settings.get(section).and_then(toml::Value::as_table) else {
                // `[hook.events]` is written as it is in a file.
                let found = section.split('.').try_fold(&settings, |table, part| {
                    table.get(part).and_then(toml::Value::as_table)
                });
                assert!(found.is_some(), "{name}: `{code}`: no section [{section}]");
                continue;
            };
            let key: String = key
                .trim_start()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            let is_there = key.is_empty() || found.contains_key(&key);
            assert!(
                is_there,
                "{name}: `{code}`: no setting {key} in [{section}]"
            );
            tried += usize::from(!key.is_empty());
        }
    }
    assert!(tried > 10, "only {tried} settings were found");
}

#[test]
fn every_rejection_code_is_explained_and_no_other() {
    let page = fs::read_to_string(checkout("docs/reading.md")).expect("a page");
    let known: BTreeSet<String> = RejectionCode::ALL
        .iter()
        .map(|of| of.as_str().into())
        .collect();
    let named: BTreeSet<String> = inline(&page).into_iter().collect();
    for code in &known {
        assert!(
            named.contains(code),
            "docs/reading.md does not explain {code}"
        );
    }
    let is_like_one = |code: &&String| {
        code.contains('-')
            && !code.starts_with('-')
            && code
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '-' || c == '8')
    };
    // Encodings have such names, too.
    let encodings = ["utf-8", "shift-jis", "big5-hkscs"];
    for code in named.iter().filter(is_like_one) {
        let is_known = known.contains(code) || encodings.contains(&code.as_str());
        assert!(is_known, "docs/reading.md names {code}, which is no code");
    }
}

#[test]
fn every_type_of_a_field_is_explained_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = "name = \"x\"\ncomment = \"x\"\n[[fields]]\nname = \"a\"\ntype = \"nonsense\"\ncomment = \"a\"\n";
    fs::write(folder.path().join("x.toml"), contract).expect("written");
    let error = Contracts::load(Some(folder.path())).expect_err("no such type");
    let said = error.chain();
    let (_, expected) = said.split_once("expected one of ").expect("a list");
    let known: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
    assert!(known.len() > 5, "{said}");

    let page = fs::read_to_string(checkout("docs/reading.md")).expect("a page");
    let (_, table) = page
        .split_once("| type | accepted | otherwise |")
        .expect("a table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let explained: BTreeSet<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(explained, known, "docs/reading.md");

    let page = fs::read_to_string(checkout("docs/contracts.md")).expect("a page");
    let line = page
        .lines()
        .find(|line| line.starts_with("type = \"text\""));
    let (_, list) = line.and_then(|line| line.split_once("# ")).expect("a list");
    let listed: BTreeSet<&str> = list.split_whitespace().collect();
    assert_eq!(listed, known, "docs/contracts.md");
}

#[test]
fn every_exit_status_is_explained() {
    let known = [
        ExitStatus::Success,
        ExitStatus::Attention,
        ExitStatus::Fault,
        ExitStatus::Incomplete,
    ]
    .map(|status| status.code().to_string());
    for (name, header) in [
        ("README.md", "| exit status | meaning |"),
        ("docs/scheduling.md", "| status | what it means |"),
    ] {
        let page = fs::read_to_string(checkout(name)).expect(name);
        let (_, table) = page
            .split_once(header)
            .unwrap_or_else(|| panic!("{name}: no table"));
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let first = rows.filter_map(|row| row.split('|').nth(1));
        let statuses: Vec<&str> = first.map(str::trim).filter(|of| of.len() == 1).collect();
        assert_eq!(statuses, known, "{name}");
        let settings = ExitStatus::Settings.code().to_string();
        assert!(page.contains(&settings), "{name} does not name {settings}");
    }
}

#[test]
fn every_state_is_explained_by_the_ledger_and_every_table_that_is_named_is_there() {
    let workspace = Workspace::new();
    workspace.write(
        "rows.csv",
        "accountId,type,cardNegative,budgetNegative,currency,statTime\n\
        936da01f-9abd-4d9d-80c7-02af85c822a8,0,-1,0,USD,1711785600000\n",
    );
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", "B1"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let comment = workspace.query(
        "SELECT comment FROM duckdb_columns() WHERE schema_name = 'redledger' AND table_name = 'batch' AND column_name = 'state'",
    );
    for state in State::ALL {
        let said = format!("{}:", state.as_str());
        assert!(
            comment.concat().contains(&said),
            "{comment:?} does not explain {said}"
        );
    }

    // Tables and columns that pages name.
    let known: BTreeSet<String> = workspace
        .query("SELECT table_name || '.' || column_name FROM duckdb_columns() WHERE schema_name = 'redledger'")
        .into_iter()
        .collect();
    let tables: BTreeSet<&str> = known.iter().filter_map(|of| of.split('.').next()).collect();
    let mut tried = 0;
    for (name, page) in pages() {
        for code in inline(&page) {
            let Some(rest) = code.strip_prefix("redledger.") else {
                continue;
            };
            let mut parts = rest.split('.');
            let table = parts.next().unwrap_or_default();
            if ["toml", "duckdb"].contains(&table) {
                continue;
            }
            assert!(tables.contains(table), "{name}: `{code}`: no such table");
            if let Some(column) = parts.next() {
                let is_there = known.contains(&format!("{table}.{column}"));
                assert!(is_there, "{name}: `{code}`: no such column");
            }
            tried += 1;
        }
    }
    assert!(tried > 5, "only {tried} tables were found");
}
