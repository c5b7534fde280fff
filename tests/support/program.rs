//! The built program in a folder of its own, and what it leaves there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use duckdb::{AccessMode, Config, Connection};
/// A program that runs longer than this hangs.
const LONGEST: Duration = Duration::from_secs(100);

/// What a call has left.
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Most memory that it had at any time, in kilobytes (VmHWM); 0 where the system does not say.
    pub(crate) peak_kilobytes: u64,
}

/// A row of the ledger: revision, state, message.
pub(crate) type LedgerRow = (i32, String, String);

/// A data directory, settings for loopback, and files to give to the program.
///
/// When a test is done with it, `redledger verify` must end with 0 there, unless the test has damaged it.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    is_damaged: AtomicBool,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let is_whole = !self.is_damaged.load(Ordering::Relaxed);
        if is_whole && !std::thread::panicking() && self.data().join("warehouse.duckdb").exists() {
            let ran = self.run(&["verify", "--cells"]);
            assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
        }
    }
}

impl Workspace {
    /// With waits that tests can afford.
    pub(crate) fn new() -> Self {
        let workspace = Self {
            folder: tempfile::tempdir().expect("a folder"),
            settings: Vec::new(),
            is_damaged: AtomicBool::new(false),
        };
        workspace
            .with("ALLOW_HTTP", "true")
            .with("ALLOW_PRIVATE", "[\"127.0.0.0/8\"]")
            .with("BACKOFF", "1ms")
            .with("MAX_BACKOFF", "5ms")
    }

    /// A setting of `[download]`.
    pub(crate) fn with(self, key: &str, value: &str) -> Self {
        self.set(&format!("DOWNLOAD__{key}"), value)
    }

    /// Any setting, such as `("SERVE__SIGNATURE", "none")`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        let name = format!("REDLEDGER_{name}");
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    /// A variable of the environment that is no setting.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Begins with what `other` has loaded.
    pub(crate) fn copy_data_of(&self, other: &Self) {
        copy(&other.data(), &self.data());
    }

    /// Begins with the data directory at `data`.
    pub(crate) fn copy_from(&self, data: &Path) {
        copy(data, &self.data());
    }

    /// Writes a file to give to the program; returns its name.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.path().join(name), contents).expect("to write");
        name.to_owned()
    }

    /// Announces `url` as batch `B1` in `hook.json`.
    pub(crate) fn announce(&self, url: &str, total: Option<usize>) -> String {
        let mut hook = serde_json::json!({"batchNo": "B1", "lastPage": true, "fileUrl": url});
        if let Some(total) = total {
            hook["total"] = total.into();
        }
        self.write("hook.json", hook.to_string())
    }

    /// Puts an announcement into the inbox as the receiver does.
    pub(crate) fn receive(&self, name: &str, hook: &str) {
        let inbox = self.data().join("inbox");
        fs::create_dir_all(&inbox).expect("a folder");
        fs::write(inbox.join(name), hook).expect("to write");
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.start(arguments))
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_redledger"));
        command.args(arguments);
        command.spawn().expect("the program starts")
    }

    /// `program` in this workspace, with its settings and no others, its output piped.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = with_own_settings(program);
        command
            .current_dir(self.path())
            .env("REDLEDGER_DATA_DIR", self.data())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What is kept here is damaged on purpose, or can't be read: what verify says of it is for the test to judge.
    pub(crate) fn damaged(&self) -> &Self {
        self.is_damaged.store(true, Ordering::Relaxed);
        self
    }

    /// Whether the books agree with the tables and the archive, cell by cell; else what `redledger verify` says.
    pub(crate) fn verified(&self) -> Result<(), String> {
        let ran = self.run(&["verify", "--cells"]);
        match ran.exit {
            Some(0) => Ok(()),
            _ => Err(format!("verify: {}{}", ran.stdout, ran.stderr)),
        }
    }

    /// The books agree with the tables and the archive.
    #[track_caller]
    pub(crate) fn verify(&self) {
        if let Err(why) = self.verified() {
            panic!("{why}");
        }
    }

    /// Opens the warehouse as an analyst does.
    #[track_caller]
    pub(crate) fn warehouse(&self) -> Connection {
        Config::default()
            .access_mode(AccessMode::ReadOnly)
            .and_then(|config| {
                Connection::open_with_flags(self.data().join("warehouse.duckdb"), config)
            })
            .expect("the warehouse opens")
    }

    /// The first column of a query, as text.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        let connection = self.warehouse();
        let mut statement = connection.prepare(sql).expect(sql);
        let rows = statement
            .query_map([], |row| row.get::<_, Option<String>>(0))
            .expect(sql);
        rows.map(|row| row.expect("a row").unwrap_or_default())
            .collect()
    }

    /// All rows of a table in order, without the number of the file they came in.
    #[track_caller]
    pub(crate) fn rows(&self, table: &str) -> Vec<String> {
        self.query(&format!(
            "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id) FROM {table} ORDER BY file_id, line) t"
        ))
    }

    /// What the ledger says of batch `B1`, by revision.
    #[track_caller]
    pub(crate) fn ledger(&self) -> Vec<LedgerRow> {
        let connection = self.warehouse();
        let mut statement = connection
            .prepare(
                "SELECT revision, state, coalesce(message, '') FROM redledger.batch WHERE batch_no = 'B1' ORDER BY revision",
            )
            .expect("the ledger");
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("the ledger");
        rows.map(|row| row.expect("a row")).collect()
    }

    /// Every file below the data directory.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(folder) else {
                continue;
            };
            for entry in entries {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }

    /// Half-made files of the warehouse or the archive.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut files = self.files();
        files.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains(".next")
                || name.ends_with(".wal")
                || name.ends_with(".tmp")
                || name.starts_with(".incoming-")
        });
        files
    }
}

/// `program` with none of the settings that the tests themselves are run with, such as `REDLEDGER_TEST_SEED`.
pub(crate) fn with_own_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REDLEDGER_") {
            command.env_remove(name);
        }
    }
    command
}

/// Waits until something holds, as long as a slow machine may need.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LONGEST, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for a program, reading what it says meanwhile.
pub(crate) fn finish(mut child: Child) -> Ran {
    let mut out = child.stdout.take().expect("piped");
    let mut err = child.stderr.take().expect("piped");
    let read = |stream: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let started = Instant::now();
    let status_file = format!("/proc/{}/status", child.id());
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || read(&mut out));
        let stderr = scope.spawn(move || read(&mut err));
        let mut peak_kilobytes = 0;
        let longest = std::env::var("REDLEDGER_TEST_LONGEST")
            .ok()
            .and_then(|seconds| seconds.parse().ok())
            .map_or(LONGEST, Duration::from_secs);
        let exit = loop {
            peak_kilobytes = peak_of(&status_file).max(peak_kilobytes);
            if let Some(status) = child.try_wait().expect("to wait") {
                break status.code();
            }
            if started.elapsed() > longest {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the program hangs: {}", stderr.join().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ran {
            exit,
            stdout: stdout.join().expect("text"),
            stderr: stderr.join().expect("text"),
            peak_kilobytes,
        }
    })
}

pub(crate) fn peak_of(status_file: &str) -> u64 {
    let status = fs::read_to_string(status_file).unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("to copy");
        }
    }
}
