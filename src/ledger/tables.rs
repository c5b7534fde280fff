//! The ledger's tables and what their columns mean. Their order is the order of every row that is written.

/// A table's name, comment and columns: name, type, comment.
pub(super) type TableText = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

/// The version of these tables. A ledger of format 1 has no `format` table.
pub(super) const FORMAT: i32 = 2;

/// Columns that a ledger of format 1 lacks, with their table.
pub(super) const SINCE_FORMAT_2: &[(&str, &str)] = &[
    ("batch", "accepted_at"),
    ("batch", "watermark"),
    ("file", "rejections_kept"),
    ("file", "query_hash"),
    ("file", "identity"),
];

/// The table that says in which version the others are.
pub(super) const FORMAT_TABLE: &str = "format";

/// Tables with their columns, types and comments.
pub(super) const TABLES: &[TableText] = &[
    (
        "batch",
        "One row a revision of a batch. For bills it covers the bill lines too",
        &[
            (
                "dataset",
                "VARCHAR",
                "Dataset, which is also the table's name; empty while nothing delivered shows which it is",
            ),
            ("batch_no", "VARCHAR", "Batch number as announced"),
            (
                "revision",
                "INTEGER",
                "1 for the first content delivered under the number, 2 for the next, …",
            ),
            (
                "state",
                "VARCHAR",
                "loaded: its rows are in the table; superseded: a later revision replaced them; failed: nothing of it is loaded, see message; waiting: pages or files are still missing; expired: the link is dead, a new announcement is needed; dismissed: a person has decided not to load it, see message",
            ),
            (
                "rows_expected",
                "BIGINT",
                "Rows announced (the hook's total); NULL when it did not say",
            ),
            (
                "rows_read",
                "BIGINT",
                "Rows delivered; of a loaded batch always rows_loaded + rows_rejected",
            ),
            ("rows_loaded", "BIGINT", "Rows in the table"),
            (
                "rows_rejected",
                "BIGINT",
                "Rows not loaded, see redledger.rejection",
            ),
            (
                "rows_added",
                "BIGINT",
                "Rows whose key the revision before did not have",
            ),
            (
                "rows_removed",
                "BIGINT",
                "Rows of the revision before whose key is gone",
            ),
            (
                "rows_changed",
                "BIGINT",
                "Rows with the key of a row of the revision before and other content",
            ),
            ("files", "BIGINT", "Files the batch was delivered in"),
            ("bytes", "BIGINT", "Bytes delivered"),
            (
                "content_hash",
                "VARCHAR",
                "SHA-256 of what was delivered; of the files' hashes where there are several",
            ),
            (
                "announced_at",
                "TIMESTAMP",
                "When the platform announced it, UTC",
            ),
            ("loaded_at", "TIMESTAMP", "When this was written, UTC"),
            ("run_id", "VARCHAR", "The run that wrote this"),
            (
                "message",
                "VARCHAR",
                "Why it is not loaded, or what is worth knowing",
            ),
            (
                "accepted_at",
                "TIMESTAMP",
                "When this content was accepted, which orders the revisions of a batch: announced_at, but never later than it was received; where nothing says when it was announced, when it was received; UTC",
            ),
            (
                "watermark",
                "TIMESTAMP",
                "The newest accepted_at of all announcements of the batch while this revision stood, those included that changed nothing; older ones are refused; UTC",
            ),
        ],
    ),
    (
        "file",
        "Files that batches were delivered in; an inline list counts as one",
        &[
            (
                "file_id",
                "BIGINT",
                "Referred to by the file_id of every row",
            ),
            ("dataset", "VARCHAR", "Dataset of its rows"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            (
                "url",
                "VARCHAR",
                "Where it came from, without query string and credentials",
            ),
            ("bytes", "BIGINT", "Size as delivered"),
            ("content_hash", "VARCHAR", "SHA-256 of the bytes delivered"),
            ("etag", "VARCHAR", "The store's version of it"),
            ("encoding", "VARCHAR", "The encoding it was read in"),
            (
                "header",
                "VARCHAR",
                "Its header row as delivered, but for the queries of URLs",
            ),
            ("rows_read", "BIGINT", "Rows delivered"),
            ("rows_loaded", "BIGINT", "Rows in the table"),
            ("rows_rejected", "BIGINT", "Rows not loaded"),
            (
                "archive_path",
                "VARCHAR",
                "Where its bytes are kept, below data_dir",
            ),
            (
                "fetched_at",
                "TIMESTAMP",
                "When it was read to its end, UTC",
            ),
            (
                "rejections_kept",
                "BIGINT",
                "How many of its rejected rows are in redledger.rejection; NULL where an older release wrote this",
            ),
            (
                "query_hash",
                "VARCHAR",
                "SHA-256 of the URL's query without the parameters of a signature; NULL where nothing is left of it",
            ),
            (
                "identity",
                "VARCHAR",
                "What an inline list is known by, however it is written: SHA-256 of its values; NULL for files, which are known by content_hash",
            ),
        ],
    ),
    (
        "rejection",
        "Rows that were not loaded; at most 10,000 a file are kept, the counts in batch and file are exact",
        &[
            ("dataset", "VARCHAR", "Dataset"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            ("file_id", "BIGINT", "File, see redledger.file"),
            (
                "line",
                "BIGINT",
                "1-based physical line on which the record starts; in an inline list the position",
            ),
            (
                "byte_offset",
                "BIGINT",
                "Offset of its first byte in the decoded text (in a UTF-8 file: in the file)",
            ),
            ("field", "VARCHAR", "Field at fault, where there is one"),
            ("code", "VARCHAR", "Kind of fault, such as excess-scale"),
            ("message", "VARCHAR", "What was expected and found"),
            (
                "record",
                "VARCHAR",
                "The record as delivered, URLs without their query",
            ),
        ],
    ),
    (
        "control",
        "Checks of a batch: announced against counted, sums that must hold in every row",
        &[
            ("dataset", "VARCHAR", "Dataset"),
            ("batch_no", "VARCHAR", "Batch"),
            ("revision", "INTEGER", "Revision of the batch"),
            ("name", "VARCHAR", "What is checked"),
            (
                "expected",
                "VARCHAR",
                "The figure it should be; NULL: the control only notes a figure",
            ),
            ("actual", "VARCHAR", "The figure found"),
            ("passed", "BOOLEAN", "Whether they agree"),
        ],
    ),
    (
        "run",
        "One row a command that wrote to the warehouse",
        &[
            ("run_id", "VARCHAR", "Its id"),
            ("command", "VARCHAR", "The subcommand"),
            ("version", "VARCHAR", "redledger's version"),
            ("started_at", "TIMESTAMP", "UTC"),
            ("finished_at", "TIMESTAMP", "UTC"),
            ("outcome", "VARCHAR", "In words"),
            (
                "exit_code",
                "INTEGER",
                "0 well, 1 needs a person, 2 fault, 3 run again",
            ),
        ],
    ),
    (
        FORMAT_TABLE,
        "The version of the tables of this schema; one row",
        &[
            (
                "version",
                "INTEGER",
                "A redledger that knows only lower ones refuses the file; the next higher one upgrades it at its first load",
            ),
            (
                "written_by",
                "VARCHAR",
                "The version of redledger that wrote it first in this form",
            ),
        ],
    ),
];

/// A column's SQL type.
pub(super) fn kind_of(table: &str, column: &str) -> &'static str {
    let columns = TABLES.iter().filter(|(name, ..)| *name == table);
    let mut columns = columns.flat_map(|(_, _, columns)| *columns);
    let found = columns.find(|(name, ..)| *name == column);
    found.map_or("VARCHAR", |(_, kind, _)| *kind)
}
