//! Controls of loaded batches, counted again.

use std::collections::BTreeSet;

use super::{questions::Audit, tables::Tables};
use crate::{error::Result, ledger::quoted, load::ControlName};

/// A dataset's share of a batch: `_part_<n>` has the batch's number and revision, what the dataset's files come to, and
/// what its table has of them.
struct Part {
    dataset: String,
    name: String,
}

impl Audit<'_> {
    pub(super) fn all_controls(&mut self, tables: &Tables) -> Result<()> {
        let owners = self.read(
            "SELECT DISTINCT dataset FROM _entry WHERE state = 'loaded' ORDER BY dataset",
            |row| row.get::<_, String>(0),
        )?;
        for owner in owners {
            self.controls(&owner, tables)?;
        }
        Ok(())
    }

    /// The controls of the batches that are entered under `owner`.
    fn controls(&mut self, owner: &str, tables: &Tables) -> Result<()> {
        let of = quoted(owner);
        self.run(&format!(
            "CREATE OR REPLACE TEMP TABLE _loaded AS SELECT batch_no, revision, max(rows_expected) AS rows_expected \
             FROM _entry WHERE state = 'loaded' AND dataset = {of} GROUP BY batch_no, revision; \
             CREATE OR REPLACE TEMP TABLE _noted AS SELECT batch_no, revision, name, expected, coalesce(actual, '') AS actual, \
             passed FROM redledger.control SEMI JOIN _loaded USING (batch_no, revision) WHERE dataset = {of}"
        ))?;
        let child = self
            .contracts
            .child_of(owner)
            .map(|child| child.name.to_string());
        let child = child.as_deref();
        let parts = self.parts(owner, child, tables)?;
        let mut again = Vec::new();
        for part in &parts {
            again.extend(again_of(part, owner, tables));
            self.find_unaccounted(part, owner, child)?;
        }
        let own = parts.iter().find(|part| part.dataset == owner);
        let lines = parts
            .iter()
            .find(|part| Some(part.dataset.as_str()) == child);
        if let (Some(own), Some(lines), Some(_)) = (own, lines, tables.of(owner)) {
            again.push(self.find_named_files(owner, own, lines)?);
        }
        self.find_expected(owner)?;
        self.compare(owner, &again)
    }

    /// What each dataset's files and rows come to, by batch: of its own, of the one whose files its rows name, and of
    /// any other that has files of such a batch.
    fn parts(&self, owner: &str, child: Option<&str>, tables: &Tables) -> Result<Vec<Part>> {
        let of = quoted(owner);
        let sql = format!("SELECT DISTINCT dataset FROM _file WHERE owner = {of}");
        let with_files = self.read(&sql, |row| row.get::<_, String>(0))?;
        let own = std::iter::once(owner).chain(child).map(str::to_owned);
        let datasets: BTreeSet<String> = own.chain(with_files).collect();
        let mut parts = Vec::new();
        for dataset in datasets {
            let table = tables.of(&dataset);
            let is_own = dataset == owner || Some(dataset.as_str()) == child;
            let figures: String = table
                .iter()
                .flat_map(|table| table.figures.iter().zip(0..))
                .map(|(figure, n)| format!(", {} AS figure_{n}", figure.actual))
                .collect();
            let counts = match table {
                None => {
                    "(SELECT NULL::BIGINT AS file_id, NULL AS batch_no, 0 AS rows, 0 AS files_named, 0 AS files_stated, \
                         0 AS rows_stated WHERE false)"
                }
                Some(table) => &table.counts,
            };
            let name = format!("_part_{}", parts.len());
            // Of no files figures are as of no rows.
            self.run(&format!(
                "CREATE OR REPLACE TEMP TABLE {name} AS \
                 SELECT b.batch_no, b.revision, count(f.file_id) AS files, coalesce(sum(f.rows_read), 0)::HUGEINT AS read, \
                 coalesce(sum(f.rows_rejected), 0)::HUGEINT AS rejected, coalesce(sum(r.rows), 0)::HUGEINT AS rows, \
                 coalesce(sum(r.files_named), 0)::HUGEINT AS files_named, \
                 coalesce(sum(r.files_stated), 0)::HUGEINT AS files_stated, \
                 coalesce(sum(r.rows_stated), 0)::HUGEINT AS rows_stated{figures} \
                 FROM _loaded b {join} (SELECT * FROM _file WHERE owner = {of} AND dataset = {dataset}) f \
                 ON f.batch_no = b.batch_no AND f.revision = b.revision \
                 LEFT JOIN {counts} r ON r.file_id = f.file_id AND r.batch_no = f.batch_no \
                 GROUP BY b.batch_no, b.revision",
                join = if is_own { "LEFT JOIN" } else { "JOIN" },
                dataset = quoted(&dataset),
            ))?;
            parts.push(Part { dataset, name });
        }
        Ok(parts)
    }

    /// For every dataset of a batch there is a control that accounts for its rows; none where a batch that may name
    /// files has named none.
    fn find_unaccounted(&mut self, part: &Part, owner: &str, child: Option<&str>) -> Result<()> {
        let control = ControlName::Accounted(&part.dataset).to_string();
        let is_due = part.dataset == owner || Some(part.dataset.as_str()) != child;
        self.find(&format!(
            "SELECT {of}, p.batch_no, p.revision, {what}, NULL, NULL FROM {part} p \
             WHERE ({is_due} OR p.files > 0) AND NOT EXISTS (SELECT 1 FROM _noted n \
             WHERE n.batch_no = p.batch_no AND n.revision = p.revision AND n.name = {control})",
            of = quoted(owner),
            what = quoted(&format!("control `{control}` is missing")),
            part = part.name,
            control = quoted(&control),
        ))
    }

    /// The files that rows name are there; returns what they say of their rows, where a batch has read such files.
    fn find_named_files(&mut self, owner: &str, own: &Part, lines: &Part) -> Result<String> {
        let read = format!(
            "FROM {own} o JOIN {lines} l ON l.batch_no = o.batch_no AND l.revision = o.revision \
             WHERE EXISTS (SELECT 1 FROM _noted n WHERE n.batch_no = o.batch_no AND n.revision = o.revision AND n.name = {})",
            quoted(&ControlName::Accounted(&lines.dataset).to_string()),
            own = own.name,
            lines = lines.name,
        );
        self.find(&format!(
            "SELECT {}, o.batch_no, o.revision, {}, l.files, o.files_named {read} AND l.files <> o.files_named",
            quoted(owner),
            quoted(&format!("files of {} that rows of {owner} name", lines.dataset)),
        ))?;
        // Which files are those that no row states a number for, nobody knows any more.
        Ok(format!(
            "SELECT o.batch_no, o.revision, {} AS name, (o.rows_stated::HUGEINT - coalesce((\
             SELECT sum(TRY_CAST(n.actual AS BIGINT)) FROM _noted n WHERE n.batch_no = o.batch_no \
             AND n.revision = o.revision AND n.name = {}), 0)::HUGEINT)::VARCHAR AS expected, \
             CASE WHEN o.files_named = o.files_stated THEN l.read::VARCHAR END AS actual {read}",
            quoted(&ControlName::LineTotal.to_string()),
            quoted(&ControlName::LinesPassedOver.to_string()),
        ))
    }

    /// What was expected is what the controls say that was.
    fn find_expected(&mut self, owner: &str) -> Result<()> {
        let stated = |control: ControlName<'_>| {
            format!(
                "any_value(TRY_CAST(n.expected AS UBIGINT)) FILTER (n.name = {})",
                quoted(&control.to_string())
            )
        };
        self.find(&format!(
            "WITH stated AS (SELECT b.batch_no, b.revision, any_value(_count(b.rows_expected)) FILTER \
             (b.rows_expected IS NOT NULL) AS entered, {}::HUGEINT + coalesce({}, 0)::HUGEINT AS announced \
             FROM _loaded b LEFT JOIN _noted n ON n.batch_no = b.batch_no AND n.revision = b.revision \
             GROUP BY b.batch_no, b.revision) \
             SELECT {}, batch_no, revision, 'rows expected', entered, announced FROM stated \
             WHERE entered IS DISTINCT FROM announced",
            stated(ControlName::HookTotal),
            stated(ControlName::LineTotal),
            quoted(owner),
        ))
    }

    /// Compares what was noted with what was counted `again`. A batch and the files that it names may have controls of
    /// the same name: they are compared in the order of their figures.
    fn compare(&mut self, owner: &str, again: &[String]) -> Result<()> {
        let of = quoted(owner);
        self.run(&format!(
            "CREATE OR REPLACE TEMP TABLE _again AS {}; \
             CREATE OR REPLACE TEMP TABLE _compared AS \
             WITH noted AS (SELECT *, row_number() OVER (PARTITION BY batch_no, revision, name ORDER BY actual) AS place, \
             count(*) OVER (PARTITION BY batch_no, revision, name) AS many FROM _noted), \
             again AS (SELECT *, row_number() OVER (PARTITION BY batch_no, revision, name ORDER BY actual NULLS FIRST) AS place, \
             count(*) OVER (PARTITION BY batch_no, revision, name) AS many FROM _again) \
             SELECT n.batch_no, n.revision, n.name, n.place, n.many, coalesce(a.many, 0) AS many_again, \
             n.expected, n.actual, a.expected AS expected_again, a.actual AS actual_again \
             FROM noted n LEFT JOIN again a ON a.batch_no = n.batch_no AND a.revision = n.revision AND a.name = n.name \
             AND a.place = n.place \
             WHERE a.many IS DISTINCT FROM n.many OR a.actual <> n.actual OR a.expected <> coalesce(n.expected, '-')",
            again.join(" UNION ALL ")
        ))?;
        self.find(&format!(
            "SELECT {of}, batch_no, revision, format('control `{{}}`: passed', name), passed, \
             coalesce(expected = actual, true) FROM _noted \
             WHERE passed IS DISTINCT FROM coalesce(expected = actual, true)"
        ))?;
        self.find(&format!(
            "SELECT {of}, batch_no, revision, format('control `{{}}`', name), actual, actual_again FROM _compared \
             WHERE many = many_again AND actual_again <> actual"
        ))?;
        self.find(&format!(
            "SELECT {of}, batch_no, revision, format('control `{{}}`: expected', name), expected, expected_again \
             FROM _compared WHERE many = many_again AND expected_again IS NOT NULL \
             AND expected_again IS DISTINCT FROM expected"
        ))?;
        let sums =
            self.sums_among("SELECT DISTINCT name FROM _compared WHERE many <> many_again")?;
        // No run ever takes an amount out of a table.
        self.find(&format!(
            "SELECT {of}, batch_no, revision, format('control `{{}}`: tables with such an amount', name), many, many_again \
             FROM _compared WHERE many <> many_again AND place = 1 AND name IN ({sums})"
        ))?;
        let elsewhere = self.count(&format!(
            "SELECT count(*) FROM _compared WHERE many <> many_again AND name NOT IN ({sums})"
        ))?;
        let not_again = self.count("SELECT count(*) FROM _compared WHERE many <> many_again")?;
        self.audited.not_counted += elsewhere;
        self.audited.controls += self.count("SELECT count(*) FROM _noted")? - not_again;
        if self.contracts.get(owner).is_none() {
            return Ok(());
        }
        let sums = self.sums_among("SELECT DISTINCT name FROM _again")?;
        // A column that came later is empty in older rows.
        self.find(&format!(
            "SELECT {of}, batch_no, revision, format('control `{{}}` is missing', name), NULL, actual FROM _again a \
             WHERE name IN ({sums}) AND regexp_matches(actual, '[1-9]') AND NOT EXISTS (SELECT 1 FROM _noted n \
             WHERE n.batch_no = a.batch_no AND n.revision = a.revision AND n.name = a.name)"
        ))
    }

    /// Those of the names that `sql` returns that are an amount's sum, as SQL literals.
    fn sums_among(&self, sql: &str) -> Result<String> {
        let names = self.read(sql, |row| {
            Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default())
        })?;
        let sums = names
            .iter()
            .filter(|name| matches!(ControlName::parse(name), Some(ControlName::Sum(_))))
            .map(|name| quoted(name));
        let sums: Vec<String> = std::iter::once("''".to_owned()).chain(sums).collect();
        Ok(sums.join(", "))
    }
}

/// What is counted again of a part of a batch.
fn again_of(part: &Part, owner: &str, tables: &Tables) -> Vec<String> {
    let select = |name: &str, expected: &str, actual: &str| {
        format!(
            "SELECT batch_no, revision, {} AS name, {expected}::VARCHAR AS expected, {actual}::VARCHAR AS actual FROM {}",
            quoted(name),
            part.name
        )
    };
    let mut again = vec![select(
        &ControlName::Accounted(&part.dataset).to_string(),
        "read",
        "(rows + rejected)",
    )];
    if let Some(table) = tables.of(&part.dataset) {
        for (figure, n) in table.figures.iter().zip(0..) {
            let expected = figure.expected.map_or("NULL".into(), quoted);
            again.push(select(&figure.name, &expected, &format!("figure_{n}")));
        }
    }
    if part.dataset == owner {
        again.push(select(&ControlName::HookTotal.to_string(), "NULL", "read"));
    }
    again
}
