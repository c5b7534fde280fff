//! Delivered cells, read a second time: by other code than that which loads them (`reader`, `normalize`, `scan`), so that
//! a fault of the one is seen by the other. It is slow and simple: a character at a time, values compared as text.

mod content;
mod csv;
mod list;
mod loaded;
mod record;
mod text;
mod value;

pub(crate) use self::{
    content::{Content, Kept},
    loaded::{LoadedRow, LoadedRows},
    record::Record,
    text::lines,
};
