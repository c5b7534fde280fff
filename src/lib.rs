//! redledger loads numbered batches of card negative balances into a DuckDB warehouse, exactly or not at all.
//!
//! # A row's journey
//!
//! ```text
//! announcement ──► Batch ──► SourceFile(s) ──► byte stream ──► records ──► checked, normalised rows ──► DuckDB
//!   [hook]                    [source]                          [reader]    [scan], on DuckDB's own       [load]: one
//!                             guarded, retried, resumed,        csv-async   threads, straight into        transaction
//!                             verified                                      its vectors ([normalize])     a batch
//!                                                                              └── rejections ──► same transaction
//! ```
//!
//! [`pipeline`] is the one place that knows this order; [`warehouse`] replaces the file that analysts open,
//! once a run; [`commands`] is what people type.
//!
//! # What always holds
//!
//! - **A batch is one transaction.** All of its rows, its rejections and its ledger entry are there, or
//!   none of them is.
//! - **Nothing is dropped.** For every file, rows read = rows loaded + rows rejected; the ledger is checked
//!   against a recount in SQL before the commit.
//! - **Nothing is rounded.** An amount is text until it is an exact integer in units of its column's scale.
//!   What does not fit is rejected.
//! - **Nobody writes to the file that is read.** A run works on a copy and renames it over.
//! - **What comes from outside is hostile**, the URL first; what is secret is never printed or stored.
//!
//! Bad data is a value ([`rejection::Rejection`]); broken machinery is an error ([`error::Error`]).

pub mod archive;
pub mod audit;
pub mod batch;
pub mod batch_no;
mod cells;
pub mod characters;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod contract;
pub mod data_dir;
mod demo;
mod dictionary;
mod durable;
pub mod error;
mod export;
pub mod feed;
pub mod history;
pub mod hook;
pub mod inbox;
mod infer;
pub mod ledger;
pub mod load;
pub mod normalize;
mod page;
pub mod pipeline;
pub mod provider;
pub mod reader;
pub mod rejection;
mod run;
pub mod scan;
mod selection;
pub mod signature;
pub mod source;
pub mod source_url;
pub mod stop;
pub mod terminal;
mod toml_file;
mod trace;
mod views;
pub mod warehouse;
mod wording;
