//! Views for analysts in schema `main`, made in the private copy before it is published.
//!
//! The shipped ones are in `config/views/`; a user's own are files in `[reporting] views_dir`. A view whose tables or
//! columns are not there is left out, as is one whose name a table has. Nothing here keeps a batch from being loaded:
//! what can't be made is said, and in `redledger.view`.

mod reporting_day;

use std::{collections::BTreeSet, path::Path};

use base16ct::lower::encode_string;
use duckdb::{Connection, params};
use sha2::{Digest as _, Sha256};

use crate::{
    config::ReportingConfig,
    contract::Identifier,
    error::{Error, Result},
    ledger::quoted,
};

/// The shipped views, a file for what each is about; a later one may use those before it.
const SHIPPED: [&str; 4] = [
    include_str!("../config/views/10_account_negative.sql"),
    include_str!("../config/views/20_account_repayment.sql"),
    include_str!("../config/views/30_account_negative_bill.sql"),
    include_str!("../config/views/40_ledger.sql"),
];

/// Those that are right only where a batch of `account_negative` is all that is negative.
const OF_SNAPSHOTS: [&str; 6] = [
    "account_balance",
    "account_last_seen",
    "exposure_by_day",
    "negative_episode",
    "negative_ageing",
    "repayment_beside_balance",
];

const BOOKS: &str = "\
CREATE TABLE IF NOT EXISTS redledger.reporting(time_zone VARCHAR, fingerprint VARCHAR);
COMMENT ON TABLE redledger.reporting IS 'With what views and reporting days were made; one row';
COMMENT ON COLUMN redledger.reporting.time_zone IS 'The IANA name of the reporting time zone';
COMMENT ON COLUMN redledger.reporting.fingerprint IS 'Hash of all that they depend on: another one, and they are made again';
CREATE TABLE IF NOT EXISTS redledger.view(name VARCHAR, source VARCHAR, problem VARCHAR);
COMMENT ON TABLE redledger.view IS 'The views of schema main that redledger makes';
COMMENT ON COLUMN redledger.view.name IS 'Its name';
COMMENT ON COLUMN redledger.view.source IS 'shipped, or the file in views_dir';
COMMENT ON COLUMN redledger.view.problem IS 'Why it is left out; NULL where it is there';
DELETE FROM redledger.reporting; DELETE FROM redledger.view;";

/// A view to be made.
struct View {
    name: Identifier,
    /// `shipped`, or its file.
    source: String,
    /// What makes it: `CREATE`, then `COMMENT`s.
    statements: Vec<String>,
}

/// The names of the shipped views.
pub(crate) fn shipped_names() -> BTreeSet<String> {
    let names = shipped().into_iter().map(|view| view.name.to_string());
    names.collect()
}

fn shipped() -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for statement in SHIPPED.iter().flat_map(|text| text.split(";\n")) {
        let code = statement.lines().filter(|line| !line.starts_with("--"));
        let code = Vec::from_iter(code).join("\n").trim().to_owned();
        let rest = code.strip_prefix("CREATE OR REPLACE VIEW ");
        let name = rest.and_then(|rest| Identifier::new(rest.split_whitespace().next()?).ok());
        match (name, views.last_mut()) {
            (Some(name), _) => views.push(View {
                name,
                source: "shipped".into(),
                statements: vec![code],
            }),
            (None, Some(view)) if !code.is_empty() => view.statements.push(code),
            (None, _) => {}
        }
    }
    views
}

/// A user's own: each file is a query, and its name the view's.
fn own(folder: &Path) -> Result<Vec<View>> {
    if folder.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let failed = |error| Error::io("read the views in", folder)(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "sql"));
    paths.sort();
    let mut views = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(Error::io("read the view", &path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = Identifier::new(&stem).map_err(|message| Error::Settings {
            place: path.display().to_string(),
            message,
            hint: Some("the file's name is the view's".into()),
        })?;
        let query = text.trim().trim_end_matches(';').trim_end();
        views.push(View {
            statements: vec![format!(
                "CREATE OR REPLACE VIEW {} AS\n{query}",
                name.quoted()
            )],
            name,
            source: path.display().to_string(),
        });
    }
    Ok(views)
}

/// That the folder of views can be read, and what is in it may be a view's.
///
/// # Errors
/// [`Error::Settings`] for a name that none may have; [`Error::Io`].
pub(crate) fn check(config: &ReportingConfig) -> Result<()> {
    let taken = shipped_names();
    for view in own(&config.views_dir)? {
        if taken.contains(view.name.as_str()) {
            return Err(Error::Settings {
                place: view.source,
                message: format!("`{}` is a shipped view", view.name),
                hint: Some("give the file another name".into()),
            });
        }
    }
    Ok(())
}

/// Makes them again if anything that they depend on has changed; returns whether it had.
///
/// # Errors
/// What keeps the folder of views from being read; [`Error::Database`] if the engine fails.
pub(crate) fn make(connection: &Connection, config: &ReportingConfig) -> Result<bool> {
    let views: Vec<View> = shipped()
        .into_iter()
        .chain(own(&config.views_dir)?)
        .collect();
    let tables = tables(connection)?;
    if tables.is_empty() {
        // Nothing was ever loaded: that is no warehouse to publish.
        return Ok(false);
    }
    let fingerprint = fingerprint(config, &views, &tables);
    if made_with(connection)?.as_deref() == Some(&*fingerprint) {
        return Ok(false);
    }
    let before = names_before(connection)?;
    execute(connection, BOOKS)?;
    reporting_day::write(connection, &config.time_zone)?;
    let names: BTreeSet<&str> = views.iter().map(|view| view.name.as_str()).collect();
    for gone in before.iter().filter(|name| !names.contains(name.as_str())) {
        drop_view(connection, gone);
    }
    let taken: BTreeSet<&str> = tables.iter().map(|(table, _)| table.as_str()).collect();
    let mut seen = BTreeSet::new();
    for view in &views {
        let name = view.name.as_str();
        let problem = if taken.contains(name) {
            Some("a table has its name".to_owned())
        } else if !seen.insert(name) {
            Some("another view has its name".to_owned())
        } else if !config.snapshot && OF_SNAPSHOTS.contains(&name) {
            drop_view(connection, name);
            Some("[reporting] snapshot is off".to_owned())
        } else {
            make_one(connection, view)
        };
        if let Some(problem) = &problem {
            match view.source.as_str() {
                "shipped" => tracing::debug!(view = name, "left out: {problem}"),
                file => tracing::warn!(view = name, "{file}: the view is left out: {problem}"),
            }
        }
        connection
            .execute(
                "INSERT INTO redledger.view VALUES (?, ?, ?)",
                params![name, view.source, problem],
            )
            .map_err(failed())?;
    }
    connection
        .execute(
            "INSERT INTO redledger.reporting VALUES (?, ?)",
            [&config.time_zone, &fingerprint],
        )
        .map_err(failed())?;
    Ok(true)
}

/// Whether nothing that they depend on has changed.
///
/// # Errors
/// As [`make`].
pub(crate) fn are_current(connection: &Connection, config: &ReportingConfig) -> Result<bool> {
    let views: Vec<View> = shipped()
        .into_iter()
        .chain(own(&config.views_dir)?)
        .collect();
    let tables = tables(connection)?;
    let fingerprint = fingerprint(config, &views, &tables);
    Ok(tables.is_empty() || made_with(connection)? == Some(fingerprint))
}

/// Why it can't be made, if so; an earlier one of its name is gone then.
fn make_one(connection: &Connection, view: &View) -> Option<String> {
    for statement in &view.statements {
        if let Err(error) = connection.execute_batch(statement) {
            drop_view(connection, view.name.as_str());
            let text = error.to_string();
            return Some(text.lines().next().unwrap_or_default().to_owned());
        }
    }
    None
}

fn drop_view(connection: &Connection, name: &str) {
    let Ok(name) = Identifier::new(name) else {
        return;
    };
    // A table of that name is an error, and stays.
    let _ = connection.execute_batch(&format!("DROP VIEW IF EXISTS {}", name.quoted()));
}

/// The tables of schema `main`, and how each would be made again: its columns are in that.
fn tables(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT table_name, sql FROM duckdb_tables() \
               WHERE database_name = current_database() AND schema_name = 'main' AND NOT temporary ORDER BY ALL";
    read(connection, sql, |row| Ok((row.get(0)?, row.get(1)?)))
}

fn fingerprint(config: &ReportingConfig, views: &[View], tables: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION"));
    add(&config.time_zone);
    add(if config.snapshot { "snapshot" } else { "" });
    add(reporting_day::SPAN);
    for view in views {
        view.statements.iter().for_each(|text| add(text));
    }
    for (table, columns) in tables {
        add(table);
        add(columns);
    }
    encode_string(&hash.finalize())
}

/// The fingerprint of what is there; `None` where nothing is.
fn made_with(connection: &Connection) -> Result<Option<String>> {
    if !has_table(connection, "reporting")? {
        return Ok(None);
    }
    let found = read(
        connection,
        "SELECT fingerprint FROM redledger.reporting",
        |row| row.get(0),
    )?;
    Ok(found.into_iter().next())
}

fn names_before(connection: &Connection) -> Result<Vec<String>> {
    if !has_table(connection, "view")? {
        return Ok(Vec::new());
    }
    read(connection, "SELECT name FROM redledger.view", |row| {
        row.get(0)
    })
}

fn has_table(connection: &Connection, name: &str) -> Result<bool> {
    let sql = format!(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() \
         AND schema_name = 'redledger' AND table_name = {}",
        quoted(name)
    );
    let found = read(connection, &sql, |row| row.get::<_, i64>(0))?;
    Ok(found.first().is_some_and(|count| *count > 0))
}

fn read<T>(
    connection: &Connection,
    sql: &str,
    of: impl FnMut(&duckdb::Row<'_>) -> duckdb::Result<T>,
) -> Result<Vec<T>> {
    let read =
        || -> duckdb::Result<Vec<T>> { connection.prepare(sql)?.query_map([], of)?.collect() };
    read().map_err(failed())
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.execute_batch(sql).map_err(failed())
}

fn failed() -> impl FnOnce(duckdb::Error) -> Error {
    Error::database("make the views")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_view_has_comments() {
        let views = shipped();
        assert_eq!(views.len(), 15);
        for view in &views {
            let of = |kind: &str| {
                let start = format!("COMMENT ON {kind} {}", view.name);
                view.statements
                    .iter()
                    .filter(|text| text.starts_with(&start))
                    .count()
            };
            assert_eq!(of("VIEW"), 1, "{}", view.name);
            assert!(of("COLUMN") > 5, "{}", view.name);
        }
        let names = shipped_names();
        for name in OF_SNAPSHOTS {
            assert!(names.contains(name), "{name}");
        }
    }
}
