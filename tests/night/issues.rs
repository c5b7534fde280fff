//! Pages of several issues of a batch, and pages that come again.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::{inline, names, outcomes, page, receive, report};
use crate::support::{
    program::{Ran, Workspace},
    server::{Reply, Server},
};

const RUN: [&str; 3] = ["run", "--format", "json"];
const HOUR: i64 = 3_600_000;

/// A page of five rows in pages of two, whose first row has this amount, made so many hours ago.
fn of_issue(number: usize, amount: &str, hours_ago: i64) -> Value {
    let mut hook = page("B1", number, 5);
    hook["list"][0]["cardNegative"] = amount.into();
    let made = jiff::Timestamp::now().as_millisecond() - hours_ago * HOUR;
    json!({"id": format!("{number}{amount}"), "createTime": made, "resource": hook.to_string()})
}

fn ran(workspace: &Workspace, announcements: &[Value], exit: i32, expected: &[&str]) -> Ran {
    receive(workspace, announcements);
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(exit), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(outcomes(&ran), expected);
    ran
}

/// Lets what waits have come so many hours ago.
fn age_waiting(workspace: &Workspace, hours: u64) {
    for name in names(workspace, "inbox") {
        let path = workspace.data().join("inbox").join(name);
        let file = fs::File::options().append(true).open(path);
        let then = std::time::SystemTime::now() - Duration::from_secs(hours * 3600);
        file.and_then(|file| file.set_modified(then))
            .expect("to set");
    }
}

fn amounts(workspace: &Workspace) -> Vec<String> {
    workspace.query(
        "SELECT DISTINCT card_negative::VARCHAR FROM account_negative WHERE card_negative <> -12.5",
    )
}

#[test]
fn a_page_of_a_later_issue_does_not_complete_an_earlier_one() {
    let workspace = Workspace::new();
    let first = [of_issue(1, "-1", 5), of_issue(3, "-1", 5)];
    ran(&workspace, &first, 3, &["B1 waiting"]);
    ran(
        &workspace,
        &[of_issue(2, "-2", 2)],
        3,
        &["B1 waiting", "B1 waiting"],
    );
    let rest = [of_issue(1, "-2", 2), of_issue(3, "-2", 2)];
    ran(&workspace, &rest, 0, &["B1 loaded"]);
    assert_eq!(amounts(&workspace), ["-2.0000"]);
    assert_eq!(
        names(&workspace, "inbox"),
        [""; 0],
        "the first issue is over"
    );
    ran(&workspace, &[], 0, &[]);
}

#[test]
fn issues_too_close_to_be_told_apart_are_noted_in_the_ledger() {
    let workspace = Workspace::new();
    let bare = |number: usize, amount: &str| {
        let text = of_issue(number, amount, 0)["resource"].clone();
        serde_json::from_str::<Value>(text.as_str().expect("text")).expect("JSON")
    };
    let pages = [bare(1, "-1"), bare(3, "-1"), bare(2, "-2")];
    ran(&workspace, &pages, 0, &["B1 loaded"]);
    let noted = workspace.query("SELECT message FROM redledger.batch");
    assert!(noted[0].contains("several announcements"), "{noted:?}");
    // What is left of the second issue is held, and somebody is told.
    let rest = [bare(1, "-2"), bare(3, "-2")];
    ran(&workspace, &rest, 3, &["B1 waiting"]);
    age_waiting(&workspace, 25);
    // Received before what is loaded: it is over.
    ran(&workspace, &[], 0, &["B1 unchanged"]);
}

#[test]
fn pages_that_are_missing_for_a_day_need_a_person() {
    let workspace = Workspace::new();
    let path = receive(&workspace, &[page("B1", 1, 5)]).remove(0);
    assert_eq!(workspace.run(&RUN).exit, Some(3));
    let age = |hours: u64| {
        let file = fs::File::options()
            .append(true)
            .open(&path)
            .expect("a file");
        let then = std::time::SystemTime::now() - Duration::from_secs(hours * 3600);
        file.set_modified(then).expect("to set");
    };
    age(23);
    assert_eq!(workspace.run(&RUN).exit, Some(3));
    age(25);
    let told = workspace.run(&RUN);
    assert_eq!(
        (told.exit, outcomes(&told)),
        (Some(1), vec!["B1 waiting".into()])
    );
    let hint = report(&told)["batches"][0]["hint"].to_string();
    assert!(hint.contains("announced again"), "{hint}");
    assert!(path.exists(), "it stays");
    // Once: `status` goes on saying it.
    assert_eq!(workspace.run(&RUN).exit, Some(0));
    let said = workspace.run(&["status"]).stdout;
    assert!(said.contains("B1 waiting: "), "{said}");
    assert!(said.contains("for a day no page has come"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_loaded_batch_that_comes_again_counts_once() {
    let workspace = Workspace::new();
    let pages: Vec<Value> = (1..=3).map(|number| page("B1", number, 5)).collect();
    ran(&workspace, &pages, 0, &["B1 loaded"]);
    for again in [
        &pages[1..2],
        &pages[2..],
        &pages[..2],
        &[of_issue(2, "-12.50", 0)],
    ] {
        ran(&workspace, again, 0, &["B1 unchanged"]);
        // Others may come within an hour.
        assert_eq!(names(&workspace, "inbox").len(), again.len());
        age_waiting(&workspace, 2);
        ran(&workspace, &[], 0, &["B1 unchanged"]);
        assert_eq!(names(&workspace, "inbox"), [""; 0]);
    }
    let given = workspace.write("page.json", pages[1].to_string());
    let by_hand = workspace.run(&["ingest", &given, "--format", "json"]);
    assert_eq!(
        (by_hand.exit, outcomes(&by_hand)),
        (Some(0), vec!["B1 unchanged".into()])
    );
    // Of a newer issue a page may be the same, and come before the others.
    let newer = [
        of_issue(2, "-12.50", 0),
        of_issue(1, "-9", 0),
        of_issue(3, "-12.50", 0),
    ];
    for (page, outcome, exit) in [
        (0, "B1 unchanged", 0),
        (1, "B1 waiting", 3),
        (2, "B1 loaded", 0),
    ] {
        ran(&workspace, &newer[page..=page], exit, &[outcome]);
    }
    assert_eq!(amounts(&workspace), ["-9.0000"]);
    // One with other rows is of another issue.
    ran(&workspace, &[of_issue(2, "-7", 0)], 3, &["B1 waiting"]);

    let server = Server::start(|request| {
        let number: usize = request.path[2..3].parse().expect("a number");
        Reply::new(200, CSV.replace("7be001", &format!("7be00{number}")))
    })
    .await;
    for total in [json!(2), Value::Null] {
        let workspace = Workspace::new();
        let pages = [1, 2].map(|number| {
            json!({
                "batchNo": "B1", "page": number, "size": 1, "total": total, "lastPage": number == 2,
                "fileUrl": server.url(&format!("/p{number}.csv")),
            })
        });
        ran(&workspace, &pages, 0, &["B1 loaded"]);
        for again in [&pages[1..], &pages[..1]] {
            ran(&workspace, again, 0, &["B1 unchanged"]);
            age_waiting(&workspace, 2);
            ran(&workspace, &[], 0, &["B1 unchanged"]);
            assert_eq!(names(&workspace, "inbox"), [""; 0]);
        }
    }
}

#[test]
fn a_page_counted_from_0_that_comes_again_counts_once() {
    let workspace = Workspace::new();
    let from_zero = |number: usize| {
        let mut hook = page("B1", number + 1, 5);
        hook["page"] = number.into();
        hook
    };
    ran(&workspace, &[0, 1, 2].map(from_zero), 0, &["B1 loaded"]);
    for number in 0..3 {
        ran(&workspace, &[from_zero(number)], 0, &["B1 unchanged"]);
        age_waiting(&workspace, 2);
        ran(&workspace, &[], 0, &["B1 unchanged"]);
    }
}

#[test]
fn what_lies_in_the_inbox_is_read_or_named() {
    let workspace = Workspace::new();
    let inbox = workspace.data().join("inbox");
    fs::create_dir_all(&inbox).expect("a folder");
    fs::write(inbox.join("A.JSON"), inline("A", 1).to_string()).expect("to write");
    let elsewhere = workspace.write("b-elsewhere", inline("B", 1).to_string());
    std::os::unix::fs::symlink(workspace.path().join(elsewhere), inbox.join("b.Json"))
        .expect("a link");
    let not_read = ["c.json.part", "d.csv", ".e.json.swp", "folder"];
    for name in &not_read[..3] {
        fs::write(inbox.join(name), "half").expect("to write");
    }
    fs::create_dir(inbox.join("folder")).expect("a folder");
    let pipe = inbox.join("f.json");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    // A name that is no UTF-8, twice: the two are not one.
    use std::os::unix::ffi::OsStrExt as _;
    for (byte, batch) in [(b'\xfe', "G"), (b'\xff', "H")] {
        let name = [&[byte][..], b".json"].concat();
        let path = inbox.join(std::ffi::OsStr::from_bytes(&name));
        fs::write(path, inline(batch, 1).to_string()).expect("to write");
    }
    let said = workspace.run(&["status"]).stdout;
    for name in not_read {
        assert!(
            said.contains(&format!("{name} is not read")),
            "{name}:\n{said}"
        );
    }
    assert!(said.contains("f.json can't be read"), "{said}");
    let ran = workspace.run(&RUN);
    assert_eq!(ran.exit, Some(2), "for the pipe");
    let mut loaded = outcomes(&ran);
    loaded.sort();
    assert_eq!(loaded, ["A loaded", "B loaded", "G loaded", "H loaded"]);
    assert!(ran.stderr.contains("d.csv"), "{}", ran.stderr);
    fs::remove_file(pipe).expect("to remove");
    let again = workspace.run(&RUN);
    assert_eq!((again.exit, outcomes(&again)), (Some(0), vec![]));
}

#[test]
fn a_mistake_in_the_settings_leaves_announcements_waiting() {
    let workspace = Workspace::new();
    workspace.write("redledger.toml", "[hook.events]\nx = \"account_negativ\"\n");
    let announcement = json!({"eventType": "x", "resource": inline("B1", 1)});
    receive(&workspace, &[announcement]);
    for command in [&["run"][..], &["run", "--dry-run"], &["config", "check"]] {
        let ran = workspace.run(command);
        assert_eq!(ran.exit, Some(2), "{command:?}");
        for said in ["[hook.events] `x`", "did you mean `account_negative`?"] {
            assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        }
    }
    assert_eq!(names(&workspace, "inbox").len(), 1);
    workspace.write(
        "redledger.toml",
        "[hook.events]\nx = \"account_negative\"\n",
    );
    assert_eq!(outcomes(&workspace.run(&RUN)), ["B1 loaded"]);
}

/// Each has 13.6 MB of rows.
#[test]
fn the_rows_of_one_announcement_at_a_time_are_in_memory() {
    let workspace = Workspace::new();
    let mut rows = String::new();
    let mut number = 0;
    while rows.len() < 13_600_000 {
        let mut row = super::row(number);
        row["accountName"] = format!("a name of some length {number}").into();
        rows += &format!("{}{row}", if number > 0 { "," } else { "" });
        number += 1;
    }
    let inbox = workspace.data().join("inbox");
    fs::create_dir_all(&inbox).expect("a folder");
    for batch in 0..20 {
        let hook = format!(
            r#"{{"batchNo":"B{batch:02}","lastPage":true,"total":{number},"list":[{rows}]}}"#
        );
        let envelope = json!({"id": batch.to_string(), "resource": hook}).to_string();
        fs::write(inbox.join(format!("{batch:02}.json")), envelope).expect("to write");
    }
    // Two of them are enough to load: the others are read as well.
    let ran = workspace.run(&["run", "--format", "json", "--max-batches", "2"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert_eq!(outcomes(&ran), ["B00 loaded", "B01 loaded"]);
    assert_eq!(report(&ran)["batches"][0]["rows_loaded"], number);
    println!("peak memory {} MB", ran.peak_kilobytes / 1_000);
    assert!(ran.peak_kilobytes < 250_000, "{} kB", ran.peak_kilobytes);
}

const CSV: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n\
    6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,Alpha,Alpha,0001,0,-12.50,0,USD,1711785600000\n";
