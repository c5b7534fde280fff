-- Views for analysts, see docs/analyst.md.

CREATE OR REPLACE VIEW bill AS
WITH delivered AS (
    SELECT n.account_id, n.create_time, n.display_id, n.total, n.negative_url, n.batch_no, b.revision, n.file_id, n.line,
           row_number() OVER (PARTITION BY n.account_id, n.create_time
                              ORDER BY coalesce(b.accepted_at, b.announced_at, b.loaded_at) DESC, b.batch_no DESC) AS nth
    FROM account_negative_bill n
    JOIN redledger.batch b ON b.dataset = 'account_negative_bill' AND b.state = 'loaded' AND b.batch_no = n.batch_no
), told AS (
    SELECT account_id, create_time, count(*) AS deliveries FROM account_negative_bill GROUP BY account_id, create_time
), lines AS (
    SELECT account_id, bill_create_time, batch_no, count(*) AS lines, min(file_id) AS lines_file_id
    FROM account_negative_bill_line GROUP BY account_id, bill_create_time, batch_no
), file AS (
    SELECT batch_no, revision, url, min(file_id) AS file_id, count(*) AS files
    FROM redledger.file WHERE dataset = 'account_negative_bill_line' GROUP BY batch_no, revision, url
)
SELECT d.account_id, d.create_time, d.display_id, d.total AS lines_stated, coalesce(l.lines, 0) AS lines_loaded,
       f.rows_rejected AS lines_rejected, d.total - coalesce(l.lines, 0) - f.rows_rejected AS lines_missing,
       t.deliveries, d.negative_url, coalesce(l.lines_file_id, CASE WHEN u.files = 1 THEN u.file_id END) AS lines_file_id,
       d.batch_no, d.file_id, d.line
FROM delivered d
JOIN told t ON t.account_id = d.account_id AND t.create_time = d.create_time
LEFT JOIN lines l ON l.account_id = d.account_id AND l.bill_create_time = d.create_time AND l.batch_no = d.batch_no
LEFT JOIN file u ON u.batch_no = d.batch_no AND u.revision = d.revision AND u.url = d.negative_url
LEFT JOIN redledger.file f ON f.file_id = coalesce(l.lines_file_id, CASE WHEN u.files = 1 THEN u.file_id END)
WHERE d.nth = 1;

COMMENT ON VIEW bill IS 'Bills, each once, with the lines stated, loaded and rejected; a bill has no amount. lines_missing should be 0, less than 0 is more lines than stated';
COMMENT ON COLUMN bill.account_id IS 'Account';
COMMENT ON COLUMN bill.create_time IS 'When the bill was made, UTC';
COMMENT ON COLUMN bill.display_id IS 'Number that people know it by';
COMMENT ON COLUMN bill.lines_stated IS 'Lines that the bill says it has';
COMMENT ON COLUMN bill.lines_loaded IS 'Lines in account_negative_bill_line';
COMMENT ON COLUMN bill.lines_rejected IS 'Lines not loaded';
COMMENT ON COLUMN bill.lines_missing IS 'Stated lines that are neither; less than 0: more than stated';
COMMENT ON COLUMN bill.deliveries IS 'How often loaded batches deliver it';
COMMENT ON COLUMN bill.negative_url IS 'Its file, without the query';
COMMENT ON COLUMN bill.lines_file_id IS 'Its file, see redledger.file';
COMMENT ON COLUMN bill.batch_no IS 'Batch it is from, see redledger.batch';
COMMENT ON COLUMN bill.file_id IS 'File it is from, see redledger.file';
COMMENT ON COLUMN bill.line IS 'Line of that file';
