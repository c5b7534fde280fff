//! Where a row came from: the row, the bytes it was delivered in, the file, the announcement, the batch's history, and
//! whether all of it still agrees. Nothing is written.

mod announced;
mod checks;
mod facts;
mod find;
mod row;

pub(crate) use self::{
    announced::Announced,
    checks::Check,
    facts::RowIs,
    find::{Found, find},
    row::Trace,
};
