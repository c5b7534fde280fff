//! How fast and in how much memory a CSV batch is loaded, beside what SQL alone can do.
//!
//! `just bench --rows 5M --runs 3`. Every contestant is a process of its own, so its peak memory is its
//! alone: `redledger ingest` as users run it, and the baselines as children of this program that use the
//! same linked engine with the same settings. All check the primary key and checkpoint, and the results of
//! all are compared before a figure counts. See `baselines.rs` for what each of them does.
#![allow(
    clippy::print_stdout,
    reason = "a program: its output is what it is for"
)]

mod baselines;
#[path = "../shared/data.rs"]
mod data;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/process.rs"]
mod process;
#[path = "../shared/spread.rs"]
mod spread;

use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand, ValueEnum};
use comfy_table::{Table, presets::ASCII_MARKDOWN};

use self::{baselines::Baseline, process::Measured, spread::Spread};

/// The same as redledger's, for the baselines that run in this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Compares `redledger ingest` with SQL that does the same.
#[derive(Debug, Parser)]
#[command(name = "ingest-bench")]
struct Arguments {
    /// Rows of the file, several with commas: 200k, 5M
    #[arg(long, default_value = "5M", value_delimiter = ',', value_parser = rows)]
    rows: Vec<u64>,
    /// Rounds; every contestant runs once in each
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only these contestants
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// Where generated files are kept [default: a folder of the build's target directory]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// One baseline, in this process
    #[command(hide = true)]
    Baseline {
        baseline: Baseline,
        csv: PathBuf,
        database: PathBuf,
    },
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Contestant {
    /// `redledger ingest` without its archive, which no rival keeps either.
    Redledger,
    /// `redledger ingest`, default settings: it keeps the file, compressed, while it loads it.
    RedledgerArchiving,
    /// (a) One INSERT … SELECT from read_csv with equal validation and lineage.
    OnePass,
    /// (a) without line numbers, which SQL can only count on one thread.
    OnePassWithoutLines,
    /// (b) All text into a staging table first.
    Staging,
    /// (b) without line numbers.
    StagingWithoutLines,
    /// (c) The same typed rows inserted from memory; only that is timed.
    Floor,
}

impl Contestant {
    fn baseline(self) -> Option<Baseline> {
        match self {
            Self::Redledger | Self::RedledgerArchiving => None,
            Self::OnePass => Some(Baseline::OnePass),
            Self::OnePassWithoutLines => Some(Baseline::OnePassWithoutLines),
            Self::Staging => Some(Baseline::Staging),
            Self::StagingWithoutLines => Some(Baseline::StagingWithoutLines),
            Self::Floor => Some(Baseline::Floor),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Redledger => "redledger ingest, no archive",
            Self::RedledgerArchiving => "redledger ingest",
            Self::OnePass => "(a) one-pass SQL",
            Self::OnePassWithoutLines => "(a') the same, no line numbers",
            Self::Staging => "(b) staging table SQL",
            Self::StagingWithoutLines => "(b') the same, no line numbers",
            Self::Floor => "(c) typed rows from memory",
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Child::Baseline {
        baseline,
        csv,
        database,
    }) = &arguments.child
    {
        return baselines::run(*baseline, csv, database);
    }
    if !arguments.bench {
        println!("run it with `just bench` or `cargo bench --bench ingest`");
        return Ok(());
    }
    let folder = arguments
        .data
        .clone()
        .unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ingest-bench"));
    std::fs::create_dir_all(&folder)?;
    println!("{}", machine::facts());
    for rows in &arguments.rows {
        compare(&arguments, &folder, *rows)?;
    }
    Ok(())
}

fn compare(arguments: &Arguments, folder: &Path, rows: u64) -> Result<()> {
    let csv = data::provide(folder, rows)?;
    let bytes = std::fs::metadata(&csv)?.len();
    println!("\n{rows} rows, {:.0} MB", bytes as f64 / 1e6);
    let contestants: Vec<Contestant> = Contestant::value_variants()
        .iter()
        .copied()
        .filter(|contestant| arguments.only.is_empty() || arguments.only.contains(contestant))
        .collect();
    let mut results: BTreeMap<Contestant, Vec<Measured>> = BTreeMap::new();
    let mut expected = None;
    for round in 0..arguments.runs {
        for contestant in &contestants {
            let measured = run(*contestant, &csv, folder)?;
            println!(
                "round {}: {:32} {:6.2} s  {:6.2} s of processors  {:5.0} MB  load average {}",
                round + 1,
                contestant.label(),
                measured.seconds,
                measured.processor_seconds,
                measured.peak_bytes as f64 / 1e6,
                machine::load_average()
            );
            let known = expected.get_or_insert_with(|| measured.contents.clone());
            if *known != measured.contents {
                return Err(format!(
                    "{} loaded something else: {} instead of {known}",
                    contestant.label(),
                    measured.contents
                )
                .into());
            }
            results.entry(*contestant).or_default().push(measured);
        }
    }
    println!("\n{}", table(&results, rows));
    Ok(())
}

/// Runs one contestant in a fresh folder.
fn run(contestant: Contestant, csv: &Path, folder: &Path) -> Result<Measured> {
    let work = tempfile::tempdir_in(folder)?;
    let database = work.path().join("warehouse.duckdb");
    let archiving = contestant == Contestant::RedledgerArchiving;
    let measured = match contestant.baseline() {
        None => process::measure(
            std::process::Command::new(env!("CARGO_BIN_EXE_redledger"))
                .env("REDLEDGER_ARCHIVE__KEEP", archiving.to_string())
                .args(["--data-dir".as_ref(), work.path()])
                .arg("ingest")
                .arg(csv)
                .args(["--dataset", "account_negative", "--batch-no", "BENCH"]),
        )?,
        Some(baseline) => process::measure(
            std::process::Command::new(std::env::current_exe()?)
                .args(["baseline", baseline.name()])
                .args([csv, &database]),
        )?,
    };
    Ok(Measured {
        contents: baselines::contents(&database)?,
        ..measured
    })
}

fn table(results: &BTreeMap<Contestant, Vec<Measured>>, rows: u64) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([
        "",
        "seconds",
        "min to max",
        "rows/s",
        "time / redledger's",
        "min to max",
        "processor s",
        "ratio",
        "peak RSS MB",
    ]);
    let ours = results.get(&Contestant::Redledger);
    for (contestant, runs) in results {
        let seconds = Spread::of(runs.iter().map(|run| run.seconds));
        let peak = Spread::of(runs.iter().map(|run| run.peak_bytes as f64 / 1e6));
        // Round by round: what else the machine does hits neighbors alike.
        let ratio = ours.map(|ours| {
            let rounds = runs.iter().zip(ours);
            Spread::of(rounds.map(|(run, ours)| run.seconds / ours.seconds))
        });
        let processor = Spread::of(runs.iter().map(|run| run.processor_seconds));
        let processor_ratio = ours.map(|ours| {
            let rounds = runs.iter().zip(ours);
            Spread::of(rounds.map(|(run, ours)| run.processor_seconds / ours.processor_seconds))
        });
        let memory = match contestant {
            Contestant::Floor => "(holds the rows)".to_owned(),
            _ => format!("{:.0} ({:.0} to {:.0})", peak.median, peak.min, peak.max),
        };
        table.add_row([
            contestant.label().to_owned(),
            format!("{:.2}", seconds.median),
            format!("{:.2} to {:.2}", seconds.min, seconds.max),
            format!("{:.2} M", rows as f64 / seconds.median / 1e6),
            ratio
                .as_ref()
                .map_or_else(String::new, |ratio| format!("{:.2}", ratio.median)),
            ratio.as_ref().map_or_else(String::new, |ratio| {
                format!("{:.2} to {:.2}", ratio.min, ratio.max)
            }),
            format!("{:.2}", processor.median),
            processor_ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median)),
            memory,
        ]);
    }
    table
}

/// `200k` or `5M`.
fn rows(text: &str) -> std::result::Result<u64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    digits
        .parse::<u64>()
        .map(|number| number * factor)
        .map_err(|error| format!("{text}: {error}"))
}
