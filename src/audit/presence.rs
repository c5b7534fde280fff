//! What a data directory is where there is no warehouse to look at.

use crate::{
    archive::Archive,
    config::Config,
    error::{Error, Result},
    warehouse,
};

/// That nothing was loaded yet, where there is no warehouse, or one that nothing was written to.
///
/// # Errors
/// [`Error::Warehouse`] where a warehouse was there, and is gone; [`Error::Usage`] for a folder that is none of ours;
/// [`Error::Io`] when a folder can't be read.
pub fn check_nothing_loaded(config: &Config) -> Result<()> {
    let (live, data_dir) = (config.warehouse_path(), &config.data_dir);
    let gone = |message: String, hint: &str| {
        Err(Error::Warehouse {
            path: live.clone(),
            message,
            hint: Some(hint.into()),
        })
    };
    if warehouse::was_published(config)? {
        let what = if live.exists() {
            "nothing is in it any more"
        } else {
            "it is gone"
        };
        return gone(
            format!("it was published before, and {what}"),
            "if it was moved, move it back; otherwise `redledger rollback` puts the one before it back, where that is \
             kept, and `redledger backfill '*'` makes it anew from the archive",
        );
    }
    if let Some((dataset, batch_no)) = Archive::new(data_dir).any_loaded()? {
        return gone(
            format!(
                "there is none, but the archive has what was loaded, {batch_no} of {dataset} for one"
            ),
            "if a first run was cut off, run again; otherwise `redledger backfill '*'` makes it anew from the archive",
        );
    }
    let ours = ["inbox", "archive", "lock"];
    if live.exists() || ours.iter().any(|name| data_dir.join(name).exists()) {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!(
            "{} holds neither a warehouse nor an inbox nor an archive",
            data_dir.display()
        ),
        hint: Some("is --data-dir right?".into()),
    })
}
