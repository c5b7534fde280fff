//! Thirty nights of everything that happens to a receiver and its run; what is in the tables then is what
//! the same files give when they are simply ingested.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, LazyLock},
};

use serde_json::{Value, json};

use super::{names, outcomes, report, row};
use crate::support::{
    program::{Ran, Workspace},
    receiver::{Receiver, hmac_base64},
    server::{Reply, Server},
};

const NIGHTS: i64 = 30;
const SECRET: &str = "m0nth";
/// Rows of a page of balances, and of a bill's file.
const PAGE: usize = 7;
const BILL_LINES: usize = 3;
const BURST: usize = 20;
const TABLES: [&str; 4] = [
    "account_negative",
    "account_negative_bill",
    "account_negative_bill_line",
    "account_repayment",
];

const PAGE_LATE: i64 = 10;
const REISSUED: i64 = 12;
const EXPIRED: i64 = 15;
const RESTARTED: i64 = 20;
const LAST_REPAYMENT: i64 = 28;

/// When a night's batches are announced, in epoch milliseconds; the last one's an hour ago.
fn announced_at(night: i64) -> i64 {
    const HOUR: i64 = 3_600_000;
    // One clock for the whole test, even if an hour ends meanwhile.
    static NOW: LazyLock<i64> = LazyLock::new(|| jiff::Timestamp::now().as_millisecond());
    *NOW - HOUR - (NIGHTS - night) * 24 * HOUR
}

fn batch_no(kind: &str, night: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(announced_at(night)).expect("a time");
    format!("{kind}_{}", at.strftime("%Y%m%d"))
}

/// The pages of a night's balances.
fn balances(night: i64) -> Vec<Value> {
    let page = |number: usize| {
        let list: Vec<Value> = ((number - 1) * PAGE..number * PAGE)
            .map(|index| {
                let mut row = row(index);
                row["cardNegative"] = format!("-{night}.{index:04}").into();
                row["statTime"] = announced_at(night).into();
                row
            })
            .collect();
        json!({
            "batchNo": batch_no("NEG", night), "page": number, "size": PAGE, "total": 3 * PAGE,
            "lastPage": number == 3, "list": list,
        })
    };
    (1..=3).map(page).collect()
}

/// A night's repayments; issued again with another amount.
fn repayments(night: i64, again: bool) -> String {
    let mut text = String::from(
        "accountId,displayId,type,currency,cardNegative,budgetNegative,cardSettleAmount,budgetSettleAmount,\
         cardUnpaidAmount,budgetUnpaidAmount,repayTime\n",
    );
    for index in 0..9 {
        let settled = if again && index == 4 { "2.00" } else { "1.00" };
        text += &format!(
            "0193f2a4-0000-7000-8000-{index:012},{index:07},1,EUR,-{night}.50,0,{settled},0,-1.5,0,{}\n",
            announced_at(night)
        );
    }
    text
}

/// A night's bills, each naming a file of lines on `host`.
fn bills(night: i64, host: &str) -> String {
    let mut text = String::from("accountId,displayId,createTime,total,negativeUrl\n");
    for index in 0..4 {
        text += &format!(
            "0193f2a4-0000-7000-8000-{index:012},{index:07},{},{BILL_LINES},http://{host}/lines-{night}-{index}.csv?sig=1\n",
            announced_at(night)
        );
    }
    text
}

fn lines(of: &str) -> String {
    let rows = (0..BILL_LINES).map(|index| format!("商户 {of},{index}.25\n"));
    format!("商户,交易金额\n{}", rows.collect::<String>())
}

/// `/repay-12-again.csv`, `/bills-3.csv`, `/lines-3-1.csv`; a signature `old` has run out.
fn file(path: &str, host: &str) -> Reply {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if query.contains("old") {
        return Reply::new(403, "<Error><Code>AccessDenied</Code></Error>");
    }
    let words: Vec<&str> = path
        .trim_start_matches('/')
        .trim_end_matches(".csv")
        .split('-')
        .collect();
    let night = words
        .get(1)
        .and_then(|night| night.parse().ok())
        .unwrap_or_default();
    match words[0] {
        "repay" => Reply::new(200, repayments(night, words.len() > 2)),
        "bills" => Reply::new(200, bills(night, host)),
        "lines" => Reply::new(200, lines(&words[1..].join("-"))),
        _ => Reply::new(404, ""),
    }
}

/// A hook that names a file.
fn of_file(kind: &str, night: i64, url: &str) -> Value {
    json!({"batchNo": batch_no(kind, night), "page": 1, "lastPage": true, "fileUrl": url})
}

/// The envelope that announces a hook, and its signature.
fn announcement(hook: &Value, at: i64, id: &str) -> (String, String) {
    let resource = hook.to_string();
    let signature = hmac_base64(SECRET, &resource);
    let body = json!({
        "eventType": "announced", "resource": resource, "createTime": at.to_string(), "id": id,
    });
    (body.to_string(), signature)
}

/// What a night's platform sends, in the order it arrives in.
fn announcements(night: i64, server: &Server) -> Vec<(String, String)> {
    let at = announced_at(night);
    let mut sent = Vec::new();
    let mut send = |hook: &Value, at: i64, id: &str| sent.push(announcement(hook, at, id));
    let pages = balances(night);
    for place in [2, 0, 1] {
        if !(night == PAGE_LATE && place == 1) {
            send(&pages[place], at, &format!("neg-{night}-{place}"));
        }
    }
    if night == PAGE_LATE + 1 {
        let late = &balances(PAGE_LATE)[1];
        send(late, announced_at(PAGE_LATE), "late page");
    }
    if night <= LAST_REPAYMENT {
        let url = server.url(&format!("/repay-{night}.csv?sig={night}"));
        send(&of_file("REPAY", night, &url), at + 1, "repay");
    }
    if night == REISSUED + 1 {
        let url = server.url(&format!("/repay-{REISSUED}-again.csv?sig=2"));
        send(&of_file("REPAY", REISSUED, &url), at + 2, "repay again");
    }
    let signature = if night == EXPIRED { "old" } else { "new" };
    let url = server.url(&format!("/bills-{night}.csv?sig={signature}"));
    send(&of_file("BILL", night, &url), at + 3, "bills");
    if night == EXPIRED + 1 {
        let url = server.url(&format!("/bills-{EXPIRED}.csv?sig=new"));
        send(&of_file("BILL", EXPIRED, &url), at + 4, "bills again");
    }
    if night == RESTARTED {
        for number in 0..BURST {
            send(&burst(number), at + 5, &format!("burst-{number}"));
        }
    }
    sent
}

fn burst(number: usize) -> Value {
    super::inline(&format!("BURST_{number}"), number + 1)
}

/// The batches as they should end, without all that happened to them.
fn directly(workspace: &Workspace, server: &Server) -> Ran {
    let folder = workspace.path().join("hooks");
    fs::create_dir(&folder).expect("a folder");
    let write = |name: &str, hook: Value| {
        fs::write(folder.join(format!("{name}.json")), hook.to_string()).expect("to write");
    };
    for night in 1..=NIGHTS {
        write(&format!("neg-{night}"), balances(night).into());
        if night <= LAST_REPAYMENT {
            let again = if night == REISSUED { "-again" } else { "" };
            let url = server.url(&format!("/repay-{night}{again}.csv"));
            write(&format!("repay-{night}"), of_file("REPAY", night, &url));
        }
        let url = server.url(&format!("/bills-{night}.csv"));
        write(&format!("bills-{night}"), of_file("BILL", night, &url));
    }
    for number in 0..BURST {
        write(&format!("burst-{number}"), burst(number));
    }
    workspace.run(&["ingest", "hooks", "--format", "json"])
}

/// All of a table's rows but for the numbers of their files.
fn contents(workspace: &Workspace, table: &str) -> Vec<String> {
    workspace.query(&format!(
        "SELECT t::VARCHAR AS row_text FROM (SELECT * EXCLUDE (file_id) FROM {table}) t ORDER BY row_text"
    ))
}

/// Posts all at once, ends the receiver as a crash does as soon as some are acknowledged, starts another and
/// posts again what was not.
async fn burst_with_a_crash(
    workspace: &Workspace,
    receiver: Receiver,
    sent: &[(String, String)],
) -> Receiver {
    let mut posting = tokio::task::JoinSet::new();
    for (number, (body, signature)) in sent.iter().enumerate() {
        let post = receiver.posting(body.clone(), &[("Signature", signature)]);
        posting.spawn(async move { (number, post.await) });
    }
    let mut acknowledged: HashMap<usize, u16> = HashMap::new();
    let mut running = Some(receiver);
    while let Some(posted) = posting.join_next().await {
        let (number, status) = posted.expect("a post");
        if let Some(status) = status {
            acknowledged.insert(number, status);
        }
        if acknowledged.len() >= 3
            && let Some(receiver) = running.take()
        {
            receiver.kill();
        }
    }
    assert!(
        acknowledged.values().all(|status| *status == 200),
        "{acknowledged:?}"
    );
    let receiver = Receiver::start(workspace);
    for (number, (body, signature)) in sent.iter().enumerate() {
        if !acknowledged.contains_key(&number) {
            let (status, _) = receiver
                .post(body.clone(), &[("Signature", signature)])
                .await;
            assert_eq!(status, 200);
        }
    }
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn after_thirty_nights_the_tables_are_what_the_files_say() {
    let server = Arc::new(
        Server::start(|request| file(&request.path, request.header("host").unwrap_or_default()))
            .await,
    );
    let workspace = Workspace::new().set("HOOK_SECRET", SECRET);
    let workspace = ["NEGATIVE", "NEGATIVE_BILL", "REPAYMENT"]
        .into_iter()
        .fold(workspace, |workspace, name| {
            workspace.set(&format!("EXPECTED_EVERY__ACCOUNT_{name}"), "26h")
        });
    let mut receiver = Receiver::start(&workspace);
    for night in 1..=NIGHTS {
        let sent = announcements(night, &server);
        if night == RESTARTED {
            receiver = burst_with_a_crash(&workspace, receiver, &sent).await;
        } else {
            for (body, signature) in &sent {
                let (status, _) = receiver
                    .post(body.clone(), &[("Signature", signature)])
                    .await;
                assert_eq!(status, 200, "night {night}");
            }
        }
        // A platform that has not heard the answer sends the first one again.
        let (body, signature) = &sent[0];
        receiver
            .post(body.clone(), &[("Signature", signature)])
            .await;
        assert!(
            names(&workspace, "inbox").len() >= sent.len(),
            "night {night}: each is stored"
        );

        let ran = workspace.run(&["run", "--format", "json"]);
        let expected = match night {
            PAGE_LATE => 3,
            // Nothing more comes of a link that has been dead for so long.
            EXPIRED => 1,
            _ => 0,
        };
        assert_eq!(
            ran.exit,
            Some(expected),
            "night {night}: {}\n{}",
            ran.stdout,
            ran.stderr
        );
        let left = if night == PAGE_LATE { 2 } else { 0 };
        assert_eq!(names(&workspace, "inbox").len(), left, "night {night}");
        match night {
            PAGE_LATE => {
                assert!(outcomes(&ran).contains(&format!("{} waiting", batch_no("NEG", night))))
            }
            EXPIRED => {
                assert!(outcomes(&ran).contains(&format!("{} expired", batch_no("BILL", night))))
            }
            NIGHTS => {
                let late = &report(&ran)["late"];
                assert_eq!(late.as_array().map(Vec::len), Some(1), "{late}");
                assert_eq!(late[0]["dataset"], "account_repayment");
                assert_eq!(late[0]["newest_batch"], batch_no("REPAY", LAST_REPAYMENT));
            }
            _ => {}
        }
    }
    assert_eq!(receiver.stop().exit, Some(0));
    let status = workspace.run(&["status", "--strict"]);
    assert_eq!(status.exit, Some(1), "a dataset is late");
    assert!(
        status.stdout.contains("account_repayment is 23h"),
        "{}",
        status.stdout
    );

    let states =
        "SELECT state || ' ' || count(*) FROM redledger.batch GROUP BY state ORDER BY state";
    let batches = 2 * NIGHTS + LAST_REPAYMENT + BURST as i64;
    assert_eq!(
        workspace.query(states),
        [format!("loaded {batches}"), "superseded 1".into()]
    );

    let direct = Workspace::new();
    let ran = directly(&direct, &server);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    for table in TABLES {
        let (month, directly) = (contents(&workspace, table), contents(&direct, table));
        assert!(!month.is_empty(), "{table} has rows");
        assert!(
            month == directly,
            "{table}: {} rows against {}",
            month.len(),
            directly.len()
        );
    }
}
