//! A nightly run is killed, and its calls are made to fail, wherever it changes something on disk. The published
//! warehouse is the one before or the one after; running again ends where an undisturbed run ends.
//!
//! A sample runs with the other tests, everything with `just crash`.

mod locks;
mod room;
pub(crate) mod strace;

use std::{collections::BTreeSet, fs, path::PathBuf};

use self::strace::{Met, Point};
use crate::support::{
    program::{Ran, Workspace},
    random::Random,
    server::{Reply, Server},
};

/// Points tried in a sample.
const SAMPLE: usize = 6;

const TABLES: [&str; 8] = [
    "account_negative",
    "account_negative_bill",
    "account_negative_bill_line",
    "redledger.batch",
    "redledger.file",
    "redledger.rejection",
    "redledger.control",
    "account_repayment",
];

const BALANCES: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime\n";
/// So many that they are synced together and not one by one.
const BILL_FILES: u32 = 40;
const BILLS: &str = "accountId,displayId,createTime,total,negativeUrl\n";

fn account(number: u32) -> String {
    format!("936da01f-9abd-4d9d-80c7-{number:012x}")
}

fn balances(rows: std::ops::Range<u32>, cents: u32) -> String {
    let mut text = String::from(BALANCES);
    for row in rows {
        text += &format!("{},0,-{row}.{cents:02},0,USD,1711785600000\n", account(row));
    }
    text
}

/// What the provider serves.
fn answer(path: &str, server: &str) -> Reply {
    match path.trim_start_matches('/') {
        "old.csv" => Reply::new(200, balances(0..300, 10)),
        // Two of its rows can't be loaded.
        "new.csv" => Reply::new(
            200,
            balances(5..305, 20) + "no-uuid,0,1,1,USD,1711785600000\na,b\n",
        ),
        "more.csv" => Reply::new(200, balances(1000..1200, 30)),
        "bills.csv" => {
            let bill = |number: u32| {
                format!(
                    "{},D{number},1711785600000,2,http://{server}/bill/{number}\n",
                    account(number)
                )
            };
            let bills: String = (1..=BILL_FILES).map(bill).collect();
            Reply::new(200, format!("{BILLS}{bills}"))
        }
        path => match path.strip_prefix("bill/") {
            Some(bill) => Reply::new(200, format!("what,much\ncoffee {bill},1.50\nrent,900.00\n")),
            None => Reply::new(404, ""),
        },
    }
}

/// The reference: a warehouse with one batch, and an inbox with a new revision of it, bills with their files,
/// and one more batch.
struct Reference {
    before: Workspace,
    /// What the tables held before, and what they hold after an undisturbed run.
    digests: [Vec<String>; 2],
    /// The files after an undisturbed run, in names.
    files: BTreeSet<String>,
    points: Vec<Point>,
    /// Those that two undisturbed runs have in common: threads differ from run to run.
    steady: Vec<Point>,
    _server: Server,
    _runtime: tokio::runtime::Runtime,
}

fn workspace() -> Workspace {
    Workspace::new()
}

impl Reference {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let server = runtime.block_on(Server::start(|request| {
            answer(&request.path, request.header("host").unwrap_or_default())
        }));
        let before = workspace();
        let announce = |name: &str, batch_no: &str, file: &str| {
            let hook = serde_json::json!({"batchNo": batch_no, "lastPage": true, "fileUrl": server.url(file)});
            before.receive(name, &hook.to_string());
        };
        announce("1.json", "BALANCES", "/old.csv");
        let ran = before.run(&["run"]);
        assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
        announce("2.json", "BALANCES", "/new.csv");
        announce("3.json", "BILLS", "/bills.csv");
        announce("4.json", "MORE", "/more.csv");
        let undisturbed = || {
            let after = workspace();
            after.copy_data_of(&before);
            let (ran, points) = strace::points(&after, &["run"]);
            assert_eq!(ran.exit, Some(1), "{}{}", ran.stdout, ran.stderr);
            (after, points)
        };
        let ((after, points), (_, again)) = (undisturbed(), undisturbed());
        let mut steady = points.clone();
        steady.retain(|point| again.contains(point));
        let digests = [digest(&before), digest(&after)];
        assert_ne!(digests[0], digests[1]);
        Self {
            digests,
            files: names(&after),
            points,
            steady,
            before,
            _server: server,
            _runtime: runtime,
        }
    }

    fn start(&self) -> Workspace {
        let workspace = workspace();
        workspace.copy_data_of(&self.before);
        workspace
    }

    /// What must hold after a disturbed run; says whether it was published.
    fn check(&self, workspace: &Workspace) -> Result<bool, String> {
        let live = workspace.data().join("warehouse.duckdb");
        if !live.exists() {
            return Err("there is no warehouse".into());
        }
        let digest = digest(workspace);
        let published = digest == self.digests[1];
        if !published && digest != self.digests[0] {
            return Err("the warehouse is neither the old nor the new one".into());
        }
        workspace.verified()?;
        let names = names(workspace);
        for number in 1..=4 {
            let places = ["inbox", "inbox/done"]
                .iter()
                .filter(|folder| names.contains(&format!("{folder}/{number}.json")));
            if places.count() != 1 {
                return Err(format!(
                    "announcement {number} is not there once: {names:?}"
                ));
            }
        }
        self.recover(workspace)?;
        Ok(published)
    }

    /// Running again ends where an undisturbed run ends, and once more changes nothing.
    fn recover(&self, workspace: &Workspace) -> Result<(), String> {
        for again in [false, true] {
            let live = workspace.data().join("warehouse.duckdb");
            let before = fs::read(&live).map_err(|error| error.to_string())?;
            let ran = workspace.run(&["run", "--lock-wait", "0s"]);
            // 1: rows were rejected, now or when they were loaded.
            if !matches!(ran.exit, Some(0 | 1)) {
                return Err(format!("running again: {:?} {}", ran.exit, ran.stderr));
            }
            if digest(workspace) != self.digests[1] {
                return Err("running again ends in another warehouse".into());
            }
            if again && fs::read(&live).is_ok_and(|after| after != before) {
                return Err("running once more changes the warehouse".into());
            }
        }
        let names = names(workspace);
        if names != self.files {
            let stray: Vec<_> = names.symmetric_difference(&self.files).collect();
            return Err(format!("other files are there or missing: {stray:?}"));
        }
        workspace.verified()
    }

    /// All points of this kind, or some steady ones by chance.
    fn some_points(&self, all: bool, of: impl Fn(&Point) -> bool) -> Vec<Point> {
        let mut points = if all { &self.points } else { &self.steady }.clone();
        points.retain(of);
        if !all {
            let seed = Random::seed();
            println!("seed {seed}");
            let mut random = Random::new(seed);
            while points.len() > SAMPLE {
                points.swap_remove(random.below(points.len()));
            }
        }
        points
    }
}

/// All rows of all tables without clocks, ids of runs and places on this machine.
fn digest(workspace: &Workspace) -> Vec<String> {
    // A table is made with its first batch.
    let made = workspace.query("SELECT table_name FROM duckdb_tables()");
    let mut lines = Vec::new();
    for table in TABLES {
        if !made.iter().any(|name| table.ends_with(name.as_str())) {
            assert!(!table.starts_with("redledger."), "no {table}");
            continue;
        }
        let clocks = "'loaded_at', 'run_id', 'fetched_at', 'accepted_at', 'watermark'";
        let rows = workspace.query(&format!(
            "SELECT t::VARCHAR FROM (SELECT COLUMNS(lambda name: name NOT IN ({clocks})) FROM {table}) t ORDER BY 1"
        ));
        lines.extend(rows.iter().map(|row| format!("{table} {row}")));
    }
    lines
}

/// Every file below the data directory, by its name there.
fn names(workspace: &Workspace) -> BTreeSet<String> {
    let name = |path: PathBuf| {
        path.strip_prefix(workspace.data())
            .expect("below")
            .display()
            .to_string()
    };
    workspace.files().into_iter().map(name).collect()
}

/// Whether faults were met at so many of the points tried that something was shown: at half of all points, at a third
/// of a few, where chance has more to say.
fn enough(met: usize, tried: usize, all: bool) -> Result<(), String> {
    let share = if all { 2 } else { 3 };
    match met * share >= tried && tried > 0 {
        true => Ok(()),
        false => Err(format!("only {met} of {tried} points were met")),
    }
}

#[test]
fn points_that_are_hardly_ever_met_show_nothing() {
    for (met, tried, all) in [(0, 0, true), (0, 6, false), (1, 6, false), (149, 300, true)] {
        enough(met, tried, all).expect_err("too few");
    }
    for (met, tried, all) in [(2, 6, false), (6, 6, false), (150, 300, true)] {
        assert_eq!(enough(met, tried, all), Ok(()));
    }
}

/// Kills the run at the points; prints how many it survived.
fn killed(all: bool) {
    if !strace::works() {
        return;
    }
    let reference = Reference::new();
    let points = reference.some_points(all, |_| true);
    let (mut published, mut died) = (0, 0);
    let mut wrong = Vec::new();
    for point in &points {
        let workspace = reference.start();
        let (ran, _) = strace::run_with(&workspace, point, "signal=KILL", &["run"]);
        died += usize::from(ran.exit.is_none_or(|exit| exit > 128));
        match reference.check(&workspace) {
            Ok(after) => published += usize::from(after),
            Err(why) => wrong.push(format!("{point:?}: {why}")),
        }
    }
    println!(
        "killed: {} of {} points survived (of {} in a run); {died} times the process died, {published} times it had published",
        points.len() - wrong.len(),
        points.len(),
        reference.points.len()
    );
    wrong.extend(enough(died, points.len(), all).err());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What must hold after a run with a call that failed, if the call was made.
fn survived(
    reference: &Reference,
    workspace: &Workspace,
    before: &[u8],
    point: &Point,
    ran: &Ran,
    met: Met,
) -> Result<(), String> {
    let live = workspace.data().join("warehouse.duckdb");
    let untouched = fs::read(&live).is_ok_and(|after| after == before);
    let published = reference.check(workspace)?;
    match ran.exit {
        _ if met == Met::Elsewhere => Ok(()),
        // Not met; or it did not matter, or was tried again. What is not synced is not published.
        Some(1) if published => match met == Met::There && point.call.contains("sync") {
            true => Err("a failed fsync was not noticed".into()),
            false => Ok(()),
        },
        Some(2 | 3) if published || untouched => {
            let said = format!("{}{}", ran.stdout, ran.stderr);
            let data = workspace.data().display().to_string();
            match [&data, "DuckDB", "archive"]
                .iter()
                .any(|place| said.contains(*place))
            {
                true => Ok(()),
                false => Err("the message does not say where".into()),
            }
        }
        _ => Err(format!("published: {published}, untouched: {untouched}")),
    }
}

/// Fails the calls at the points; prints how many the run survived.
fn failed(all: bool) {
    if !strace::works() {
        return;
    }
    let reference = Reference::new();
    let mut tally = std::collections::BTreeMap::<(&str, Option<i32>), usize>::new();
    let mut wrong = Vec::new();
    let (mut tried, mut all_met) = (0, 0);
    // A write told by number alone may be to a pipe that a runtime wakes its threads by.
    let may_fail = |point: &Point| point.file.is_some() || point.call != "write";
    for error in ["ENOSPC", "EIO"] {
        let what = format!("error={error}");
        for point in &reference.some_points(all, may_fail) {
            tried += 1;
            let workspace = reference.start();
            let before =
                fs::read(workspace.data().join("warehouse.duckdb")).expect("the warehouse");
            let (ran, met) = strace::run_with(&workspace, point, &what, &["run"]);
            all_met += usize::from(met == Met::There);
            *tally.entry((error, ran.exit)).or_default() += 1;
            if let Err(why) = survived(&reference, &workspace, &before, point, &ran, met) {
                wrong.push(format!(
                    "{error} at {point:?}: {why}: {:?} {}{}",
                    ran.exit, ran.stdout, ran.stderr
                ));
            }
        }
    }
    println!(
        "failing calls: {} of {tried} survived ({} not met); {tally:?}",
        tried - wrong.len(),
        tried - all_met
    );
    wrong.extend(enough(all_met, tried, all).err());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_call_that_is_never_made_is_not_met() {
    if !strace::works() {
        return;
    }
    let workspace = workspace();
    fs::create_dir_all(workspace.data().join("inbox")).expect("an inbox");
    let never = Point::new("rename", "warehouse.duckdb.never", 1);
    for what in ["signal=KILL", "error=EIO"] {
        let (ran, met) = strace::run_with(&workspace, &never, what, &["run"]);
        assert_eq!((ran.exit, met), (Some(0), Met::Never), "{}", ran.stderr);
    }
}

#[test]
fn a_run_killed_anywhere_leaves_the_old_or_the_new_warehouse() {
    killed(false);
}

#[test]
#[ignore = "minutes: just crash"]
fn every_point_of_a_run_survives_a_kill() {
    killed(true);
}

#[test]
fn a_run_whose_calls_fail_says_so_and_leaves_the_warehouse_as_it_was() {
    failed(false);
}

#[test]
#[ignore = "minutes: just crash"]
fn every_call_of_a_run_may_fail() {
    failed(true);
}
