//! What a page is made from, and how it is to be.

use duckdb::{Connection, Row};

use super::{
    format::{Zone, anchor, in_address},
    words::{Lang, Words},
};
use crate::{
    config::Config,
    contract::Contracts,
    error::{Error, Result},
    run::Late,
};

/// What a page is made from.
pub(crate) struct Sources<'a> {
    /// The warehouse's.
    pub(crate) connection: &'a Connection,
    /// Settings.
    pub(crate) config: &'a Config,
    /// Contracts.
    pub(crate) contracts: &'a Contracts,
    /// Datasets whose next batch should have come.
    pub(crate) late: Vec<Late>,
    /// Announcements in the inbox.
    pub(crate) waiting: usize,
    /// Epoch microseconds.
    pub(crate) now: i64,
    /// What is being done, on a terminal.
    pub(crate) step: &'a dyn Fn(&str),
}

/// How a page is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// Language.
    pub(crate) lang: Lang,
    /// How many days back, today included.
    pub(crate) days: u16,
    /// Whether cells of rejected rows are shown.
    pub(crate) records: bool,
    /// Where links lead.
    pub(crate) links: Links,
}

/// Where links lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Into the page itself: it is a file.
    Within,
    /// To pages of their own: it is served.
    Served,
}

impl Links {
    /// To a batch.
    pub(super) fn batch(self, dataset: &str, batch_no: &str) -> String {
        match self {
            Self::Within => format!("#{}", anchor(dataset, batch_no)),
            Self::Served => format!(
                "/batch/{}?dataset={}",
                in_address(batch_no),
                in_address(dataset)
            ),
        }
    }

    /// To the page of the nights, from another.
    pub(super) fn home(self) -> Option<&'static str> {
        (self == Self::Served).then_some("/")
    }

    /// To a line of a file; `None` where pages have no files.
    pub(super) fn line(self, file_id: i64, line: u64) -> Option<String> {
        (self == Self::Served).then(|| format!("/file/{file_id}?line={line}#L{line}"))
    }
}

impl Choice {
    pub(super) fn words(self) -> &'static Words {
        self.lang.words()
    }
}

impl Sources<'_> {
    pub(super) fn zone(&self) -> Zone {
        Zone::new(&self.config.reporting.time_zone)
    }

    /// Whether the warehouse has a view of this name.
    pub(super) fn has_view(&self, name: &str) -> Result<bool> {
        let sql = "SELECT count(*) FROM duckdb_views() WHERE database_name = current_database() \
                   AND schema_name = 'main' AND view_name = ?";
        let found = self.ask(sql, &[name], |row| row.get::<_, i64>(0))?;
        Ok(found.first().is_some_and(|count| *count > 0))
    }

    pub(super) fn ask<T>(
        &self,
        sql: &str,
        parameters: &[&str],
        of: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
    ) -> Result<Vec<T>> {
        let all = || -> duckdb::Result<Vec<T>> {
            let mut statement = self.connection.prepare(sql)?;
            statement
                .query_map(duckdb::params_from_iter(parameters), of)?
                .collect()
        };
        all().map_err(Error::database("read what the page shows"))
    }
}

/// What every page says at its end.
#[derive(Debug)]
pub(super) struct Foot {
    pub(super) warehouse: String,
    pub(super) zone: String,
    pub(super) version: &'static str,
    pub(super) made_at: String,
}

impl Foot {
    pub(super) fn of(sources: &Sources<'_>) -> Self {
        let zone = sources.zone();
        Self {
            warehouse: sources.config.warehouse_path().display().to_string(),
            made_at: zone.time(sources.now),
            zone: zone.name,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
