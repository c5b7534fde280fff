//! Settings: variables, files, and what `config check` finds before a run does.

use std::fs;

use super::{called, shell, with_inbox};
use crate::support::program::Workspace;

/// Settings as a file that `--config` names.
fn checked(settings: &str) -> (Option<i32>, String) {
    let workspace = Workspace::new();
    workspace.write("own.toml", settings);
    let ran = workspace.run(&["config", "check", "--config", "own.toml"]);
    (ran.exit, ran.stderr)
}

#[test]
fn config_check_finds_what_would_fail_later() {
    for (settings, named) in [
        ("[download]\nidle_timeout = \"0s\"", "idle_timeout"),
        (
            "[download]\nconcurrency = 4611686018427387904",
            "concurrency",
        ),
        ("[download]\nca_file = \"/not/there.pem\"", "/not/there.pem"),
        (
            "[download]\nallow_hosts = [\"https://a.example.com/\"]",
            "allow_hosts",
        ),
        ("[load]\nthreads = 4611686018427387904", "threads"),
        ("[serve]\npath = \"hooks\"", "path"),
        ("[serve]\npath = \"/{id}/{id}\"", "path"),
        ("[serve]\npath = \"/healthz\"", "path"),
        ("[serve]\nsecret_file = \"/not/there\"", "/not/there"),
        ("[serve]\nsecret_file = \"/dev/null\"", "secret"),
        (
            "[serve]\nsignature_header = \"no header\"",
            "signature_header",
        ),
        ("[serve]\nlisten = \"localhost\"", "with a port"),
        ("datasets_dir = \"/not/there\"", "/not/there"),
        (
            "[hook.events]\nx = \"account_negative_bill_line\"",
            "[hook.events] `x`",
        ),
        (
            "[provider]\nurl = \"ftp://a.example.com/{batch_no}\"",
            "[provider] url",
        ),
        (
            "[provider]\nurl = \"http://a.example.com/{batch_no}\"",
            "allow_http",
        ),
        (
            "[provider]\nurl = \"https://10.0.0.1/{batch_no}\"",
            "[provider] url",
        ),
        (
            "[provider]\nurl = \"https://a.example.com/{batch_no}\"\nheaders = { A = \"{token}\" }",
            "token_env",
        ),
        (
            "[provider]\nheaders = { \"a b\" = \"c\" }",
            "[provider] headers",
        ),
    ] {
        let workspace = Workspace::new();
        workspace.write("own.toml", settings);
        let ran = called(
            &workspace,
            &["config", "check", "--config", "own.toml"],
            |command| {
                command.env_remove("REDLEDGER_DOWNLOAD__ALLOW_HTTP");
            },
        );
        assert_eq!(ran.exit, Some(2), "{settings}: {}", ran.stdout);
        assert!(ran.stderr.contains(named), "{settings}: {}", ran.stderr);
    }
}

#[test]
fn config_check_looks_at_the_data_directory() {
    let workspace = Workspace::new();
    let file = workspace.write("file", "");
    for place in [file.as_str(), "file/below"] {
        let ran = workspace.run(&["config", "check", "--data-dir", place]);
        assert_eq!(ran.exit, Some(2), "{place}: {}", ran.stdout);
        assert!(ran.stderr.contains("data_dir"), "{}", ran.stderr);
    }
    use std::os::unix::ffi::OsStringExt as _;
    let odd = std::ffi::OsString::from_vec(vec![0xff]);
    let ran = called(&workspace, &["config", "check", "--data-dir"], |command| {
        command.arg(odd);
    });
    assert_eq!(ran.exit, Some(2), "DuckDB would not open it");
    let ran = workspace.run(&["config", "check", "--data-dir", "to/be/made"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

#[test]
fn a_secret_that_is_missing_here_is_noted_and_no_fault() {
    let (exit, said) = checked("");
    assert_eq!(exit, Some(0), "{said}");
    assert!(
        said.contains("REDLEDGER_HOOK_SECRET, which is not set here"),
        "{said}"
    );
}

#[test]
fn a_byte_order_mark_before_settings_is_passed_over() {
    assert_eq!(checked("\u{feff}[download]\nattempts = 3\n").0, Some(0));
}

#[test]
fn the_settings_file_may_be_named_by_a_variable() {
    let workspace = Workspace::new();
    workspace.write("named.toml", "[download]\nattempts = 3\n");
    workspace.write("given.toml", "[download]\nattempts = 4\n");
    for (arguments, attempts) in [
        (&["config", "show"][..], "attempts = 3"),
        (
            &["config", "show", "--config", "given.toml"],
            "attempts = 4",
        ),
    ] {
        let ran = called(&workspace, arguments, |command| {
            command.env("REDLEDGER_CONFIG", "named.toml");
        });
        assert!(
            ran.stdout.contains(attempts),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    }
    let ran = called(&workspace, &["status"], |command| {
        command.env("REDLEDGER_CONFIG", "absent.toml");
    });
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("absent.toml"), "{}", ran.stderr);
    let ran = shell(
        &workspace,
        "REDLEDGER_CONFIG=given.toml redledger config check",
    );
    assert!(
        ran.stdout.contains("settings   given.toml"),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_unknown_variable_is_an_error_of_every_command() {
    let workspace = with_inbox().set("DOWNLOAD__ATEMPTS", "3");
    for arguments in [&["status"][..], &["run"], &["config", "show"], &["demo"]] {
        let ran = workspace.run(arguments);
        assert_eq!(ran.exit, Some(2), "{arguments:?}");
        let hint = "did you mean `REDLEDGER_DOWNLOAD__ATTEMPTS`?";
        assert!(ran.stderr.contains(hint), "{}", ran.stderr);
    }
}

#[test]
fn huge_figures_are_refused_and_large_ones_work() {
    let workspace = with_inbox();
    for (name, value) in [
        ("DOWNLOAD__CONCURRENCY", "18446744073709551615"),
        ("DOWNLOAD__CONCURRENCY", "9223372036854775807"),
        ("DOWNLOAD__PER_HOST", "9223372036854775807"),
        ("DOWNLOAD__DEADLINE", "18446744073709551615s"),
        ("LOAD__THREADS", "9223372036854775807"),
        ("LOAD__MEMORY_LIMIT", "18446744073709551615"),
        ("SERVE__TIMEOUT", "18446744073709551615s"),
    ] {
        let ran = called(&workspace, &["run"], |command| {
            command.env(format!("REDLEDGER_{name}"), value);
        });
        assert_eq!(ran.exit, Some(2), "{name}: {}", ran.stderr);
        let key = name.split_once("__").expect("a section").1.to_lowercase();
        let named = ran.stderr.to_lowercase().contains(&key);
        assert!(named, "{name}: {}", ran.stderr);
    }
    for flags in [["run", "--deadline"], ["run", "--lock-wait"]] {
        let ran = workspace.run(&[&flags[..], &["18446744073709551615s"]].concat());
        assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
        let ran = workspace.run(&[&flags[..], &["999y"]].concat());
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    }
    let rows = workspace.write("good.csv", super::ROWS);
    for (name, value) in [
        ("DOWNLOAD__CONCURRENCY", "4096"),
        ("DOWNLOAD__DEADLINE", "999y"),
        ("DOWNLOAD__ATTEMPTS", "4294967295"),
        ("DOWNLOAD__MAX_BACKOFF", "999y"),
        ("LOAD__MEMORY_LIMIT", "1000TB"),
        ("LOAD__THREADS", "64"),
        ("ARCHIVE__MAX_AGE", "999y"),
        ("INBOX__KEEP_DONE", "999y"),
        ("DOWNLOAD__MIN_SPEED", "9223372036854775807"),
        ("DOWNLOAD__MAX_RATIO", "9223372036854775807"),
    ] {
        let ran = called(
            &workspace,
            &["ingest", &rows, "--batch-no", name],
            |command| {
                command.env(format!("REDLEDGER_{name}"), value);
            },
        );
        assert_eq!(ran.exit, Some(0), "{name}: {}{}", ran.stdout, ran.stderr);
    }
    fs::remove_file(workspace.path().join(rows)).expect("removed");
}

#[test]
fn only_a_receiver_ends_with_78_and_only_for_its_settings() {
    let workspace = with_inbox();
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let of = |name: &str, value: &str, arguments: &[&str]| {
        let ran = called(&workspace, arguments, |command| {
            command.env(name, value);
        });
        ran.exit
    };
    for (name, value) in [
        ("REDLEDGER_SERVE__PATH", "hooks"),
        ("REDLEDGER_SERVE__SECRET_FILE", "/not/there"),
        ("REDLEDGER_CONFIG", "/not/there.toml"),
        ("REDLEDGER_NO_SUCH", "x"),
        ("REDLEDGER_DATASETS_DIR", "/not/there"),
    ] {
        assert_eq!(of(name, value, &listen), Some(78), "{name}");
        if name != "REDLEDGER_SERVE__SECRET_FILE" {
            assert_eq!(of(name, value, &["run"]), Some(2), "{name}");
        }
    }
    // What passes: a port that is taken, a folder that can't be made.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let secret = "REDLEDGER_HOOK_SECRET";
    assert_eq!(of(secret, "x", &["serve", "--listen", &address]), Some(2));
    assert_eq!(
        of(
            secret,
            "x",
            &[
                "serve",
                "--data-dir",
                "/proc/nowhere",
                "--listen",
                "127.0.0.1:0"
            ]
        ),
        Some(2)
    );
    assert_eq!(of(secret, "x", &["serve", "--no-such-flag"]), Some(2));
}
