//! `redledger ui`: who may look, and at what.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Child,
};

use super::{load, text, workspace};
use crate::support::program::Workspace;

/// A `redledger ui` that ends with the test.
struct Ui {
    child: Child,
    /// `127.0.0.1:41234`.
    host: String,
    /// `/?token=…`, good once.
    first: String,
}

impl Ui {
    fn start(workspace: &Workspace) -> Self {
        let mut child = workspace.start(&["ui", "--listen", "127.0.0.1:0"]);
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit_once("http://").expect("an address").1;
        let (host, path) = address.split_once('/').expect("a path");
        Self {
            child,
            host: host.to_owned(),
            first: format!("/{path}"),
        }
    }

    /// The whole answer to `method path`.
    fn ask(&self, method: &str, path: &str, host: &str, cookie: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).expect("a connection");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        )
        .expect("to ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn get(&self, path: &str, cookie: &str) -> String {
        self.ask("GET", path, &self.host, cookie)
    }

    /// Opens the printed address; returns the cookie.
    fn open(&self) -> String {
        let answer = self.get(&self.first, "");
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let cookie = answer.split("set-cookie: ").nth(1).expect("a cookie");
        cookie.split(';').next().expect("its value").to_owned()
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_browser_sees_the_pages_and_nobody_else() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 1);
    let ui = Ui::start(&workspace);
    for cookie in ["", "redledger_ui=guess"] {
        let refused = ui.get("/", cookie);
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        let body = refused.split("\r\n\r\n").nth(1).expect("a body");
        assert!(!body.contains("B1"), "{body}");
    }
    let cookie = ui.open();
    assert!(ui.get(&ui.first, "").starts_with("HTTP/1.1 403"), "spent");

    let nights = ui.get("/", &cookie);
    assert!(nights.starts_with("HTTP/1.1 200"), "{nights}");
    for header in [
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(nights.contains(header), "{header}");
    }
    assert!(nights.contains("href=\"/batch/B1?dataset=account%5Fnegative\""));
    let batch = ui.get("/batch/B1?dataset=account_negative", &cookie);
    assert!(text(&batch).contains("B1: loaded"), "{batch}");
    assert!(ui.get("/batch/B2", &cookie).starts_with("HTTP/1.1 404"));
    assert!(ui.get("/favicon.ico", &cookie).starts_with("HTTP/1.1 404"));
}

#[test]
fn lines_of_files_come_from_the_archive_without_secrets() {
    let workspace = workspace();
    let url = "https://files.example/x.csv?X-Amz-Signature=SECRET";
    let mut rows: Vec<serde_json::Value> = (0..300)
        .map(|at| super::row(at, super::midnight(30)))
        .collect();
    rows[249]["accountEn"] = url.into();
    let name = workspace.write("B1.json", super::hook("B1", 30, &rows));
    workspace.run(&["ingest", &name, "--dataset", "account_negative"]);
    let ui = Ui::start(&workspace);
    let cookie = ui.open();
    let first = ui.get("/file/1", &cookie);
    assert!(first.contains("id=\"L1\"") && first.contains("id=\"L200\""));
    assert!(!first.contains("id=\"L201\""));
    let around = ui.get("/file/1?line=250", &cookie);
    assert!(around.contains("https://files.example/x.csv"), "{around}");
    assert!(!around.contains("SECRET"));
    assert!(around.contains("id=\"L230\"") && !around.contains("id=\"L229\""));
    for path in ["/file/2", "/file/x"] {
        assert!(ui.get(path, &cookie).starts_with("HTTP/1.1 404"), "{path}");
    }
}

#[test]
fn other_names_methods_and_addresses_are_refused() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    let ui = Ui::start(&workspace);
    let cookie = ui.open();
    let elsewhere = ui.ask("GET", "/", "evil.example", &cookie);
    assert!(elsewhere.starts_with("HTTP/1.1 421"), "{elsewhere}");
    for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"] {
        let refused = ui.ask(method, "/", &ui.host, &cookie);
        assert!(refused.starts_with("HTTP/1.1 405"), "{method}: {refused}");
    }
    let ran = workspace.run(&["ui", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.stderr.contains("no address of this machine alone"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_page_is_of_the_warehouse_as_it_is_now() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    let ui = Ui::start(&workspace);
    let cookie = ui.open();
    assert!(!ui.get("/", &cookie).contains("B2"));
    // A load is not kept waiting by who looks.
    assert_eq!(load(&workspace, "B2", 31, 0).exit, Some(0));
    assert!(ui.get("/", &cookie).contains("B2"));
}

#[test]
fn a_signal_ends_it() {
    let workspace = workspace();
    load(&workspace, "B1", 30, 0);
    let mut ui = Ui::start(&workspace);
    // One connection that says nothing keeps nobody.
    let _idle = TcpStream::connect(&ui.host).expect("a connection");
    let pid = rustix::process::Pid::from_child(&ui.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let ended = ui.child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0));
}
