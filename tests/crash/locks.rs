//! File systems that can't lock, or not by `flock`.

use super::{balances, strace};
use crate::support::{
    program::{Workspace, finish, wait_until},
    server::{Reply, Server},
};

const WITHOUT_FLOCK: [&str; 4] = ["-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"];

fn announced(workspace: &Workspace, server: &Server) {
    let hook =
        serde_json::json!({"batchNo": "B1", "lastPage": true, "fileUrl": server.url("/x.csv")});
    workspace.receive("1.json", &hook.to_string());
}

#[test]
fn without_flock_one_run_works_and_the_other_waits_or_exits_3() {
    if !strace::works() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (open_gate, gate) = tokio::sync::watch::channel(false);
    let server = runtime.block_on(Server::start(move |_| {
        Reply::new(200, balances(0..50, 1)).held(gate.clone())
    }));
    let workspace = Workspace::new();
    announced(&workspace, &server);
    let first = strace::start(&workspace, &WITHOUT_FLOCK, &["run"]);
    wait_until("the first run is at work", || !server.requests().is_empty());
    let impatient = strace::start(&workspace, &WITHOUT_FLOCK, &["run", "--lock-wait", "0s"]);
    let impatient = finish(impatient);
    assert_eq!(impatient.exit, Some(3), "{}", impatient.stderr);
    for said in ["is held by", "(INJECTED)"] {
        assert!(impatient.stderr.contains(said), "{}", impatient.stderr);
    }
    let second = strace::start(&workspace, &WITHOUT_FLOCK, &["run", "--lock-wait", "60s"]);
    open_gate.send(true).expect("the server");
    for run in [first, second] {
        let ran = finish(run);
        assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
        // On a busy machine the first may be through before the second has looked: then it has nothing to lock for.
        let locked = ran.stderr.contains("(INJECTED)");
        assert!(
            locked || ran.stdout.starts_with("nothing to do"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(
        workspace.query("SELECT revision::VARCHAR FROM redledger.batch"),
        ["1"]
    );
    workspace.verify();
}

#[test]
fn without_any_locks_nothing_is_loaded_and_the_message_says_why() {
    if !strace::works() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(|_| Reply::new(200, balances(0..50, 1))));
    let workspace = Workspace::new();
    announced(&workspace, &server);
    let lock = workspace.data().join("lock").display().to_string();
    let ran = finish(strace::start(
        &workspace,
        &[
            "-e",
            "trace=flock,fcntl",
            "-P",
            &lock,
            "-e",
            "inject=flock,fcntl:error=ENOLCK",
        ],
        &["run"],
    ));
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    let says = ran.stderr;
    assert!(
        says.contains("has no locks") && says.contains(&lock),
        "{says}"
    );
    assert!(workspace.data().join("inbox/1.json").exists());
    assert!(!workspace.data().join("warehouse.duckdb").exists());
}
