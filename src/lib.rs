//! redledger
pub mod batch_no;
pub mod config;
pub mod contract;
pub mod error;
pub mod rejection;
pub mod source;
pub mod source_url;
mod toml_file;
