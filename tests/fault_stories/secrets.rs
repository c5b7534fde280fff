//! Signatures in addresses are never shown or kept, but where they are delivered bytes.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use super::{ROWS, balances, bill_lines, bills};
use crate::support::{
    program::Workspace,
    server::{Fault, Object, Reply, Request, Server},
};

const SECRET: &str = "5ECRET51GNATURE";
/// So many that two rejected ones are allowed.
const BILLS: usize = 200;

fn serve(request: &Request) -> Reply {
    let host = request.header("host").unwrap_or_default();
    let path = request.path.split('?').next().unwrap_or_default();
    let signed = |name: &str| format!("http://{host}/{name}?X-Amz-Signature={SECRET}");
    match path {
        "/redirect.csv" => Reply::redirect(&signed("good.csv")),
        "/broken.csv" => {
            let object = Object::new(balances(ROWS, 0));
            match request.from() {
                None => object.whole().fault(Fault::Close(9000)),
                Some(_) => object.reply(request),
            }
        }
        "/page.csv" => Reply::new(200, format!("<html>{SECRET}</html>")),
        "/denied.csv" => Reply::new(
            403,
            format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{SECRET}</Message></Error>"),
        ),
        "/circle.csv" => Reply::redirect(&signed("circle.csv")),
        "/inside.csv" => Reply::redirect(&format!("http://10.0.0.1/?X-Amz-Signature={SECRET}")),
        "/rejected.csv" => {
            let text = String::from_utf8(balances(ROWS, 0)).expect("text");
            let row = format!("Name 7,{}", "00007,1,55433.00");
            assert!(text.contains(&row));
            let wrong = format!("{},00007,1,1e9", signed("x.csv"));
            Reply::new(200, text.replace(&row, &wrong))
        }
        "/bills.csv" | "/bills-one-gone.csv" => {
            let gone = path == "/bills-one-gone.csv";
            let text = bills(BILLS, 5, |bill| match bill {
                // No address, though with something like a signature.
                7 => format!("no address?X-Amz-Signature={SECRET}"),
                11 if gone => signed("gone.csv"),
                _ => signed("lines.csv"),
            });
            // A bill that is rejected for its number of lines.
            Reply::new(
                200,
                text.replace("000009,1774888560000,5,", "000009,1774888560000,five,"),
            )
        }
        "/lines.csv" => Reply::new(200, bill_lines(5)),
        "/good.csv" => Object::new(balances(ROWS, 0)).reply(request),
        _ => Reply::new(404, format!("nothing at {}", request.path)),
    }
}

/// Announcements that load, fail, are refused, are rejected in part or can't be understood.
fn announcements(server: &Server) -> Vec<serde_json::Value> {
    let url = |name: &str| server.url(&format!("/{name}?X-Amz-Signature={SECRET}"));
    let files = [
        url("good.csv"),
        url("redirect.csv"),
        url("broken.csv"),
        url("page.csv"),
        url("denied.csv"),
        url("circle.csv"),
        url("inside.csv"),
        url("gone.csv"),
        url("bills.csv"),
        url("bills-one-gone.csv"),
        format!("http://10.0.0.1/a.csv?X-Amz-Signature={SECRET}"),
        format!(
            "http://user:{SECRET}@{}/good.csv",
            server.url("").trim_start_matches("http://")
        ),
        format!("http://127.0.0.1:1/a.csv?X-Amz-Signature={SECRET}#{SECRET}"),
        format!("file:///etc/passwd?X-Amz-Signature={SECRET}"),
        format!("gopher://host/?X-Amz-Signature={SECRET}"),
        format!("?X-Amz-Signature={SECRET}"),
        format!("http://[::1/?X-Amz-Signature={SECRET}"),
    ];
    let mut hooks: Vec<_> = (1..)
        .zip(files)
        .map(|(number, url)| json!({"batchNo": format!("FILE_{number}"), "lastPage": true, "fileUrl": url}))
        .collect();
    hooks.push(json!({"batchNo": "REJECTED", "lastPage": true, "total": ROWS, "fileUrl": url("rejected.csv")}));
    hooks.push(json!({"batchNo": "LIST", "lastPage": true, "list": [
        {"accountId": "00000000-0000-4000-8000-000000000001", "displayId": "1", "createTime": 1774888560000_u64, "total": 5, "negativeUrl": url("lines.csv")},
        {"accountId": "00000000-0000-4000-8000-000000000002", "displayId": "2", "createTime": 1774888560000_u64, "total": 5, "negativeUrl": url("lines.csv")},
        {"accountId": "no account", "displayId": "3", "createTime": 1774888560000_u64, "total": 5, "negativeUrl": url("lines.csv")},
    ]}));
    hooks.push(json!({"batchNo": format!("http://x/?X-Amz-Signature={SECRET}"), "fileUrl": url("good.csv")}));
    hooks.push(json!({"batchNo": "NUMBER", "fileUrl": [url("good.csv")]}));
    hooks
}

/// Every value of every table, as text.
fn tables(workspace: &Workspace) -> String {
    workspace
        .query("SELECT schema_name || '.' || table_name FROM duckdb_tables()")
        .iter()
        .flat_map(|table| workspace.query(&format!("SELECT t::VARCHAR FROM {table} t")))
        .collect::<Vec<_>>()
        .join("\n")
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    if let Some(at) = bytes
        .windows(SECRET.len())
        .position(|at| at == SECRET.as_bytes())
    {
        let around = &bytes[at.saturating_sub(200)..at];
        panic!(
            "{what} holds a signature: …{}",
            String::from_utf8_lossy(around)
        );
    }
}

/// Delivered bytes are kept as they came; these deliveries hold addresses.
fn may_hold_addresses(archived: &Path) -> bool {
    let path = archived.display().to_string();
    path.contains("/account_negative_bill/") || path.contains("/account_negative/REJECTED/")
}

#[cfg(unix)]
fn assert_private(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let found = fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(found, mode, "{}", path.display());
}

fn check_files(workspace: &Workspace) {
    let data = workspace.data();
    let mut addressed = BTreeSet::new();
    for path in workspace.files() {
        let name = path.display().to_string();
        let below = path.strip_prefix(&data).expect("below");
        let bytes = fs::read(&path).expect("to read");
        if below.starts_with("inbox") && name.ends_with(".json") {
            // A later run needs the address.
            #[cfg(unix)]
            assert_private(&path, 0o600);
            continue;
        }
        assert_clean(&name, &bytes);
        if below.starts_with("archive") {
            // What is written down about a delivery is no delivery: it holds no signature.
            let is_document = name.ends_with(".json") || below.starts_with("archive/.journal");
            let delivered = match is_document {
                true => bytes.clone(),
                false => zstd::decode_all(&bytes[..]).expect("zstd"),
            };
            if may_hold_addresses(below) && !is_document {
                if delivered
                    .windows(SECRET.len())
                    .any(|at| at == SECRET.as_bytes())
                {
                    addressed.insert(
                        below
                            .components()
                            .nth(1)
                            .map(|part| part.as_os_str().to_owned()),
                    );
                }
            } else {
                assert_clean(&name, &delivered);
            }
            #[cfg(unix)]
            {
                assert_private(&path, 0o600);
                for folder in path
                    .ancestors()
                    .skip(1)
                    .take_while(|folder| *folder != data)
                {
                    assert_private(folder, 0o700);
                }
            }
        }
    }
    assert_eq!(
        addressed.len(),
        2,
        "delivered bytes are kept as they came: {addressed:?}"
    );
}

#[test]
fn no_signature_is_shown_or_kept_but_in_delivered_bytes() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(serve));
    for (logs, format) in [
        ("text", "text"),
        ("text", "json"),
        ("json", "text"),
        ("json", "json"),
        ("json", "run"),
    ] {
        let workspace = Workspace::new().with("ATTEMPTS", "2");
        let folder = match format {
            "run" => workspace.data().join("inbox"),
            _ => workspace.path().join("hooks"),
        };
        fs::create_dir_all(&folder).expect("a folder");
        #[cfg(unix)]
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("a mode");
        for (number, hook) in (1..).zip(announcements(&server)) {
            let path = folder.join(format!("{number:020}-{number:064}.json"));
            fs::write(&path, hook.to_string()).expect("to write");
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .expect("a mode");
        }
        let calls: &[&[&str]] = &[
            if format == "run" {
                &["run", "--format", "json"]
            } else {
                &["ingest", "hooks", "--format", format]
            },
            &["status"],
            &["status", "--format", "json"],
            &["status", "FILE_9", "--format", "json"],
            &["status", "FILE_5"],
            &["rejections"],
            &["rejections", "--format", "json"],
            &["rejections", "--format", "csv"],
            &["config", "show"],
        ];
        for call in calls {
            let ran = workspace.run(&[*call, &["-vvv", "--log-format", logs]].concat());
            let what = format!("{call:?} with logs as {logs}");
            assert_clean(&format!("stdout of {what}"), ran.stdout.as_bytes());
            assert_clean(&format!("stderr of {what}"), ran.stderr.as_bytes());
            if call[0] == "ingest" || call[0] == "run" {
                assert_eq!(ran.exit, Some(2), "{} {}", ran.stdout, ran.stderr);
                assert!(
                    ran.stderr.contains("trying again"),
                    "-vvv tells of attempts: {}",
                    ran.stderr
                );
            }
        }
        let states = workspace.query(
            "SELECT state || ' ' || count(*) FROM redledger.batch GROUP BY state ORDER BY state",
        );
        assert!(
            states.iter().any(|state| state.starts_with("loaded")),
            "{states:?}"
        );
        assert!(
            states.iter().any(|state| state.starts_with("expired")),
            "{states:?}"
        );
        let rejected = workspace.query("SELECT record FROM redledger.rejection");
        assert!(rejected.len() >= 3, "{rejected:?}");
        assert_clean("the warehouse", tables(&workspace).as_bytes());
        check_files(&workspace);
    }
}
