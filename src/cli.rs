//! The command line: types only; [`help`] has what is said about them.

mod command;
mod feeds;
mod help;
mod lineage;
mod pages;
mod point_in_time;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use self::point_in_time::point_in_time;
pub use self::{
    command::command,
    feeds::{Dictionary, DictionaryFormat, Export, ExportFormat},
    lineage::LineageTarget,
    pages::{Language, PageOptions, Report, Ui},
};
use crate::config::{Listen, parse_duration};

/// Loads numbered batches of card negative balances into a DuckDB warehouse, exactly or not at all.
#[derive(Debug, Parser)]
#[command(name = "redledger", version, propagate_version = true, after_help = help::PROGRAM)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Settings file [default: ./redledger.toml when there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything lives [default: ./data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How logs are written to stderr: text or json
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
    /// Say more (repeat for more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say less: errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// No progress bars, not even on a terminal
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the shipped examples on loopback, ingest them, show what was loaded
    #[command(after_help = help::DEMO)]
    Demo(Demo),
    /// Load announced batches, or a CSV as one
    #[command(after_help = help::INGEST)]
    Ingest(Ingest),
    /// Load what waits in the inbox: the scheduled job
    #[command(after_help = help::RUN)]
    Run(Run),
    /// Close what is not to be loaded, until it is announced anew
    #[command(after_help = help::DISMISS)]
    Dismiss(Dismiss),
    /// Publish the warehouse before the last run again; twice: nothing has changed
    #[command(after_help = help::ROLLBACK)]
    Rollback(Rollback),
    /// Receive announcements into the inbox
    #[command(after_help = help::SERVE)]
    Serve(Serve),
    /// Load batches again by number: from the archive, or from where they came
    #[command(after_help = help::BACKFILL)]
    Backfill(Backfill),
    /// Look after delivered files
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Show what is loaded, waiting or failed
    #[command(after_help = help::STATUS)]
    Status(Status),
    /// Show rows that were not loaded, and why
    #[command(after_help = help::REJECTIONS)]
    Rejections(Rejections),
    /// Count everything again: the tables and the archive against the ledger
    #[command(after_help = help::VERIFY)]
    Verify(Verify),
    /// Show where a row came from, and whether all of it still agrees
    #[command(after_help = help::TRACE)]
    Trace(Trace),
    /// Write a page: was the night right, and what stands behind it
    #[command(after_help = help::REPORT)]
    Report(Report),
    /// Show the same pages in a browser on this machine, with the lines of files
    #[command(after_help = help::UI)]
    Ui(Ui),
    /// Print what tables and columns mean, for people or for other programs
    #[command(after_help = help::DICTIONARY)]
    Dictionary(Dictionary),
    /// Write a dataset's rows to a file, for other programs
    #[command(after_help = help::EXPORT)]
    Export(Export),
    /// Look at contracts
    #[command(subcommand)]
    Datasets(Datasets),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a shell's completion script
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// Which shell's
        shell: clap_complete::Shell,
    },
    /// Print the manual page (troff), of one subcommand or of all
    #[command(after_help = help::MAN)]
    Man {
        /// Which, such as `status` or `datasets infer`; none: the program's own page
        #[arg(value_name = "SUBCOMMAND")]
        subcommand: Vec<String>,
    },
}

/// Options of commands that load.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// How long to wait for another run to end
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub lock_wait: Duration,
    /// How the result is written to stdout: table (or text), json (one object) or csv
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub format: Format,
}

/// How a result looks, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[value(alias = "text")]
    Table,
    /// One object of a command that does something, an array of objects of one that reads.
    Json,
    /// RFC 4180: the rows alone.
    Csv,
}

/// Options of commands that read.
#[derive(Debug, Clone, Copy, Args)]
pub struct ReadOptions {
    /// How the result is written to stdout: table (or text), json or csv
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub format: Format,
}

/// `redledger demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Play thirty nights instead, with failures, a revision and datasets that are late
    #[arg(long)]
    pub month: bool,
    /// Options of commands that load.
    #[command(flatten)]
    pub load: LoadOptions,
}

/// `redledger ingest`.
#[derive(Debug, Args)]
pub struct Ingest {
    /// Announcements: a JSON file, a folder of them, `-` for stdin, an http(s) URL; or CSV files (a folder: *.csv) with --dataset and --batch-no
    #[arg(required_unless_present = "batch_no", value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub sources: Vec<OsString>,
    /// The dataset, where the announcement's type or the columns don't tell
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// The batch number of CSV files; without SOURCE, the batch to ask the provider for
    #[arg(long, value_name = "BATCH")]
    pub batch_no: Option<String>,
    /// Options of commands that load.
    #[command(flatten)]
    pub load: LoadOptions,
}

/// `redledger run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Load at most so many batches
    #[arg(long, value_name = "N")]
    pub max_batches: Option<usize>,
    /// Stop after so long; a batch that is cut off goes last in the next run
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub deadline: Option<Duration>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Exit with 1 when a dataset is late (see [expected_every] in the settings)
    #[arg(long)]
    pub strict: bool,
    /// Write the run's figures for Prometheus' textfile collector; one that can't be written changes nothing else
    #[arg(long, value_name = "FILE.prom")]
    pub metrics: Option<PathBuf>,
    /// Tell of the run and its batches as OpenLineage events: lines of a file, or a POST to a server each; what can't be
    /// told changes nothing else
    #[arg(long, value_name = "FILE|URL", value_hint = ValueHint::AnyPath)]
    pub lineage: Option<LineageTarget>,
    /// Options of commands that load.
    #[command(flatten)]
    pub load: LoadOptions,
}

/// `redledger dismiss`.
#[derive(Debug, Args)]
pub struct Dismiss {
    /// Numbers of batches that have failed, expired or wait
    #[arg(value_name = "BATCH", required = true)]
    pub batches: Vec<String>,
    /// The reason, for whoever looks at the ledger later
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Only of this dataset
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Options of commands that load.
    #[command(flatten)]
    pub load: LoadOptions,
}

/// `redledger rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Say what would be published, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What a child process is asked: whether this warehouse can be looked at and one survives it
    #[arg(long, value_name = "FILE", hide = true)]
    pub look_at: Option<PathBuf>,
    /// Options of commands that load.
    #[command(flatten)]
    pub load: LoadOptions,
}

/// `redledger backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// Batch numbers, globs (`BATCH_202603*`, `*`) and ranges (`BATCH_20260301..BATCH_20260331`: up to every number that begins with the second)
    #[arg(value_name = "BATCH", required_unless_present = "from_file")]
    pub batches: Vec<String>,
    /// A file with such a number, glob or range a line; `#` starts a comment
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// Only of this dataset
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Only announced at or after this time, such as 2026-03-01 or 2026-03-01T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub since: Option<jiff::Timestamp>,
    /// Only announced before this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub until: Option<jiff::Timestamp>,
    /// Not from the archive: by the stored announcement's link, then from the provider
    #[arg(long)]
    pub refetch: bool,
    /// Read the archive of another data directory
    #[arg(long, value_name = "DIR", conflicts_with = "refetch")]
    pub from_data_dir: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Options of commands that load.
    #[command(flatten)]
    pub load: LoadOptions,
}

/// `redledger archive …`.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Read every kept file and compare it with its hash
    Verify(ReadOptions),
    /// Remove what `[archive]` lets go
    Prune {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// `redledger serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address or name, and port, to listen on, such as localhost:8080 [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<Listen>,
}

/// `redledger status`.
#[derive(Debug, Args)]
pub struct Status {
    /// One batch, with its history, files and controls
    #[arg(value_name = "BATCH")]
    pub batch: Option<String>,
    /// Only this dataset
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Exit with 1 when a dataset is late (see [expected_every] in the settings)
    #[arg(long, conflicts_with = "batch")]
    pub strict: bool,
    /// Options of commands that read.
    #[command(flatten)]
    pub read: ReadOptions,
}

/// `redledger rejections`.
#[derive(Debug, Args)]
pub struct Rejections {
    /// Only of this batch
    #[arg(value_name = "BATCH")]
    pub batch: Option<String>,
    /// Only of this dataset
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Only with this code, such as excess-scale
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
    /// Most rows to show
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    pub limit: u64,
    /// Options of commands that read.
    #[command(flatten)]
    pub read: ReadOptions,
}

/// `redledger verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Only these batches: numbers, globs (`BATCH_202603*`) and ranges (`BATCH_20260301..BATCH_20260331`: up to every number that begins with the second)
    #[arg(value_name = "BATCH")]
    pub batches: Vec<String>,
    /// Only this dataset
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Only the warehouse: leave out reading every delivered file again
    #[arg(long)]
    pub no_archive: bool,
    /// Compare every loaded cell with the delivered bytes, which are read by other code than that which loads them
    #[arg(long, conflicts_with = "no_archive")]
    pub cells: bool,
    /// Options of commands that read.
    #[command(flatten)]
    pub read: ReadOptions,
}

/// `redledger trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// A line of a file, FILE_ID:LINE as rows have them; or a dataset, with --account
    #[arg(value_name = "FILE_ID:LINE|DATASET")]
    pub what: String,
    /// The account whose rows are looked for: a value of a column whose name ends in id
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Only rows of this batch
    #[arg(long, value_name = "BATCH", requires = "account")]
    pub batch: Option<String>,
    /// Options of commands that read.
    #[command(flatten)]
    pub read: ReadOptions,
}

/// `redledger datasets …`.
#[derive(Debug, Subcommand)]
pub enum Datasets {
    /// List the datasets
    List(ReadOptions),
    /// Show a dataset's contract
    Show {
        /// Which.
        name: String,
        /// Options of commands that read.
        #[command(flatten)]
        read: ReadOptions,
    },
    /// Check contract files, or those in force
    Check {
        /// Contract files; none: the shipped ones and those of datasets_dir
        files: Vec<PathBuf>,
    },
    /// Propose a contract from all rows of a sample
    #[command(after_help = help::INFER)]
    Infer {
        /// CSV files with the same columns, `-` for stdin, a pipe such as `<(zcat rows.csv.gz)`
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The dataset's name [default: the file's]
        #[arg(long)]
        name: Option<String>,
    },
}

/// `redledger config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the settings and the contracts
    #[command(after_help = help::CHECK)]
    Check,
    /// Show the settings in force
    Show {
        /// How they are written to stdout: toml (or table, text), json or csv
        #[arg(
            long,
            value_name = "FORMAT",
            default_value = "toml",
            hide_possible_values = true
        )]
        format: SettingsFormat,
    },
}

/// How the settings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SettingsFormat {
    /// As a settings file.
    #[value(alias = "table", alias = "text")]
    Toml,
    /// One JSON object.
    Json,
    /// A setting a row.
    Csv,
}
