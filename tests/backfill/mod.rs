//! Batches again: from the archive, by their announcements, from the provider.

mod archive;
mod leftover;
mod refetch;
mod retention;

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    program::{Ran, Workspace},
    server::{Reply, Request, Server},
};

/// Everything that is the same in two warehouses of the same batches: clocks, runs and file numbers are not.
const DIGEST: [&str; 9] = [
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id) FROM account_negative) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id) FROM account_negative_bill) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id) FROM account_negative_bill_line) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id) FROM account_repayment) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (loaded_at, run_id) FROM redledger.batch) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id, fetched_at) FROM redledger.file) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * EXCLUDE (file_id) FROM redledger.rejection) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT * FROM redledger.control) t ORDER BY 1",
    "SELECT t::VARCHAR FROM (SELECT f.url, count(*) FROM account_negative JOIN redledger.file f USING (file_id) GROUP BY ALL) t ORDER BY 1",
];

fn digest(workspace: &Workspace) -> Vec<Vec<String>> {
    DIGEST.iter().map(|sql| workspace.query(sql)).collect()
}

/// Rows of `account_negative`, one for each amount.
fn negatives(amounts: &[&str]) -> String {
    let mut csv = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n".to_owned();
    for (number, amount) in amounts.iter().enumerate() {
        csv += &format!(
            "6f1b3c1e-0f5b-4a53-9a87-{number:012},甲公司,Alpha,{number:04},0,{amount},0,USD,1711785600000\n"
        );
    }
    csv
}

fn hook(batch_no: &str, url: &str, total: usize) -> Value {
    json!({"batchNo": batch_no, "total": total, "lastPage": true, "fileUrl": url})
}

fn enveloped(hook: &Value, announced_at: i64) -> String {
    json!({"eventType": "x", "createTime": announced_at, "resource": hook.to_string()}).to_string()
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", ran.stdout, ran.stderr))
}

/// `number rRevision outcome` of every batch of a report, in its order.
fn outcomes(ran: &Ran) -> Vec<String> {
    let report = report(ran);
    let batches = report["batches"].as_array().expect("batches").iter();
    batches
        .map(|batch| {
            format!(
                "{} r{} {}",
                batch["batch_no"].as_str().unwrap_or("?"),
                batch["revision"],
                batch["outcome"].as_str().unwrap_or("?")
            )
        })
        .collect()
}

fn backfill(workspace: &Workspace, arguments: &[&str]) -> Ran {
    let all = [&["backfill", "--format", "json"], arguments].concat();
    workspace.run(&all)
}

/// A month of everything: rejected rows, repeated keys, another encoding, inline pages, bills with their
/// lines, batches issued again, a batch that fails.
pub(crate) async fn nights() -> Workspace {
    let server = Server::start(store).await;
    let workspace = Workspace::new();
    let url = |path: &str| server.url(path);
    let list: Vec<Value> = (0..3)
        .map(|number| {
            json!({"accountId": format!("6f1b3c1e-0f5b-4a53-9a87-{number:012}"), "displayId": "01",
                   "type": 0, "currency": "USD", "cardNegative": "-3.00", "budgetNegative": 0,
                   "cardSettleAmount": 1, "budgetSettleAmount": 0, "cardUnpaidAmount": "-4.0",
                   "budgetUnpaidAmount": 0, "repayTime": 1711785600000_i64, "note": "kept"})
        })
        .collect();
    let page = |page: usize, rows: &[Value], last: bool| json!({"batchNo": "B4", "page": page, "size": 2, "total": 3, "lastPage": last, "list": rows});
    for announcement in [
        enveloped(
            &hook("B1", &url("/rejected.csv?Signature=SECRET"), 203),
            1_774_888_560_000,
        ),
        enveloped(&hook("B2", &url("/gb18030.csv"), 2), 1_774_974_960_000),
        hook("B1", &url("/again.csv?Signature=SECRET"), 2).to_string(),
        hook("B3", &url("/bills.csv"), 2).to_string(),
        json!([page(2, &list[2..], true), page(1, &list[..2], false)]).to_string(),
        hook("B3", &url("/bills-again.csv"), 1).to_string(),
        hook("B5", &url("/failing.csv"), 3).to_string(),
        hook("B2", &url("/failing.csv"), 3).to_string(),
    ] {
        workspace.write("hook.json", announcement);
        let ran = workspace.run(&["ingest", "hook.json"]);
        assert!(
            matches!(ran.exit, Some(0 | 1)),
            "{}\n{}",
            ran.stdout,
            ran.stderr
        );
    }
    workspace
}

fn store(request: &Request) -> Reply {
    let bills = "accountId,displayId,createTime,total,negativeUrl\n";
    let bill = |number: usize, name: &str| {
        format!(
            "6f1b3c1e-0f5b-4a53-9a87-{number:012},{number:04},1711785600000,2,http://{}{name}\n",
            request.header("host").unwrap_or_default()
        )
    };
    match request.path.split('?').next().unwrap_or_default() {
        "/rejected.csv" => {
            let mut amounts = vec!["-1.50"; 200];
            amounts.extend(["-1.23456", "-2", "-2.5"]);
            // The last row repeats a key, with other content.
            let csv = negatives(&amounts);
            Reply::new(
                200,
                csv.replace(
                    "6f1b3c1e-0f5b-4a53-9a87-000000000202",
                    "6f1b3c1e-0f5b-4a53-9a87-000000000200",
                ),
            )
            .header("ETag", "\"v1\"")
        }
        "/gb18030.csv" => {
            let csv = negatives(&["-7", "-8"]);
            let (bytes, ..) = encoding_rs::GB18030.encode(&csv);
            Reply::new(200, bytes.into_owned()).header("Content-Type", "text/csv; charset=gb18030")
        }
        "/again.csv" => Reply::new(200, negatives(&["-1.50", "-9"])),
        "/failing.csv" => Reply::new(200, negatives(&["1,5", "NaN", "-9"])),
        "/bills.csv" => Reply::new(
            200,
            bills.to_owned() + &bill(1, "/a.csv?Signature=SECRET") + &bill(2, "/b.csv"),
        ),
        "/bills-again.csv" => Reply::new(200, bills.to_owned() + &bill(1, "/b.csv")),
        "/a.csv" => Reply::new(200, "cardId,amount\n001,-1.50\n002,-2.5\n"),
        "/b.csv" => Reply::new(200, "卡号,金额\n003,-3\n004,\"-4\n\"\n"),
        _ => Reply::new(404, "no such file"),
    }
}

/// Below the archive, the one file whose name ends so.
pub(crate) fn kept(workspace: &Workspace, folder: &str, end: &str) -> std::path::PathBuf {
    let folder = workspace.data().join("archive").join(folder);
    let found = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let mut found = found.filter(|path| path.to_string_lossy().ends_with(end));
    found
        .next()
        .unwrap_or_else(|| panic!("no {end} in {}", folder.display()))
}
