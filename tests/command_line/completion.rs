//! What TAB offers, asked as a shell's script asks, and in the shells themselves.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::loaded;
use crate::support::{
    program::{Workspace, finish},
    skipped,
};

/// What is offered for the last of these words.
fn offered(workspace: &Workspace, words: &[&str]) -> Vec<String> {
    let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
    command
        .args([&["--", "redledger"], words].concat())
        .env("_REDLEDGER_COMPLETE", "bash")
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let ran = finish(command.spawn().expect("to start"));
    assert_eq!((ran.exit, &*ran.stderr), (Some(0), ""), "{words:?}");
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn numbers_of_the_ledger_are_offered_wherever_a_batch_is_asked_for() {
    let workspace = loaded();
    let both = ["BATCH_20260331163600", "BATCH_20260330163600"];
    for words in [
        &["backfill", "BATCH_2026"][..],
        &["backfill", "BATCH_20260330163600", "BATCH_2026"],
        &["--data-dir", "data", "status", "BATCH_2026"],
        &["status", "--data-dir=data", "BATCH_2026"],
        &["rejections", "BATCH_2026"],
        &["verify", "BATCH_2026"],
        &["dismiss", "BATCH_2026"],
        &[
            "trace",
            "account_negative",
            "--account",
            "1",
            "--batch",
            "BATCH_2026",
        ],
        &["report", "--batch", "BATCH_2026"],
        &["export", "account_negative", "--batch", "BATCH_2026"],
    ] {
        assert_eq!(offered(&workspace, words), both, "{words:?}");
    }
    assert_eq!(
        offered(&workspace, &["status", "BATCH_20260331"]),
        both[..1]
    );
    assert_eq!(offered(&workspace, &["status", "X"]), [""; 0]);
    assert_eq!(offered(&workspace, &["roll"]), ["rollback"]);
    assert_eq!(offered(&workspace, &["backfill", "--ref"]), ["--refetch"]);
    assert_eq!(offered(&workspace, &["ingest", "goo"]), ["good.csv"]);
}

#[test]
fn where_no_ledger_can_be_read_nothing_is_offered_and_nothing_said() {
    let workspace = Workspace::new();
    assert_eq!(offered(&workspace, &["backfill", "B"]), [""; 0]);
    workspace.write("redledger.toml", "not = [toml");
    assert_eq!(offered(&workspace, &["backfill", "B"]), [""; 0]);
    let ran = workspace.run(&["completions", "zsh"]);
    assert_eq!((ran.exit, &*ran.stderr), (Some(0), ""), "needs no settings");
    std::fs::create_dir(workspace.data()).expect("a folder");
    std::fs::write(workspace.data().join("warehouse.duckdb"), "none").expect("to write");
    workspace.write("redledger.toml", "");
    assert_eq!(offered(&workspace, &["backfill", "B"]), [""; 0]);
    workspace.damaged();
}

#[test]
fn bash_offers_them() {
    let shell = "bash --norc --noprofile -i";
    tab("bash", shell, "source <(redledger completions bash)");
}

#[test]
fn zsh_offers_them() {
    let set_up = "autoload -Uz compinit; compinit -u -D; source <(redledger completions zsh)";
    tab("zsh", "zsh -f -i", set_up);
}

#[test]
fn fish_offers_them() {
    let shell = "fish --no-config -i";
    tab("fish", shell, "redledger completions fish | source");
}

/// Presses TAB where one number is possible, and where two are: once for what they share, then for the list.
fn tab(name: &str, shell: &str, set_up: &str) {
    let workspace = loaded();
    for (typed, offered) in [
        (
            "redledger backfill BATCH_20260330\t",
            "BATCH_20260330163600",
        ),
        // fish shortens what it lists.
        ("redledger status BATCH_\t\t\t", "_20260331163600"),
    ] {
        let Some(mut shell) = Terminal::open(&workspace, name, shell) else {
            return;
        };
        shell.type_in(&format!("{set_up}; echo re''ady\n"));
        shell.wait_for("ready");
        shell.type_in(typed);
        shell.wait_for(offered);
    }
}

/// A shell on a terminal that `script` makes.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(workspace: &Workspace, name: &str, shell: &str) -> Option<Self> {
        let folders = std::env::var("PATH").unwrap_or_default();
        let is_there = |tool: &str| {
            folders
                .split(':')
                .any(|folder| Path::new(folder).join(tool).exists())
        };
        if let Some(missing) = [name, "script"].iter().find(|tool| !is_there(tool)) {
            skipped("completion", &format!("there is no `{missing}`"));
            return None;
        }
        let own = Path::new(env!("CARGO_BIN_EXE_redledger"));
        let own = own.parent().expect("a folder").display();
        let mut command = workspace.command("script");
        command
            .args(["-qec", shell, "/dev/null"])
            .env("PATH", format!("{own}:{folders}"))
            .env("TERM", "xterm")
            .env("HOME", workspace.path())
            .stdin(Stdio::piped());
        let mut child = command.spawn().expect("to start script");
        let keys = child.stdin.take().expect("its input");
        let mut output = child.stdout.take().expect("its output");
        let shown = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]);
                to.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&text);
            }
        });
        Some(Self { child, keys, shown })
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("to type");
        self.keys.flush().expect("to type");
    }

    fn wait_for(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if shown.contains(text) {
                return;
            }
            assert!(Instant::now() < end, "no {text:?} in {shown:?}");
            drop(shown);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
