//! Pages for people: was the night right, and what stands behind it. HTML that asks for nothing from anywhere, with charts
//! as SVG and no script; the same whether it is a file (`report`) or served (`ui`).

mod batch;
mod chart;
mod exposure;
mod figures;
mod file;
mod format;
mod night;
mod nights;
mod rejected;
mod sources;
mod style;
mod verdict;
mod words;

pub(crate) use self::{
    batch::BatchPage,
    file::FilePage,
    night::NightPage,
    sources::{Choice, Links, Sources},
    style::{MARK, policy},
    words::Lang,
};
