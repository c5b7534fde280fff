//! All integration tests in one binary, so that the engine links once.

mod downloads;
mod stories;
mod support;
