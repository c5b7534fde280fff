//! `run --lineage`: what a run tells of itself and its batches as OpenLineage events.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};

use crate::support::{
    checkout::checkout,
    program::Workspace,
    server::{Reply, Server},
    skipped,
};

fn row(number: u32, card: &str) -> Value {
    json!({
        "accountId": format!("0193f2a4-0000-7000-8000-{number:012}"),
        "type": "0",
        "cardNegative": card,
        "budgetNegative": "0",
        "currency": "USD",
        "statTime": "1774888560000",
    })
}

fn announced(batch_no: &str, total: usize, rows: &[Value]) -> String {
    json!({"resource": {"batchNo": batch_no, "total": total, "lastPage": true, "list": rows}, "createTime": 1_774_888_560_000_i64})
        .to_string()
}

/// Bills with a file of lines, a batch that fails, and one that waits.
fn night() -> Workspace {
    let workspace = Workspace::new();
    workspace.receive(
        "1.json",
        &announced("LOADED", 2, &[row(1, "-12.50"), row(2, "-0.5")]),
    );
    workspace.receive("2.json", &announced("FAILED", 9, &[row(1, "-12.50")]));
    let mut waiting: Value =
        serde_json::from_str(&announced("WAITING", 9, &[row(1, "-1")])).expect("JSON");
    waiting["resource"]["lastPage"] = false.into();
    waiting["resource"]["page"] = 1.into();
    waiting["resource"]["size"] = 1.into();
    workspace.receive("3.json", &waiting.to_string());
    workspace
}

fn events(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("events");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn told(events: &[Value]) -> Vec<String> {
    let told = |event: &Value| {
        let of = |at: &str| {
            event
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap_or("–")
                .to_owned()
        };
        let number = of("/run/facets/executionParameters/parameters/0/value");
        match of("/job/name").as_str() {
            "redledger-run" => format!("{} redledger-run", of("/eventType")),
            job => format!("{} {job} {number}", of("/eventType")),
        }
    };
    events.iter().map(told).collect()
}

#[test]
fn a_run_and_what_it_loaded_or_could_not_are_told() {
    let workspace = night();
    let ran = workspace.run(&["run", "--lineage", "lineage.ndjson"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    let path = workspace.path().join("lineage.ndjson");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let events = events(&path);
    assert_eq!(
        told(&events),
        [
            "START redledger-run",
            "START redledger-load.account_negative LOADED",
            "COMPLETE redledger-load.account_negative LOADED",
            "START redledger-load.account_negative FAILED",
            "FAIL redledger-load.account_negative FAILED",
            "COMPLETE redledger-run",
        ]
    );
    let night = &events[0]["run"]["runId"];
    for event in &events[1..5] {
        assert_eq!(&event["run"]["facets"]["parent"]["run"]["runId"], night);
    }
    assert_eq!(&events[5]["run"]["runId"], night);
    assert_eq!(events[1]["run"]["runId"], events[2]["run"]["runId"]);

    let loaded = &events[2]["outputs"][0];
    let file = workspace.data().join("warehouse.duckdb");
    assert_eq!(loaded["namespace"], format!("duckdb://{}", file.display()));
    assert_eq!(loaded["name"], "warehouse.main.account_negative");
    assert_eq!(loaded["outputFacets"]["outputStatistics"]["rowCount"], 2);
    assert_eq!(
        loaded["facets"]["version"]["datasetVersion"],
        "LOADED, revision 1"
    );
    let fields = loaded["facets"]["schema"]["fields"]
        .as_array()
        .expect("fields");
    let card = fields.iter().find(|field| field["name"] == "card_negative");
    assert_eq!(card.expect("a field")["type"], "DECIMAL(18,4)");
    let assertions = &loaded["facets"]["dataQualityAssertions"]["assertions"];
    let asserted: Vec<&Value> = assertions.as_array().expect("some").iter().collect();
    let total = asserted
        .iter()
        .find(|of| of["assertion"] == "hook total = rows read");
    let total = total.expect("the total's");
    assert_eq!(
        [&total["success"], &total["expected"], &total["actual"]],
        [&json!(true), &json!("2"), &json!("2")]
    );
    // What is only noted, sums of money among it, is nothing that was asserted.
    assert!(
        asserted.iter().all(|of| of["expected"].is_string()),
        "{assertions}"
    );
    let read = &events[2]["inputs"][0]["inputFacets"]["inputStatistics"];
    assert_eq!(read["rowCount"], 2);

    let failed = &events[4];
    let message = failed["run"]["facets"]["errorMessage"]["message"].as_str();
    assert!(message.is_some_and(|of| of.contains('9')), "{failed}");
    assert_eq!(failed["outputs"], json!([]));
    against_the_schemas(&events);

    // Further runs are told behind it.
    workspace.run(&["run", "--lineage", "lineage.ndjson"]);
    let more = told(&self::events(&path)).split_off(6);
    assert_eq!(more, ["START redledger-run", "COMPLETE redledger-run"]);
}

#[test]
fn rows_and_the_files_that_they_name_are_two_tables() {
    let lines = "accountId,商户,交易金额\n0193f2a4-0000-7000-8000-000000000001,A,1.00\n";
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::script([Reply::new(200, lines)]));
    let workspace = Workspace::new();
    let bill = json!({"accountId": "0193f2a4-0000-7000-8000-000000000001", "displayId": "1", "createTime": 1_774_888_560_000_i64,
                      "total": 1, "negativeUrl": format!("{}?Signature=s3cret", server.url("/exports/lines.csv"))});
    workspace.receive("1.json", &announced("BILLS", 1, &[bill]));
    let ran = workspace.run(&["run", "--lineage", "lineage.ndjson"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let path = workspace.path().join("lineage.ndjson");
    let events = events(&path);
    let outputs = events[2]["outputs"].as_array().expect("tables");
    let names: Vec<&Value> = outputs.iter().map(|of| &of["name"]).collect();
    assert_eq!(
        names,
        [
            "warehouse.main.account_negative_bill",
            "warehouse.main.account_negative_bill_line"
        ]
    );
    assert_eq!(
        outputs[1]["outputFacets"]["outputStatistics"]["rowCount"],
        1
    );
    let inputs = events[2]["inputs"].as_array().expect("files");
    let file = inputs.iter().find(|of| of["name"] == "exports/lines.csv");
    let host = server.url("");
    assert_eq!(
        file.expect("the lines")["namespace"],
        host.trim_end_matches('/')
    );
    let text = fs::read_to_string(path).expect("events");
    assert!(!text.contains("s3cret"), "{text}");
    against_the_schemas(&events);
}

#[test]
fn a_run_that_faults_has_failed() {
    let workspace = night();
    fs::write(workspace.data().join("warehouse.duckdb"), "no warehouse").expect("to write");
    let ran = workspace.run(&["run", "--lineage", "lineage.ndjson"]);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    let events = events(&workspace.path().join("lineage.ndjson"));
    assert_eq!(told(&events), ["START redledger-run", "FAIL redledger-run"]);
    let message = events[1]["run"]["facets"]["errorMessage"]["message"].as_str();
    assert!(
        message.is_some_and(|of| of.contains("warehouse.duckdb")),
        "{events:?}"
    );
    fs::remove_file(workspace.data().join("warehouse.duckdb")).expect("to remove");
}

/// A server that answers every POST with `status`; returns what it was sent, head and body, after `expected` of them.
fn server(status: &'static str, expected: usize) -> (String, JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let taken = thread::spawn(move || {
        let mut taken = Vec::new();
        while taken.len() < expected {
            let (stream, _) = listener.accept().expect("a connection");
            take(stream, status, expected, &mut taken);
        }
        taken
    });
    (format!("http://{address}/api/v1/lineage"), taken)
}

fn take(stream: TcpStream, status: &str, expected: usize, taken: &mut Vec<(String, Value)>) {
    let mut reader = BufReader::new(stream);
    while taken.len() < expected {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).expect("a length");
        let length = length.lines().next().and_then(|of| of.parse().ok());
        let mut body = vec![0; length.expect("a number")];
        reader.read_exact(&mut body).expect("a body");
        taken.push((head, serde_json::from_slice(&body).expect("JSON")));
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        reader
            .get_mut()
            .write_all(answer.as_bytes())
            .expect("to answer");
    }
}

#[test]
fn a_server_gets_every_event_and_the_key() {
    let workspace = night()
        .variable("OPENLINEAGE_API_KEY", "k-4711")
        .variable("OPENLINEAGE_NAMESPACE", "finance");
    let (url, taken) = server("201 Created", 6);
    let ran = workspace.run(&["run", "--lineage", &url]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    let taken = taken.join().expect("six events");
    for (head, event) in &taken {
        assert!(head.starts_with("POST /api/v1/lineage "), "{head}");
        assert!(
            head.to_lowercase().contains("authorization: bearer k-4711"),
            "{head}"
        );
        assert_eq!(event["job"]["namespace"], "finance");
    }
    let events: Vec<Value> = taken.into_iter().map(|(_, event)| event).collect();
    assert_eq!(told(&events).len(), 6);
    assert!(!ran.stderr.contains("lineage"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_told_is_said_and_changes_nothing_else() {
    let (refusing, taken) = server("500 Internal Server Error", 2);
    let secret = refusing.replace("http://", "http://user:s3cret@");
    let unheard = "http://127.0.0.1:1/api?key=s3cret";
    for to in [&*secret, unheard, "nowhere/lineage.ndjson"] {
        let workspace = night();
        let plain = workspace.run(&["run", "--lineage", to]);
        assert_eq!(plain.exit, Some(3), "{to}: {}", plain.stderr);
        let warnings = plain.stderr.matches("warning: --lineage").count();
        assert_eq!(warnings, 2, "{to}: {}", plain.stderr);
        assert!(!plain.stderr.contains("s3cret"), "{}", plain.stderr);
        assert_eq!(
            workspace.query("SELECT batch_no FROM redledger.batch WHERE state = 'loaded'"),
            ["LOADED"]
        );
    }
    taken.join().expect("two refused");
    let workspace = night();
    let wrong = workspace.run(&["run", "--lineage", "ftp://example.com/x"]);
    assert_eq!(wrong.exit, Some(2));
    assert!(
        wrong.stderr.contains("http:// or https:// URL"),
        "{}",
        wrong.stderr
    );
    let dry = workspace.run(&["run", "--dry-run", "--lineage", "lineage.ndjson"]);
    assert_eq!(dry.exit, Some(0), "{}", dry.stderr);
    assert!(!workspace.path().join("lineage.ndjson").exists());
}

/// Where OpenLineage's own schemas are: `OpenLineage.json`, and `facets/` beside it.
fn schemas() -> PathBuf {
    let named = env::var_os("OPENLINEAGE_SPEC").map(PathBuf::from);
    named.unwrap_or_else(|| checkout("../shared/openlineage"))
}

/// Each event, and each of its facets by the schema that it names.
fn against_the_schemas(events: &[Value]) {
    let folder = schemas();
    if !folder.is_dir() {
        skipped(
            "lineage against OpenLineage's schemas",
            "OPENLINEAGE_SPEC names no folder with them",
        );
        return;
    }
    let schema = |path: &str| -> Value {
        let text = fs::read_to_string(folder.join(path)).expect("a schema");
        serde_json::from_str(&text).expect("JSON")
    };
    let core = schema("OpenLineage.json");
    let id = core["$id"].as_str().expect("an id").to_owned();
    let validate = |schema: &Value, value: &Value| {
        let known = jsonschema::Registry::new()
            .add(&id, jsonschema::Resource::from_contents(core.clone()))
            .and_then(jsonschema::RegistryBuilder::prepare)
            .expect("a registry");
        let validator = jsonschema::options()
            .with_registry(&known)
            .should_validate_formats(true)
            .build(schema)
            .expect("a schema");
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{value}");
    };
    let mut facets = 0;
    for event in events {
        validate(&core, event);
        let mut waiting = vec![event];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(fields) => waiting.extend(fields.values()),
                Value::Array(values) => waiting.extend(values),
                _ => {}
            }
            let Some(named) = value.get("_schemaURL").and_then(Value::as_str) else {
                continue;
            };
            let (place, name) = named.rsplit_once("#/$defs/").expect("a definition");
            let whole = schema(&format!("facets/{name}.json"));
            assert_eq!(whole["$id"], place);
            let mut of_facet = whole.clone();
            let definition = json!({"$ref": format!("#/$defs/{name}")});
            of_facet["allOf"] = json!([definition]);
            if let Some(of) = of_facet.as_object_mut() {
                of.remove("properties");
            }
            validate(&of_facet, value);
            facets += 1;
        }
    }
    assert!(facets > 10, "{facets}");
}
