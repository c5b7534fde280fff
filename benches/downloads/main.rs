//! What the network costs: one large file over loopback beside the same file from disk, and many small ones.
//!
//! `just bench-downloads`. A real nginx serves the files on the processors that redledger uses too. Every
//! round runs each contestant once, and ratios are taken round by round.
#![allow(
    clippy::print_stdout,
    reason = "a program: its output is what it is for"
)]

#[path = "../shared/data.rs"]
mod data;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/process.rs"]
#[allow(dead_code, reason = "no part of this program is timed by itself")]
mod process;
mod server;
#[path = "../shared/spread.rs"]
mod spread;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;
use comfy_table::{Table, presets::ASCII_MARKDOWN};

use self::{process::Measured, server::Server, spread::Spread};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows of a bill's file.
const LINES: usize = 5;

/// Compares downloads with files on disk.
#[derive(Debug, Parser)]
#[command(name = "downloads-bench")]
struct Arguments {
    /// Rows of the large file, in millions; 0 leaves it out
    #[arg(long, default_value_t = 5)]
    millions: u64,
    /// Small files, each named by a bill; 0 leaves them out
    #[arg(long, default_value_t = 10_000)]
    bills: usize,
    /// Rounds; every contestant runs once in each
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where generated files are kept [default: a folder of the build's target directory]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// One way to get the same rows.
struct Contestant {
    label: &'static str,
    archive: bool,
    arguments: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("run it with `just bench-downloads` or `cargo bench --bench downloads`");
        return Ok(());
    }
    let folder = arguments
        .data
        .unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ingest-bench"));
    fs::create_dir_all(&folder)?;
    println!("{}", machine::facts());
    let work = tempfile::tempdir_in(&folder)?;
    let server = Server::start(&folder, work.path())?;
    if arguments.millions > 0 {
        let csv = data::provide(&folder, arguments.millions * 1_000_000)?;
        one_large_file(&server, &csv, &folder, arguments.runs)?;
    }
    if arguments.bills > 0 {
        many_small_files(&server, arguments.bills, &folder, arguments.runs)?;
    }
    Ok(())
}

fn one_large_file(server: &Server, csv: &Path, folder: &Path, runs: usize) -> Result<()> {
    let bytes = fs::metadata(csv)?.len();
    println!("\none file of {:.0} MB", bytes as f64 / 1e6);
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    let ingest = |source: String| {
        let arguments = ["ingest", &source, "--dataset", "account_negative"];
        let arguments = arguments.into_iter().chain(["--batch-no", "BENCH"]);
        arguments.map(str::to_owned).collect()
    };
    let contestants = [
        Contestant {
            label: "from disk",
            archive: true,
            arguments: ingest(csv.display().to_string()),
        },
        Contestant {
            label: "over loopback",
            archive: true,
            arguments: ingest(server.url(&name)),
        },
    ];
    let results = compare(&contestants, folder, runs, "account_negative")?;
    println!(
        "\n{}",
        table(&contestants, &results, "MB/s", bytes as f64 / 1e6)
    );
    Ok(())
}

fn many_small_files(server: &Server, bills: usize, folder: &Path, runs: usize) -> Result<()> {
    println!("\n{bills} files of {LINES} rows");
    let named = format!("bills-{bills}");
    let files = folder.join(&named);
    fs::create_dir_all(&files)?;
    let mut text = String::from("accountId,displayId,createTime,total,negativeUrl\n");
    for bill in 0..bills {
        let mut lines = String::from("merchant,amount,currency\n");
        for line in 0..LINES {
            writeln!(lines, "shop {line} of {bill},{bill}.{line}0,USD")?;
        }
        fs::write(files.join(format!("{bill}.csv")), lines)?;
        writeln!(
            text,
            "00000000-0000-4000-8000-{bill:012},{bill:06},1774888560000,{LINES},{}",
            server.url(&format!("{named}/{bill}.csv"))
        )?;
    }
    fs::write(files.join("bills.csv"), text)?;
    let hook = files.join("hook.json");
    let url = server.url(&format!("{named}/bills.csv"));
    fs::write(
        &hook,
        format!(r#"{{"batchNo": "BENCH", "total": {bills}, "fileUrl": "{url}"}}"#),
    )?;
    let contestant = |label, archive| Contestant {
        label,
        archive,
        arguments: vec!["ingest".into(), hook.display().to_string()],
    };
    let contestants = [
        contestant("redledger ingest", true),
        contestant("redledger ingest, no archive", false),
    ];
    let results = compare(&contestants, folder, runs, "account_negative_bill_line")?;
    println!(
        "\n{}",
        table(&contestants, &results, "files/s", bills as f64)
    );
    Ok(())
}

fn compare(
    contestants: &[Contestant],
    folder: &Path,
    runs: usize,
    dataset: &str,
) -> Result<BTreeMap<usize, Vec<Measured>>> {
    let mut results: BTreeMap<usize, Vec<Measured>> = BTreeMap::new();
    let mut expected: Option<String> = None;
    // Removed at the end only: ext4 without a journal is slow to give out the inodes of files that were
    // removed in the last half minute, which the next round would pay for.
    let mut used = Vec::new();
    for round in 1..=runs {
        for (index, contestant) in contestants.iter().enumerate() {
            let data_dir = tempfile::tempdir_in(folder)?;
            let measured = run(contestant, data_dir.path(), dataset)?;
            used.push(data_dir);
            println!(
                "round {round}: {:32} {:6.2} s  {:6.2} s of processors  {:5.0} MB  load average {}",
                contestant.label,
                measured.seconds,
                measured.processor_seconds,
                measured.peak_bytes as f64 / 1e6,
                machine::load_average()
            );
            let known = expected.get_or_insert_with(|| measured.contents.clone());
            if *known != measured.contents {
                let found = &measured.contents;
                return Err(
                    format!("{} loaded {found} instead of {known}", contestant.label).into(),
                );
            }
            results.entry(index).or_default().push(measured);
        }
    }
    Ok(results)
}

fn run(contestant: &Contestant, data_dir: &Path, dataset: &str) -> Result<Measured> {
    let measured = process::measure(
        Command::new(env!("CARGO_BIN_EXE_redledger"))
            .env("REDLEDGER_ARCHIVE__KEEP", contestant.archive.to_string())
            .env("REDLEDGER_DOWNLOAD__ALLOW_HTTP", "true")
            .env("REDLEDGER_DOWNLOAD__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#)
            .env("REDLEDGER_DOWNLOAD__PER_HOST", "16")
            .args(["--data-dir".as_ref(), data_dir])
            .args(&contestant.arguments),
    )?;
    let warehouse = duckdb::Connection::open(data_dir.join("warehouse.duckdb"))?;
    let contents = warehouse.query_row(
        &format!(
            "SELECT concat(count(*), ' rows, ', sum(hash(COLUMNS(* EXCLUDE (file_id))::VARCHAR))) FROM {dataset}"
        ),
        [],
        |row| row.get(0),
    )?;
    Ok(Measured {
        contents,
        ..measured
    })
}

fn table(
    contestants: &[Contestant],
    results: &BTreeMap<usize, Vec<Measured>>,
    unit: &str,
    amount: f64,
) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([
        "",
        "seconds",
        "min to max",
        unit,
        "time / first line's",
        "min to max",
        "processor s",
        "peak RSS MB",
    ]);
    let Some(first) = results.get(&0) else {
        return table;
    };
    for (index, runs) in results {
        let seconds = Spread::of(runs.iter().map(|run| run.seconds));
        let rounds = runs.iter().zip(first);
        let ratio = Spread::of(rounds.map(|(run, first)| run.seconds / first.seconds));
        let processor = Spread::of(runs.iter().map(|run| run.processor_seconds));
        let peak = Spread::of(runs.iter().map(|run| run.peak_bytes as f64 / 1e6));
        table.add_row([
            contestants
                .get(*index)
                .map_or_else(String::new, |contestant| contestant.label.to_owned()),
            format!("{:.2}", seconds.median),
            format!("{:.2} to {:.2}", seconds.min, seconds.max),
            format!("{:.0}", amount / seconds.median),
            format!("{:.2}", ratio.median),
            format!("{:.2} to {:.2}", ratio.min, ratio.max),
            format!("{:.2}", processor.median),
            format!("{:.0} ({:.0} to {:.0})", peak.median, peak.min, peak.max),
        ]);
    }
    table
}
