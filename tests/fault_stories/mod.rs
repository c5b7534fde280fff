//! What a bad network and a hostile URL do to a warehouse: through the built program, the right rows or
//! nothing, the right exit status, the right word in the ledger, and nothing left behind.
//!
//! `FAULT=part-of-a-name cargo test --release fault_stories` runs some of the table.

mod chance;
mod faults;
mod kinds;
mod many_files;
mod real_servers;
mod secrets;
mod sources;

use std::{
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    program::{Ran, Workspace},
    server::{Reply, Request, Server},
};

/// Programs that run at once.
const WORKERS: usize = 4;
/// Rows of a small file.
const ROWS: usize = 300;
/// The header of negative balances.
const HEADER: &str =
    "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime";

/// Where a story's file is, with a signature that nothing may show.
const PATH: &str = "/a.csv?signature=SECRET";

/// Negative balances with all that makes a cut dangerous: quoted line breaks, CRLF, multi-byte characters.
/// Every row of another `version` has other amounts.
fn balances(rows: usize, version: usize) -> Vec<u8> {
    let mut text = format!("{HEADER}\r\n");
    for row in 0..rows {
        let _ = write!(
            text,
            "00000000-0000-4000-8000-{row:012},\"名称 \"\"{row}\"\"\r\nsecond line, naïve\",Name {row},{row:05},{},{}.{version:02},0,USD,1774888560000\r\n",
            row % 2,
            row * 7919 % 100_003,
        );
    }
    text.into_bytes()
}

/// Bills whose own files are `url(0)`, `url(1)`, …, of `lines` rows each.
fn bills(count: usize, lines: usize, url: impl Fn(usize) -> String) -> String {
    let mut text = String::from("accountId,displayId,createTime,total,negativeUrl\n");
    for bill in 0..count {
        let _ = writeln!(
            text,
            "00000000-0000-4000-8000-{bill:012},{bill:06},1774888560000,{lines},{}",
            url(bill)
        );
    }
    text
}

/// A bill's own file.
fn bill_lines(lines: usize) -> String {
    (0..lines).fold(String::from("merchant,amount\n"), |mut text, line| {
        let _ = writeln!(text, "shop {line},{line}.50");
        text
    })
}

/// How a story ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// Exactly this version of the file is in the table.
    Loaded(usize),
    /// Nothing of it is.
    Nothing {
        state: &'static str,
        exit: i32,
        says: &'static str,
    },
}

type Answer = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A fault, as a server produces it.
struct Story {
    name: String,
    settings: Vec<(&'static str, &'static str)>,
    /// Rows that the announcement states.
    total: Option<usize>,
    /// Makes the answers of a server; called once for each server that tells the story.
    server: Box<dyn Fn() -> Answer + Send + Sync>,
    /// Announced instead of the server's file.
    url: Option<&'static str>,
    ends: Ends,
    /// Requests that the server must have seen, where the number matters.
    requests: Option<usize>,
}

impl Story {
    fn new(
        name: impl Into<String>,
        ends: Ends,
        server: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            settings: Vec::new(),
            total: Some(ROWS),
            server: Box::new(server),
            url: None,
            ends,
            requests: None,
        }
    }

    /// Replies in order, the last one for ever.
    fn script(name: impl Into<String>, ends: Ends, replies: impl Into<Vec<Reply>>) -> Self {
        let replies: Vec<Reply> = replies.into();
        Self::new(name, ends, move || {
            let replies = replies.clone();
            Box::new(move |request| replies[request.number.min(replies.len() - 1)].clone())
        })
    }

    fn with(mut self, key: &'static str, value: &'static str) -> Self {
        self.settings.push((key, value));
        self
    }

    /// The announcement does not say how many rows there are.
    fn without_total(mut self) -> Self {
        self.total = None;
        self
    }

    fn requests(mut self, requests: usize) -> Self {
        self.requests = Some(requests);
        self
    }

    fn announcing(mut self, url: &'static str) -> Self {
        self.url = Some(url);
        self
    }
}

/// What is compared with: an unbroken load of each version.
struct Unbroken {
    workspaces: Vec<Workspace>,
    rows: Vec<Vec<String>>,
}

impl Unbroken {
    fn load(runtime: &tokio::runtime::Runtime, versions: usize) -> Self {
        let mut workspaces = Vec::new();
        let mut rows = Vec::new();
        for version in 0..versions {
            let server =
                runtime.block_on(Server::script([Reply::new(200, balances(ROWS, version))]));
            let workspace = Workspace::new();
            let hook = workspace.announce(&server.url(PATH), Some(ROWS));
            let ran = ingest(&workspace, &hook);
            assert_eq!(ran.exit, Some(0), "{} {}", ran.stdout, ran.stderr);
            let loaded = workspace.rows("account_negative");
            assert_eq!(loaded.len(), ROWS);
            workspaces.push(workspace);
            rows.push(loaded);
        }
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]));
        Self { workspaces, rows }
    }
}

fn ingest(workspace: &Workspace, hook: &str) -> Ran {
    workspace.run(&[
        "ingest",
        hook,
        "--dataset",
        "account_negative",
        "--format",
        "json",
    ])
}

/// The version that is loaded before a faulty announcement of another one.
const BEFORE: usize = 3;

/// Tells a story to an empty data directory and, unless the batch does not notice the fault, to one that
/// holds a first revision; returns what was not as it should be.
fn tell(story: &Story, unbroken: &Unbroken, runtime: &tokio::runtime::Runtime) -> Vec<String> {
    let mut complaints = Vec::new();
    for second in [false, true] {
        if second && matches!(story.ends, Ends::Loaded(0)) {
            // Mended below the batch, which knows nothing of it.
            continue;
        }
        let mut workspace = Workspace::new();
        for (key, value) in &story.settings {
            workspace = workspace.with(key, value);
        }
        if second {
            workspace.copy_data_of(&unbroken.workspaces[BEFORE]);
        }
        let server = runtime.block_on(Server::start((story.server)()));
        let url = story.url.map_or_else(|| server.url(PATH), str::to_owned);
        let hook = workspace.announce(&url, story.total);
        let ran = ingest(&workspace, &hook);
        let mut found = Vec::new();
        compare(story, unbroken, second, &workspace, &ran, &mut found);
        if let Some(requests) = story.requests
            && server.requests().len() != requests
        {
            found.push(format!(
                "{} requests instead of {requests}",
                server.requests().len()
            ));
        }
        if !found.is_empty() {
            found.push(format!(
                "stdout {} stderr {}",
                ran.stdout.trim(),
                ran.stderr.trim()
            ));
            let place = if second {
                "second revision"
            } else {
                "first revision"
            };
            complaints.extend(found.into_iter().map(|found| format!("{place}: {found}")));
        }
    }
    complaints
}

/// The one judgement on every story.
fn compare(
    story: &Story,
    unbroken: &Unbroken,
    second: bool,
    workspace: &Workspace,
    ran: &Ran,
    complaints: &mut Vec<String>,
) {
    let mut expect = |what: &str, found: String, expected: String| {
        if found != expected {
            complaints.push(format!("{what}: {found} instead of {expected}"));
        }
    };
    let revision = if second { 2 } else { 1 };
    let before = second.then_some(BEFORE);
    let (exit, state, version) = match story.ends {
        Ends::Loaded(version) => (0, "loaded", Some(version)),
        Ends::Nothing { state, exit, .. } => (exit, state, before),
    };
    expect(
        "exit",
        format!("{:?}", ran.exit),
        format!("{:?}", Some(exit)),
    );
    let ledger = workspace.ledger();
    let states: Vec<String> = ledger
        .iter()
        .map(|(number, state, _)| format!("{number} {state}"))
        .collect();
    let mut expected = vec![format!("{revision} {state}")];
    if second {
        let first = if matches!(story.ends, Ends::Loaded(_)) {
            "superseded"
        } else {
            "loaded"
        };
        expected.insert(0, format!("1 {first}"));
    }
    expect("ledger", states.join(", "), expected.join(", "));
    let rows = if workspace
        .query("SELECT table_name FROM duckdb_tables() WHERE table_name = 'account_negative'")
        .is_empty()
    {
        Vec::new()
    } else {
        workspace.rows("account_negative")
    };
    let expected = version
        .map(|version| unbroken.rows[version].clone())
        .unwrap_or_default();
    if rows != expected {
        expect(
            "rows",
            format!("{} or other ones", rows.len()),
            expected.len().to_string(),
        );
    }
    expect(
        "left behind",
        format!("{:?}", workspace.leftovers()),
        "[]".into(),
    );
    let message = ledger
        .last()
        .map(|(_, _, message)| message.clone())
        .unwrap_or_default();
    match story.ends {
        Ends::Nothing { says, .. } if !message.contains(says) => {
            complaints.push(format!("the ledger's message lacks `{says}`: {message}"));
        }
        _ => {}
    }
    if format!("{}{}{message}", ran.stdout, ran.stderr).contains("SECRET") {
        complaints.push("a signature is shown".into());
    }
}

/// Runs `tell` on everything, a few at once; panics with what was not as it should be.
fn all<T: Sync>(
    stories: &[T],
    name: impl Fn(&T) -> String + Sync,
    tell: impl Fn(&T) -> Vec<String> + Sync,
) {
    assert!(!stories.is_empty(), "no story to tell");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(story) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let complaints = tell(story);
                    if !complaints.is_empty() {
                        let told = format!("{}\n    {}", name(story), complaints.join("\n    "));
                        failed.lock().expect("unpoisoned").push(told);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("unpoisoned");
    failed.sort();
    assert!(
        failed.is_empty(),
        "{} of {} stories ended otherwise:\n\n{}\n",
        failed.len(),
        stories.len(),
        failed.join("\n\n")
    );
}
