//! What tables and columns mean, for people and for other programs: told by the contracts and the ledger's own tables.

mod dataset;
mod dbt;
mod frictionless;
mod markdown;
mod yaml;

pub(crate) use self::{
    dataset::Dataset,
    dbt::{Expected, sources},
    frictionless::package,
    markdown::page,
};
