//! What is delivered and not loaded leaves nothing in the archive.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use super::Workspace;
use crate::support::server::{Reply, Server};

/// The files below a folder, and those that its documents name.
fn kept_and_named(data: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut kept, mut named) = (BTreeSet::new(), BTreeSet::new());
    let mut folders = vec![data.join("archive")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".zst") {
                let below = path.strip_prefix(data).expect("below");
                kept.insert(below.to_string_lossy().into_owned());
            } else if name.contains("revision-") {
                let document = fs::read_to_string(&path).expect("text");
                let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
                let files = document["files"].as_array().expect("files");
                let paths = files.iter().filter_map(|file| file["path"].as_str());
                named.extend(paths.map(str::to_owned));
            }
        }
    }
    (kept, named)
}

/// Each time that a bill batch is announced its rows name the same lines by another signature: other bytes, the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn five_announcements_of_the_same_bills_keep_one_delivery() {
    let times = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        match request.path.split('?').next().unwrap_or_default() {
            "/bills.csv" => {
                let time = times.fetch_add(1, Ordering::Relaxed);
                Reply::new(
                    200,
                    format!(
                        "accountId,displayId,createTime,total,negativeUrl\n\
                         6f1b3c1e-0f5b-4a53-9a87-000000000001,01,1711785600000,1,\
                         http://{host}/lines.csv?Signature={time}&Expires={time}\n"
                    ),
                )
            }
            _ => Reply::new(200, "what,much\nrent,900.00\n"),
        }
    })
    .await;
    let workspace = Workspace::new();
    for time in 0..5 {
        let url = server.url(&format!("/bills.csv?Signature={time}&Expires={time}"));
        let hook = json!({"batchNo": "B1", "lastPage": true, "total": 1, "fileUrl": url});
        workspace.write("hook.json", hook.to_string());
        let ran = workspace.run(&["ingest", "hook.json"]);
        assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
        let (kept, named) = kept_and_named(&workspace.data());
        assert_eq!(kept, named, "after {time}");
        assert_eq!(kept.len(), 2, "{kept:?}");
    }
    assert_eq!(
        workspace.query("SELECT revision || ' ' || state FROM redledger.batch"),
        ["1 loaded"]
    );
}
