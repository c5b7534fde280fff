//! The rows of the datasets' tables against the files that they say they are of.

use super::questions::Audit;
use crate::error::Result;

/// Files of a batch that are listed one by one.
const FILES_LISTED: usize = 20;

impl Audit<'_> {
    pub(super) fn table_rows(&mut self) -> Result<()> {
        self.strays()?;
        self.rows_of_files()
    }

    /// Every row is of a file of a loaded revision. Rows of many unknown files may be there: a line for each batch.
    fn strays(&mut self) -> Result<()> {
        self.find(
            "WITH files AS (SELECT file_id, dataset, owner, batch_no, revision FROM _known ANTI JOIN _repeated USING (file_id) \
             UNION ALL (SELECT file_id, dataset, owner, batch_no, revision FROM _known SEMI JOIN _repeated USING (file_id) \
             QUALIFY row_number() OVER (PARTITION BY file_id ORDER BY owner DESC, batch_no DESC, revision DESC) = 1)), \
             rows AS (SELECT r.dataset, coalesce(r.batch_no, '') AS batch_no, f.revision, r.rows, CASE \
             WHEN f.file_id IS NULL THEN 'rows whose file the ledger does not have' \
             WHEN f.dataset <> r.dataset THEN format('rows of file {}, which is of {}', f.file_id, f.dataset) \
             WHEN f.batch_no IS DISTINCT FROM r.batch_no THEN format('rows of file {}, which is of {}', f.file_id, f.batch_no) \
             WHEN e.state IS NULL THEN 'rows of a revision that the ledger does not have' \
             WHEN e.state <> 'loaded' THEN 'rows of a revision that is ' || e.state END AS why \
             FROM _counted r LEFT JOIN files f ON f.file_id = r.file_id \
             LEFT JOIN _entry e ON e.dataset = f.owner AND e.batch_no = f.batch_no AND e.revision = f.revision) \
             SELECT dataset, batch_no, revision, why, 0, sum(rows) FROM rows WHERE why IS NOT NULL \
             GROUP BY dataset, batch_no, revision, why ORDER BY ALL",
        )
    }

    /// Each file of a loaded revision has as many rows as the ledger says.
    fn rows_of_files(&mut self) -> Result<()> {
        self.run(
            "CREATE TEMP TABLE _differing AS \
             SELECT f.owner, f.batch_no, f.revision, f.file_id, f.dataset, f.rows_loaded, coalesce(r.rows, 0) AS rows \
             FROM _file f JOIN _entry e ON e.dataset = f.owner AND e.batch_no = f.batch_no AND e.revision = f.revision \
             LEFT JOIN _counted r ON r.file_id = f.file_id AND r.dataset = f.dataset AND r.batch_no = f.batch_no \
             WHERE e.state = 'loaded' AND f.rows_loaded <> coalesce(r.rows, 0)",
        )?;
        self.find(&format!(
            "SELECT owner, batch_no, revision, 'further files whose rows differ, beside {FILES_LISTED}', 0, \
             count(*) - {FILES_LISTED} FROM _differing GROUP BY ALL HAVING count(*) > {FILES_LISTED}"
        ))?;
        self.find(&format!(
            "SELECT owner, batch_no, revision, format('rows of file {{}} in {{}}', file_id, dataset), rows_loaded, rows \
             FROM _differing QUALIFY row_number() OVER (PARTITION BY owner, batch_no, revision ORDER BY file_id) \
             <= {FILES_LISTED} ORDER BY owner, batch_no, revision, file_id"
        ))
    }
}
