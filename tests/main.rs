//! All integration tests in one binary, so that the engine links once.

mod architecture;
mod downloads;
mod looking;
mod stories;
mod support;
