//! What of the archive the settings let go.

use std::{collections::HashSet, path::PathBuf, time::SystemTime};

use super::survived;
use crate::{
    archive::{Archive, Loaded, Removed, Retention},
    batch_no::BatchNo,
    config::Config,
    error::Result,
    ledger, warehouse,
};

/// Removes what has become due by the settings, see [`Archive::tidy`]. The caller holds the lock, and has no warehouse
/// open.
///
/// # Errors
/// Those of [`Archive::tidy`], and what keeps a warehouse from being read: nothing is removed then.
pub(crate) fn clear(config: &Config) -> Result<Removed> {
    let archive = Archive::new(&config.data_dir);
    archive.tidy(limits(config), SystemTime::now(), |batches| {
        let mut loaded = HashSet::new();
        for path in warehouses(config) {
            survived::survives(&path)?;
            if let Some(connection) = warehouse::open_reading(&path)? {
                loaded.extend(ledger::loaded_among(&connection, batches)?);
            }
        }
        Ok(loaded)
    })
}

pub(crate) fn limits(config: &Config) -> Retention {
    Retention {
        max_age: config.archive.max_age,
        max_bytes: (config.archive.max_bytes.0 > 0).then_some(config.archive.max_bytes.0),
        keep_current: config.archive.keep_current,
    }
}

/// The published warehouse, and the one that a rollback would publish.
fn warehouses(config: &Config) -> [PathBuf; 2] {
    let live = config.warehouse_path();
    let previous = warehouse::previous_of(&live);
    [live, previous]
}

/// What they have loaded.
pub(crate) fn loaded(config: &Config) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for path in warehouses(config) {
        let batches = survived::survived(&path)?.map(|contents| contents.batches);
        loaded
            .revisions
            .extend(batches.into_iter().flatten().filter_map(|batch| {
                // What is no number has no folder in the archive.
                let batch_no = BatchNo::new(&batch.batch_no).ok()?;
                Some((batch.dataset, batch_no, batch.revision))
            }));
        if let Some(connection) = warehouse::open_reading(&path)? {
            loaded.files.extend(ledger::loaded_files(&connection)?);
        }
    }
    Ok(loaded)
}
