//! All integration tests in one binary, so that the engine links once.

mod architecture;
mod downloads;
mod fault_stories;
mod stories;
mod support;
