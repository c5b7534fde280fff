-- Views for analysts. They rest on: a batch of account_negative is a full snapshot, see docs/analyst.md.

CREATE OR REPLACE VIEW account_negative_snapshot AS
WITH accepted AS (
    -- A ledger that does not say when a batch was accepted tells when it was announced, but never later than loaded.
    SELECT batch_no, revision, rows_loaded, rows_rejected,
           coalesce(accepted_at, least(coalesce(announced_at, loaded_at), loaded_at)) AS accepted_at
    FROM redledger.batch WHERE dataset = 'account_negative' AND state = 'loaded'
), spoken AS (
    SELECT n.batch_no, max(n.stat_time) AS last_stat_time, count(*) FILTER (n.stat_time > a.accepted_at) AS rows_from_the_future
    FROM account_negative n JOIN accepted a ON a.batch_no = n.batch_no
    GROUP BY n.batch_no
), loaded AS (
    SELECT a.batch_no, a.revision, a.rows_loaded, a.rows_rejected, a.accepted_at,
           least(coalesce(s.last_stat_time, a.accepted_at), a.accepted_at) AS taken_at,
           CASE WHEN s.last_stat_time <= a.accepted_at THEN 'stat_time' ELSE 'accepted_at' END AS taken_from,
           coalesce(s.rows_from_the_future, 0) AS rows_from_the_future
    FROM accepted a LEFT JOIN spoken s ON s.batch_no = a.batch_no
), dated AS (
    SELECT l.batch_no, l.revision, l.rows_loaded, l.rows_rejected, l.accepted_at, l.taken_at, l.taken_from,
           l.rows_from_the_future, d.day AS reporting_day
    FROM loaded l
    LEFT JOIN redledger.reporting_day d ON d.utc_date = l.taken_at::DATE AND l.taken_at >= d.starts_at AND l.taken_at < d.ends_at
)
SELECT batch_no, revision, taken_at, taken_from, reporting_day, rows_loaded, rows_rejected, rows_from_the_future,
       row_number() OVER (ORDER BY taken_at, accepted_at, batch_no) AS ordinal,
       row_number() OVER (ORDER BY taken_at DESC, accepted_at DESC, batch_no DESC) = 1 AS is_newest,
       row_number() OVER (PARTITION BY reporting_day ORDER BY taken_at DESC, accepted_at DESC, batch_no DESC) = 1 AS is_last_of_day
FROM dated;

COMMENT ON VIEW account_negative_snapshot IS 'Loaded batches of account_negative, each a full snapshot, in the order of the time they speak of: the newest stat_time, but never later than the batch was accepted';
COMMENT ON COLUMN account_negative_snapshot.batch_no IS 'Batch it is from, see redledger.batch';
COMMENT ON COLUMN account_negative_snapshot.revision IS 'Revision of the batch';
COMMENT ON COLUMN account_negative_snapshot.taken_at IS 'Time that the batch speaks of, UTC';
COMMENT ON COLUMN account_negative_snapshot.taken_from IS 'stat_time, or accepted_at where no row says an earlier time';
COMMENT ON COLUMN account_negative_snapshot.reporting_day IS 'Day of the reporting time zone';
COMMENT ON COLUMN account_negative_snapshot.rows_loaded IS 'Rows in the table';
COMMENT ON COLUMN account_negative_snapshot.rows_rejected IS 'Rows not loaded';
COMMENT ON COLUMN account_negative_snapshot.rows_from_the_future IS 'Rows whose stat_time is later than the batch was accepted';
COMMENT ON COLUMN account_negative_snapshot.ordinal IS '1 for the oldest, without gaps';
COMMENT ON COLUMN account_negative_snapshot.is_newest IS 'Whether it is what stands now';
COMMENT ON COLUMN account_negative_snapshot.is_last_of_day IS 'Whether no later one is of the same reporting day';

CREATE OR REPLACE VIEW account_balance AS
SELECT n.account_id, n.currency, n.account_name, n.account_en, n.display_id, n."type", n.card_negative, n.budget_negative,
       n.stat_time, s.reporting_day, n.batch_no, n.file_id, n.line
FROM account_negative n
JOIN account_negative_snapshot s ON s.batch_no = n.batch_no
WHERE s.is_newest;

COMMENT ON VIEW account_balance IS 'The newest batch of account_negative, whole: what is negative now. An account that it does not have is not negative, or was rejected: see account_last_seen';
COMMENT ON COLUMN account_balance.account_id IS 'Account';
COMMENT ON COLUMN account_balance.currency IS 'ISO 4217 code';
COMMENT ON COLUMN account_balance.account_name IS 'Name';
COMMENT ON COLUMN account_balance.account_en IS 'Name in English';
COMMENT ON COLUMN account_balance.display_id IS 'Number that people know it by';
COMMENT ON COLUMN account_balance."type" IS 'Kind of account, as delivered';
COMMENT ON COLUMN account_balance.card_negative IS 'Balance of the card, with the sign delivered';
COMMENT ON COLUMN account_balance.budget_negative IS 'Balance of the budget, with the sign delivered';
COMMENT ON COLUMN account_balance.stat_time IS 'Time the balance is of, UTC';
COMMENT ON COLUMN account_balance.reporting_day IS 'Day of the reporting time zone';
COMMENT ON COLUMN account_balance.batch_no IS 'Batch it is from, see redledger.batch';
COMMENT ON COLUMN account_balance.file_id IS 'File it is from, see redledger.file';
COMMENT ON COLUMN account_balance.line IS 'Line of that file';

CREATE OR REPLACE VIEW account_last_seen AS
WITH snapshot AS (
    SELECT batch_no, revision, ordinal, rows_rejected FROM account_negative_snapshot WHERE is_newest
), named AS (
    -- The accounts that kept rejections of each batch name: as many as 36 characters that look like an id.
    SELECT s.ordinal, r.file_id, r.line, try_cast(unnest(regexp_extract_all(r.record,
        '[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}')) AS UUID) AS account_id
    FROM redledger.rejection r JOIN snapshot s ON s.batch_no = r.batch_no AND s.revision = r.revision
    WHERE r.dataset = 'account_negative'
), known AS (SELECT DISTINCT account_id FROM account_negative
), rejected AS (
    SELECT DISTINCT n.ordinal, n.account_id FROM named n SEMI JOIN known k ON k.account_id = n.account_id
), told AS (
    SELECT n.ordinal, count(DISTINCT row(n.file_id, n.line)) AS rows FROM named n SEMI JOIN known k ON k.account_id = n.account_id
    GROUP BY n.ordinal
), unclear AS (
    -- A rejected row that names no known account, or was not kept, may be any account's.
    SELECT s.ordinal FROM snapshot s LEFT JOIN told t ON t.ordinal = s.ordinal WHERE s.rows_rejected > coalesce(t.rows, 0)
), last_row AS (
    SELECT n.account_id, n.currency, max(s.ordinal) AS ordinal
    FROM account_negative n JOIN account_negative_snapshot s ON s.batch_no = n.batch_no
    GROUP BY n.account_id, n.currency
)
SELECT n.account_id, n.currency, n.account_name, n.display_id, n."type", n.card_negative AS last_card_negative,
       n.budget_negative AS last_budget_negative, n.stat_time AS last_stat_time,
       CASE WHEN s.is_newest THEN 'current'
            WHEN x.account_id IS NOT NULL THEN 'rejected'
            WHEN u.ordinal IS NOT NULL THEN 'unknown'
            ELSE 'gone' END AS standing,
       newest.ordinal - s.ordinal AS batches_since, n.batch_no, n.file_id, n.line
FROM last_row l
JOIN account_negative_snapshot s ON s.ordinal = l.ordinal
JOIN account_negative n ON n.batch_no = s.batch_no AND n.account_id = l.account_id AND n.currency = l.currency
CROSS JOIN snapshot newest
LEFT JOIN rejected x ON x.account_id = n.account_id
LEFT JOIN unclear u ON u.ordinal = newest.ordinal;

COMMENT ON VIEW account_last_seen IS 'Every account and currency ever delivered, as it was last delivered. Not to be summed: standing tells which are in the newest batch (current), were rejected in it (rejected: the balance is unknown), are not in it (gone), or are not in it while it rejected rows that may be anybody''s (unknown)';
COMMENT ON COLUMN account_last_seen.account_id IS 'Account';
COMMENT ON COLUMN account_last_seen.currency IS 'ISO 4217 code';
COMMENT ON COLUMN account_last_seen.account_name IS 'Name';
COMMENT ON COLUMN account_last_seen.display_id IS 'Number that people know it by';
COMMENT ON COLUMN account_last_seen."type" IS 'Kind of account, as delivered';
COMMENT ON COLUMN account_last_seen.last_card_negative IS 'As last delivered; what it is now only where standing is current';
COMMENT ON COLUMN account_last_seen.last_budget_negative IS 'As last delivered; what it is now only where standing is current';
COMMENT ON COLUMN account_last_seen.last_stat_time IS 'Time of that balance, UTC';
COMMENT ON COLUMN account_last_seen.standing IS 'current, rejected, unknown or gone; see the view';
COMMENT ON COLUMN account_last_seen.batches_since IS 'Batches after the one that it is from';
COMMENT ON COLUMN account_last_seen.batch_no IS 'Batch it is from, see redledger.batch';
COMMENT ON COLUMN account_last_seen.file_id IS 'File it is from, see redledger.file';
COMMENT ON COLUMN account_last_seen.line IS 'Line of that file';

CREATE OR REPLACE VIEW exposure_by_day AS
WITH day AS (SELECT batch_no, reporting_day, taken_at, rows_rejected FROM account_negative_snapshot WHERE is_last_of_day),
summed AS (
    SELECT batch_no, currency, "type", count(*) AS accounts,
           sum(card_negative) AS card_negative, sum(budget_negative) AS budget_negative,
           count(*) FILTER (card_negative > 0 OR budget_negative > 0) AS accounts_above_zero
    FROM account_negative
    GROUP BY batch_no, currency, "type"
), kind AS (SELECT DISTINCT currency, "type" FROM summed SEMI JOIN day USING (batch_no))
SELECT day.reporting_day, kind.currency, kind."type", coalesce(s.accounts, 0) AS accounts,
       coalesce(s.card_negative, 0)::DECIMAL(38,4) AS card_negative,
       coalesce(s.budget_negative, 0)::DECIMAL(38,4) AS budget_negative,
       coalesce(s.accounts_above_zero, 0) AS accounts_above_zero,
       day.taken_at, day.batch_no, day.rows_rejected
FROM day CROSS JOIN kind
LEFT JOIN summed s ON s.batch_no = day.batch_no AND s.currency = kind.currency AND s."type" = kind."type";

COMMENT ON VIEW exposure_by_day IS 'Sums of the last batch of each reporting day by currency and account type; a pair that a batch does not have is 0. A day without a batch has no row. Currencies are never added up, nor card and budget';
COMMENT ON COLUMN exposure_by_day.reporting_day IS 'Day of the reporting time zone';
COMMENT ON COLUMN exposure_by_day.currency IS 'ISO 4217 code';
COMMENT ON COLUMN exposure_by_day."type" IS 'Kind of account, as delivered';
COMMENT ON COLUMN exposure_by_day.accounts IS 'Rows of the batch';
COMMENT ON COLUMN exposure_by_day.card_negative IS 'Sum of card balances, in the currency';
COMMENT ON COLUMN exposure_by_day.budget_negative IS 'Sum of budget balances, in the currency';
COMMENT ON COLUMN exposure_by_day.accounts_above_zero IS 'Rows with an amount above zero, which are in the sums';
COMMENT ON COLUMN exposure_by_day.taken_at IS 'Time that the batch speaks of, UTC';
COMMENT ON COLUMN exposure_by_day.batch_no IS 'Batch it is from, see redledger.batch';
COMMENT ON COLUMN exposure_by_day.rows_rejected IS 'Rows not loaded';

CREATE OR REPLACE VIEW negative_episode AS
WITH snapshot AS (
    SELECT batch_no, revision, ordinal, taken_at, is_newest, rows_rejected FROM account_negative_snapshot
), named AS (
    -- The accounts that kept rejections of each batch name: as many as 36 characters that look like an id.
    SELECT s.ordinal, r.file_id, r.line, try_cast(unnest(regexp_extract_all(r.record,
        '[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}')) AS UUID) AS account_id
    FROM redledger.rejection r JOIN snapshot s ON s.batch_no = r.batch_no AND s.revision = r.revision
    WHERE r.dataset = 'account_negative'
), known AS (SELECT DISTINCT a.account_id FROM account_negative a SEMI JOIN named n ON n.account_id = a.account_id
), rejected AS (
    SELECT DISTINCT n.ordinal, n.account_id FROM named n SEMI JOIN known k ON k.account_id = n.account_id
), told AS (
    SELECT n.ordinal, count(DISTINCT row(n.file_id, n.line)) AS rows FROM named n SEMI JOIN known k ON k.account_id = n.account_id
    GROUP BY n.ordinal
), unclear AS (
    -- A rejected row that names no known account, or was not kept, may be any account's.
    SELECT s.ordinal FROM snapshot s LEFT JOIN told t ON t.ordinal = s.ordinal WHERE s.rows_rejected > coalesce(t.rows, 0)
), doubted AS (
    SELECT p.account_id, p.currency, r.ordinal
    FROM (SELECT DISTINCT account_id, currency FROM account_negative SEMI JOIN rejected USING (account_id)) p
    JOIN rejected r ON r.account_id = p.account_id
    UNION SELECT p.account_id, p.currency, u.ordinal
    FROM (SELECT DISTINCT account_id, currency FROM account_negative) p CROSS JOIN unclear u
), unknown AS (
    SELECT d.account_id, d.currency, d.ordinal FROM doubted d
    ANTI JOIN (SELECT n.account_id, n.currency, s.ordinal FROM account_negative n JOIN snapshot s ON s.batch_no = n.batch_no
               WHERE s.rows_rejected > 0) n
    ON n.account_id = d.account_id AND n.currency = d.currency AND n.ordinal = d.ordinal
), ordinals AS (
    -- Twice the ordinal, and one more where it is not known: sorted lists are a quarter of a window's cost.
    SELECT account_id, currency, list_sort(list(mark) FILTER (card)) AS card, list_sort(list(mark) FILTER (budget)) AS budget
    FROM (SELECT n.account_id, n.currency, s.ordinal * 2 AS mark, n.card_negative <> 0 AS card, n.budget_negative <> 0 AS budget
          FROM account_negative n JOIN snapshot s ON s.batch_no = n.batch_no
          UNION ALL SELECT account_id, currency, ordinal * 2 + 1, true, true FROM unknown)
    GROUP BY account_id, currency
), held AS (
    SELECT account_id, currency, 'card' AS measure, unnest(card) AS mark, generate_subscripts(card, 1) AS rank FROM ordinals
    UNION ALL
    SELECT account_id, currency, 'budget', unnest(budget), generate_subscripts(budget, 1) FROM ordinals
), episode AS (
    SELECT account_id, currency, measure, min(mark // 2) AS first_held, max(mark // 2) AS last_held,
           min(mark // 2) FILTER (mark % 2 = 0) AS first_ordinal, max(mark // 2) FILTER (mark % 2 = 0) AS last_ordinal,
           count(*) FILTER (mark % 2 = 0) AS batches, count(*) FILTER (mark % 2 = 1) AS batches_rejected
    FROM held GROUP BY account_id, currency, measure, mark // 2 - rank
    HAVING count(*) FILTER (mark % 2 = 0) > 0
), delivered AS (
    SELECT n.account_id, n.currency, s.ordinal, s.batch_no, s.is_newest, n.stat_time, n.card_negative, n.budget_negative
    FROM account_negative n JOIN snapshot s ON s.batch_no = n.batch_no
)
SELECT e.account_id, e.currency, e.measure, first.stat_time AS negative_since, before.taken_at AS not_negative_at,
       e.first_held = 1 AS since_is_latest_possible, last.stat_time AS last_negative_at, after.taken_at AS ended_at,
       after.taken_at IS NULL AS is_open, last.is_newest AS is_in_newest_batch,
       CASE e.measure WHEN 'card' THEN first.card_negative ELSE first.budget_negative END AS first_amount,
       CASE e.measure WHEN 'card' THEN last.card_negative ELSE last.budget_negative END AS last_amount,
       e.batches, e.batches_rejected, last.batch_no AS last_batch_no
FROM episode e
JOIN delivered first ON first.account_id = e.account_id AND first.currency = e.currency AND first.ordinal = e.first_ordinal
JOIN delivered last ON last.account_id = e.account_id AND last.currency = e.currency AND last.ordinal = e.last_ordinal
LEFT JOIN snapshot before ON before.ordinal = e.first_held - 1
LEFT JOIN snapshot after ON after.ordinal = e.last_held + 1;

COMMENT ON VIEW negative_episode IS 'Unbroken stretches in which an account''s card or budget balance was not zero in every batch of account_negative; a batch that rejected the account, or rows that may be anybody''s, does not break one';
COMMENT ON COLUMN negative_episode.account_id IS 'Account';
COMMENT ON COLUMN negative_episode.currency IS 'ISO 4217 code';
COMMENT ON COLUMN negative_episode.measure IS 'card or budget: never added to each other';
COMMENT ON COLUMN negative_episode.negative_since IS 'stat_time of its first row, UTC';
COMMENT ON COLUMN negative_episode.not_negative_at IS 'Time of the batch before, in which it was not negative, UTC; NULL: there is none';
COMMENT ON COLUMN negative_episode.since_is_latest_possible IS 'Whether it was so in the oldest batch that is loaded';
COMMENT ON COLUMN negative_episode.last_negative_at IS 'stat_time of its last row, UTC';
COMMENT ON COLUMN negative_episode.ended_at IS 'Time of the first batch without it, UTC; NULL while it is open';
COMMENT ON COLUMN negative_episode.is_open IS 'Whether no batch has ended it';
COMMENT ON COLUMN negative_episode.is_in_newest_batch IS 'Whether the newest batch has it';
COMMENT ON COLUMN negative_episode.first_amount IS 'Amount in its first row';
COMMENT ON COLUMN negative_episode.last_amount IS 'Amount in its last row';
COMMENT ON COLUMN negative_episode.batches IS 'Batches that have it';
COMMENT ON COLUMN negative_episode.batches_rejected IS 'Batches in between in which the account may have been rejected';
COMMENT ON COLUMN negative_episode.last_batch_no IS 'Batch of its last row';

CREATE OR REPLACE VIEW negative_ageing AS
WITH newest AS (SELECT taken_at, reporting_day FROM account_negative_snapshot WHERE is_newest)
SELECT e.account_id, e.currency, e.measure, e.last_amount AS amount, e.negative_since, e.not_negative_at,
       date_diff('day', d.day, newest.reporting_day) AS age_days,
       CASE WHEN age_days <= 7 THEN '0-7' WHEN age_days <= 30 THEN '8-30' WHEN age_days <= 60 THEN '31-60'
            WHEN age_days <= 90 THEN '61-90' ELSE '91+' END AS bucket,
       e.since_is_latest_possible AS age_is_minimum,
       NOT e.is_in_newest_batch AS amount_is_last_known,
       newest.reporting_day AS as_of
FROM negative_episode e CROSS JOIN newest
LEFT JOIN redledger.reporting_day d ON d.utc_date = e.negative_since::DATE AND e.negative_since >= d.starts_at AND e.negative_since < d.ends_at
WHERE e.is_open;

COMMENT ON VIEW negative_ageing IS 'What is negative now and for how many reporting days; age_is_minimum: it was so in the oldest batch that is loaded; amount_is_last_known: the newest batch rejected the account';
COMMENT ON COLUMN negative_ageing.account_id IS 'Account';
COMMENT ON COLUMN negative_ageing.currency IS 'ISO 4217 code';
COMMENT ON COLUMN negative_ageing.measure IS 'card or budget: never added to each other';
COMMENT ON COLUMN negative_ageing.amount IS 'Amount in its last row';
COMMENT ON COLUMN negative_ageing.negative_since IS 'stat_time of its first row, UTC';
COMMENT ON COLUMN negative_ageing.not_negative_at IS 'Time of the batch before, UTC';
COMMENT ON COLUMN negative_ageing.age_days IS 'Reporting days since';
COMMENT ON COLUMN negative_ageing.bucket IS '0-7, 8-30, 31-60, 61-90 or 91+ days';
COMMENT ON COLUMN negative_ageing.age_is_minimum IS 'Whether it was so in the oldest batch that is loaded';
COMMENT ON COLUMN negative_ageing.amount_is_last_known IS 'Whether the newest batch does not tell: the account may have been rejected';
COMMENT ON COLUMN negative_ageing.as_of IS 'Reporting day that ages are counted to';

CREATE OR REPLACE VIEW account AS
WITH told AS (
    SELECT n.account_id, n.currency, s.ordinal, n.stat_time, n.account_name, n.account_en, n.display_id, n."type"
    FROM account_negative n JOIN account_negative_snapshot s ON s.batch_no = n.batch_no
), variant AS (
    SELECT account_id, account_name, account_en, display_id, "type",
           min({'ordinal': ordinal, 'at': stat_time}) AS first_told, max({'ordinal': ordinal, 'before': -epoch_us(stat_time)}) AS last_told
    FROM told GROUP BY account_id, account_name, account_en, display_id, "type"
), renamed AS (
    -- Few are: only their rows are put in an order.
    SELECT account_id FROM variant GROUP BY account_id HAVING count(*) > 1
), seen AS (
    -- Rows of one batch may differ between currencies: the first currency's stands, and is_ambiguous says so.
    SELECT account_id, ordinal, min(stat_time) AS stat_time,
           arg_min(account_name, currency) AS account_name, arg_min(account_en, currency) AS account_en,
           arg_min(display_id, currency) AS display_id, arg_min("type", currency) AS "type",
           coalesce(min(account_name) <> max(account_name), false) OR coalesce(min(account_en) <> max(account_en), false)
           OR coalesce(min(display_id) <> max(display_id), false) OR min("type") <> max("type") AS is_ambiguous
    FROM told SEMI JOIN renamed USING (account_id)
    GROUP BY account_id, ordinal
), compared AS (
    SELECT account_id, ordinal, stat_time, account_name, account_en, display_id, "type", is_ambiguous,
           lag(stat_time) OVER (PARTITION BY account_id ORDER BY ordinal) AS seen_before_at,
           row(account_name, account_en, display_id, "type", is_ambiguous)
           IS DISTINCT FROM lag(row(account_name, account_en, display_id, "type", is_ambiguous)) OVER (PARTITION BY account_id ORDER BY ordinal)
           AS differs
    FROM seen
), said AS (
    -- NULL is "not said": a batch without the column does not rename anybody.
    SELECT account_id, ordinal, stat_time, seen_before_at, is_ambiguous,
           last_value(account_name IGNORE NULLS) OVER so_far AS account_name,
           last_value(account_en IGNORE NULLS) OVER so_far AS account_en,
           last_value(display_id IGNORE NULLS) OVER so_far AS display_id, "type"
    FROM compared WHERE differs
    WINDOW so_far AS (PARTITION BY account_id ORDER BY ordinal ROWS UNBOUNDED PRECEDING)
), changed AS (
    SELECT account_id, ordinal, stat_time, seen_before_at, is_ambiguous, account_name, account_en, display_id, "type",
           row(account_name, account_en, display_id, "type")
           IS DISTINCT FROM lag(row(account_name, account_en, display_id, "type")) OVER (PARTITION BY account_id ORDER BY ordinal) AS is_new
    FROM said
), numbered AS (
    SELECT account_id, ordinal, stat_time, seen_before_at, is_ambiguous, account_name, account_en, display_id, "type",
           sum(is_new::INTEGER) OVER (PARTITION BY account_id ORDER BY ordinal ROWS UNBOUNDED PRECEDING) AS version
    FROM changed
), versioned AS (
    SELECT account_id, version, any_value(account_name) AS account_name, any_value(account_en) AS account_en,
           any_value(display_id) AS display_id, any_value("type") AS "type", min_by(stat_time, ordinal) AS valid_from,
           min_by(coalesce(seen_before_at, TIMESTAMP '-infinity'), ordinal) AS before_at, bool_or(is_ambiguous) AS is_ambiguous
    FROM numbered GROUP BY account_id, version
), newest AS (SELECT account_id, max_by(stat_time, ordinal) AS stat_time FROM seen GROUP BY account_id)
SELECT v.account_id, v.version::INTEGER AS version, v.account_name, v.account_en, v.display_id, v."type", v.valid_from,
       lead(v.valid_from) OVER (PARTITION BY v.account_id ORDER BY v.version) AS valid_to,
       lead(v.valid_from) OVER (PARTITION BY v.account_id ORDER BY v.version) IS NULL AS is_current,
       coalesce(lead(v.before_at) OVER (PARTITION BY v.account_id ORDER BY v.version), w.stat_time) AS last_seen_at, v.is_ambiguous
FROM versioned v JOIN newest w ON w.account_id = v.account_id
UNION ALL
SELECT account_id, 1, account_name, account_en, display_id, "type", first_told['at'], NULL, true, make_timestamp(-last_told['before']), false
FROM variant ANTI JOIN renamed USING (account_id);

COMMENT ON VIEW account IS 'Names and types of accounts over time, as account_negative said them: valid from valid_from until before valid_to';
COMMENT ON COLUMN account.account_id IS 'Account';
COMMENT ON COLUMN account.version IS '1 for what was said first';
COMMENT ON COLUMN account.account_name IS 'Name';
COMMENT ON COLUMN account.account_en IS 'Name in English';
COMMENT ON COLUMN account.display_id IS 'Number that people know it by';
COMMENT ON COLUMN account."type" IS 'Kind of account, as delivered';
COMMENT ON COLUMN account.valid_from IS 'stat_time of the first row that says so, UTC';
COMMENT ON COLUMN account.valid_to IS 'stat_time of the first row that says otherwise, UTC; NULL: nothing does';
COMMENT ON COLUMN account.is_current IS 'Whether nothing later says otherwise';
COMMENT ON COLUMN account.last_seen_at IS 'stat_time of the last row that says so, UTC';
COMMENT ON COLUMN account.is_ambiguous IS 'Whether rows of one batch say different things: the first currency counts';
