//! Clients that write to the warehouse while runs publish it. The process of these tests is the client.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use duckdb::{AccessMode, Config, Connection};

use crate::support::{
    program::{Ran, Workspace, finish, wait_until},
    server::{Reply, Server},
};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";

/// A warehouse with a table of a client's, a server that holds what it is asked for, and an announcement of it.
struct Night {
    workspace: Workspace,
    server: Server,
    gate: tokio::sync::watch::Sender<bool>,
    _runtime: tokio::runtime::Runtime,
}

impl Night {
    fn new(mode: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (gate, held) = tokio::sync::watch::channel(true);
        let csv =
            format!("{HEADER}\n936da01f-9abd-4d9d-80c7-02af85c822a8,0,-1,0,USD,1711785600000\n");
        let server = runtime.block_on(Server::start(move |_| {
            Reply::new(200, csv.clone()).held(held.clone())
        }));
        let workspace = Workspace::new().set("WAREHOUSE__MODE", mode);
        let night = Self {
            workspace,
            server,
            gate,
            _runtime: runtime,
        };
        night.announce("FIRST");
        assert_says(&night.workspace.run(&["run"]), 0, &[]);
        let client = night.client();
        client
            .execute_batch("CREATE TABLE notes (note VARCHAR); INSERT INTO notes VALUES ('before')")
            .expect("a table");
        client.close().expect("closed");
        night.announce("SECOND");
        night
    }

    fn announce(&self, batch_no: &str) {
        let url = self.server.url(&format!("/{batch_no}.csv"));
        let hook = serde_json::json!({"batchNo": batch_no, "lastPage": true, "fileUrl": url});
        let name = format!("{batch_no}.json");
        self.workspace.receive(&name, &hook.to_string());
    }

    fn live(&self) -> PathBuf {
        self.workspace.data().join("warehouse.duckdb")
    }

    /// Opens the warehouse as a client that writes.
    fn client(&self) -> Connection {
        Connection::open(self.live()).expect("the warehouse opens")
    }

    /// Runs, and does something while the run is at work.
    fn run(&self, meanwhile: impl FnOnce()) -> Ran {
        let asked = self.server.requests().len();
        self.gate.send(false).expect("the server");
        let run = self.workspace.start(&["run"]);
        wait_until("the run is at work", || {
            self.server.requests().len() > asked
        });
        meanwhile();
        self.gate.send(true).expect("the server");
        finish(run)
    }

    fn notes(&self) -> Vec<String> {
        self.workspace.query("SELECT note FROM notes ORDER BY ALL")
    }

    fn batches(&self) -> Vec<String> {
        self.workspace
            .query("SELECT batch_no FROM account_negative ORDER BY ALL")
    }
}

#[track_caller]
fn assert_says(ran: &Ran, exit: i32, what: &[&str]) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.exit, Some(exit), "{said}");
    for text in what {
        assert!(said.contains(text), "{text}: {said}");
    }
}

fn write_a_note(client: &Connection, note: &str) {
    client
        .execute("INSERT INTO notes VALUES (?)", [note])
        .expect("written");
}

#[test]
fn a_client_that_writes_keeps_the_run_from_publishing_and_is_named() {
    let night = Night::new("replace");
    let me = format!("process {} (`", std::process::id());
    let named = [me.as_str(), "which has it open to write"];
    let mut client = None;
    let ran = night.run(|| {
        let opened = night.client();
        write_a_note(&opened, "meanwhile");
        client = Some(opened);
    });
    assert_says(&ran, 3, &named);
    // Nor does the next run begin, and nobody is told to do something about the client's `.wal`.
    for arguments in [&["run"][..], &["status"], &["rollback"]] {
        // To read it would be to close it: this process would lose its lock.
        let version = || {
            let of = fs::metadata(night.live()).expect("the warehouse");
            (of.ino(), of.len(), of.mtime_nsec())
        };
        let before = version();
        let ran = night.workspace.run(arguments);
        assert_says(&ran, 3, &named);
        assert!(!ran.stderr.contains(".wal"), "{}", ran.stderr);
        assert_eq!(version(), before);
    }
    assert_eq!(night.workspace.leftovers().len(), 1, "the client's .wal");
    drop(client);
    assert_eq!(night.notes(), ["before", "meanwhile"]);
    assert_says(&night.workspace.run(&["run"]), 0, &[]);
    assert_eq!(night.notes(), ["before", "meanwhile"]);
    assert_eq!(night.batches(), ["FIRST", "SECOND"]);
}

#[test]
fn what_a_client_writes_that_comes_and_goes_during_a_run_is_not_lost() {
    let night = Night::new("replace");
    let ran = night.run(|| {
        let client = night.client();
        write_a_note(&client, "meanwhile");
        client.close().expect("closed");
    });
    assert_says(&ran, 3, &["was changed by somebody else", "run again"]);
    assert_says(&night.workspace.run(&["run"]), 0, &[]);
    assert_eq!(night.notes(), ["before", "meanwhile"]);
    assert_eq!(night.batches(), ["FIRST", "SECOND"]);
}

#[test]
fn a_wal_that_nobody_writes_keeps_the_run_from_publishing_and_nobody_is_told_to_replay_it() {
    let night = Night::new("replace");
    let wal = night.workspace.data().join("warehouse.duckdb.wal");
    let ran = night.run(|| {
        let client = night.client();
        client
            .execute_batch("PRAGMA disable_checkpoint_on_shutdown")
            .expect("a setting");
        write_a_note(&client, "in the wal");
        client.close().expect("closed");
        assert!(wal.exists());
    });
    let what = [".wal", "move the .wal to another folder"];
    assert_says(&ran, 2, &what);
    for arguments in [&["run"][..], &["status"], &["rollback"]] {
        assert_says(&night.workspace.run(arguments), 2, &what);
    }
    fs::rename(&wal, night.workspace.path().join("aside.wal")).expect("moved");
    assert_says(&night.workspace.run(&["run"]), 0, &[]);
    assert_eq!(night.batches(), ["FIRST", "SECOND"]);
}

#[test]
fn clients_that_read_keep_nobody_from_publishing() {
    let night = Night::new("replace");
    let reader = night.workspace.warehouse();
    let mut another = None;
    let ran = night.run(|| another = Some(night.workspace.warehouse()));
    assert_says(&ran, 0, &[]);
    assert_says(&night.workspace.run(&["rollback"]), 0, &[]);
    drop((reader, another));
    assert_eq!(night.batches(), ["FIRST"]);
}

#[test]
fn in_place_a_run_keeps_clients_out_and_is_kept_out_by_them() {
    let night = Night::new("in-place");
    let client = night.client();
    write_a_note(&client, "meanwhile");
    let ran = night.workspace.run(&["run"]);
    assert_says(&ran, 3, &["which has it open to write"]);
    client.close().expect("closed");
    let reader = night.workspace.warehouse();
    let ran = night.workspace.run(&["run"]);
    assert_says(&ran, 3, &["which has it open to read"]);
    drop(reader);
    let ran = night.run(|| {
        for mode in [AccessMode::ReadWrite, AccessMode::ReadOnly] {
            let opened = Config::default()
                .access_mode(mode)
                .and_then(|config| Connection::open_with_flags(night.live(), config));
            let said = opened.map(|_| ()).expect_err("the run has it").to_string();
            assert!(said.contains("Could not set lock"), "{said}");
        }
    });
    assert_says(&ran, 0, &[]);
    assert_eq!(night.notes(), ["before", "meanwhile"]);
    assert_eq!(night.batches(), ["FIRST", "SECOND"]);
}
