//! Who reads while runs publish, and runs that meet.

use std::{
    io::{BufRead as _, BufReader},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use duckdb::{AccessMode, Config, Connection};

use crate::support::{
    program::{Workspace, finish, wait_until},
    server::{Reply, Server},
};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";
const ROWS: u32 = 2_000;

fn csv(batch: u32) -> String {
    let rows = (0..ROWS).map(|row| {
        format!("936da01f-9abd-4d9d-80c7-{row:012x},0,-{batch}.5,0,USD,1711785600000\n")
    });
    format!("{HEADER}\n{}", rows.collect::<String>())
}

/// Every batch that the ledger calls loaded has all its rows, and no other rows are there.
fn look(connection: &Connection) -> duckdb::Result<i64> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM account_negative), (SELECT coalesce(sum(rows_loaded), 0)::BIGINT FROM \
         redledger.batch WHERE state = 'loaded'), (SELECT count(DISTINCT (batch_no, card_negative)) FROM \
         account_negative), (SELECT count(*) FROM redledger.batch WHERE state = 'loaded')",
        [],
        |row| {
            let figures: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            assert_eq!(figures[0], figures[1], "rows against the ledger");
            assert_eq!(figures[2], figures[3], "one revision of each batch");
            Ok(figures[0])
        },
    )
}

#[test]
fn readers_never_see_an_error_or_a_part_of_a_batch_and_no_run_waits_for_them() {
    read_throughout(11, 4);
}

#[test]
#[ignore = "half a minute: just readers"]
fn ten_readers_throughout_fifty_runs() {
    read_throughout(50, 10);
}

/// Clients keep asking while so many runs publish; every third client stays connected for fifty questions.
fn read_throughout(runs: u32, clients: usize) {
    let workspace = Workspace::new();
    workspace.write("rows.csv", csv(0));
    let load = |batch: u32| {
        workspace.write("rows.csv", csv(batch));
        // Three numbers, so that batches are replaced, too.
        let number = format!("B{}", batch % 3);
        let ran = workspace.run(&[
            "ingest",
            "rows.csv",
            "--batch-no",
            &number,
            "--lock-wait",
            "0s",
        ]);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    };
    load(0);
    let live = workspace.data().join("warehouse.duckdb");
    let open = || {
        Config::default()
            .access_mode(AccessMode::ReadOnly)
            .and_then(|config| Connection::open_with_flags(&live, config))
            .expect("the warehouse opens")
    };
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 1..clients {
            let questions = if client % 3 == 0 { 50 } else { 1 };
            let (over, looks, open) = (&over, &looks, &open);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // One that stays open goes on with what it has opened.
                    let connection = open();
                    let first = look(&connection).expect("an answer");
                    for _ in 1..questions {
                        assert_eq!(look(&connection).expect("an answer"), first);
                    }
                    looks.fetch_add(questions, Ordering::Relaxed);
                }
            });
        }
        let _looking = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let ran = workspace.run(&["status"]);
                assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
                workspace.verify();
                looks.fetch_add(2, Ordering::Relaxed);
            }
        });
        for batch in 1..=runs {
            load(batch);
        }
        over.store(true, Ordering::Relaxed);
    });
    let looks = looks.into_inner();
    println!("{runs} runs, {clients} clients, {looks} looks");
    assert!(looks > clients, "hardly anybody has looked: {looks}");
    assert_eq!(look(&open()).expect("an answer"), i64::from(3 * ROWS));
}

#[test]
fn of_two_runs_at_once_the_second_waits_and_finds_nothing_left_to_do() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (open_gate, gate) = tokio::sync::watch::channel(false);
    let server = runtime.block_on(Server::start(move |_| {
        Reply::new(200, csv(1)).held(gate.clone())
    }));
    let workspace = Workspace::new();
    let inbox = workspace.data().join("inbox");
    let hook =
        serde_json::json!({"batchNo": "B1", "lastPage": true, "fileUrl": server.url("/x.csv")});
    workspace.receive("1.json", &hook.to_string());
    let first = workspace.start(&["run"]);
    wait_until("the first run is at work", || !server.requests().is_empty());
    let impatient = workspace.run(&["run", "--lock-wait", "0s"]);
    assert_eq!(impatient.exit, Some(3), "{}", impatient.stderr);
    let mut second = workspace.start(&["run", "--lock-wait", "60s", "-vv"]);
    let mut log = BufReader::new(second.stderr.take().expect("piped")).lines();
    while !log
        .next()
        .expect("it waits before it ends")
        .expect("text")
        .contains("waiting for the lock")
    {}
    open_gate.send(true).expect("the server");
    let first = finish(first);
    assert_eq!(first.exit, Some(0), "{}", first.stderr);
    let said: Vec<String> = log.map_while(Result::ok).collect();
    let second = second.wait_with_output().expect("the end");
    assert_eq!(second.status.code(), Some(0), "{said:?}");
    assert!(inbox.join("done/1.json").exists() && !inbox.join("1.json").exists());
    assert_eq!(
        workspace.query("SELECT revision::VARCHAR FROM redledger.batch"),
        ["1"]
    );
}
