//! The ledger against itself, the tables and the archive: what `redledger verify` does.
//!
//! Every question is SQL over the whole ledger that returns only what differs, so memory stays flat however large it
//! is: what does not fit spills into a folder of its own. What SQL can't say (the hash of a batch's list of hashes, the
//! archive's files) is read batch by batch, see `content`.
//!
//! Nothing is written and no lock is taken: the published file is what it is, whatever a run does meanwhile.

mod cells;
mod content;
mod controls;
mod figures;
mod findings;
mod presence;
mod questions;
mod rows;
mod tables;

pub use self::{
    findings::{Audited, Compared, Finding, Kept, Options, Pick, Place, Scope},
    presence::check_nothing_loaded,
    questions::Watch,
};
use self::{questions::Audit, tables::Tables};
use crate::{
    archive::Archive, config::Config, contract::Contracts, error::Result, load, warehouse,
};

/// Counts everything in `scope` again and compares it with the ledger; `None` when there is no warehouse, or nothing in
/// it. `options` say what is read beside it.
///
/// # Errors
/// As [`warehouse::open_auditing`]; [`Error::Usage`] for batches that the ledger does not have; [`Error::Database`] when
/// the engine fails, or has no room to spill; [`Error::Io`] when a folder can't be read.
pub fn audit(
    config: &Config,
    contracts: &Contracts,
    scope: &Scope<'_>,
    options: Options,
    watch: &mut dyn Watch,
) -> Result<Option<Audited>> {
    let Some(opened) = warehouse::open_auditing(&config.warehouse_path(), &config.load)? else {
        return Ok(None);
    };
    let mut audit = Audit {
        connection: &opened.connection,
        contracts,
        scope,
        audited: Audited::default(),
    };
    let tables = Tables::prepare(&mut audit, watch)?;
    watch.step("comparing the ledger's figures");
    audit.ledger()?;
    audit.table_rows()?;
    audit.all_controls(&tables)?;
    if scope.is_everything() {
        watch.step("reading every cell");
        load::read_all(&opened.connection)?;
    }
    let archive = Archive::new(&config.data_dir);
    let read = options.archive.then_some(&archive);
    let of_archive = audit.content(read, config.archive.keep_current, watch)?;
    if options.cells {
        audit.cells(&archive, watch)?;
    }
    let mut audited = audit.audited;
    audited.findings.sort_by(|a, b| {
        (&a.dataset, &a.batch_no, a.revision).cmp(&(&b.dataset, &b.batch_no, b.revision))
    });
    audited.findings.extend(of_archive);
    Ok(Some(audited))
}
