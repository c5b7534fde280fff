-- Views for analysts, see docs/analyst.md.

CREATE OR REPLACE VIEW batch_status AS
WITH attempt AS (
    SELECT *, row_number() OVER (PARTITION BY dataset, batch_no ORDER BY revision DESC, loaded_at DESC) AS nth
    FROM redledger.batch
), standing AS (
    SELECT dataset, batch_no, max(revision) AS loaded_revision FROM redledger.batch WHERE state = 'loaded' GROUP BY dataset, batch_no
), broken AS (
    SELECT dataset, batch_no, revision, count(*) AS controls_broken FROM redledger.control WHERE NOT passed GROUP BY dataset, batch_no, revision
)
SELECT a.dataset, a.batch_no, a.state, a.revision, s.loaded_revision, a.rows_expected, a.rows_read, a.rows_loaded,
       a.rows_rejected, a.rows_added, a.rows_removed, a.rows_changed, coalesce(c.controls_broken, 0) AS controls_broken,
       a.state IN ('failed', 'expired', 'waiting') OR a.rows_rejected > 0 AS needs_a_look,
       a.announced_at, a.loaded_at, d.day AS reporting_day, a.files, a.bytes, a.run_id, a.message
FROM attempt a
LEFT JOIN standing s ON s.dataset = a.dataset AND s.batch_no = a.batch_no
LEFT JOIN broken c ON c.dataset = a.dataset AND c.batch_no = a.batch_no AND c.revision = a.revision
LEFT JOIN redledger.reporting_day d ON d.utc_date = coalesce(a.announced_at, a.loaded_at)::DATE AND coalesce(a.announced_at, a.loaded_at) >= d.starts_at AND coalesce(a.announced_at, a.loaded_at) < d.ends_at
WHERE a.nth = 1;

COMMENT ON VIEW batch_status IS 'The latest attempt at every batch; needs_a_look: not loaded, or with rejected rows';
COMMENT ON COLUMN batch_status.dataset IS 'Dataset';
COMMENT ON COLUMN batch_status.batch_no IS 'Batch';
COMMENT ON COLUMN batch_status.state IS 'See redledger.batch';
COMMENT ON COLUMN batch_status.revision IS 'The latest attempt';
COMMENT ON COLUMN batch_status.loaded_revision IS 'The revision whose rows are in the table';
COMMENT ON COLUMN batch_status.rows_expected IS 'Rows announced';
COMMENT ON COLUMN batch_status.rows_read IS 'Rows delivered';
COMMENT ON COLUMN batch_status.rows_loaded IS 'Rows in the table';
COMMENT ON COLUMN batch_status.rows_rejected IS 'Rows not loaded';
COMMENT ON COLUMN batch_status.rows_added IS 'Keys that the revision before did not have';
COMMENT ON COLUMN batch_status.rows_removed IS 'Keys of the revision before that are gone';
COMMENT ON COLUMN batch_status.rows_changed IS 'Keys with other content than in the revision before';
COMMENT ON COLUMN batch_status.controls_broken IS 'Controls that did not agree; of a loaded batch they are only noted';
COMMENT ON COLUMN batch_status.needs_a_look IS 'Not loaded, or with rejected rows';
COMMENT ON COLUMN batch_status.announced_at IS 'When it was announced, UTC';
COMMENT ON COLUMN batch_status.loaded_at IS 'When it was written, UTC';
COMMENT ON COLUMN batch_status.reporting_day IS 'Day of the reporting time zone';
COMMENT ON COLUMN batch_status.files IS 'Files delivered';
COMMENT ON COLUMN batch_status.bytes IS 'Bytes delivered, uncompressed';
COMMENT ON COLUMN batch_status.run_id IS 'The run that wrote it';
COMMENT ON COLUMN batch_status.message IS 'Why it is not loaded, or what is worth knowing';

CREATE OR REPLACE VIEW night AS
WITH span AS (SELECT min(reporting_day) AS first, max(reporting_day) AS last FROM batch_status),
kind AS (SELECT DISTINCT dataset FROM batch_status WHERE dataset <> ''),
day AS (SELECT DISTINCT d.day FROM redledger.reporting_day d CROSS JOIN span WHERE d.day BETWEEN span.first AND span.last)
SELECT d.day AS reporting_day, k.dataset, count(b.batch_no) AS batches, count(b.batch_no) FILTER (b.state = 'loaded') AS loaded,
       count(b.batch_no) FILTER (b.state IN ('failed', 'expired', 'waiting')) AS open,
       coalesce(sum(b.rows_loaded), 0)::BIGINT AS rows_loaded, coalesce(sum(b.rows_rejected), 0)::BIGINT AS rows_rejected,
       coalesce(sum(b.controls_broken), 0)::BIGINT AS controls_broken, min(b.announced_at) AS first_announced_at, max(b.loaded_at) AS last_loaded_at
FROM day d CROSS JOIN kind k
LEFT JOIN batch_status b ON b.reporting_day = d.day AND b.dataset = k.dataset
GROUP BY d.day, k.dataset;

COMMENT ON VIEW night IS 'Each reporting day and dataset, days without a batch included';
COMMENT ON COLUMN night.reporting_day IS 'Day of the reporting time zone';
COMMENT ON COLUMN night.dataset IS 'Dataset';
COMMENT ON COLUMN night.batches IS 'Batches announced on that day';
COMMENT ON COLUMN night.loaded IS 'Of them loaded';
COMMENT ON COLUMN night.open IS 'Of them failed, expired or waiting';
COMMENT ON COLUMN night.rows_loaded IS 'Rows in the table';
COMMENT ON COLUMN night.rows_rejected IS 'Rows not loaded';
COMMENT ON COLUMN night.controls_broken IS 'Controls that did not agree; of a loaded batch they are only noted';
COMMENT ON COLUMN night.first_announced_at IS 'The first announcement of the day, UTC';
COMMENT ON COLUMN night.last_loaded_at IS 'The last loading, UTC';

CREATE OR REPLACE VIEW freshness AS
WITH newest AS (
    SELECT dataset, arg_max(batch_no, arrived_at) AS newest_batch, max(arrived_at) AS newest_at, max(loaded_at) AS last_loaded_at, count(*) AS batches
    FROM (SELECT dataset, batch_no, loaded_at, least(coalesce(announced_at, loaded_at), loaded_at) AS arrived_at FROM redledger.batch WHERE state = 'loaded')
    GROUP BY dataset
), spoken AS (
    SELECT 'account_negative' AS dataset, max(stat_time) AS data_until FROM account_negative
    UNION ALL SELECT 'account_negative_bill', max(create_time) FROM account_negative_bill
    UNION ALL SELECT 'account_repayment', max(repay_time) FROM account_repayment
)
SELECT n.dataset, n.newest_batch, n.newest_at, n.last_loaded_at, s.data_until, n.batches,
       (epoch(make_timestamp(epoch_us(now()))) - epoch(n.newest_at))::DECIMAL(18,0) AS seconds_since_newest,
       (SELECT max(finished_at) FROM redledger.run WHERE exit_code IN (0, 1)) AS last_good_run_at
FROM newest n LEFT JOIN spoken s USING (dataset);

COMMENT ON VIEW freshness IS 'Of each dataset the newest loaded batch and the newest time its rows speak of; times are UTC';
COMMENT ON COLUMN freshness.dataset IS 'Dataset';
COMMENT ON COLUMN freshness.newest_batch IS 'The loaded batch that was announced last';
COMMENT ON COLUMN freshness.newest_at IS 'When that was, UTC';
COMMENT ON COLUMN freshness.last_loaded_at IS 'The last loading, UTC';
COMMENT ON COLUMN freshness.data_until IS 'The newest time that rows speak of, UTC';
COMMENT ON COLUMN freshness.batches IS 'Batches loaded';
COMMENT ON COLUMN freshness.seconds_since_newest IS 'Seconds from newest_at to now';
COMMENT ON COLUMN freshness.last_good_run_at IS 'When the last run ended that loaded what there was, UTC';

CREATE OR REPLACE VIEW rejected_row AS
SELECT r.dataset, r.batch_no, r.revision, r.code, r.field, r.message, r.record, f.url, r.file_id, r.line, r.byte_offset,
       f.content_hash, f.archive_path
FROM redledger.rejection r
JOIN (SELECT dataset AS owner, batch_no, max(revision) AS revision FROM redledger.batch GROUP BY dataset, batch_no) b
    ON b.batch_no = r.batch_no AND b.revision = r.revision
   AND b.owner = CASE r.dataset WHEN 'account_negative_bill_line' THEN 'account_negative_bill' ELSE r.dataset END
LEFT JOIN redledger.file f ON f.file_id = r.file_id;

COMMENT ON VIEW rejected_row IS 'Rows that the latest attempt at each batch rejected, and where they are';
COMMENT ON COLUMN rejected_row.dataset IS 'Dataset';
COMMENT ON COLUMN rejected_row.batch_no IS 'Batch';
COMMENT ON COLUMN rejected_row.revision IS 'Revision of the batch';
COMMENT ON COLUMN rejected_row.code IS 'Kind of fault, see docs/reading.md';
COMMENT ON COLUMN rejected_row.field IS 'Field at fault, where there is one';
COMMENT ON COLUMN rejected_row.message IS 'What was expected and found';
COMMENT ON COLUMN rejected_row.record IS 'The record as delivered, URLs without their query';
COMMENT ON COLUMN rejected_row.url IS 'Where the file came from, without its query';
COMMENT ON COLUMN rejected_row.file_id IS 'File it is from, see redledger.file';
COMMENT ON COLUMN rejected_row.line IS 'Line of that file';
COMMENT ON COLUMN rejected_row.byte_offset IS 'Offset of its first byte in the decoded text';
COMMENT ON COLUMN rejected_row.content_hash IS 'SHA-256 of the file';
COMMENT ON COLUMN rejected_row.archive_path IS 'Where the file is kept, below data_dir';
