//! Commands for those who would rather look at a page.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::Listen;

/// `redledger report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The file to write; an earlier report is replaced, anything else is not
    #[arg(long, value_name = "FILE.html")]
    pub out: PathBuf,
    /// Only this batch, whole
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
    /// The batch's dataset, where several have its number
    #[arg(long, value_name = "NAME", requires = "batch")]
    pub dataset: Option<String>,
    /// How the page is.
    #[command(flatten)]
    pub page: PageOptions,
}

/// `redledger ui`.
#[derive(Debug, Args)]
pub struct Ui {
    /// Address of this machine and port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    pub listen: Listen,
    /// How pages are.
    #[command(flatten)]
    pub page: PageOptions,
}

/// How pages are.
#[derive(Debug, Clone, Copy, Args)]
pub struct PageOptions {
    /// Language: en or zh
    #[arg(
        long,
        value_name = "LANG",
        default_value = "en",
        hide_possible_values = true
    )]
    pub lang: Language,
    /// How many days back, today included
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3660))]
    pub days: u16,
    /// Leave out what was delivered in rejected rows
    #[arg(long)]
    pub no_records: bool,
}

/// A language of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}
