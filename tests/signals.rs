//! SIGTERM and SIGINT: a clean stop at any moment, and what of a run is kept.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    program::{Ran, Workspace, finish, wait_until},
    server::{Fault, Reply, Server},
};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";
/// What a clean stop may take.
const SOON: Duration = Duration::from_secs(5);

/// So many rows, each of an account of its own.
fn csv(rows: u32) -> String {
    let mut text = format!("{HEADER}\n");
    for row in 0..rows {
        let _ = writeln!(
            text,
            "936da01f-9abd-4d9d-80c7-{row:012x},0,-1.5,0,USD,1711785600000"
        );
    }
    text
}

fn hook(batch_no: &str, url: &str) -> String {
    serde_json::json!({"batchNo": batch_no, "total": 1, "lastPage": true, "fileUrl": url})
        .to_string()
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("the process is there");
}

/// Sends the signal and waits for the end.
#[track_caller]
fn stop(child: Child, signal: Signal) -> Ran {
    send(&child, signal);
    let asked = Instant::now();
    let ran = finish(child);
    assert!(asked.elapsed() < SOON, "it took {:?}", asked.elapsed());
    ran
}

#[track_caller]
fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|_| panic!("no report: {}\n{}", ran.stdout, ran.stderr))
}

/// Serves a good file, then one that stalls in the middle.
fn stalling_server(runtime: &tokio::runtime::Runtime) -> Server {
    runtime.block_on(Server::start(|request| {
        let body = csv(1);
        let half = body.len() / 2;
        match request.path.starts_with("/stalls.csv") {
            true => Reply::new(200, body).fault(Fault::Stall(half)),
            false => Reply::new(200, body),
        }
    }))
}

fn stalls(server: &Server) -> bool {
    server
        .requests()
        .iter()
        .any(|request| request.path.starts_with("/stalls.csv"))
}

#[test]
fn a_stop_in_the_middle_of_a_download_keeps_the_batches_before_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = stalling_server(&runtime);
    let workspace = Workspace::new();
    workspace.write("1.json", hook("ONE", &server.url("/good.csv")));
    workspace.write("2.json", hook("TWO", &server.url("/stalls.csv")));
    workspace.write("3.json", hook("THREE", &server.url("/good.csv")));
    let child = workspace.start(&["ingest", "1.json", "2.json", "3.json", "--format", "json"]);
    wait_until("the download stalls", || stalls(&server));
    let ran = stop(child, Signal::TERM);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    let report = report(&ran);
    assert_eq!(report["stopped"], "stopped by SIGTERM");
    assert_eq!(report["not_tried"], serde_json::json!(["TWO", "THREE"]));
    assert_eq!(
        workspace.query("SELECT batch_no || ' ' || state FROM redledger.batch"),
        ["ONE loaded"]
    );
    assert_eq!(
        workspace.query("SELECT exit_code || ': ' || outcome FROM redledger.run"),
        ["3: stopped by SIGTERM, 1 loaded, 2 left to load"]
    );
    assert_eq!(workspace.leftovers(), Vec::<std::path::PathBuf>::new());
    // The lock is free, and what was left is loaded.
    let again = workspace.run(&["ingest", "3.json", "--lock-wait", "0s"]);
    assert_eq!(again.exit, Some(0), "{}", again.stderr);
}

#[test]
fn a_stopped_run_leaves_in_the_inbox_what_it_has_not_loaded() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = stalling_server(&runtime);
    let workspace = Workspace::new();
    let inbox = workspace.data().join("inbox");
    let files = [
        ("1-a.json", hook("ONE", &server.url("/good.csv"))),
        ("2-b.json", hook("TWO", &server.url("/stalls.csv"))),
        ("3-c.json", hook("THREE", &server.url("/good.csv"))),
    ];
    for (name, hook) in &files {
        workspace.receive(name, hook);
    }
    let child = workspace.start(&["run"]);
    wait_until("the download stalls", || stalls(&server));
    let ran = stop(child, Signal::TERM);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("not tried: TWO, THREE"),
        "{}",
        ran.stdout
    );
    let there = |name: &str| inbox.join(name).exists();
    assert!(there("done/1-a.json") && there("2-b.json") && there("3-c.json"));
    assert_eq!(
        workspace.query("SELECT batch_no FROM redledger.batch"),
        ["ONE"]
    );
}

#[test]
fn an_announcement_that_does_not_come_is_not_waited_for_after_a_signal() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = stalling_server(&runtime);
    let workspace = Workspace::new();
    workspace.write("3.json", hook("THREE", &server.url("/good.csv")));
    let url = server.url("/stalls.csv?signature=SECRET");
    let child = workspace.start(&["ingest", &url, "3.json", "--format", "json"]);
    wait_until("the announcement stalls", || stalls(&server));
    let ran = stop(child, Signal::INT);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert!(!ran.stdout.contains("SECRET") && !ran.stderr.contains("SECRET"));
    let report = report(&ran);
    assert_eq!(report["stopped"], "stopped by SIGINT");
    assert_eq!(report["not_tried"][1], "3.json", "{report}");
    assert!(!workspace.data().join("warehouse.duckdb").exists());
}

/// At whatever moment: the batch is there as a whole, or nothing of it is.
#[test]
fn a_stop_at_any_moment_of_a_long_load_leaves_all_of_it_or_nothing() {
    const ROWS: u32 = 200_000;
    let first = Workspace::new();
    let large = csv(ROWS);
    first.write("large.csv", &large);
    first.write("small.csv", csv(2));
    let arguments = |batch_no| {
        [
            "ingest",
            "large.csv",
            "--batch-no",
            batch_no,
            "--format",
            "json",
        ]
    };
    assert_eq!(
        first
            .run(&["ingest", "small.csv", "--batch-no", "SMALL"])
            .exit,
        Some(0)
    );
    let started = Instant::now();
    let undisturbed = Workspace::new();
    undisturbed.copy_data_of(&first);
    undisturbed.write("large.csv", &large);
    assert_eq!(undisturbed.run(&arguments("LARGE")).exit, Some(0));
    let whole = started.elapsed();
    let mut stopped = 0;
    for part in 1..=4 {
        let workspace = Workspace::new();
        workspace.copy_data_of(&first);
        workspace.write("large.csv", &large);
        let child = workspace.start(&arguments("LARGE"));
        std::thread::sleep(whole * part / 5);
        let ran = stop(
            child,
            if part % 2 == 0 {
                Signal::TERM
            } else {
                Signal::INT
            },
        );
        let loaded = workspace.query("SELECT count(*)::VARCHAR FROM account_negative");
        let report = report(&ran);
        match ran.exit {
            Some(3) if report["batches"] == serde_json::json!([]) => {
                stopped += 1;
                assert_eq!(report["not_tried"], serde_json::json!(["LARGE"]));
                assert_eq!(loaded, ["2"]);
                assert_eq!(
                    workspace.query("SELECT batch_no FROM redledger.batch"),
                    ["SMALL"]
                );
            }
            Some(0 | 3) => assert_eq!(loaded, [(ROWS + 2).to_string()]),
            _ => panic!("{:?}: {}", ran.exit, ran.stderr),
        }
        assert_eq!(workspace.leftovers(), Vec::<std::path::PathBuf>::new());
    }
    assert!(stopped > 0, "no signal came in time");
}

#[test]
fn a_stop_while_waiting_for_the_lock_ends_the_wait() {
    let workspace = Workspace::new();
    workspace.write("small.csv", csv(2));
    std::fs::create_dir_all(workspace.data()).expect("a folder");
    let lock = std::fs::File::create(workspace.data().join("lock")).expect("a file");
    lock.lock().expect("the lock");
    let mut child = workspace.start(&[
        "ingest",
        "small.csv",
        "--batch-no",
        "B1",
        "--lock-wait",
        "60s",
        "-vv",
    ]);
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    while !log
        .next()
        .expect("it waits before it ends")
        .expect("text")
        .contains("waiting for the lock")
    {}
    child.stderr = None;
    let asked = Instant::now();
    send(&child, Signal::TERM);
    let status = child.wait().expect("the end");
    assert!(asked.elapsed() < SOON);
    assert_eq!(status.code(), Some(3));
    assert!(!workspace.data().join("warehouse.duckdb").exists());
}

#[test]
fn a_stop_while_standard_input_or_a_pipe_stays_open_ends_the_wait() {
    for (source, name) in [("-", "standard input"), ("/dev/stdin", "/dev/stdin")] {
        let workspace = Workspace::new();
        let temporary = workspace.path().join("tmp");
        std::fs::create_dir(&temporary).expect("a folder");
        let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
        let child = command
            .args(["ingest", source, "--batch-no", "B1", "--format", "json"])
            .env("TMPDIR", &temporary)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let spooled =
            || std::fs::read_dir(&temporary).is_ok_and(|mut folder| folder.next().is_some());
        wait_until("the pipe is read", spooled);
        let ran = stop(child, Signal::TERM);
        assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
        assert_eq!(report(&ran)["not_tried"], serde_json::json!([name]));
        assert!(!spooled(), "the spooled input is left");
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let workspace = Workspace::new();
    let folder = workspace.data().join("inbox");
    std::fs::create_dir_all(&folder).expect("a folder");
    let fifo = folder.join("1.json");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    // Opening it takes as long as nobody writes.
    let mut child = workspace.start(&["run", "-v"]);
    let status_file = format!("/proc/{}/status", child.id());
    wait_until("the program listens for signals", || {
        std::fs::read_to_string(&status_file).is_ok_and(|text| {
            text.lines().any(|line| {
                // Bit 14 of the caught signals is SIGTERM.
                line.strip_prefix("SigCgt:")
                    .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
                    .is_some_and(|mask| mask & (1 << 14) != 0)
            })
        })
    });
    send(&child, Signal::TERM);
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let said = log.next().expect("a line").expect("text");
    assert!(said.contains("once more ends it at once"), "{said}");
    assert!(child.try_wait().expect("to look").is_none());
    send(&child, Signal::TERM);
    let status = child.wait().expect("the end");
    assert_eq!(status.signal(), Some(15), "{status}");
}
