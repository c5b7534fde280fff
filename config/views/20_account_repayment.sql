-- Views for analysts, see docs/analyst.md.

CREATE OR REPLACE VIEW repayment AS
WITH delivered AS (
    SELECT r.account_id, r.currency, r.repay_time, r.display_id, r."type", r.card_negative, r.budget_negative,
           r.card_settle_amount, r.budget_settle_amount, r.card_unpaid_amount, r.budget_unpaid_amount,
           r.batch_no, r.file_id, r.line,
           row_number() OVER (PARTITION BY r.account_id, r.currency, r.repay_time
                              ORDER BY coalesce(b.accepted_at, b.announced_at, b.loaded_at) DESC, b.batch_no DESC) AS nth
    FROM account_repayment r
    JOIN redledger.batch b ON b.dataset = 'account_repayment' AND b.state = 'loaded' AND b.batch_no = r.batch_no
), told AS (
    SELECT account_id, currency, repay_time, count(*) AS deliveries,
           count(DISTINCT row(card_negative, budget_negative, card_settle_amount, budget_settle_amount, card_unpaid_amount,
                              budget_unpaid_amount)) > 1 AS is_restated
    FROM account_repayment GROUP BY account_id, currency, repay_time
)
SELECT d.account_id, d.currency, d.repay_time, d.display_id, d."type", d.card_negative, d.budget_negative, d.card_settle_amount,
       d.budget_settle_amount, d.card_unpaid_amount, d.budget_unpaid_amount, t.deliveries, t.is_restated, d.batch_no, d.file_id, d.line
FROM delivered d
JOIN told t ON t.account_id = d.account_id AND t.currency = d.currency AND t.repay_time = d.repay_time
WHERE d.nth = 1;

COMMENT ON VIEW repayment IS 'Repayments, each once: one that several batches deliver is taken from the batch accepted last. Settled amounts may be summed, negative and unpaid ones not: they are levels';
COMMENT ON COLUMN repayment.account_id IS 'Account';
COMMENT ON COLUMN repayment.currency IS 'ISO 4217 code';
COMMENT ON COLUMN repayment.repay_time IS 'When it was repaid, UTC';
COMMENT ON COLUMN repayment.display_id IS 'Number that people know it by';
COMMENT ON COLUMN repayment."type" IS 'Kind of account, as delivered';
COMMENT ON COLUMN repayment.card_negative IS 'Owed on the card before it: a level';
COMMENT ON COLUMN repayment.budget_negative IS 'Owed on the budget before it: a level';
COMMENT ON COLUMN repayment.card_settle_amount IS 'Settled on the card by this repayment';
COMMENT ON COLUMN repayment.budget_settle_amount IS 'Settled on the budget by this repayment';
COMMENT ON COLUMN repayment.card_unpaid_amount IS 'Unpaid on the card after it: a level, not to be summed';
COMMENT ON COLUMN repayment.budget_unpaid_amount IS 'Unpaid on the budget after it: a level, not to be summed';
COMMENT ON COLUMN repayment.deliveries IS 'How often loaded batches deliver it';
COMMENT ON COLUMN repayment.is_restated IS 'Whether batches deliver it with different amounts';
COMMENT ON COLUMN repayment.batch_no IS 'Batch it is from, see redledger.batch';
COMMENT ON COLUMN repayment.file_id IS 'File it is from, see redledger.file';
COMMENT ON COLUMN repayment.line IS 'Line of that file';

CREATE OR REPLACE VIEW repayment_status AS
WITH each AS (
    SELECT r.account_id, r.currency, m.measure, r.repay_time,
           CASE m.measure WHEN 'card' THEN r.card_negative ELSE r.budget_negative END AS negative,
           CASE m.measure WHEN 'card' THEN r.card_settle_amount ELSE r.budget_settle_amount END AS settled,
           CASE m.measure WHEN 'card' THEN r.card_unpaid_amount ELSE r.budget_unpaid_amount END AS unpaid
    FROM repayment r CROSS JOIN (VALUES ('card'), ('budget')) m(measure)
), paid_up AS (
    SELECT account_id, currency, measure, max(repay_time) FILTER (unpaid = 0) AS last_paid_up
    FROM each GROUP BY account_id, currency, measure
), marked AS (
    SELECT e.account_id, e.currency, e.measure, e.repay_time, e.negative, e.settled, e.unpaid, p.last_paid_up
    FROM each e JOIN paid_up p ON p.account_id = e.account_id AND p.currency = e.currency AND p.measure = e.measure
), summed AS (
    SELECT account_id, currency, measure, count(*) AS repayments, max(repay_time) AS last_repay_time,
           max_by(negative, repay_time) AS negative, max_by(settled, repay_time) AS settled, max_by(unpaid, repay_time) AS unpaid,
           sum(settled) AS settled_in_all,
           min(repay_time) FILTER (last_paid_up IS NULL OR repay_time > last_paid_up) AS unpaid_since,
           bool_and(last_paid_up IS NULL) AS since_is_latest_possible
    FROM marked GROUP BY account_id, currency, measure
), newest AS (SELECT max(repay_time) AS repay_time FROM repayment)
SELECT s.account_id, s.currency, s.measure,
       CASE WHEN s.unpaid = 0 AND s.negative = 0 THEN 'nothing owed' WHEN s.unpaid = 0 THEN 'paid'
            WHEN s.settled = 0 THEN 'unpaid' ELSE 'partly paid' END AS status,
       s.negative, s.settled, s.unpaid,
       CASE WHEN s.negative <> 0 THEN (s.settled / s.negative)::DECIMAL(18,6) END AS settled_share,
       s.repayments, s.settled_in_all, s.last_repay_time,
       CASE WHEN s.unpaid <> 0 THEN s.unpaid_since END AS unpaid_since,
       CASE WHEN s.unpaid <> 0 THEN date_diff('day', a.day, z.day) END AS unpaid_days,
       s.unpaid <> 0 AND s.since_is_latest_possible AS unpaid_since_is_latest_possible, z.day AS as_of
FROM summed s CROSS JOIN newest
LEFT JOIN redledger.reporting_day a ON a.utc_date = s.unpaid_since::DATE AND s.unpaid_since >= a.starts_at AND s.unpaid_since < a.ends_at
LEFT JOIN redledger.reporting_day z ON z.utc_date = newest.repay_time::DATE AND newest.repay_time >= z.starts_at AND newest.repay_time < z.ends_at;

COMMENT ON VIEW repayment_status IS 'Each account''s, currency''s and measure''s last repayment: what was owed before it, settled by it and is unpaid after it, and since when something is unpaid. A day counts to the newest repayment of all accounts';
COMMENT ON COLUMN repayment_status.account_id IS 'Account';
COMMENT ON COLUMN repayment_status.currency IS 'ISO 4217 code';
COMMENT ON COLUMN repayment_status.measure IS 'card or budget: never added to each other';
COMMENT ON COLUMN repayment_status.status IS 'nothing owed, paid, partly paid or unpaid';
COMMENT ON COLUMN repayment_status.negative IS 'Owed before the last repayment';
COMMENT ON COLUMN repayment_status.settled IS 'Settled by the last repayment';
COMMENT ON COLUMN repayment_status.unpaid IS 'Unpaid after it';
COMMENT ON COLUMN repayment_status.settled_share IS 'Settled by what was owed';
COMMENT ON COLUMN repayment_status.repayments IS 'Repayments in all';
COMMENT ON COLUMN repayment_status.settled_in_all IS 'Settled by all of them';
COMMENT ON COLUMN repayment_status.last_repay_time IS 'When the last one was, UTC';
COMMENT ON COLUMN repayment_status.unpaid_since IS 'First repayment that left something unpaid, UTC';
COMMENT ON COLUMN repayment_status.unpaid_days IS 'Reporting days since';
COMMENT ON COLUMN repayment_status.unpaid_since_is_latest_possible IS 'Whether none is known that left nothing unpaid';
COMMENT ON COLUMN repayment_status.as_of IS 'Reporting day that ages are counted to';

CREATE OR REPLACE VIEW repayment_beside_balance AS
WITH moment AS (
    SELECT repay_time AS happened_at, 1 AS after, account_id, currency, repay_time, card_negative, budget_negative, NULL::BIGINT AS ordinal
    FROM repayment
    UNION ALL SELECT taken_at, 0, NULL, NULL, NULL, NULL, NULL, ordinal FROM account_negative_snapshot
), before AS (
    SELECT account_id, currency, repay_time, card_negative, budget_negative,
           max(ordinal) OVER (ORDER BY happened_at, after ROWS UNBOUNDED PRECEDING) AS ordinal
    FROM moment
)
SELECT b.account_id, b.currency, b.repay_time, b.card_negative, n.card_negative AS balance_card_negative,
       b.budget_negative, n.budget_negative AS balance_budget_negative,
       CASE WHEN s.batch_no IS NULL THEN 'no batch before' WHEN n.account_id IS NULL THEN 'not in the batch before'
            WHEN n.card_negative = b.card_negative AND n.budget_negative = b.budget_negative THEN 'equal' ELSE 'moved' END AS comparison,
       b.repay_time - s.taken_at AS time_between, s.batch_no AS balance_batch_no
FROM before b
LEFT JOIN account_negative_snapshot s ON s.ordinal = b.ordinal
LEFT JOIN account_negative n ON n.batch_no = s.batch_no AND n.account_id = b.account_id AND n.currency = b.currency
WHERE b.account_id IS NOT NULL;

COMMENT ON VIEW repayment_beside_balance IS 'Each repayment''s negative amounts beside the balance in the last batch before it. No control: balances move in between';
COMMENT ON COLUMN repayment_beside_balance.account_id IS 'Account';
COMMENT ON COLUMN repayment_beside_balance.currency IS 'ISO 4217 code';
COMMENT ON COLUMN repayment_beside_balance.repay_time IS 'When it was repaid, UTC';
COMMENT ON COLUMN repayment_beside_balance.card_negative IS 'Owed on the card before the repayment';
COMMENT ON COLUMN repayment_beside_balance.balance_card_negative IS 'The card balance in the last batch before it';
COMMENT ON COLUMN repayment_beside_balance.budget_negative IS 'Owed on the budget before the repayment';
COMMENT ON COLUMN repayment_beside_balance.balance_budget_negative IS 'The budget balance in the last batch before it';
COMMENT ON COLUMN repayment_beside_balance.comparison IS 'equal, moved, not in the batch before, or no batch before';
COMMENT ON COLUMN repayment_beside_balance.time_between IS 'From the batch to the repayment';
COMMENT ON COLUMN repayment_beside_balance.balance_batch_no IS 'That batch';
