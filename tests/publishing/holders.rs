//! A client that has the live file open to write while a run publishes: its work is not written over, and not replayed on
//! a file that it was never meant for.
//!
//! The client is this process: it must not open and close the file meanwhile, or its lock is gone.

use std::fs;

use duckdb::{AccessMode, Config, Connection};
use serde_json::json;

use super::{amounts, csv, identity, live, load};
use crate::support::{
    program::{Ran, Workspace, finish, wait_until},
    server::{Reply, Server},
};

/// The provider, for as long as it is asked.
type Served = (Server, tokio::runtime::Runtime);

/// A run under way, held up by its download; `meanwhile` happens before it goes on.
fn run_while<T>(workspace: &Workspace, meanwhile: impl FnOnce() -> T) -> (Ran, T, Served) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (open_gate, gate) = tokio::sync::watch::channel(false);
    let server = runtime.block_on(Server::start(move |_| {
        Reply::new(200, csv("-9")).held(gate.clone())
    }));
    let hook = json!({"batchNo": "B9", "lastPage": true, "fileUrl": server.url("/x.csv")});
    workspace.receive("9.json", &hook.to_string());
    let run = workspace.start(&["run"]);
    wait_until("the run is at work", || !server.requests().is_empty());
    let held = meanwhile();
    open_gate.send(true).expect("the server");
    let ran = finish(run);
    (ran, held, (server, runtime))
}

fn loaded() -> Workspace {
    let workspace = Workspace::new();
    load(&workspace, "B1", "-1");
    load(&workspace, "B2", "-2");
    workspace
}

#[test]
fn somebody_who_writes_keeps_the_run_from_publishing_and_is_named() {
    let workspace = loaded();
    let before = identity(&live(&workspace));
    let (ran, writer, _served) = run_while(&workspace, || {
        Connection::open(live(&workspace)).expect("the warehouse")
    });
    assert_eq!(ran.exit, Some(3), "{}{}", ran.stdout, ran.stderr);
    let holder = std::process::id().to_string();
    assert!(
        ran.stderr.contains(&holder) || ran.stdout.contains(&holder),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(workspace.data().join("inbox/9.json").exists());
    drop(writer);
    assert!(identity(&live(&workspace)) == before, "published");
    assert_eq!(workspace.leftovers(), Vec::<std::path::PathBuf>::new());
    let ran = workspace.run(&["run"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert_eq!(amounts(&workspace), ["B1-1.0000", "B2-2.0000", "B9-9.0000"]);
}

#[test]
fn what_a_writer_has_committed_without_a_checkpoint_is_not_lost() {
    let workspace = loaded();
    let (ran, writer, _served) = run_while(&workspace, || {
        let writer = Connection::open(live(&workspace)).expect("the warehouse");
        writer
            .execute_batch("CREATE TABLE notes(text VARCHAR); INSERT INTO notes VALUES ('mine')")
            .expect("committed");
        writer
    });
    assert_eq!(ran.exit, Some(3), "{}{}", ran.stdout, ran.stderr);
    writer.close().expect("closed");
    assert_eq!(workspace.query("SELECT text FROM notes"), ["mine"]);
    assert_eq!(amounts(&workspace), ["B1-1.0000", "B2-2.0000"]);
}

#[test]
fn a_log_that_nobody_holds_keeps_the_run_from_publishing() {
    let workspace = loaded();
    let before = identity(&live(&workspace));
    let wal = workspace.data().join("warehouse.duckdb.wal");
    let (ran, (), _served) = run_while(&workspace, || {
        fs::write(&wal, "somebody's work").expect("to write");
    });
    assert_eq!(ran.exit, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(".wal"), "{}", ran.stderr);
    assert!(identity(&live(&workspace)) == before, "published");
    assert!(fs::read(&wal).is_ok_and(|now| now == b"somebody's work"));
    fs::remove_file(&wal).expect("to remove");
}

#[test]
fn readers_keep_nobody_from_publishing() {
    let workspace = loaded();
    let (ran, reader, _served) = run_while(&workspace, || {
        Config::default()
            .access_mode(AccessMode::ReadOnly)
            .and_then(|config| Connection::open_with_flags(live(&workspace), config))
            .expect("the warehouse")
    });
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    let rows = "SELECT count(*) FROM account_negative";
    let seen: i64 = reader.query_row(rows, [], |row| row.get(0)).expect("rows");
    assert_eq!(seen, 2, "it goes on with what it has opened");
}

#[test]
fn somebody_who_writes_before_the_run_begins_is_a_passing_reason() {
    let workspace = loaded();
    let before = identity(&live(&workspace));
    let writer = Connection::open(live(&workspace)).expect("the warehouse");
    workspace.write("rows.csv", csv("-3"));
    for arguments in [
        &["ingest", "rows.csv", "--batch-no", "B3"][..],
        &["rollback"],
    ] {
        let ran = workspace.run(arguments);
        assert_eq!(
            ran.exit,
            Some(3),
            "{arguments:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
    }
    drop(writer);
    assert!(identity(&live(&workspace)) == before);
}
