//! What the questions are asked of: views of the ledger, and the rows of the datasets' tables counted by file.
//!
//! All are temporary, and begin with `_`: no dataset's table is called so.

use std::collections::BTreeSet;

use super::questions::{Audit, Watch};
use crate::{
    batch_no::BatchNo,
    contract::Identifier,
    error::{Error, Result},
    ledger::{self, UNKNOWN_DATASET},
    load::{self, Figure},
};

/// States of a revision that was loaded, as SQL literals.
pub(super) const SETTLED: &str = "'loaded', 'superseded'";
/// Batch numbers that are looked at together.
const NUMBERS: usize = 10_000;

/// The tables that were counted.
pub(super) struct Tables(Vec<CountedTable>);

/// A dataset's table, counted by file.
pub(super) struct CountedTable {
    pub(super) dataset: String,
    /// Where the counts are.
    pub(super) counts: String,
    /// What of the row controls can be counted again.
    pub(super) figures: Vec<Figure>,
}

impl Tables {
    pub(super) fn of(&self, dataset: &str) -> Option<&CountedTable> {
        self.0.iter().find(|table| table.dataset == dataset)
    }

    pub(super) fn prepare(audit: &mut Audit<'_>, watch: &mut dyn Watch) -> Result<Self> {
        audit.take_scope()?;
        audit.make_views()?;
        audit.count_tables(watch)
    }
}

impl Audit<'_> {
    /// Writes the batches asked for into `_scope`.
    fn take_scope(&self) -> Result<()> {
        if self.scope.picks.is_empty() {
            return Ok(());
        }
        let exact: Option<Vec<String>> = self
            .scope
            .picks
            .iter()
            .map(|pick| pick.number.map(|number| ledger::quoted(number.as_str())))
            .collect();
        let condition = exact.map(|numbers| format!("WHERE batch_no IN ({})", numbers.join(", ")));
        self.run(&format!(
            "CREATE TEMP TABLE _number AS SELECT DISTINCT batch_no FROM redledger.batch {}; \
             CREATE TEMP TABLE _scope(batch_no VARCHAR)",
            condition.unwrap_or_default()
        ))?;
        let mut is_known = vec![false; self.scope.picks.len()];
        for first in (0_u64..).step_by(NUMBERS) {
            let sql = format!(
                "SELECT batch_no FROM _number WHERE rowid >= {first} AND rowid < {}",
                first + NUMBERS as u64
            );
            let numbers = self.read(&sql, |row| row.get::<_, Option<String>>(0))?;
            if numbers.is_empty() {
                break;
            }
            let mut taken = Vec::new();
            for batch_no in numbers
                .into_iter()
                .flatten()
                .filter_map(|number| BatchNo::new(&number).ok())
            {
                let mut is_taken = false;
                for (pick, known) in self.scope.picks.iter().zip(&mut is_known) {
                    let takes = (pick.takes)(&batch_no);
                    *known |= takes;
                    is_taken |= takes;
                }
                taken.extend(is_taken.then(|| format!("({})", ledger::quoted(batch_no.as_str()))));
            }
            if !taken.is_empty() {
                self.run(&format!("INSERT INTO _scope VALUES {}", taken.join(", ")))?;
            }
        }
        match self
            .scope
            .picks
            .iter()
            .zip(is_known)
            .find(|(_, known)| !known)
        {
            None => Ok(()),
            Some((pick, _)) => Err(Error::Usage {
                message: format!("{}: the ledger has no such batch", pick.name),
                hint: Some("`redledger status` lists the batches".into()),
            }),
        }
    }

    /// `_known`: every file, with the dataset that its batch is entered under; `_file`: those in the scope; `_entry`:
    /// the ledger's entries, one a revision; `_revision`: what an entry says beside what its files come to.
    fn make_views(&self) -> Result<()> {
        let owners: Vec<String> = self
            .contracts
            .iter()
            .map(|of| {
                format!(
                    "({}, {})",
                    ledger::quoted(of.name.as_str()),
                    ledger::quoted(of.entered_under())
                )
            })
            .collect();
        let kept = ledger::later(self.connection, "file", "rejections_kept")?;
        let identity = ledger::later(self.connection, "file", "identity")?;
        // Of a batch its few files; the whole ledger is rather read again for each question than held.
        let file = if self.scope.picks.is_empty() {
            "VIEW"
        } else {
            "TABLE"
        };
        let of_key = |a: &str, b: &str| {
            format!(
                "{a}.dataset = {b}.dataset AND {a}.batch_no = {b}.batch_no AND {a}.revision = {b}.revision"
            )
        };
        // A negative count, which nobody writes here, is as many as can be: it must not pass for a right one.
        self.run(&format!(
            "CREATE TEMP MACRO _count(x) AS CASE WHEN x < 0 THEN 18446744073709551615::HUGEINT ELSE coalesce(x, 0)::HUGEINT END;
             CREATE TEMP TABLE _owner(dataset VARCHAR, owner VARCHAR);
             INSERT INTO _owner VALUES {owners};

             -- Its contract is gone, and with it who named its files.
             CREATE TEMP TABLE _lost AS
             SELECT f.dataset, f.batch_no, f.revision, min(b.dataset) AS owner
             FROM (SELECT DISTINCT dataset, batch_no, revision FROM redledger.file f
                   WHERE NOT EXISTS (SELECT 1 FROM _owner o WHERE o.dataset = f.dataset)) f
             JOIN redledger.batch b USING (batch_no, revision)
             WHERE NOT EXISTS (SELECT 1 FROM redledger.batch k WHERE {of_batch})
             AND NOT EXISTS (SELECT 1 FROM redledger.control k WHERE {of_batch}) GROUP BY ALL;

             CREATE TEMP VIEW _known AS
             SELECT f.file_id, f.dataset, coalesce(l.owner, o.owner, f.dataset) AS owner, f.batch_no, f.revision,
             _count(f.bytes) AS bytes, f.content_hash, coalesce({identity}, f.content_hash) AS known_by, _count(f.rows_read) AS rows_read,
             _count(f.rows_loaded) AS rows_loaded, _count(f.rows_rejected) AS rows_rejected,
             {kept} AS rejections_kept, f.archive_path
             FROM (SELECT * REPLACE (coalesce(dataset, '') AS dataset, coalesce(batch_no, '') AS batch_no,
                   coalesce(revision, 0) AS revision) FROM redledger.file) f
             LEFT JOIN _owner o ON o.dataset = f.dataset LEFT JOIN _lost l ON {of_lost};
             CREATE TEMP {file} _file AS SELECT * FROM _known WHERE {file_within};

             CREATE TEMP VIEW _batch AS
             SELECT coalesce(dataset, '') AS dataset, coalesce(batch_no, '') AS batch_no, coalesce(revision, 0) AS revision,
             coalesce(state, '') AS state, rows_expected, _count(rows_read) AS rows_read, _count(rows_loaded) AS rows_loaded,
             _count(rows_rejected) AS rows_rejected, _count(files) AS files, _count(bytes) AS bytes, content_hash, loaded_at
             FROM redledger.batch WHERE {batch_within};
             CREATE TEMP TABLE _doubled AS SELECT dataset, batch_no, revision, count(*) AS entries FROM _batch
             GROUP BY ALL HAVING count(*) > 1;
             CREATE TEMP VIEW _entry AS
             SELECT b.* FROM _batch b WHERE NOT EXISTS (SELECT 1 FROM _doubled k WHERE {b_is_k})
             UNION ALL (SELECT b.* FROM _batch b WHERE EXISTS (SELECT 1 FROM _doubled k WHERE {b_is_k})
             QUALIFY row_number() OVER (PARTITION BY dataset, batch_no, revision ORDER BY loaded_at) = 1);

             CREATE TEMP TABLE _revision AS
             SELECT dataset, batch_no, revision, state, e.files, e.bytes, rows_read, rows_loaded, rows_rejected, content_hash,
             coalesce(f.files, 0) AS files_found, coalesce(f.bytes, 0) AS bytes_found, coalesce(read, 0) AS read_found,
             coalesce(loaded, 0) AS loaded_found, coalesce(rejected, 0) AS rejected_found
             FROM _entry e FULL JOIN
             (SELECT owner AS dataset, batch_no, revision, count(*) AS files, sum(bytes) AS bytes, sum(rows_read) AS read,
              sum(rows_loaded) AS loaded, sum(rows_rejected) AS rejected FROM _file GROUP BY ALL) f
             USING (dataset, batch_no, revision);
             INSERT INTO _revision BY NAME
             SELECT DISTINCT dataset, batch_no, revision, 0 AS files_found FROM redledger.control c
             WHERE {control_within} AND NOT EXISTS (SELECT 1 FROM _revision k WHERE {c_is_k});",
            owners = owners.join(", "),
            of_batch = of_key("k", "f"),
            of_lost = of_key("l", "f"),
            b_is_k = of_key("k", "b"),
            c_is_k = of_key("k", "c"),
            file_within = self.within("owner", "batch_no"),
            batch_within = self.within("dataset", "batch_no"),
            control_within = self.within("c.dataset", "c.batch_no"),
        ))
    }

    /// `_counted`: the rows of every table in the scope, by the file and the batch that they say they are of.
    fn count_tables(&mut self, watch: &mut dyn Watch) -> Result<Tables> {
        let mut tables = Vec::new();
        let number = self.within_number();
        for dataset in self.datasets()? {
            watch.step(&format!("counting the rows of {dataset}"));
            // A name that is none has no table.
            let Ok(table) = Identifier::new(&dataset) else {
                continue;
            };
            let contract = self.contracts.get(&dataset).map(AsRef::as_ref);
            let child = self.contracts.child_of(&dataset).map(AsRef::as_ref);
            let counts = format!("_rows_{}", tables.len());
            let figures =
                load::recount(self.connection, &table, contract, child, &number, &counts)?;
            tables.extend(figures.map(|figures| CountedTable {
                dataset,
                counts,
                figures,
            }));
        }
        let all: Vec<String> = tables
            .iter()
            .map(|table: &CountedTable| {
                format!(
                    "SELECT {} AS dataset, file_id, batch_no, rows FROM {}",
                    ledger::quoted(&table.dataset),
                    table.counts
                )
            })
            .chain(["SELECT '' AS dataset, 0::BIGINT AS file_id, '' AS batch_no, 0::HUGEINT AS rows WHERE false".into()])
            .collect();
        self.run(&format!(
            "CREATE TEMP VIEW _counted AS {}",
            all.join(" UNION ALL ")
        ))?;
        self.audited.rows = self.count("SELECT sum(rows) FROM _counted")?;
        self.audited.revisions = self.count("SELECT count(*) FROM _revision")?;
        self.audited.files = self.count("SELECT count(*) FROM _file")?;
        Ok(Tables(tables))
    }

    fn within_number(&self) -> String {
        if self.scope.picks.is_empty() {
            "true".into()
        } else {
            "batch_no IN (SELECT batch_no FROM _scope)".into()
        }
    }

    /// The datasets whose tables are to be counted.
    fn datasets(&self) -> Result<BTreeSet<String>> {
        let entered = self.read(
            "SELECT DISTINCT dataset FROM redledger.batch UNION SELECT DISTINCT dataset FROM redledger.file",
            |row| Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default()),
        )?;
        let declared = self
            .contracts
            .iter()
            .map(|contract| contract.name.to_string());
        let mut datasets: BTreeSet<String> = entered.into_iter().chain(declared).collect();
        datasets.remove(UNKNOWN_DATASET);
        if let Some(wanted) = &self.scope.dataset {
            let child = self
                .contracts
                .child_of(wanted)
                .map(|child| child.name.as_str());
            datasets.retain(|dataset| dataset == wanted || Some(dataset.as_str()) == child);
        }
        Ok(datasets)
    }
}
