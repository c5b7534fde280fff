//! What years of nights leave: ledgers of millions of files, archives of hundreds of thousands. None of it runs by
//! itself; `REDLEDGER_SCALE` is the number of files.

use std::{fs, path::Path, time::Instant};

use duckdb::Connection;
use serde_json::json;

use crate::support::program::{Ran, Workspace};

/// Files of a batch.
const FILES: usize = 100;
const HEADER: &str = "accountId,displayId,type,currency,cardNegative,budgetNegative,cardSettleAmount,budgetSettleAmount,cardUnpaidAmount,budgetUnpaidAmount,repayTime\n";

fn scale(default: usize) -> usize {
    let given = std::env::var("REDLEDGER_SCALE").ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

fn rows(batch: usize) -> String {
    let rows = (0..2).map(|row| {
        format!("6f1b3c1e-0f5b-4a53-9a87-{batch:06}{row:06},01,0,USD,-10.5,0,1,0,-11.5,0,1711785600000\n")
    });
    HEADER.to_owned() + &rows.collect::<String>()
}

/// Loads `B0`, a file of two rows.
fn begun() -> Workspace {
    let workspace = Workspace::new();
    load(&workspace, "B0");
    workspace
}

fn load(workspace: &Workspace, batch_no: &str) -> Ran {
    workspace.write("rows.csv", rows(0));
    let ran = workspace.run(&["ingest", "rows.csv", "--batch-no", batch_no]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    ran
}

fn live(workspace: &Workspace) -> std::path::PathBuf {
    workspace.data().join("warehouse.duckdb")
}

/// As if further batches of the content of `B0` had been loaded, with so many files in all.
fn further_files(workspace: &Workspace, files: usize) {
    let connection = Connection::open(live(workspace)).expect("the warehouse opens");
    let spill = workspace.path().join("spill");
    let sql = format!(
        "SET memory_limit = '1GB'; SET temp_directory = '{}'; SET preserve_insertion_order = false;
         INSERT INTO account_repayment BY NAME SELECT r.* REPLACE (printf('S%07d', i // {FILES}) AS batch_no, 2 + i AS file_id)
         FROM range({files}) t(i), account_repayment r;
         INSERT INTO redledger.file BY NAME SELECT f.* REPLACE (printf('S%07d', i // {FILES}) AS batch_no, 2 + i AS file_id,
         sha256(i::VARCHAR) AS content_hash, NULL AS archive_path) FROM range({files}) t(i), redledger.file f;
         INSERT INTO redledger.control BY NAME SELECT c.* REPLACE (printf('S%07d', b) AS batch_no,
         CASE WHEN name LIKE '%read = loaded%' THEN (expected::BIGINT * {FILES})::VARCHAR ELSE expected END AS expected,
         CASE WHEN name LIKE '%read = loaded%' THEN (actual::BIGINT * {FILES})::VARCHAR
         WHEN name LIKE 'sum of %' THEN (actual::DECIMAL(20, 4) * {FILES})::DECIMAL(28, 4)::VARCHAR ELSE actual END AS actual)
         FROM range({files} // {FILES}) t(b), redledger.control c;
         INSERT INTO redledger.batch BY NAME SELECT o.* REPLACE (printf('S%07d', b) AS batch_no, o.files * {FILES} AS files,
         o.rows_read * {FILES} AS rows_read, o.rows_loaded * {FILES} AS rows_loaded, o.rows_added * {FILES} AS rows_added,
         o.bytes * {FILES} AS bytes, sha256(array_to_string(list_transform(range({FILES}),
         lambda k: sha256((b * {FILES} + k)::VARCHAR) || chr(10)), '')) AS content_hash)
         FROM range({files} // {FILES}) t(b), redledger.batch o;",
        spill.display()
    );
    connection.execute_batch(&sql).expect("further files");
    connection.close().expect("closed");
}

fn timed(workspace: &Workspace, arguments: &[&str]) -> (Ran, f64) {
    let started = Instant::now();
    let ran = workspace.run(arguments);
    (ran, started.elapsed().as_secs_f64())
}

/// `just audit-2m` runs it.
#[test]
#[ignore = "minutes: `just audit-2m`"]
fn verify_takes_the_same_memory_for_millions_of_files_and_of_one_batch_as_long_as_a_batch_takes() {
    let most = scale(2_000_000);
    let mut peaks = Vec::new();
    for files in [most / 20, most] {
        let workspace = begun();
        further_files(&workspace, files);
        let (all, seconds) = timed(&workspace, &["verify"]);
        assert_eq!(all.exit, Some(0), "{}{}", all.stdout, all.stderr);
        let (one, one_seconds) = timed(&workspace, &["verify", "S0000007"]);
        assert_eq!(one.exit, Some(0), "{}{}", one.stdout, one.stderr);
        println!(
            "{files} files: all of it {seconds:.1} s, peak {} MB; one batch of {FILES} files {one_seconds:.2} s, peak {} MB",
            all.peak_kilobytes / 1000,
            one.peak_kilobytes / 1000
        );
        peaks.push(all.peak_kilobytes);
    }
    assert!(peaks[1] < 700_000, "peaks in kB: {peaks:?}");
}

/// Archives `count` further batches of the content of `B0`, without telling the warehouse.
fn further_documents(workspace: &Workspace, count: usize) {
    let folder = workspace.data().join("archive/account_repayment");
    let document = fs::read_to_string(folder.join("B0/revision-1.json")).expect("a document");
    let is_file = |path: &Path| path.extension().is_some_and(|of| of == "zst");
    let file = fs::read_dir(folder.join("B0")).expect("a folder");
    let file = file
        .map(|entry| entry.expect("an entry").path())
        .find(|path| is_file(path));
    let file = file.expect("a file");
    let bytes = fs::read(&file).expect("bytes");
    for number in 0..count {
        let number = format!("A{number:07}");
        let own = folder.join(&number);
        fs::create_dir(&own).expect("a folder");
        fs::write(own.join(file.file_name().expect("a name")), &bytes).expect("written");
        let of = document
            .replace("/B0/", &format!("/{number}/"))
            .replace("\"B0\"", &format!("\"{number}\""));
        fs::write(own.join("revision-1.json"), of).expect("written");
    }
}

/// `just archive-500k` runs it.
#[test]
#[ignore = "minutes: `just archive-500k`"]
fn a_run_takes_the_same_memory_and_time_beside_an_archive_of_hundreds_of_thousands() {
    let mut peaks = Vec::new();
    for (count, limit) in [(0, "0"), (scale(500_000), "0"), (scale(500_000), "1TB")] {
        let workspace = begun().set("ARCHIVE__MAX_BYTES", limit);
        further_documents(&workspace, count);
        // Or the runs wait until the disk has written all of them.
        let synced = std::process::Command::new("sync").status();
        assert!(synced.is_ok_and(|synced| synced.success()), "not synced");
        let runs = (1..=5).map(|number| {
            let started = Instant::now();
            let ran = load(&workspace, &format!("B{number}"));
            (started.elapsed().as_millis(), ran.peak_kilobytes)
        });
        let mut runs: Vec<(u128, u64)> = runs.collect();
        runs.sort_unstable();
        let (millis, peak) = runs[2];
        println!(
            "{count} archived files and documents, max_bytes {limit}: a run {millis} ms, peak {} MB",
            peak / 1000
        );
        peaks.push(peak);
        // The warehouse does not know them: looking at all of them takes minutes.
        workspace.damaged();
    }
    assert!(
        peaks.iter().all(|peak| *peak < peaks[0] * 12 / 10),
        "peaks in kB: {peaks:?}"
    );
}

/// Puts announcements of so many batches of a row from `first` on into the inbox, and loads them; `amount` makes
/// their content.
fn run_of(workspace: &Workspace, first: usize, batches: usize, amount: usize) -> f64 {
    for number in first..first + batches {
        let row = json!({"accountId": format!("6f1b3c1e-0f5b-4a53-9a87-{number:012}"), "displayId": "01",
            "type": 0, "currency": "USD", "cardNegative": "-3.00", "budgetNegative": 0, "cardSettleAmount": amount,
            "budgetSettleAmount": 0, "cardUnpaidAmount": "-4.0", "budgetUnpaidAmount": 0,
            "repayTime": 1_711_785_600_000_i64});
        let hook = json!({"batchNo": format!("N{number:05}"), "lastPage": true, "total": 1, "list": [row]});
        workspace.receive(
            &format!("{amount:010}{number:010}-n.json"),
            &hook.to_string(),
        );
    }
    let (ran, seconds) = timed(workspace, &["run"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    seconds
}

/// `just ledger-1m` runs it. Runs beside either ledger take turns; what a run costs whatever it loads is taken off.
#[test]
#[ignore = "minutes: `just ledger-1m`"]
fn a_batch_costs_the_engine_the_same_beside_a_ledger_of_a_million_files() {
    const BATCHES: usize = 100;
    const ROUNDS: usize = 7;
    let ledgers = [0, scale(1_000_000)].map(|files| {
        let workspace = begun();
        further_files(&workspace, files);
        run_of(&workspace, 0, 1, 1);
        workspace
    });
    let median = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        of[of.len() / 2]
    };
    let mut worst: f64 = 0.0;
    for (what, is_again) in [("new", false), ("issued again", true)] {
        let mut ratios = Vec::new();
        let mut costs = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // Batches issued again are the same each time, with other content.
            let (first, amount) = match is_again {
                false => (1 + round * (1 + BATCHES), 1),
                true => (1, 2 + round),
            };
            let each = [0, 1].map(|ledger| {
                let alone = run_of(&ledgers[ledger], first, 1, amount);
                let all = run_of(&ledgers[ledger], first + 1, BATCHES, amount);
                (all - alone) / (BATCHES - 1) as f64 * 1000.0
            });
            costs[0].push(each[0]);
            costs[1].push(each[1]);
            ratios.push(each[1] / each[0]);
        }
        println!("{what}: {ratios:.2?}");
        let ratio = median(ratios);
        let [without, with] = costs.map(median);
        println!(
            "{what}: {without:.1} ms a batch beside none, {with:.1} ms beside many, ratio {ratio:.2}"
        );
        worst = worst.max(ratio);
    }
    for ledger in ledgers {
        ledger.damaged();
    }
    assert!(worst <= 1.2, "{worst:.2}");
}
