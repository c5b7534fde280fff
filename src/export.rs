//! Rows of a dataset as a file for other programs: which batches, and how their cells are written.

mod choice;
mod column;
mod copy;
mod csv;
mod parquet;
mod xlsx;

pub(crate) use self::{
    choice::{Choice, Obsolete, Wanted},
    copy::{Copy, Format},
};
