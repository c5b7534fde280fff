//! Views of repayments, bills and the ledger.

use super::{HOUR, MARCH, account};
use crate::support::{
    program::Workspace,
    server::{Reply, Server},
};

fn ingest(workspace: &Workspace, number: &str, header: &str, rows: &[String]) {
    let name = format!("{number}.csv");
    workspace.write(&name, format!("{header}\n{}\n", rows.join("\n")));
    let ran = workspace.run(&["ingest", &name, "--batch-no", number]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_repayment_that_is_restated_counts_once_as_it_was_told_last() {
    let workspace = Workspace::new();
    let header = "accountId,type,repayTime,cardNegative,budgetNegative,cardSettleAmount,budgetSettleAmount,cardUnpaidAmount,budgetUnpaidAmount,currency";
    let row = |hours: i64, owed: &str, settled: &str, unpaid: &str| {
        format!(
            "{},0,{},{owed},0,{settled},0,{unpaid},0,USD",
            account(1),
            MARCH + hours * HOUR
        )
    };
    ingest(&workspace, "R1", header, &[row(1, "-10", "-4", "-6")]);
    ingest(
        &workspace,
        "R2",
        header,
        &[row(1, "-10", "-5", "-5"), row(49, "-5", "-2", "-3")],
    );
    let repaid = workspace.query(
        "SELECT concat_ws(' ', card_settle_amount, deliveries, is_restated, batch_no) FROM repayment ORDER BY repay_time",
    );
    assert_eq!(repaid, ["-5.0000 2 true R2", "-2.0000 1 false R2"]);
    let status = workspace.query(
        "SELECT concat_ws(' ', status, negative, settled, unpaid, settled_in_all, unpaid_days, unpaid_since_is_latest_possible) \
         FROM repayment_status WHERE measure = 'card'",
    );
    assert_eq!(
        status,
        ["partly paid -5.0000 -2.0000 -3.0000 -7.0000 2 true"]
    );
    let budget = workspace.query("SELECT status FROM repayment_status WHERE measure = 'budget'");
    assert_eq!(budget, ["nothing owed"]);
}

#[test]
fn a_bill_that_several_batches_deliver_is_one_with_the_lines_of_the_last() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let lines = |count: usize| {
        let rows: String = (0..count).map(|row| format!("{row}.00,shop\n")).collect();
        Reply::new(200, format!("交易金额,商户\n{rows}"))
    };
    let server = runtime.block_on(Server::script([lines(2), lines(3)]));
    let workspace = Workspace::new();
    let header = "accountId,displayId,total,negativeUrl,createTime";
    for (number, total) in [("L1", 2), ("L2", 3)] {
        let row = format!(
            "{},D1,{total},{}?n={number},{MARCH}",
            account(1),
            server.url("/lines.csv")
        );
        ingest(&workspace, number, header, &[row]);
    }
    let bills = workspace.query(
        "SELECT concat_ws(' ', lines_stated, lines_loaded, lines_rejected, lines_missing, deliveries, batch_no) FROM bill",
    );
    assert_eq!(bills, ["3 3 0 0 2 L2"]);
    workspace.verify();
}

#[test]
fn the_ledger_is_told_by_batch_night_dataset_and_row() {
    let workspace = Workspace::new();
    workspace.run(&["demo", "--data-dir", "data"]);
    let looks = workspace.query("SELECT batch_no FROM batch_status WHERE needs_a_look ORDER BY 1");
    assert_eq!(looks, ["BATCH_20260330163600"]);
    let fresh = workspace
        .query("SELECT concat_ws(' ', dataset, newest_batch, batches) FROM freshness ORDER BY 1");
    assert_eq!(
        fresh,
        [
            "account_negative BATCH_20260331163600 2",
            "account_negative_bill BATCH_20260401090000 1",
            "account_repayment BATCH_20260401100000 1",
        ]
    );
    let rejected = workspace.query("SELECT count(*) || ' ' || count(url) FROM rejected_row");
    assert_eq!(rejected, ["2 2"]);
}
