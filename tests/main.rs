//! All integration tests in one binary, so that the engine links once.
// What was skipped, which seed failed: tests say it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod architecture;
mod auditing;
mod backfill;
mod command_line;
mod crash;
mod demo;
mod docs;
mod downloads;
mod fault_stories;
mod feeds;
mod fidelity;
mod frozen;
mod fuzzing;
mod history;
mod ingest_sources;
mod leftovers;
mod looking;
mod lost;
mod night;
mod pages;
mod publication;
mod publishing;
mod ranges;
mod readers;
mod rollback;
mod scale;
mod signals;
mod stories;
mod support;
mod verify;
mod views;
mod wide;
mod writers;
