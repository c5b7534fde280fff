//! What a data directory is where there is no warehouse to look at.

use std::path::Path;

use crate::{
    archive::Archive,
    error::{Error, Result},
    inbox::Inbox,
    publish,
};

/// What is to be made of a data directory without a warehouse, or with one that nothing was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Nothing of ours is there.
    Foreign,
    /// Nothing was loaded yet.
    Fresh,
    /// A warehouse was there: this shows it.
    Gone(String),
}

impl Presence {
    /// Looks at the data directory whose warehouse is called `live`.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder can't be read.
    pub fn of(data_dir: &Path, live: &Path) -> Result<Self> {
        let archive = Archive::new(data_dir);
        let previous = publish::previous_of(live);
        if previous.exists() {
            return Ok(Self::Gone(format!("{} is there", previous.display())));
        }
        if let Some((dataset, batch_no)) = archive.any_loaded()? {
            return Ok(Self::Gone(format!(
                "the archive holds what was loaded, {batch_no} of {dataset} for one"
            )));
        }
        if Inbox::new(data_dir).has_done()? {
            return Ok(Self::Gone(
                "inbox/done holds announcements that were loaded".into(),
            ));
        }
        let ours = ["inbox", "archive", "lock"];
        let is_ours = live.exists() || ours.iter().any(|name| data_dir.join(name).exists());
        Ok(if is_ours { Self::Fresh } else { Self::Foreign })
    }

    /// Whether there is nothing to compare, which is well.
    ///
    /// # Errors
    /// [`Error::Warehouse`] where a warehouse was there, and is gone; [`Error::Usage`] for a folder that is none of
    /// ours.
    pub fn is_fresh(self, data_dir: &Path, live: &Path) -> Result<()> {
        match self {
            Self::Fresh => Ok(()),
            Self::Foreign => Err(Error::Usage {
                message: format!(
                    "{} holds neither a warehouse nor an inbox nor an archive",
                    data_dir.display()
                ),
                hint: Some("is --data-dir right?".into()),
            }),
            Self::Gone(sign) => Err(Error::Warehouse {
                path: live.to_path_buf(),
                message: format!("it is gone: {sign}"),
                hint: Some(
                    "is the volume mounted? Else `redledger backfill '*'` loads everything again from the archive; \
                     where a previous warehouse is there, `redledger rollback` publishes that"
                        .into(),
                ),
            }),
        }
    }
}
