//! What integration tests share.

pub(crate) mod certificate;
pub(crate) mod checkout;
pub(crate) mod pace;
pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod receiver;
pub(crate) mod server;
mod skipped;
pub(crate) mod small_disk;

pub(crate) use skipped::skipped;
