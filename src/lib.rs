//! redledger
pub mod batch_no;
pub mod cli;
pub mod commands;
pub mod config;
pub mod contract;
pub mod error;
pub mod hook;
pub mod ledger;
pub mod load;
pub mod normalize;
pub mod pipeline;
pub mod publish;
pub mod reader;
pub mod rejection;
pub mod scan;
pub mod source;
pub mod source_url;
mod toml_file;
