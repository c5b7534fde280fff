//! When a signed resource came first.
//!
//! Under a scheme that signs the envelope's `resource` alone, whoever has seen one can send it again in an envelope of
//! his own, with another time. So what was received before keeps its first time: that of the first file with the
//! resource, or what `known/resources` says once that file is not kept any more.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{Inbox, arrivals::Arrival};
use crate::{
    durable::{create_private, sync_folder},
    error::{Error, Result},
};

/// A resource's first delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstDelivery {
    /// When it was received, in epoch microseconds.
    pub received_at: i64,
    /// What is left of it.
    pub kept: Kept,
}

/// What is left of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Its file.
    File(PathBuf),
    /// When it said that it was made, in epoch milliseconds.
    Time(Option<i64>),
}

impl Inbox {
    /// What an announcement's signed resource is known by, where nothing else of it was signed.
    #[must_use]
    pub fn resource_of(path: &Path) -> Option<String> {
        Arrival::read(path.file_name()?.to_str()?)?.resource
    }

    /// The first delivery of every resource.
    ///
    /// # Errors
    /// [`Error::Io`] when what is stored can't be read.
    pub fn first_deliveries(&self) -> Result<HashMap<String, FirstDelivery>> {
        let mut first = HashMap::new();
        for path in self.received()? {
            if let Some(resource) = Self::resource_of(&path)
                && let Some(received_at) = Self::received_at(&path)
            {
                let kept = Kept::File(path);
                take_note(&mut first, resource, FirstDelivery { received_at, kept });
            }
        }
        let path = self.resources();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(Error::io("read", &path))?,
        };
        for line in text.lines() {
            let mut words = line.split(' ');
            if let (Some(resource), Some(Ok(received_at)), Some(time)) =
                (words.next(), words.next().map(str::parse), words.next())
            {
                let kept = Kept::Time(time.parse().ok());
                take_note(
                    &mut first,
                    resource.into(),
                    FirstDelivery { received_at, kept },
                );
            }
        }
        Ok(first)
    }

    /// Removes an announcement that is done with; of its resource the time stays known, `announced_at` being what it
    /// says itself, in epoch milliseconds.
    ///
    /// # Errors
    /// The operating system's; then it stays.
    pub fn forget(&self, path: &Path, announced_at: Option<i64>) -> io::Result<()> {
        if let Some(resource) = Self::resource_of(path)
            && let Some(received_at) = Self::received_at(path)
        {
            let time = announced_at.map_or("-".into(), |at| at.to_string());
            let resources = self.resources();
            let folder = self.folder.join("known");
            create_private(&folder)?;
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(resources)?;
            file.write_all(format!("{resource} {received_at} {time}\n").as_bytes())?;
            file.sync_all()?;
            sync_folder(&folder)?;
        }
        fs::remove_file(path)
    }

    fn resources(&self) -> PathBuf {
        self.folder.join("known").join("resources")
    }
}

fn take_note(
    first: &mut HashMap<String, FirstDelivery>,
    resource: String,
    delivery: FirstDelivery,
) {
    match first.entry(resource) {
        Entry::Vacant(none) => {
            none.insert(delivery);
        }
        Entry::Occupied(mut known) if delivery.received_at < known.get().received_at => {
            known.insert(delivery);
        }
        Entry::Occupied(_) => {}
    }
}
