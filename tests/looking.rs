//! What the reading commands print, and that they leave the warehouse alone.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const HEADER: &str =
    "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime";
const SOUND: &str =
    "6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be001,甲公司,Alpha,0001,0,-12.50,0,USD,1711785600000";
const OTHER: &str =
    "6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be002,乙公司,Beta,0002,1,-3.00,0,USD,1711785600000";
const FINE_GRAINED: &str =
    "6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be003,\"丙,\n公司\",Gamma,0003,1,-0.12345,0,USD,1711785600000";
const IN_SECONDS: &str =
    "6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be004,丁公司,Delta,0004,1,-1.00,0,EUR,1711785600";

/// A folder with a warehouse in it, or soon.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, lines: &[&str]) {
        fs::write(self.path().join(name), lines.join("\n") + "\n").expect("to write");
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redledger"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REDLEDGER_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("to run")
    }

    /// Exit status, stdout, stderr.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.output(arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code().expect("a status"),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Stdout of a command that must exit 0.
    fn shown(&self, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.run(arguments);
        assert_eq!(status, 0, "{arguments:?}\n{stdout}{stderr}");
        stdout
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.shown(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&text).expect("JSON")
    }

    fn warehouse(&self) -> std::path::PathBuf {
        self.path().join("data/warehouse.duckdb")
    }

    /// B1 in two revisions, B2 failed for two of its three rows.
    fn loaded() -> Self {
        let desk = Self::new();
        desk.write("b1.csv", &[HEADER, SOUND]);
        assert_eq!(desk.run(&["ingest", "b1.csv", "--batch-no", "B1"]).0, 0);
        desk.write("b1.csv", &[HEADER, SOUND, OTHER]);
        assert_eq!(desk.run(&["ingest", "b1.csv", "--batch-no", "B1"]).0, 0);
        desk.write("b2.csv", &[HEADER, SOUND, FINE_GRAINED, IN_SECONDS]);
        assert_eq!(desk.run(&["ingest", "b2.csv", "--batch-no", "B2"]).0, 1);
        desk
    }
}

/// Times as `<time>`, hashes and run ids likewise.
fn filtered(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let is_time = word.len() == 20
                    && word.starts_with("20")
                    && word.ends_with('Z')
                    && word.contains('T');
                let is_hash = word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
                match (is_time, is_hash) {
                    (true, _) => "<time>".to_owned(),
                    (_, true) => "<hash>".to_owned(),
                    _ => word.to_owned(),
                }
            })
            .collect();
        lines.push(words.join(" "));
    }
    lines.join("\n")
}

#[test]
fn status_lists_the_newest_first_and_says_what_to_do() {
    let desk = Desk::loaded();
    insta::assert_snapshot!(filtered(&desk.shown(&["status"])), @r"
    batch  dataset           state   rev  rows  rejected  age
    B2     account_negative  failed    1     0         2  just now
    B1     account_negative  loaded    2     2         0  just now

    B2 failed: 2 of 3 rows rejected where `account_negative` allows 1% (max_rejected); the first, line 3: field `cardNegative`: 5 decimals where 4 are allowed [excess-scale]
      to do: see `redledger rejections B2`; load what is mended when it is announced again, or with `redledger ingest`; `redledger dismiss B2 --why TEXT` if it is not wanted
    2 batches: 1 failed, 1 loaded
    ");
}

#[test]
fn status_of_a_batch_shows_history_files_and_controls() {
    let desk = Desk::loaded();
    let shown = filtered(&desk.shown(&["status", "B1"]));
    assert!(
        shown.starts_with(
            "B1  account_negative  loaded, just now\n2 rows loaded, 0 rejected of 2 read\n\n"
        ),
        "{shown}"
    );
    let words: Vec<String> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "rev state rows rejected +/-/~ written age",
        "2 loaded 2 0 +1 -0 ~0 <time> just now",
        "1 superseded 1 0 +1 -0 ~0 <time> just now",
        "file rows rejected bytes sha-256 encoding",
        "b1.csv 2 0 265 <hash> UTF-8",
        "control expected actual result",
        "account_negative: read = loaded + rejected 2 2 ok",
    ] {
        assert!(words.iter().any(|found| found == line), "{line}\n{shown}");
    }
}

#[test]
fn status_as_json_and_csv_gives_full_values_and_iso_times() {
    let desk = Desk::loaded();
    let batches = desk.json(&["status"]);
    assert_eq!(batches[0]["batch_no"], "B2");
    assert_eq!(batches[0]["loaded_revision"], serde_json::Value::Null);
    let loaded = &batches[1];
    assert_eq!(loaded["rows_loaded"], 2);
    assert_eq!(loaded["content_hash"].as_str().expect("a hash").len(), 64);
    let time = loaded["loaded_at"].as_str().expect("a time");
    assert!(
        time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'),
        "{time}"
    );

    let history = desk.json(&["status", "B1"]);
    assert_eq!(history.as_array().expect("revisions").len(), 2);
    assert_eq!(history[0]["details"]["files"][0]["url"], "b1.csv");
    assert_eq!(history[1]["state"], "superseded");

    let csv = desk.shown(&["status", "B1", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().expect("a header").get(0), Some("dataset"));
    assert_eq!(reader.records().count(), 2);
}

#[test]
fn an_unknown_batch_is_a_usage_error_with_the_nearest_number() {
    let desk = Desk::new();
    desk.write("b.csv", &[HEADER, SOUND]);
    desk.run(&["ingest", "b.csv", "--batch-no", "BATCH_20260330163600"]);
    for command in ["status", "rejections"] {
        let (status, stdout, stderr) = desk.run(&[command, "BATCH_20260330163601"]);
        assert_eq!((status, stdout.as_str()), (2, ""));
        assert!(
            stderr.contains("did you mean `BATCH_20260330163600`?"),
            "{stderr}"
        );
    }
}

#[test]
fn a_failed_new_revision_says_that_the_old_rows_are_still_there() {
    let desk = Desk::new();
    desk.write("b.csv", &[HEADER, SOUND]);
    desk.run(&["ingest", "b.csv", "--batch-no", "B1"]);
    desk.write("b.csv", &[HEADER, FINE_GRAINED]);
    desk.run(&["ingest", "b.csv", "--batch-no", "B1"]);
    let shown = desk.shown(&["status"]);
    assert!(
        shown.contains("(the rows of revision 1 are still in the table)"),
        "{shown}"
    );
    assert_eq!(desk.json(&["status"])[0]["loaded_revision"], 1);
}

#[test]
fn rejections_are_shown_on_a_line_each_with_a_count_by_code() {
    let desk = Desk::loaded();
    insta::assert_snapshot!(desk.shown(&["rejections", "B2"]), @r#"
    file    line  field         code            message                                                         record
    b2.csv     3  cardNegative  excess-scale    5 decimals where 4 are allowed                                  6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be003,"丙,\n公司",Gamma,0003…
    b2.csv     5  statTime      timestamp-unit  looks like seconds (10 digits) where milliseconds are expected  6f1b3c1e-0f5b-4a53-9a87-0c7a4f7be004,丁公司,Delta,0004,1,-1…

    code            rows
    excess-scale       1
    timestamp-unit     1

    2 rejected rows
    "#);
}

#[test]
fn rejections_are_chosen_by_code_dataset_and_limit_and_say_when_there_are_more() {
    let desk = Desk::loaded();
    let found = desk.json(&["rejections", "--code", "excess-scale"]);
    assert_eq!(found.as_array().expect("rows").len(), 1);
    assert_eq!(
        found[0]["record"], FINE_GRAINED,
        "the whole record, line break and all"
    );
    let none = desk.json(&["rejections", "--dataset", "account_repayment"]);
    assert_eq!(none, serde_json::json!([]));

    let shown = desk.shown(&["rejections", "--limit", "1"]);
    assert!(
        shown.ends_with("1 of 2 rejected rows shown; --limit 2 shows all of them\n"),
        "{shown}"
    );
    let (_, stdout, stderr) = desk.run(&["rejections", "--limit", "1", "--format", "csv"]);
    assert!(
        stdout.starts_with("dataset,batch_no,") && stderr.contains("1 of 2"),
        "{stdout}{stderr}"
    );

    let (status, _, stderr) = desk.run(&["rejections", "--code", "exces-scale"]);
    assert!(
        status == 2 && stderr.contains("did you mean `excess-scale`?"),
        "{stderr}"
    );
    let (status, _, stderr) = desk.run(&["rejections", "--dataset", "account_repaymnt"]);
    assert!(
        status == 2 && stderr.contains("did you mean `account_repayment`?"),
        "{stderr}"
    );
}

#[test]
fn rejections_of_earlier_revisions_are_history() {
    let desk = Desk::loaded();
    desk.write("b2.csv", &[HEADER, SOUND]);
    assert_eq!(desk.run(&["ingest", "b2.csv", "--batch-no", "B2"]).0, 0);
    assert_eq!(desk.shown(&["rejections"]), "No rejected rows.\n");
    assert_eq!(desk.json(&["rejections", "B2"]), serde_json::json!([]));
}

#[test]
fn without_a_warehouse_nothing_is_loaded_yet_and_nothing_is_made() {
    let desk = Desk::new();
    for (arguments, expected) in [
        (&["status"][..], ""),
        (&["rejections"], ""),
        (&["status", "--format", "json"], "[]\n"),
        (&["rejections", "--format", "json"], "[]\n"),
    ] {
        let (status, stdout, stderr) = desk.run(arguments);
        assert_eq!((status, stdout.as_str()), (0, expected), "{arguments:?}");
        assert_eq!(stderr, "Nothing loaded yet in ./data/warehouse.duckdb.\n");
    }
    let (_, stdout, _) = desk.run(&["status", "--format", "csv"]);
    assert!(stdout.starts_with("dataset,batch_no,revision,") && stdout.lines().count() == 1);
    assert!(!desk.path().join("data").exists());
}

#[test]
fn looking_changes_no_byte_and_leaves_no_file() {
    let desk = Desk::loaded();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(desk.path().join("data"))
            .expect("data")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    let (bytes, before) = (fs::read(desk.warehouse()).expect("the warehouse"), names());
    let lock = fs::File::open(desk.path().join("data/lock")).expect("the lock");
    lock.lock().expect("to hold it: a run is under way");
    desk.shown(&["status"]);
    desk.shown(&["status", "B1"]);
    desk.shown(&["rejections"]);
    assert!(fs::read(desk.warehouse()).expect("the warehouse") == bytes);
    assert_eq!(names(), before);
}

#[test]
fn a_file_that_is_no_warehouse_is_refused_untouched() {
    let sound = fs::read(Desk::loaded().warehouse()).expect("a warehouse");
    let mut newer = sound.clone();
    newer[12] = 200;
    let cut = sound[..sound.len() / 3].to_vec();
    for (content, said) in [
        (
            b"accountId,type\n1,2\n".to_vec(),
            Some("not a DuckDB database"),
        ),
        (Vec::new(), Some("not a DuckDB database")),
        (newer, None),
        (cut, None),
    ] {
        let desk = Desk::new();
        fs::create_dir(desk.path().join("data")).expect("a folder");
        fs::write(desk.warehouse(), &content).expect("to write");
        for command in ["status", "rejections"] {
            let (status, _, stderr) = desk.run(&[command]);
            assert_eq!(status, 2, "{stderr}");
            assert!(said.is_none_or(|said| stderr.contains(said)), "{stderr}");
            assert!(fs::read(desk.warehouse()).expect("the file") == content);
        }
    }
}

#[test]
fn a_wal_beside_the_warehouse_is_not_replayed() {
    let desk = Desk::loaded();
    let wal = desk.path().join("data/warehouse.duckdb.wal");
    fs::write(&wal, "somebody's work").expect("to write");
    let (status, _, stderr) = desk.run(&["status"]);
    assert!(
        status == 2 && stderr.contains("unfinished work"),
        "{stderr}"
    );
    assert_eq!(fs::read(&wal).expect("still there"), b"somebody's work");
}

#[test]
fn datasets_list_says_whose_each_contract_is() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("own")).expect("a folder");
    desk.write(
        "own/card.toml",
        &[
            "name = \"card\"",
            "max_rejected = 5",
            "[[fields]]",
            "name = \"id\"",
            "type = \"text\"",
        ],
    );
    desk.write("redledger.toml", &["datasets_dir = \"own\""]);
    insta::assert_snapshot!(desk.shown(&["datasets", "list"]), @r"
    name                        fields  key                               max_rejected  source   comment
    account_negative                 9  account_id, currency              1%            shipped  Negative balances per account and currency, as announced by the platform
    account_negative_bill            5  account_id, create_time           1%            shipped  Bills of negative balances, one row per account and creation time
    account_negative_bill_line       0                                    1%            shipped  Rows of the files that bills point to, cell for cell as delivered
    account_repayment               11  account_id, currency, repay_time  1%            shipped  Repayments of negative balances per account, currency and time
    card                             1                                    5 rows        own
    ");
}

#[test]
fn datasets_show_has_fields_key_and_controls() {
    let desk = Desk::new();
    let shown = desk.shown(&["datasets", "show", "account_repayment"]);
    for part in [
        "key           account_id, currency, repay_time\n",
        "control       card_settle_amount + card_unpaid_amount = card_negative\n",
        "cardSettleAmount    card_settle_amount    decimal(18,4)  yes       卡结算金额",
        "timestamp ms",
        "enum 0, 1",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let json = desk.json(&["datasets", "show", "account_negative"]);
    assert_eq!(json["fields"][5]["sql_type"], "DECIMAL(18,4)");
    let (status, _, stderr) = desk.run(&["datasets", "show", "account_negatve"]);
    assert!(
        status == 2 && stderr.contains("did you mean `account_negative`?"),
        "{stderr}"
    );
}

#[test]
fn datasets_check_names_file_line_and_nearest_key_of_every_mistake() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("own")).expect("a folder");
    desk.write(
        "own/good.toml",
        &[
            "name = \"card\"",
            "[[fields]]",
            "name = \"id\"",
            "type = \"text\"",
        ],
    );
    desk.write(
        "own/typo.toml",
        &[
            "name = \"card\"",
            "[[fields]]",
            "name = \"id\"",
            "type = \"text\"",
            "requird = true",
        ],
    );
    let (status, stdout, stderr) = desk.run(&[
        "datasets",
        "check",
        "own/good.toml",
        "own/typo.toml",
        "own/absent.toml",
    ]);
    assert_eq!(
        (status, stdout.as_str()),
        (2, "OK  own/good.toml: card, 1 field\n")
    );
    assert!(
        stderr.contains("note: own/good.toml: no field is required"),
        "{stderr}"
    );
    assert!(
        stderr.contains("typo.toml:5:") && stderr.contains("did you mean `required`?"),
        "{stderr}"
    );
    assert!(
        stderr.contains("cannot read the contract own/absent.toml"),
        "{stderr}"
    );

    desk.write("redledger.toml", &["datasets_dir = \"own\""]);
    let (status, stdout, stderr) = desk.run(&["datasets", "check"]);
    assert!(
        status == 2 && stdout.lines().count() == 5 && stderr.contains("typo.toml:5:"),
        "{stdout}{stderr}"
    );
    fs::remove_file(desk.path().join("own/typo.toml")).expect("to remove");
    fs::copy(
        desk.path().join("own/good.toml"),
        desk.path().join("own/twice.toml"),
    )
    .expect("to copy");
    fs::remove_file(desk.path().join("redledger.toml")).expect("to remove");
    let (status, _, stderr) = desk.run(&["datasets", "check", "own/good.toml", "own/twice.toml"]);
    assert!(
        status == 2 && stderr.contains("declares the dataset `card`, as own/good.toml does"),
        "{stderr}"
    );
    assert_eq!(desk.shown(&["datasets", "check"]).lines().count(), 4);
}

#[test]
fn datasets_infer_proposes_a_contract_that_passes_its_check_and_loads_the_sample() {
    let desk = Desk::new();
    let mut lines = vec![HEADER.to_owned()];
    for row in 0..3_000 {
        // Only the very last row shows that displayId is an id and that amounts have three decimals.
        let (id, amount) = if row == 2_999 {
            ("0042".to_owned(), "-0.125")
        } else {
            (format!("{}", 1_000 + row), "-5.5")
        };
        lines.push(format!(
            "6f1b3c1e-0f5b-4a53-9a87-0c7a4f7b{row:04x},甲公司,,{id},{},{amount},0,USD,{}",
            row % 2,
            1_711_785_600_000_u64 + row
        ));
    }
    lines.push("too,few,cells".to_owned());
    desk.write(
        "Card Sample.csv",
        &lines.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let (status, proposal, stderr) = desk.run(&["datasets", "infer", "Card Sample.csv"]);
    assert_eq!(
        (status, stderr.as_str()),
        (0, "1 broken record left out, see the comments\n")
    );
    for part in [
        "# Proposed from all 3000 rows of Card Sample.csv, read as UTF-8.\n",
        "# Left out: 1 record whose structure is broken (1 field-count).\n",
        "name = \"card_sample\"\n",
        "# primary_key = [\"account_id\"]\n",
        "# Always empty.\n[[fields]]\nname = \"accountEn\"\ntype = \"text\"\n\n",
        "name = \"displayId\"\ntype = \"text\"\nrequired = true\n",
        "type = \"enum\"\nvalues = { \"0\" = \"0\", \"1\" = \"1\" }",
        "precision = 18          # seen: 1 before the point\nscale = 3               # seen: 3 after it\n",
        "name = \"currency\"\ntype = \"currency\"\n",
        "name = \"statTime\"\ntype = \"timestamp\"\nunit = \"ms\"\nrequired = true\n",
    ] {
        assert!(proposal.contains(part), "{part}\n{proposal}");
    }
    fs::create_dir(desk.path().join("own")).expect("a folder");
    fs::write(desk.path().join("own/card_sample.toml"), &proposal).expect("to write");
    let checked = desk.shown(&["datasets", "check", "own/card_sample.toml"]);
    assert_eq!(checked, "OK  own/card_sample.toml: card_sample, 9 fields\n");
    desk.write("redledger.toml", &["datasets_dir = \"own\""]);
    let loading = [
        "ingest",
        "Card Sample.csv",
        "--batch-no",
        "S1",
        "--dataset",
        "card_sample",
    ];
    assert_eq!(desk.run(&loading).0, 1, "one row is broken");
    assert_eq!(desk.json(&["status", "S1"])[0]["rows_loaded"], 3_000);
}

#[test]
fn datasets_infer_finds_the_delimiter_and_names_what_cannot_be_read() {
    let desk = Desk::new();
    desk.write("semicolons.csv", &["id;note", "1;a,b", "2;c"]);
    let proposal = desk.shown(&["datasets", "infer", "semicolons.csv", "--name", "notes"]);
    assert!(
        proposal.contains("[csv]\ndelimiter = \";\"\n") && proposal.contains("name = \"notes\"\n"),
        "{proposal}"
    );
    desk.write("proposal.toml", &[&proposal]);
    desk.shown(&["datasets", "check", "proposal.toml"]);
    desk.write("quoted.csv", &[r#""id";"note""#, r#""1";"a;b""#]);
    let quoted = desk.shown(&["datasets", "infer", "quoted.csv", "--name", "notes"]);
    assert!(
        quoted.contains("delimiter = \";\"") && quoted.contains("\"note\""),
        "{quoted}"
    );

    desk.write("stray.csv", &["id,no\"te", "1,a"]);
    let (status, stdout, stderr) = desk.run(&["datasets", "infer", "stray.csv"]);
    assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("the header row: "), "{stderr}");
    for arguments in [
        &["absent.csv"][..],
        &["semicolons.csv", "--name", "No Name"],
    ] {
        let (status, stdout, _) = desk.run(&[&["datasets", "infer"], arguments].concat());
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn config_check_says_what_is_in_force_and_config_show_can_be_read_back() {
    let desk = Desk::new();
    desk.write(
        "redledger.toml",
        &["data_dir = \"here\"", "[download]", "attempts = 3"],
    );
    insta::assert_snapshot!(desk.shown(&["config", "check"]), @r"
    settings   redledger.toml
    warehouse  here/warehouse.duckdb
    datasets   4: account_negative, account_negative_bill, account_negative_bill_line, account_repayment
    OK
    ");
    let shown = desk.shown(&["config", "show", "--data-dir", "there"]);
    assert!(
        shown.contains("data_dir = \"there\"") && shown.contains("attempts = 3"),
        "{shown}"
    );
    desk.write("copy.toml", &[&shown]);
    assert_eq!(
        desk.shown(&["config", "show", "--config", "copy.toml"]),
        shown
    );
    assert_eq!(desk.json(&["config", "show"])["download"]["attempts"], 3);
}

#[test]
fn config_check_refuses_what_only_a_run_would_find() {
    let desk = Desk::new();
    for (line, said) in [
        (
            "[hook.events]\nx = \"account_negatve\"",
            "did you mean `account_negative`?",
        ),
        (
            "[download]\nallow_private = [\"10.0.0.0/99\"]",
            "10.0.0.0/99",
        ),
        ("[download]\natempts = 3", "did you mean `attempts`?"),
    ] {
        desk.write("redledger.toml", &[line]);
        let (status, stdout, stderr) = desk.run(&["config", "check"]);
        assert_eq!((status, stdout.as_str()), (2, ""), "{line}");
        assert!(stderr.contains(said), "{stderr}");
    }
}
