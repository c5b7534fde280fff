//! Every folder of `fixtures/` is a story: files as a provider sends them, and what the program makes of
//! them. `fixtures/README.md` says how to write one; a new story needs no Rust.
//!
//! `STORY=part-of-a-name cargo test --release stories` runs some of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use duckdb::{AccessMode, Config, Connection};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{
    checkout::checkout,
    server::{Reply, Request, Server},
};

/// Stands in queries of URLs; must never be seen again.
const SECRET: &str = "SECRETSIGNATURE";
/// Stories that run at once.
const WORKERS: usize = 3;

/// One call of the program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    args: Vec<String>,
    exit: i32,
    /// A subset of the JSON report.
    outcome: Option<Value>,
    #[serde(default)]
    stdout_contains: Vec<String>,
    #[serde(default)]
    stderr_contains: Vec<String>,
    #[serde(default)]
    tables: BTreeMap<String, Rows>,
    /// Why the story is expected to fail for now.
    known_defect: Option<String>,
}

/// What a table or a query holds, as text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Rows {
    Table(Vec<Vec<Value>>),
    Columns {
        columns: String,
        rows: Vec<Vec<Value>>,
    },
    Query {
        sql: String,
        rows: Vec<Vec<Value>>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Steps {
    Many(Vec<Step>),
    One(Box<Step>),
}

#[test]
fn every_story_ends_as_told() {
    let stories = stories();
    assert!(!stories.is_empty(), "no story in fixtures/");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(serve));
    let next = AtomicUsize::new(0);
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(folder) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = name_of(folder);
                    let complaints = match Story::open(folder, &server) {
                        Ok(story) => story.tell(),
                        Err(complaint) => vec![complaint],
                    };
                    told.lock().expect("unpoisoned").push((name, complaints));
                }
            });
        }
    });
    let mut told = told.into_inner().expect("unpoisoned");
    told.sort();
    told.retain(|(_, complaints)| !complaints.is_empty());
    let failed: Vec<String> = told
        .iter()
        .map(|(name, complaints)| format!("{name}\n    {}", complaints.join("\n    ")))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} stories ended otherwise:\n\n{}\n",
        failed.len(),
        stories.len(),
        failed.join("\n\n")
    );
}

fn stories() -> Vec<PathBuf> {
    let wanted = std::env::var("STORY").unwrap_or_default();
    let mut folders: Vec<PathBuf> = fs::read_dir(fixtures())
        .expect("fixtures/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir() && name_of(path).contains(&wanted))
        // The demo's files are compiled into the program; tests/demo.rs runs it.
        .filter(|path| name_of(path) != "demo")
        .collect();
    folders.sort();
    folders
}

fn fixtures() -> PathBuf {
    checkout("fixtures")
}

fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Headers of an answer that its URL's query may set.
const TOLD_BY_QUERY: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-md5",
    "repr-digest",
    "digest",
];

/// `/<story>/<file>` serves a story's file, `/<story>/status/404/<file>` refuses it; `content-type=…` and the like
/// in the query is what the answer says of itself.
fn serve(request: &Request) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if let [_, "status", status, ..] = parts[..] {
        return Reply::new(status.parse().unwrap_or(500), "refused");
    }
    let Ok(body) = fs::read(fixtures().join(parts.join("/"))) else {
        return Reply::new(404, "no such file");
    };
    let server = format!(
        "http://{}/{}",
        request.header("host").unwrap_or_default(),
        parts[0]
    );
    let body = filled_in(body, |text| text.replace("{server}", &server));
    let told: Vec<(&str, &str)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| TOLD_BY_QUERY.contains(name))
        .collect();
    let mut reply = Reply::new(200, body);
    if !told.iter().any(|(name, _)| *name == "content-type") {
        reply = reply.header("Content-Type", "application/octet-stream");
    }
    for (name, value) in told {
        reply = reply.header(name, value);
    }
    reply
}

/// The placeholders of a file; one that is not UTF-8 has none.
fn filled_in(bytes: Vec<u8>, fill: impl Fn(&str) -> String) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => fill(&text).into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

struct Story {
    /// The story's folder with the placeholders of its files filled in.
    folder: tempfile::TempDir,
    data: PathBuf,
    /// A warehouse that was there before; the program must leave it alone.
    given_warehouse: Option<Vec<u8>>,
    server: String,
    steps: Vec<Step>,
}

/// What a call has left.
struct Ran {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
    warehouse: Option<Vec<u8>>,
}

impl Story {
    fn open(folder: &Path, server: &Server) -> Result<Self, String> {
        let server = server.url(&format!("/{}", name_of(folder)));
        let expected = fs::read_to_string(folder.join("expected.json"))
            .map_err(|error| format!("expected.json: {error}"))?;
        let steps = match serde_json::from_str(&expected) {
            Ok(Steps::Many(steps)) => steps,
            Ok(Steps::One(step)) => vec![*step],
            Err(_) => {
                // An untagged enum does not say what is wrong.
                let error = serde_json::from_str::<Step>(&expected)
                    .map(|_| String::new())
                    .or_else(|one| {
                        serde_json::from_str::<Vec<Step>>(&expected)
                            .map(|_| String::new())
                            .map_err(|many| format!("as one step: {one}; as an array: {many}"))
                    });
                return Err(format!("expected.json: {error:?}"));
            }
        };
        let story = Self {
            folder: tempfile::tempdir().map_err(|error| error.to_string())?,
            data: PathBuf::new(),
            given_warehouse: fs::read(folder.join("data/warehouse.duckdb")).ok(),
            server,
            steps,
        };
        let data = story.folder.path().join("data");
        let story = Self { data, ..story };
        story
            .copy(folder, story.folder.path())
            .map_err(|error| format!("copying the story: {error}"))?;
        Ok(story)
    }

    fn copy(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let from = entry?.path();
            let to = to.join(from.file_name().unwrap_or_default());
            if from.is_dir() {
                self.copy(&from, &to)?;
            } else {
                fs::write(to, filled_in(fs::read(&from)?, |text| self.filled_in(text)))?;
            }
        }
        Ok(())
    }

    fn filled_in(&self, text: &str) -> String {
        text.replace("{server}", &self.server)
            // Port 1 of loopback: nobody listens.
            .replace("{closed}", "http://127.0.0.1:1")
            .replace("{dir}", &self.folder.path().display().to_string())
    }

    /// Runs all steps; returns what was not as told.
    #[allow(clippy::print_stdout)]
    fn tell(&self) -> Vec<String> {
        let known_defect = self
            .steps
            .iter()
            .find_map(|step| step.known_defect.as_deref());
        let complaints = self.complaints();
        match known_defect {
            None => complaints,
            Some(why) if complaints.is_empty() => {
                vec![format!("it holds now: take out `known_defect` ({why})")]
            }
            Some(why) => {
                println!(
                    "known defect: {}: {why}\n    {}",
                    self.server.rsplit('/').next().unwrap_or_default(),
                    complaints.join("\n    ")
                );
                Vec::new()
            }
        }
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut last_load = None;
        for (index, step) in self.steps.iter().enumerate() {
            let before = complaints.len();
            let ran = self.run(&step.args);
            self.compare(step, &ran, &mut complaints);
            self.check_invariants(&ran, &mut complaints);
            if complaints.len() > before {
                for complaint in &mut complaints[before..] {
                    *complaint = format!("step {}: {complaint}", index + 1);
                }
                complaints.push(format!(
                    "(exit {:?})\n--- stdout\n{}\n--- stderr\n{}",
                    ran.exit,
                    ran.stdout.trim_end(),
                    ran.stderr.trim_end()
                ));
            }
            if step.args[0] == "ingest" {
                last_load = Some((step, ran));
            }
        }
        if let Some((step, ran)) = last_load {
            let again = self.run(&step.args);
            let before = complaints.len();
            self.check_invariants(&again, &mut complaints);
            Self::compare_again(&ran, &again, &mut complaints);
            for complaint in &mut complaints[before..] {
                *complaint = format!("the last load once more: {complaint}");
            }
        }
        if self.given_warehouse.is_none() && self.warehouse().exists() {
            let verified = self.run(&["verify".to_owned(), "--cells".to_owned()]);
            if verified.exit != Some(0) {
                complaints.push(format!("verify: {}{}", verified.stdout, verified.stderr));
            }
        }
        complaints
    }

    fn run(&self, args: &[String]) -> Ran {
        let folder = self.folder.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_redledger"));
        for (name, _) in std::env::vars() {
            if name.starts_with("REDLEDGER_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(folder)
            .env("REDLEDGER_DATA_DIR", &self.data)
            .env("REDLEDGER_DOWNLOAD__ALLOW_HTTP", "true")
            .env("REDLEDGER_DOWNLOAD__ALLOW_PRIVATE", "[\"127.0.0.0/8\"]")
            .env("REDLEDGER_DOWNLOAD__ATTEMPTS", "3")
            .env("REDLEDGER_DOWNLOAD__BACKOFF", "1ms")
            .env("REDLEDGER_DOWNLOAD__MAX_BACKOFF", "5ms")
            .args(args.iter().map(|arg| self.filled_in(arg)));
        if folder.join("datasets").is_dir() {
            command.env("REDLEDGER_DATASETS_DIR", folder.join("datasets"));
        }
        if args[0] == "ingest" && !args.iter().any(|arg| arg == "--format") {
            command.args(["--format", "json"]);
        }
        let output = command.output().expect("the program runs");
        Ran {
            exit: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            warehouse: fs::read(self.warehouse()).ok(),
        }
    }

    fn warehouse(&self) -> PathBuf {
        self.data.join("warehouse.duckdb")
    }

    fn open_warehouse(&self) -> Result<Connection, String> {
        Config::default()
            .access_mode(AccessMode::ReadOnly)
            .and_then(|config| Connection::open_with_flags(self.warehouse(), config))
            .map_err(|error| format!("the warehouse does not open: {error}"))
    }

    fn compare(&self, step: &Step, ran: &Ran, complaints: &mut Vec<String>) {
        if ran.exit != Some(step.exit) {
            complaints.push(format!("exit {:?}, expected {}", ran.exit, step.exit));
        }
        if let Some(expected) = &step.outcome {
            match serde_json::from_str::<Value>(&ran.stdout) {
                Ok(report) => differences("", &self.filled_in_value(expected), &report, complaints),
                Err(error) => complaints.push(format!("stdout is no JSON report: {error}")),
            }
        }
        for (name, texts, shown) in [
            ("stdout", &step.stdout_contains, &ran.stdout),
            ("stderr", &step.stderr_contains, &ran.stderr),
        ] {
            for text in texts {
                let text = self.filled_in(text);
                if !shown.contains(&text) {
                    complaints.push(format!("{name} lacks `{text}`"));
                }
            }
        }
        if step.tables.is_empty() {
            return;
        }
        let connection = match self.open_warehouse() {
            Ok(connection) => connection,
            Err(complaint) => return complaints.push(complaint),
        };
        for (name, rows) in &step.tables {
            let (sql, expected) = match rows {
                Rows::Table(rows) => (table_query(name, "*"), rows),
                Rows::Columns { columns, rows } => (table_query(name, columns), rows),
                Rows::Query { sql, rows } => (sql.clone(), rows),
            };
            let expected: Vec<Vec<Option<String>>> = expected
                .iter()
                .map(|row| row.iter().map(|cell| self.cell(cell)).collect())
                .collect();
            match as_text(&connection, &sql) {
                Ok(found) if found == expected => {}
                Ok(found) => complaints.push(format!(
                    "{name}: expected\n        {}\n      found\n        {}",
                    shown_rows(&expected),
                    shown_rows(&found)
                )),
                Err(error) => complaints.push(format!("{name}: {error}")),
            }
        }
    }

    fn cell(&self, cell: &Value) -> Option<String> {
        match cell {
            Value::Null => None,
            Value::String(text) => Some(self.filled_in(text)),
            other => Some(other.to_string()),
        }
    }

    fn filled_in_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.filled_in(text)),
            Value::Array(items) => items
                .iter()
                .map(|item| self.filled_in_value(item))
                .collect(),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, value)| (key.clone(), self.filled_in_value(value)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// What holds after every call of every story.
    fn check_invariants(&self, ran: &Ran, complaints: &mut Vec<String>) {
        for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            if text.contains(SECRET) {
                complaints.push(format!("{name} shows a signature"));
            }
        }
        self.check_files(&self.data, complaints);
        if let Some(given) = &self.given_warehouse {
            if ran.warehouse.as_ref() != Some(given) {
                complaints.push("the warehouse that was there has changed".into());
            }
            return;
        }
        if ran.warehouse.is_none() {
            return;
        }
        let checked = self
            .open_warehouse()
            .and_then(|connection| check_books(&connection).map_err(|error| error.to_string()));
        match checked {
            Ok(found) => complaints.extend(found),
            Err(complaint) => complaints.push(complaint),
        }
    }

    fn check_files(&self, folder: &Path, complaints: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = name_of(&path);
            // Delivered bytes are kept as they came.
            if path.is_dir() && folder == self.data && ["archive", "inbox"].contains(&name.as_str())
            {
                continue;
            }
            if [".next", ".wal", ".tmp"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                complaints.push(format!("`{name}` is left over"));
            }
            if path.is_dir() {
                self.check_files(&path, complaints);
            } else if holds_secret(&fs::read(&path).unwrap_or_default()) {
                complaints.push(format!("`{name}` holds a signature"));
            }
        }
    }

    /// Running anything twice changes nothing.
    fn compare_again(first: &Ran, again: &Ran, complaints: &mut Vec<String>) {
        let outcomes = |ran: &Ran| -> Vec<(String, String)> {
            let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
            let batches = report["batches"].as_array().cloned().unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            batches
                .iter()
                .map(|batch| (text(&batch["batch_no"]), text(&batch["outcome"])))
                .collect()
        };
        let (before, after) = (outcomes(first), outcomes(again));
        let is_settled = |outcome: &str| outcome == "loaded" || outcome == "unchanged";
        let expected: Vec<(String, String)> = before
            .iter()
            .map(|(batch_no, outcome)| {
                let outcome = if is_settled(outcome) {
                    "unchanged"
                } else {
                    outcome
                };
                (batch_no.clone(), outcome.to_owned())
            })
            .collect();
        if after != expected {
            complaints.push(format!("expected {expected:?}, found {after:?}"));
        }
        let settled = before.iter().all(|(_, outcome)| is_settled(outcome));
        // Rows rejected when a batch was loaded are no news.
        if again.exit != first.exit && !(settled && again.exit == Some(0)) {
            complaints.push(format!("exit {:?}, expected {:?}", again.exit, first.exit));
        }
        // What is not loaded is written down again, with the time of the new attempt.
        if settled && again.warehouse != first.warehouse {
            complaints.push("the warehouse has changed".into());
        }
    }
}

fn holds_secret(bytes: &[u8]) -> bool {
    bytes
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes())
}

/// Rows of a dataset in the order of the files.
fn table_query(table: &str, columns: &str) -> String {
    let order = match table {
        "redledger.rejection" => "file_id, line, byte_offset",
        "redledger.file" => "file_id",
        "redledger.batch" => "dataset, batch_no, revision",
        "redledger.control" => "dataset, batch_no, revision, rowid",
        _ if table.starts_with("redledger.") => "rowid",
        _ => "file_id, line",
    };
    format!("SELECT {columns} FROM {table} ORDER BY {order}")
}

fn as_text(connection: &Connection, sql: &str) -> duckdb::Result<Vec<Vec<Option<String>>>> {
    let mut statement = connection.prepare(&format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let width = row.as_ref().column_count();
        found.push(
            (0..width)
                .map(|column| row.get(column))
                .collect::<duckdb::Result<_>>()?,
        );
    }
    Ok(found)
}

fn shown_rows(rows: &[Vec<Option<String>>]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| serde_json::to_string(row).unwrap_or_default())
        .collect();
    rows.join("\n        ")
}

/// The books of any warehouse: every line returned is a contradiction.
fn check_books(connection: &Connection) -> duckdb::Result<Vec<String>> {
    let mut complaints = Vec::new();
    // Files of bill lines belong to the bills' batch.
    const FILES: &str = "FROM redledger.file f JOIN redledger.batch b \
         ON b.batch_no = f.batch_no AND b.revision = f.revision AND b.dataset = \
         CASE f.dataset WHEN 'account_negative_bill_line' THEN 'account_negative_bill' ELSE f.dataset END";
    let queries = [
        (
            "a file's rows are not all loaded or rejected",
            format!(
                "SELECT f.url, f.rows_read, f.rows_loaded, f.rows_rejected {FILES} \
                 WHERE b.state IN ('loaded', 'superseded') AND f.rows_read <> f.rows_loaded + f.rows_rejected"
            ),
        ),
        (
            "a batch that is not loaded has loaded rows",
            format!(
                "SELECT f.url, f.rows_loaded, b.rows_loaded {FILES} WHERE b.state NOT IN ('loaded', 'superseded') \
                 AND (f.rows_loaded <> 0 OR b.rows_loaded <> 0)"
            ),
        ),
        (
            "a batch's figures are not the sums of its files'",
            format!(
                "SELECT b.dataset, b.batch_no, b.revision {FILES} GROUP BY ALL HAVING \
                 any_value(b.rows_read) <> sum(f.rows_read) OR any_value(b.rows_loaded) <> sum(f.rows_loaded) \
                 OR any_value(b.rows_rejected) <> sum(f.rows_rejected) OR any_value(b.files) <> count(*) \
                 OR any_value(b.bytes) <> sum(f.bytes)"
            ),
        ),
        (
            "a file belongs to no batch",
            format!("SELECT url FROM redledger.file WHERE file_id NOT IN (SELECT f.file_id {FILES})"),
        ),
        (
            "rejections and their count differ",
            "SELECT f.file_id, f.rows_rejected, count(r.file_id) FROM redledger.file f \
             LEFT JOIN redledger.rejection r ON r.file_id = f.file_id \
             GROUP BY ALL HAVING least(f.rows_rejected, 10000) <> count(r.file_id)"
                .into(),
        ),
        (
            "a rejection belongs to no file",
            "SELECT file_id FROM redledger.rejection r WHERE NOT EXISTS (SELECT 1 FROM redledger.file f \
             WHERE (f.file_id, f.dataset, f.batch_no, f.revision) = (r.file_id, r.dataset, r.batch_no, r.revision))"
                .into(),
        ),
        (
            "a batch has several loaded revisions",
            "SELECT dataset, batch_no FROM redledger.batch WHERE state = 'loaded' GROUP BY ALL HAVING count(*) > 1"
                .into(),
        ),
        (
            "a control of a loaded batch is missing or a total does not hold",
            "SELECT c.name, c.expected, c.actual FROM redledger.control c JOIN redledger.batch b \
             USING (dataset, batch_no, revision) WHERE b.state IN ('loaded', 'superseded') AND NOT c.passed \
             AND (c.name LIKE '%total%' OR c.name LIKE '%read = loaded%')"
                .into(),
        ),
        (
            "a table, view or column has no comment",
            "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL UNION ALL \
             SELECT table_name || '.' || column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
                .into(),
        ),
    ];
    for (what, sql) in &queries {
        let found = as_text(connection, sql)?;
        if !found.is_empty() {
            complaints.push(format!("{what}:\n        {}", shown_rows(&found)));
        }
    }
    let tables = as_text(
        connection,
        "SELECT schema_name, table_name FROM duckdb_tables()",
    )?;
    for table in tables {
        let [Some(schema), Some(name)] = &table[..] else {
            continue;
        };
        let secret = as_text(
            connection,
            &format!("SELECT t FROM \"{schema}\".\"{name}\" t WHERE t::VARCHAR LIKE '%{SECRET}%'"),
        )?;
        if !secret.is_empty() {
            complaints.push(format!("{schema}.{name} holds a signature: {secret:?}"));
        }
        if schema != "main" {
            continue;
        }
        let sums = as_text(
            connection,
            &format!(
                "SELECT (SELECT count(*) FROM \"{name}\"), coalesce(sum(f.rows_loaded), 0)::BIGINT {FILES} \
                 WHERE b.state = 'loaded' AND f.dataset = '{name}'"
            ),
        )?;
        if sums[0][0] != sums[0][1] {
            complaints.push(format!(
                "{name} has {:?} rows, the ledger {:?}",
                sums[0][0], sums[0][1]
            ));
        }
        let strays = as_text(
            connection,
            &format!(
                "SELECT t.batch_no, t.file_id, t.line FROM \"{name}\" t WHERE NOT EXISTS (SELECT 1 {FILES} \
                 WHERE b.state = 'loaded' AND f.dataset = '{name}' AND f.file_id = t.file_id AND f.batch_no = t.batch_no)"
            ),
        )?;
        if !strays.is_empty() {
            complaints.push(format!("{name} has rows without an origin: {strays:?}"));
        }
    }
    Ok(complaints)
}

/// Adds where `found` lacks something of `expected`. `{"contains": "…"}` stands for a text that holds it.
fn differences(at: &str, expected: &Value, found: &Value, complaints: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(wanted), Value::String(text))
            if wanted.len() == 1 && wanted.contains_key("contains") =>
        {
            let parts = match &wanted["contains"] {
                Value::Array(parts) => parts.clone(),
                one => vec![one.clone()],
            };
            for part in parts.iter().filter_map(Value::as_str) {
                if !text.contains(part) {
                    complaints.push(format!("{at}: `{text}` lacks `{part}`"));
                }
            }
        }
        (Value::Object(wanted), Value::Object(there)) => {
            for (key, value) in wanted {
                let found = there.get(key).unwrap_or(&Value::Null);
                differences(&format!("{at}.{key}"), value, found, complaints);
            }
        }
        (Value::Array(wanted), Value::Array(there)) if wanted.len() == there.len() => {
            for (index, (value, found)) in wanted.iter().zip(there).enumerate() {
                differences(&format!("{at}[{index}]"), value, found, complaints);
            }
        }
        _ if expected == found => {}
        _ => complaints.push(format!("{at}: {found}, expected {expected}")),
    }
}
