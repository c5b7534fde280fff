//! The program under strace: where it changes files, and what happens when one of these calls fails.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    process::{Child, Command, Stdio},
};

use crate::support::{
    program::{Ran, Workspace, finish},
    skipped,
};

/// Calls that change what is on disk.
const CALLS: &str = "openat,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,\
                     unlink,unlinkat,mkdir,copy_file_range,sendfile";

/// The n-th time that a thread makes a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) call: String,
    /// On this file below the data directory; `None`: of all calls, because the file's name is chance.
    pub(super) file: Option<String>,
    number: usize,
}

impl Point {
    /// The n-th time that a thread makes the call on this file.
    pub(super) fn new(call: &str, file: &str, number: usize) -> Self {
        Self {
            call: call.to_owned(),
            file: Some(file.to_owned()),
            number,
        }
    }
}

/// Whether strace is there and may trace; if not, the test is skipped.
#[track_caller]
pub(crate) fn works() -> bool {
    let works = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        skipped("calls that fail", "strace is not there or may not trace");
    }
    works
}

fn run(workspace: &Workspace, options: &[&str], arguments: &[&str]) -> Ran {
    finish(start(workspace, options, arguments))
}

/// Starts the program with these options of strace.
pub(crate) fn start(workspace: &Workspace, options: &[&str], arguments: &[&str]) -> Child {
    let mut strace = workspace.command("strace");
    strace
        .args(["-f", "-y", "-qq", "-s", "0"])
        .args(options)
        .arg(env!("CARGO_BIN_EXE_redledger"))
        .args(arguments);
    strace.spawn().expect("strace starts")
}

/// Runs undisturbed; returns the points at which something below the data directory is changed.
pub(super) fn points(workspace: &Workspace, arguments: &[&str]) -> (Ran, Vec<Point>) {
    let log = workspace.path().join("strace.log");
    let trace = format!("trace={CALLS}");
    let log_option = log.display().to_string();
    let ran = run(workspace, &["-o", &log_option, "-e", &trace], arguments);
    let text = fs::read_to_string(&log).expect("the log");
    let data = format!("{}/", workspace.data().display());
    let mut counts = HashMap::<_, usize>::new();
    let mut points = BTreeSet::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, arguments)) = call.trim_start().split_once('(') else {
            continue;
        };
        let file = arguments.split_once(&data).map(|(_, rest)| {
            let end = rest.find(['"', '>']).unwrap_or(rest.len());
            rest[..end].to_owned()
        });
        let all = counts.entry((thread, name, None)).or_default();
        *all += 1;
        let all = *all;
        let Some(file) = file else {
            continue;
        };
        let of_file = counts
            .entry((thread, name, Some(file.clone())))
            .or_default();
        *of_file += 1;
        // Of opening, only what makes a file changes something.
        if name == "openat" && !arguments.contains("O_CREAT") {
            continue;
        }
        let (file, number) = match file.contains(".incoming-") {
            true => (None, all),
            false => (Some(file), *of_file),
        };
        points.insert(Point {
            call: name.to_owned(),
            file,
            number,
        });
    }
    (ran, points.into_iter().collect())
}

/// Whether a point was met: threads differ from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    Never,
    /// On a file below the data directory.
    There,
    /// Told by number alone, it was another file's: of a library, of the system.
    Elsewhere,
}

/// Runs with this done at the point, such as `signal=KILL` or `error=EIO`; says whether the point was met.
pub(super) fn run_with(
    workspace: &Workspace,
    point: &Point,
    what: &str,
    arguments: &[&str],
) -> (Ran, Met) {
    let Point { call, file, number } = point;
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:{what}:when={number}");
    let log = workspace.path().join("strace.log");
    let log_option = log.display().to_string();
    let mut options = vec!["-o", &log_option, "-e", &trace, "-e", &inject];
    let path = file
        .as_ref()
        .map(|file| workspace.data().join(file).display().to_string());
    if let Some(path) = &path {
        options.extend(["-P", path]);
    }
    let ran = run(workspace, &options, arguments);
    let log = fs::read_to_string(log).unwrap_or_default();
    let data = workspace.data().display().to_string();
    let mut injected = log.lines().filter(|line| line.contains("(INJECTED)"));
    let met = match injected.next() {
        None => Met::Never,
        Some(first) if injected.chain([first]).all(|line| line.contains(&data)) => Met::There,
        Some(_) => Met::Elsewhere,
    };
    (ran, met)
}
