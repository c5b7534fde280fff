//! Commands for other programs' sake.

use clap::{Args, ValueEnum};

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
