//! All integration tests in one binary, so that the engine links once.

mod architecture;
mod demo;
mod downloads;
mod fault_stories;
mod ingest_sources;
mod looking;
mod stories;
mod support;
