//! Batches of many files: a slow one, a failing one, and more than fit into memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{bill_lines, bills};
use crate::support::{
    program::Workspace,
    server::{Fault, Object, Reply, Request, Server},
};

const LINES: usize = 5;

/// Serves `count` bills at `/bills`; their own files are up to `line_file`.
async fn serve(
    count: usize,
    line_file: impl Fn(&Request, usize, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let lines = Object::new(bill_lines(LINES));
    Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        let name = request.path.trim_start_matches('/');
        match name.strip_suffix(".csv").and_then(|bill| bill.parse().ok()) {
            Some(bill) => line_file(request, bill, lines.reply(request)),
            None => Reply::new(
                200,
                bills(count, LINES, |bill| format!("http://{host}/{bill}.csv")),
            ),
        }
    })
    .await
}

#[test]
fn slow_file_does_not_stall_the_other_1999() {
    const BILLS: usize = 2000;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let others = Arc::new(AtomicUsize::new(0));
    let (release, gate) = tokio::sync::watch::channel(false);
    let server = runtime.block_on(serve(BILLS, {
        let others = Arc::clone(&others);
        move |_, bill, reply| {
            if bill == 3 {
                // Its bytes come only after everybody else's were asked for.
                return reply.held(gate.clone());
            }
            if others.fetch_add(1, Ordering::SeqCst) + 1 == BILLS - 1 {
                release.send_replace(true);
            }
            reply
        }
    }));
    let workspace = Workspace::new().with("IDLE_TIMEOUT", "80s");
    let hook = workspace.announce(&server.url("/bills"), Some(BILLS));
    let ran = workspace.run(&["ingest", &hook, "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{} {}", ran.stdout, ran.stderr);
    let requests = server.requests();
    assert_eq!(requests.len(), 1 + BILLS, "nothing was asked for twice");
    let slow = requests.iter().position(|request| request.path == "/3.csv");
    assert!(slow.expect("asked for") < 100, "it was asked for early");
    assert_eq!(
        workspace.rows("account_negative_bill_line").len(),
        BILLS * LINES
    );
    assert!(server.connections() <= 20, "connections are used again");
}

#[test]
fn failing_file_cancels_the_downloads_of_the_others() {
    const BILLS: usize = 2000;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(serve(BILLS, |_, bill, reply| match bill {
        // Would take for ever if anybody waited for them.
        0..3 => reply.fault(Fault::Stall(5)),
        20 => Reply::new(404, ""),
        _ => reply,
    }));
    let workspace = Workspace::new()
        .with("IDLE_TIMEOUT", "1h")
        .with("DEADLINE", "1h");
    let hook = workspace.announce(&server.url("/bills"), Some(BILLS));
    let ran = workspace.run(&["ingest", &hook, "--format", "json"]);
    assert_eq!(ran.exit, Some(3), "{} {}", ran.stdout, ran.stderr);
    let ledger = workspace.ledger();
    assert_eq!((ledger.len(), ledger[0].1.as_str()), (1, "expired"));
    assert!(workspace.rows("account_negative_bill").is_empty());
    let asked = server.requests().len();
    assert!(asked < 100, "{asked} requests after one had failed");
    assert!(workspace.leftovers().is_empty());
}

/// `just memory` runs it.
#[test]
#[ignore = "takes a minute or more: `just memory`"]
fn memory_stays_bounded_with_100_000_files() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut peaks = Vec::new();
    for count in [1_000, 10_000, 100_000] {
        let server = runtime.block_on(serve(count, |_, _, reply| reply));
        let workspace = Workspace::new().with("IDLE_TIMEOUT", "1h");
        let hook = workspace.announce(&server.url("/bills"), Some(count));
        let started = std::time::Instant::now();
        let ran = workspace.run(&["ingest", &hook, "--format", "json"]);
        assert_eq!(ran.exit, Some(0), "{} {}", ran.stdout, ran.stderr);
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{count} files of {LINES} rows: peak {} MB, {seconds:.1} s, {:.0} files a second",
            ran.peak_kilobytes / 1000,
            count as f64 / seconds,
        );
        peaks.push(ran.peak_kilobytes);
    }
    assert!(peaks[2] < 600_000, "peaks in kB: {peaks:?}");
}
