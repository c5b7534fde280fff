//! Where `ingest` takes announcements and files from, other than a file of the story's folder.

mod folders;

use std::{io::Write as _, path::Path, process::Stdio};

use serde_json::Value;

use crate::support::{
    program::with_own_settings,
    server::{Reply, Request, Server},
};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";
const ROW: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8,0,-1.5,0,USD,1711785600000";

fn csv() -> String {
    format!("{HEADER}\n{ROW}\n")
}

fn hook(batch_no: &str) -> String {
    format!(
        r#"{{"batchNo":"{batch_no}","total":1,"list":[{{"accountId":"936da01f-9abd-4d9d-80c7-02af85c822a8","type":0,"cardNegative":-1.5,"budgetNegative":0,"currency":"USD","statTime":1711785600000}}]}}"#
    )
}

/// A call's exit status and JSON report.
struct Ran {
    exit: i32,
    report: Value,
    stderr: String,
}

impl Ran {
    /// Number and outcome of each batch.
    fn batches(&self) -> Vec<(&str, &str)> {
        let batches = self.report["batches"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        batches
            .iter()
            .map(|batch| {
                let text = |key: &str| batch[key].as_str().unwrap_or_default();
                (text("batch_no"), text("outcome"))
            })
            .collect()
    }

    #[track_caller]
    fn assert(&self, exit: i32, batches: &[(&str, &str)]) {
        assert_eq!(
            (self.exit, self.batches()),
            (exit, batches.to_vec()),
            "{}\n{}",
            self.report,
            self.stderr
        );
    }
}

fn ingest(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = with_own_settings(env!("CARGO_BIN_EXE_redledger"))
        .current_dir(folder)
        .env("REDLEDGER_DATA_DIR", folder.join("data"))
        .env("REDLEDGER_DOWNLOAD__ALLOW_HTTP", "true")
        .env("REDLEDGER_DOWNLOAD__ALLOW_PRIVATE", "[\"127.0.0.0/8\"]")
        .env("REDLEDGER_DOWNLOAD__ATTEMPTS", "2")
        .env("REDLEDGER_DOWNLOAD__BACKOFF", "1ms")
        .args(["ingest", "--format", "json"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that does not read its input closes the pipe.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    for shown in [&text, &stderr] {
        assert!(!shown.contains("SECRET"), "{shown}");
    }
    Ran {
        exit: output.status.code().unwrap_or(-1),
        report: serde_json::from_str(&text).unwrap_or_default(),
        stderr,
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

fn answer(request: &Request) -> Reply {
    match request.path.split('?').next().unwrap_or_default() {
        "/hook.json" => Reply::new(200, hook("URL_1")),
        "/neg.csv" => Reply::new(200, csv()),
        _ => Reply::new(404, "none"),
    }
}

#[test]
fn an_announcement_is_taken_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    ingest(folder.path(), &["-"], &hook("STDIN_1")).assert(0, &[("STDIN_1", "loaded")]);
    ingest(folder.path(), &["-"], &hook("STDIN_1")).assert(0, &[("STDIN_1", "unchanged")]);
    let refused = ingest(folder.path(), &["-"], "no json");
    refused.assert(2, &[]);
    let message = refused.report["errors"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(message.starts_with("standard input"), "{message}");
}

#[test]
fn a_csv_is_taken_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = [
        "-",
        "--batch-no",
        "STDIN_2",
        "--dataset",
        "account_negative",
    ];
    ingest(folder.path(), &arguments, &csv()).assert(0, &[("STDIN_2", "loaded")]);
    ingest(folder.path(), &arguments, &csv()).assert(0, &[("STDIN_2", "unchanged")]);
    let ledger = duckdb::Connection::open(folder.path().join("data/warehouse.duckdb"));
    let url: String = ledger
        .and_then(|ledger| ledger.query_row("SELECT url FROM redledger.file", [], |row| row.get(0)))
        .expect("a file");
    assert_eq!(url, "standard input");
    let page = ingest(folder.path(), &arguments, "<html>no</html>\n");
    page.assert(1, &[("STDIN_2", "failed")]);
    let message = page.report["batches"][0]["message"].as_str();
    assert!(
        message.is_some_and(|said| said.starts_with("standard input")),
        "{message:?}"
    );
}

#[test]
fn a_pipe_with_a_path_is_read_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["/dev/stdin", "--batch-no", "PIPE_1"];
    ingest(folder.path(), &arguments, &csv()).assert(0, &[("PIPE_1", "loaded")]);
    ingest(folder.path(), &["/dev/stdin"], &hook("PIPE_2")).assert(0, &[("PIPE_2", "loaded")]);
}

#[test]
fn a_csv_from_standard_input_leaves_no_temporary_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).expect("a folder");
    let mut child = with_own_settings(env!("CARGO_BIN_EXE_redledger"))
        .current_dir(folder.path())
        .env("TMPDIR", &temporary)
        .args(["ingest", "-", "--batch-no", "STDIN_3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(csv().as_bytes()).expect("written");
    drop(stdin);
    assert!(child.wait().expect("the program ends").success());
    let left: Vec<_> = std::fs::read_dir(&temporary)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn announcements_and_csv_files_are_taken_by_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(answer));
    let url = |path: &str| server.url(&format!("{path}?signature=SECRET"));
    ingest(folder.path(), &[&url("/hook.json")], "").assert(0, &[("URL_1", "loaded")]);
    ingest(
        folder.path(),
        &[&url("/neg.csv"), "--batch-no", "URL_2"],
        "",
    )
    .assert(0, &[("URL_2", "loaded")]);
    let gone = ingest(folder.path(), &[&url("/gone.json"), &url("/hook.json")], "");
    gone.assert(3, &[("URL_1", "unchanged")]);
}

#[test]
fn file_urls_and_relative_paths_are_local_files() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "a hook.json", &hook("FILE_1"));
    write(folder.path(), "neg.csv", &csv());
    let url = |name: &str| format!("file://{}/{name}", folder.path().display());
    ingest(folder.path(), &[&url("a%20hook.json")], "").assert(0, &[("FILE_1", "loaded")]);
    ingest(
        folder.path(),
        &[&url("neg.csv"), "--batch-no", "FILE_2"],
        "",
    )
    .assert(0, &[("FILE_2", "loaded")]);
    // A path is no part of what was delivered.
    ingest(folder.path(), &["./neg.csv", "--batch-no", "FILE_2"], "")
        .assert(0, &[("FILE_2", "unchanged")]);
}

#[test]
fn several_sources_are_loaded_in_one_call_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(answer));
    write(folder.path(), "one.json", &hook("ONE"));
    std::fs::create_dir(folder.path().join("more")).expect("a folder");
    write(folder.path(), "more/b.json", &hook("MORE_B"));
    write(folder.path(), "more/a.json", &hook("MORE_A"));
    write(folder.path(), "broken.json", "{");
    let ran = ingest(
        folder.path(),
        &[
            "one.json",
            "broken.json",
            "more",
            &server.url("/hook.json"),
            "-",
        ],
        &hook("STDIN"),
    );
    ran.assert(
        2,
        &[
            ("ONE", "loaded"),
            ("MORE_A", "loaded"),
            ("MORE_B", "loaded"),
            ("URL_1", "loaded"),
            ("STDIN", "loaded"),
        ],
    );
}

#[test]
fn an_announcement_is_not_taken_for_a_csv() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "hook.json", &hook("ONE"));
    let ran = ingest(folder.path(), &["hook.json", "--batch-no", "TWO"], "");
    ran.assert(2, &[]);
    assert!(!folder.path().join("data/warehouse.duckdb").exists());
}

#[test]
fn a_lock_held_by_another_run_ends_in_exit_3() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "hook.json", &hook("ONE"));
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let path = folder.path().join("data/lock");
    let lock = std::fs::File::create(&path).expect("a file");
    lock.lock().expect("the lock");
    let arguments = ["hook.json", "--lock-wait", "0s"];
    let ran = ingest(folder.path(), &arguments, "");
    ran.assert(3, &[]);
    assert!(ran.stderr.contains("lock"), "{}", ran.stderr);
    assert!(!folder.path().join("data/warehouse.duckdb").exists());
    drop(lock);
    ingest(folder.path(), &arguments, "").assert(0, &[("ONE", "loaded")]);
}

#[test]
fn a_wal_beside_the_warehouse_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "one.json", &hook("ONE"));
    write(folder.path(), "two.json", &hook("TWO"));
    ingest(folder.path(), &["one.json"], "").assert(0, &[("ONE", "loaded")]);
    let warehouse = folder.path().join("data/warehouse.duckdb");
    let before = std::fs::read(&warehouse).expect("the warehouse");
    write(folder.path(), "data/warehouse.duckdb.wal", "unfinished");
    let ran = ingest(folder.path(), &["two.json"], "");
    ran.assert(2, &[]);
    assert!(ran.stderr.contains(".wal"), "{}", ran.stderr);
    assert!(std::fs::read(&warehouse).is_ok_and(|after| after == before));
    assert!(folder.path().join("data/warehouse.duckdb.wal").exists());
}

#[test]
fn a_warehouse_that_is_a_link_is_replaced_where_it_leads_to() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "one.json", &hook("ONE"));
    write(folder.path(), "two.json", &hook("TWO"));
    std::fs::create_dir(folder.path().join("shared")).expect("a folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let link = folder.path().join("data/warehouse.duckdb");
    std::os::unix::fs::symlink("../shared/w.duckdb", &link).expect("a link");
    let ran = ingest(folder.path(), &["one.json"], "");
    ran.assert(2, &[]);
    assert!(
        ran.stderr.contains("a link to what is not there"),
        "{}",
        ran.stderr
    );

    std::fs::remove_file(&link).expect("removed");
    ingest(folder.path(), &["one.json"], "").assert(0, &[("ONE", "loaded")]);
    std::fs::rename(&link, folder.path().join("shared/w.duckdb")).expect("moved");
    std::os::unix::fs::symlink("../shared/w.duckdb", &link).expect("a link");
    ingest(folder.path(), &["two.json"], "").assert(0, &[("TWO", "loaded")]);
    assert!(link.is_symlink() && folder.path().join("shared/w.duckdb.previous").exists());
    for (command, batches) in [("verify", 2), ("rollback", 2), ("verify", 1)] {
        let ran = with_own_settings(env!("CARGO_BIN_EXE_redledger"))
            .current_dir(folder.path())
            .arg(command)
            .output()
            .expect("the program runs");
        assert!(ran.status.success(), "{command}: {ran:?}");
        let shown = String::from_utf8_lossy(&ran.stdout);
        let revisions = format!(" {batches} revision");
        assert!(
            command == "rollback" || shown.contains(&revisions),
            "{shown}"
        );
    }
}

#[test]
fn somebody_elses_database_is_left_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "hook.json", &hook("ONE"));
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let path = folder.path().join("data/warehouse.duckdb");
    let theirs = duckdb::Connection::open(&path).expect("a database");
    theirs
        .execute_batch("CREATE TABLE mine (a INTEGER)")
        .expect("a table");
    drop(theirs);
    let before = std::fs::read(&path).expect("the file");
    for mode in ["replace", "in-place"] {
        let settings = format!("[warehouse]\nmode = \"{mode}\"\n");
        write(folder.path(), "redledger.toml", &settings);
        let ran = ingest(folder.path(), &["hook.json"], "");
        ran.assert(2, &[]);
        assert!(ran.stderr.contains("somebody else's"), "{}", ran.stderr);
        assert!(
            std::fs::read(&path).is_ok_and(|after| after == before),
            "{mode}"
        );
    }
}

#[test]
fn what_a_crash_left_is_removed_and_the_batch_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "hook.json", &hook("ONE"));
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    write(
        folder.path(),
        "data/warehouse.duckdb.next",
        "half a warehouse",
    );
    write(
        folder.path(),
        "data/warehouse.duckdb.next.wal",
        "half a log",
    );
    ingest(folder.path(), &["hook.json"], "").assert(0, &[("ONE", "loaded")]);
    for left in ["warehouse.duckdb.next", "warehouse.duckdb.next.wal"] {
        assert!(!folder.path().join("data").join(left).exists(), "{left}");
    }
}

#[test]
fn a_reader_that_has_the_warehouse_open_keeps_what_it_read() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "one.json", &hook("ONE"));
    write(folder.path(), "two.json", &hook("TWO"));
    ingest(folder.path(), &["one.json"], "").assert(0, &[("ONE", "loaded")]);
    let open = || {
        duckdb::Config::default()
            .access_mode(duckdb::AccessMode::ReadOnly)
            .and_then(|config| {
                duckdb::Connection::open_with_flags(
                    folder.path().join("data/warehouse.duckdb"),
                    config,
                )
            })
            .expect("the warehouse")
    };
    let rows = |connection: &duckdb::Connection| -> i64 {
        connection
            .query_row("SELECT count(*) FROM account_negative", [], |row| {
                row.get(0)
            })
            .expect("a count")
    };
    let reader = open();
    ingest(folder.path(), &["two.json"], "").assert(0, &[("TWO", "loaded")]);
    assert_eq!(rows(&reader), 1);
    drop(reader);
    assert_eq!(rows(&open()), 2);
}

/// Stored are 10,000 rejections of a file, whatever their kind; counted are all.
#[test]
fn rejections_beyond_ten_thousand_of_a_file_are_only_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("datasets")).expect("a folder");
    let contract = "name = \"sample\"\ncomment = \"Few columns\"\nprimary_key = [\"id\"]\nmax_rejected = \"100%\"\n\
         [[fields]]\nname = \"id\"\ntype = \"integer\"\nrequired = true\ncomment = \"Number\"\n";
    write(folder.path(), "datasets/sample.toml", contract);
    write(
        folder.path(),
        "redledger.toml",
        "datasets_dir = \"datasets\"\n",
    );
    let mut rows = String::from("id,note\n");
    for id in 0..11_000 {
        rows.push_str(&format!("x{id},\n"));
    }
    for id in 0..12_000 {
        rows.push_str(&format!("{id},\n{id},\n"));
    }
    for file in ["a.csv", "b.csv"] {
        write(folder.path(), file, &rows);
    }
    let ran = ingest(
        folder.path(),
        &[
            "a.csv",
            "b.csv",
            "--batch-no",
            "MANY",
            "--dataset",
            "sample",
        ],
        "",
    );
    ran.assert(1, &[("MANY", "loaded")]);
    let batch = &ran.report["batches"][0];
    assert_eq!(batch["rows_read"], 70_000);
    assert_eq!(batch["rows_loaded"], 12_000);
    assert_eq!(batch["rows_rejected"], 58_000);
    let connection =
        duckdb::Connection::open(folder.path().join("data/warehouse.duckdb")).expect("it opens");
    let mut kept = connection
        .prepare("SELECT file_id, count(*) FROM redledger.rejection GROUP BY ALL ORDER BY file_id")
        .expect("a query");
    let kept: Vec<(i64, i64)> = kept
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect();
    assert_eq!(kept, [(1, 10_000), (2, 10_000)]);
}
