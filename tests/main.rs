//! All integration tests in one binary, so that the engine links once.

mod downloads;
mod ingest_sources;
mod stories;
mod support;
