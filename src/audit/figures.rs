//! The ledger against itself: what an entry says, and what its files, rejections and other entries come to.

use super::{questions::Audit, tables::SETTLED};
use crate::{error::Result, ledger::State, rejection::KEPT_PER_FILE};

/// Kept text of a batch above which rejections may have been left out, see [`crate::scan`].
const REJECTIONS_CERTAIN: u64 = 8 << 20;
/// Kept rejections of a batch above which they may have been left out, see [`crate::load`].
const REJECTIONS_COUNTED: u64 = 100_000;

impl Audit<'_> {
    pub(super) fn ledger(&mut self) -> Result<()> {
        self.entries()?;
        self.sums()?;
        self.states()?;
        self.rejections()
    }

    /// One entry a revision, and no file or control without one; a file is entered once.
    fn entries(&mut self) -> Result<()> {
        self.find("SELECT dataset, batch_no, revision, 'entries of the revision', entries, 1 FROM _doubled")?;
        self.find(
            "SELECT dataset, batch_no, revision, 'files or controls of a revision that the ledger does not have', \
             NULL, files_found FROM _revision WHERE state IS NULL",
        )?;
        let some = if self.scope.picks.is_empty() {
            ""
        } else {
            "WHERE file_id IN (SELECT file_id FROM _file)"
        };
        self.run(&format!(
            "CREATE TEMP TABLE _repeated AS SELECT file_id FROM redledger.file {some} \
             GROUP BY file_id HAVING count(*) > 1"
        ))?;
        self.find(
            "SELECT owner, batch_no, revision, format('file_id {} is entered more than once', file_id), file_id, NULL \
             FROM _known SEMI JOIN _repeated USING (file_id) \
             QUALIFY row_number() OVER (PARTITION BY file_id ORDER BY owner, batch_no, revision) > 1",
        )
    }

    /// An entry's figures are the sums of its files'; a loaded file's rows are loaded or rejected.
    fn sums(&mut self) -> Result<()> {
        for (what, entered, found) in [
            ("files", "files", "files_found"),
            ("bytes, by file", "bytes", "bytes_found"),
            ("rows read, by file", "rows_read", "read_found"),
            ("rows loaded, by file", "rows_loaded", "loaded_found"),
            ("rows rejected, by file", "rows_rejected", "rejected_found"),
        ] {
            self.find(&format!(
                "SELECT dataset, batch_no, revision, '{what}', {entered}, {found} FROM _revision \
                 WHERE state IS NOT NULL AND {entered} <> {found}"
            ))?;
        }
        self.find(&format!(
            "SELECT dataset, batch_no, revision, 'rows loaded of a revision that is ' || state, rows_loaded, 0 \
             FROM _revision WHERE state NOT IN ({SETTLED}) AND rows_loaded <> 0"
        ))?;
        self.find(&format!(
            "SELECT owner, f.batch_no, f.revision, format('rows loaded + rejected of file {{}}', file_id), f.rows_read, \
             f.rows_loaded + f.rows_rejected FROM _file f JOIN _entry e \
             ON e.dataset = f.owner AND e.batch_no = f.batch_no AND e.revision = f.revision \
             WHERE state IN ({SETTLED}) AND f.rows_read <> f.rows_loaded + f.rows_rejected"
        ))
    }

    /// A batch has one revision whose rows are in the table, and that is the last one.
    fn states(&mut self) -> Result<()> {
        let states = State::ALL.map(|state| format!("'{}'", state.as_str()));
        self.find(&format!(
            "SELECT dataset, batch_no, revision, 'state', state, NULL FROM _revision WHERE state NOT IN ({})",
            states.join(", ")
        ))?;
        self.find(
            "SELECT dataset, batch_no, max(revision), 'revisions that are loaded', count(*), 1 FROM _entry \
             WHERE state = 'loaded' GROUP BY dataset, batch_no HAVING count(*) > 1",
        )?;
        self.find(
            "SELECT dataset, batch_no, max(revision) FILTER (state = 'superseded') AS last, \
             'superseded, and no later revision is loaded', 'superseded', NULL FROM _entry GROUP BY dataset, batch_no \
             HAVING last > coalesce(max(revision) FILTER (state = 'loaded'), -2147483648)",
        )
    }

    /// As many rejected rows are kept as the ledger says. Of a file that it does not say it of (the first format did
    /// not) all are, up to a bound, unless its batch had so many that some may have been left out.
    fn rejections(&mut self) -> Result<()> {
        let some = if self.scope.is_everything() {
            "WHERE file_id IS NOT NULL"
        } else {
            "WHERE file_id IN (SELECT file_id FROM _file)"
        };
        self.run(&format!(
            "CREATE TEMP TABLE _rejected AS SELECT file_id, count(*) AS rows, coalesce(sum(strlen(record)), 0) AS bytes \
             FROM redledger.rejection {some} GROUP BY file_id; \
             CREATE TEMP VIEW _rejecting AS \
             SELECT f.owner, f.batch_no, f.revision, f.file_id, f.rows_rejected, f.rejections_kept, \
             coalesce(r.rows, 0) AS kept, coalesce(r.bytes, 0) AS bytes, \
             coalesce(f.rejections_kept, least(f.rows_rejected, {KEPT_PER_FILE})) AS expected \
             FROM _file f JOIN _entry e ON e.dataset = f.owner AND e.batch_no = f.batch_no AND e.revision = f.revision \
             LEFT JOIN _rejected r ON r.file_id = f.file_id WHERE state IN ({SETTLED})"
        ))?;
        self.find(&format!(
            "WITH differing AS (SELECT * FROM _rejecting WHERE kept <> expected), \
             batches AS (SELECT owner, batch_no, revision, sum(bytes + 200 * kept) < {REJECTIONS_CERTAIN} \
             AND sum(rows_rejected) < {REJECTIONS_COUNTED} AS all_are_kept \
             FROM _rejecting SEMI JOIN differing USING (owner, batch_no, revision) GROUP BY ALL) \
             SELECT owner, batch_no, revision, format('rejections kept of file {{}}', file_id), expected, kept \
             FROM differing JOIN batches USING (owner, batch_no, revision) \
             WHERE rejections_kept IS NOT NULL OR kept > expected OR all_are_kept"
        ))
    }
}
