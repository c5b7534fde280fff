//! Commands for other programs' sake.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::point_in_time::point_in_time;

/// `redledger dictionary`.
#[derive(Debug, Args)]
pub struct Dictionary {
    /// Only these datasets, without the ledger
    #[arg(value_name = "DATASET")]
    pub datasets: Vec<String>,
    /// md: a page; dbt: sources.yml with tests and freshness; frictionless: datapackage.json for what `export` writes as CSV
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "md",
        hide_possible_values = true
    )]
    pub format: DictionaryFormat,
}

/// How a dictionary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DictionaryFormat {
    /// A page of Markdown.
    #[value(alias = "markdown")]
    Md,
    /// Sources of dbt.
    Dbt,
    /// A Frictionless Data Package.
    Frictionless,
}

/// `redledger export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Which dataset's rows
    #[arg(value_name = "DATASET")]
    pub dataset: String,
    /// The file to write; one that is there is never replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How: csv, parquet or xlsx
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "csv",
        hide_possible_values = true
    )]
    pub format: ExportFormat,
    /// Only this batch
    #[arg(long, value_name = "BATCH", conflicts_with = "since")]
    pub batch: Option<String>,
    /// Only batches accepted at or after this time, such as 2026-03-30T06:00:00Z, and those that a rollback has put back
    /// since
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub since: Option<jiff::Timestamp>,
    /// Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay numbers
    #[arg(long)]
    pub for_spreadsheets: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// RFC 4180.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// A workbook of Excel.
    Xlsx,
}
