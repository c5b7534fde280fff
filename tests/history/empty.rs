//! A batch that is issued again without rows: a stated total of 0 empties it, an empty list alone says nothing.

use serde_json::{Value, json};

use super::{hook, ingest, run, stands};
use crate::support::{
    program::Workspace,
    server::{Reply, Server},
};

/// An announcement of `B1` that has these members, too.
fn empty(more: &[(&str, Value)]) -> Value {
    let mut hook = json!({"batchNo": "B1", "page": 1, "lastPage": true});
    for (key, value) in more {
        hook[*key] = value.clone();
    }
    hook
}

fn rows(workspace: &Workspace) -> Vec<String> {
    workspace.query("SELECT count(*)::VARCHAR FROM account_negative WHERE batch_no = 'B1'")
}

#[test]
fn a_stated_total_of_0_empties_a_batch_whose_dataset_is_not_told() {
    for (what, again) in [
        ("total alone", empty(&[("total", json!(0))])),
        ("total as text", empty(&[("total", json!("0"))])),
        (
            "with an empty list",
            empty(&[("total", json!(0)), ("list", json!([]))]),
        ),
        (
            "with a list of null",
            empty(&[("total", json!(0)), ("list", Value::Null)]),
        ),
    ] {
        for give in [ingest, run] {
            let workspace = Workspace::new();
            give(&workspace, &hook("-1")).loaded(1);
            give(&workspace, &again).loaded(2);
            assert_eq!(rows(&workspace), ["0"], "{what}");
            let entry = workspace.query(
                "SELECT dataset || ' ' || rows_expected || ' ' || rows_removed FROM redledger.batch \
                 WHERE revision = 2",
            );
            assert_eq!(entry, ["account_negative 0 1"], "{what}");
            give(&workspace, &again).unchanged(0);
            workspace.verify();
            // With rows again it is the third.
            give(&workspace, &hook("-1")).loaded(3);
            stands(&workspace, "-1");
        }
    }
}

#[test]
fn a_batch_of_bills_that_is_emptied_has_no_lines_left() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::script([Reply::new(
        200,
        "what,much\nrent,900.00\n",
    )]));
    let workspace = Workspace::new();
    let bill = json!({"accountId": "6f1b3c1e-0f5b-4a53-9a87-000000000001", "displayId": "01", "total": 1,
                      "createTime": 1_711_785_600_000_i64, "negativeUrl": server.url("/lines.csv")});
    let bills = json!({"batchNo": "B1", "lastPage": true, "total": 1, "list": [bill]});
    ingest(&workspace, &bills).loaded(1);
    let left = "SELECT (SELECT count(*) FROM account_negative_bill) || ' ' || \
         (SELECT count(*) FROM account_negative_bill_line)";
    assert_eq!(workspace.query(left), ["1 1"]);
    ingest(&workspace, &empty(&[("total", json!(0))])).loaded(2);
    assert_eq!(workspace.query(left), ["0 0"]);
}

#[test]
fn an_empty_list_alone_fails_the_batch_and_the_rows_stay() {
    for give in [ingest, run] {
        for again in [
            empty(&[("list", json!([]))]),
            empty(&[("list", json!([])), ("total", Value::Null)]),
        ] {
            let workspace = Workspace::new();
            give(&workspace, &hook("-1")).loaded(1);
            let became = give(&workspace, &again);
            let found = (became.exit, became.outcome.as_str());
            assert_eq!(found, (Some(1), "failed"), "{became:?}");
            assert!(became.message.contains("total"), "{became:?}");
            stands(&workspace, "-1");
            workspace.verify();
        }
    }
}
