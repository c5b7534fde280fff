use proptest::prelude::*;

use super::{index, parse, rows_of, wrapping};
use crate::{
    error::Error,
    hook::{Announcement, assemble},
};

/// Parses a document in which `'` stands for `"`.
fn parsed(json: &str) -> Vec<Announcement> {
    parse("h.json", json.replace('\'', "\"").as_bytes())
        .unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn one(json: &str) -> Announcement {
    let mut announcements = parsed(json);
    assert_eq!(announcements.len(), 1, "{json}");
    announcements.remove(0)
}

/// `origin: message`, and the hint.
fn refused_bytes(bytes: &[u8]) -> (String, Option<String>) {
    match parse("h.json", bytes) {
        Err(error @ Error::Announcement { .. }) => {
            (error.to_string(), error.hint().map(str::to_owned))
        }
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

fn refused(json: &str) -> String {
    refused_bytes(json.replace('\'', "\"").as_bytes()).0
}

const HOOK: &str = "{'batchNo':'B','list':[{'a':1}]}";

#[test]
fn every_form_of_announcement_is_read() {
    let text = HOOK.replace('\'', "\\'");
    let array_text = format!("[{text}]");
    #[rustfmt::skip]
    let cases: &[(&str, &[&str])] = &[
        // The document and the origins of its announcements.
        (HOOK, &["h.json"]),
        (&format!("\u{feff} {HOOK}\n"), &["h.json"]),
        (&format!("[{HOOK},{HOOK}]"), &["h.json[1]", "h.json[2]"]),
        (&format!("{{'resource':{HOOK}}}"), &["h.json"]),
        (&format!("{{'resource':'{text}'}}"), &["h.json"]),
        (&format!("{{'resource':[{HOOK},{HOOK}]}}"), &["h.json[1]", "h.json[2]"]),
        (&format!("{{'resource':'{array_text}'}}"), &["h.json[1]"]),
        (&format!("[{HOOK},{{'resource':'{text}'}},{{'resource':[{HOOK}]}}]"), &["h.json[1]", "h.json[2]", "h.json[3][1]"]),
    ];
    for (json, origins) in cases {
        let announcements = parsed(json);
        let found: Vec<&str> = announcements.iter().map(|a| a.origin.as_str()).collect();
        assert_eq!(found, *origins, "{json}");
        for announcement in announcements {
            assert_eq!(announcement.hook, one(HOOK).hook, "{json}");
        }
    }
}

#[test]
fn an_envelope_is_kept_with_its_hook() {
    let announcement = one(&format!(
        "{{'eventType':'negative','apiVersion':'v1','code':0,'message':'ok','createTime':'1711785600000','id':77,'resource':{HOOK}}}"
    ));
    assert_eq!(announcement.event_type.as_deref(), Some("negative"));
    assert_eq!(announcement.id.as_deref(), Some("77"));
    assert_eq!(announcement.announced_at, Some(1_711_785_600_000));
    assert_eq!(announcement.unknown_keys, 0);
    let bare = one(&format!(
        "{{'eventType':'','id':null,'createTime':null,'resource':{HOOK}}}"
    ));
    assert_eq!(
        (bare.event_type, bare.id, bare.announced_at),
        (None, None, None)
    );
}

#[test]
fn numbers_and_strings_are_interchangeable() {
    let expected = one(
        "{'batchNo':'20260330','page':1,'size':2,'total':3,'lastPage':true,'list':[{'a':'1.10'}]}",
    );
    for json in [
        "{'batchNo':20260330,'page':'1','size':'2','total':'3','lastPage':'true','list':[{'a':'1.10'}]}",
        "{'batchNo':'20260330','page':'1','size':2,'total':'3','lastPage':1,'list':[{'a':'1.10'}]}",
        "{'batchNo':'20260330','page':1,'size':'2','total':3,'lastPage':'1','list':[{'a':'1.10'}]}",
    ] {
        assert_eq!(one(json), expected, "{json}");
    }
    for (json, last_page) in [
        ("false", false),
        ("0", false),
        ("'False'", false),
        ("'TRUE'", true),
    ] {
        let announcement = one(&format!("{{'batchNo':'B','lastPage':{json},'list':[]}}"));
        assert_eq!(announcement.hook.last_page, Some(last_page), "{json}");
    }
}

#[test]
fn a_cell_is_its_text() {
    #[rustfmt::skip]
    let cases: &[(&str, Option<&str>)] = &[
        ("1.10", Some("1.10")),
        ("-0.00", Some("-0.00")),
        ("1E+400", Some("1E+400")),
        ("123456789012345678901234567890", Some("123456789012345678901234567890")),
        ("\"1.10\"", Some("1.10")),
        ("true", Some("true")),
        ("false", Some("false")),
        ("null", None),
        ("\"\"", Some("")),
        ("{\"b\": [1.10, {}]}", Some("{\"b\": [1.10, {}]}")),
        ("[1.10 , null]", Some("[1.10 , null]")),
        (r#""a\"b\\c\/\n\t\u00e9""#, Some("a\"b\\c/\n\té")),
        (r#""\ud83d\ude00 \u0000""#, Some("😀 \0")),
        ("\"账户\"", Some("账户")),
    ];
    for (cell, text) in cases {
        let row = format!("{{ \"a\" : {cell} }}");
        let json = format!("{{\"batchNo\":\"B\",\"list\":[ {row} ]}}");
        let list = one(&json).hook.list.expect("a list");
        let [row_read] = list.as_slice() else {
            panic!("{list:?}")
        };
        assert_eq!(row_read.cells, [("a".into(), text.map(Into::into))]);
        assert_eq!(row_read.json, row);
        // The same by way of a string.
        let escaped = serde_json::to_string(&json).expect("a string");
        let enveloped = one(&format!("{{\"resource\":{escaped}}}"));
        assert_eq!(enveloped.hook.list, Some(list));
    }
}

#[test]
fn null_is_absent_and_an_empty_list_is_not() {
    let nulls = one(
        "{'batchNo':'B','page':null,'size':null,'total':0,'lastPage':null,'fileUrl':null,'list':null}",
    );
    assert_eq!(nulls, one("{'batchNo':'B','total':0,'fileUrl':''}"));
    assert_eq!(nulls.hook.list, None);
    let empty = one("{'batchNo':'B','list':[]}");
    assert_eq!(empty.hook.list, Some(vec![]));
}

#[test]
fn unknown_keys_are_ignored_and_counted() {
    #[rustfmt::skip]
    let cases: &[(&str, &[u64])] = &[
        ("{'batchNo':'B','list':[{'odd':1}]}", &[0]),
        ("{'batchNo':'B','list':[],'x':{'y':1},'resource':null}", &[2]),
        ("{'x':1,'resource':{'batchNo':'B','list':[],'y':1}}", &[2]),
        ("{'x':1,'resource':[{'batchNo':'B','list':[]},{'batchNo':'C','list':[],'y':1}]}", &[1, 1]),
    ];
    for (json, counts) in cases {
        let found: Vec<u64> = parsed(json).iter().map(|a| a.unknown_keys).collect();
        assert_eq!(found, *counts, "{json}");
    }
}

#[test]
fn what_is_no_announcement_is_refused_by_name() {
    let long = "9".repeat(10_000);
    #[rustfmt::skip]
    let cases: &[(&str, &str)] = &[
        ("", "h.json: not JSON: it is empty"),
        ("\u{feff}\n", "h.json: not JSON: it is empty"),
        ("<html>", "h.json: not JSON: expected value at line 1 column 1"),
        ("{'batchNo':'B',\n 'list':[}", "h.json: not JSON: expected value at line 2 column 10"),
        ("{'batchNo':'B'", "h.json: not JSON: EOF while parsing an object at line 1 column 14"),
        ("{'batchNo':01}", "h.json: not JSON: invalid number at line 1 column 13"),
        (&format!("{HOOK}\n{HOOK}\n"), "h.json: more than one JSON document: the second starts at line 2 column 1"),
        (&format!("{HOOK};"), "h.json: not JSON: trailing characters at line 1 column 33"),
        ("[]", "h.json: an empty array where a Batch Hook was expected"),
        ("3", "h.json: a number where a Batch Hook was expected"),
        ("null", "h.json: null where a Batch Hook was expected"),
        (&format!("[{HOOK},'x']"), "h.json[2]: text where a Batch Hook was expected"),
        (&format!("[[{HOOK}]]"), "h.json[1]: an array where a Batch Hook was expected"),
        ("{}", "h.json: no Batch Hook: an object without keys where `batchNo` was expected"),
        ("{'code':401,'message':'secret'}", "h.json: no Batch Hook: an object with the keys `code`, `message` where `batchNo` was expected"),
        ("{'a\\nb':1}", "h.json: no Batch Hook: an object with the keys `a\\nb` where `batchNo` was expected"),
        ("{'page':1,'list':[]}", "h.json: `batchNo` is missing"),
        ("{'batchNo':null,'list':[]}", "h.json: `batchNo` is missing"),
        ("{'batchNo':'','list':[]}", "h.json: `batchNo` is empty"),
        ("{'batchNo':true,'list':[]}", "h.json: `batchNo` is a boolean where text or a number was expected"),
        ("{'batchNo':'../x','list':[]}", "h.json: `batchNo` must start with a letter or a digit"),
        ("{'batchNo':'a/b','list':[]}", "h.json: `batchNo` has '/' at position 2 where only letters, digits, `_`, `.` and `-` are allowed"),
        (&format!("{{'batchNo':{long},'list':[]}}"), "h.json: `batchNo` has 10000 bytes where at most 128 are allowed"),
        ("{'batchNo':'B','page':-1,'list':[]}", "h.json: `page` is negative"),
        ("{'batchNo':'B','size':'x','list':[]}", "h.json: `size` is not a whole number"),
        ("{'batchNo':'B','total':'-3','list':[]}", "h.json: `total` is negative"),
        ("{'batchNo':'B','total':3.0,'list':[]}", "h.json: `total` is not a whole number"),
        ("{'batchNo':'B','total':1e3,'list':[]}", "h.json: `total` is not a whole number"),
        ("{'batchNo':'B','total':9223372036854775808,'list':[]}", "h.json: `total` is larger than any number of rows"),
        ("{'batchNo':'B','total':{},'list':[]}", "h.json: `total` is an object where text or a number was expected"),
        ("{'batchNo':'B','lastPage':2,'list':[]}", "h.json: `lastPage` is neither true nor false"),
        ("{'batchNo':'B','fileUrl':'f.csv'}", "h.json: `fileUrl` is not a URL (relative URL without a base)"),
        ("{'batchNo':'B','fileUrl':'ftp://h/f'}", "h.json: `fileUrl` is a URL with scheme `ftp` where https was expected"),
        ("{'batchNo':'B','fileUrl':'file:///etc/passwd'}", "h.json: `fileUrl` is a `file:` URL"),
        ("{'batchNo':'B','fileUrl':7}", "h.json: `fileUrl` is a number where a URL was expected"),
        ("{'batchNo':'B','list':{}}", "h.json: `list` is an object where an array of rows was expected"),
        ("{'batchNo':'B','list':[{},null]}", "h.json: `list` row 2: null where an object was expected"),
        ("{'batchNo':'B','total':3}", "h.json: the hook names no rows: neither `fileUrl` nor `list`, and `total` is 3"),
        ("{'batchNo':'B','fileUrl':'','list':null}", "h.json: the hook names no rows: neither `fileUrl` nor `list`, and `total` is not given"),
        ("{'resource':'x'}", "h.json: `resource` is text but not JSON: expected value at line 1 column 1"),
        ("{'resource':''}", "h.json: `resource` is text but not JSON: it is empty"),
        ("{'resource':'\\'x\\''}", "h.json: in `resource`: text where a Batch Hook was expected"),
        ("{'resource':7}", "h.json: in `resource`: a number where a Batch Hook was expected"),
        ("{'resource':[{'batchNo':'B','list':[]},{'list':[]}]}", "h.json[2]: in `resource`: `batchNo` is missing"),
        ("{'resource':null,'eventType':'e'}", "h.json: no Batch Hook: an object with the keys `resource`, `eventType` where `batchNo` was expected"),
        ("{'batchNo':'B','list':[],'resource':{}}", "h.json: both `batchNo` and `resource`: a hook or an envelope, but not both"),
        ("{'resource':{},'createTime':1711785600}", "h.json: `createTime` has the digits of seconds"),
        ("{'resource':{},'createTime':1711785600000000}", "h.json: `createTime` has the digits of microseconds or nanoseconds"),
        ("{'resource':{},'createTime':'2024-03-30'}", "h.json: `createTime` is no time as RFC 3339 has it, with its zone"),
        ("{'resource':{},'createTime':'2024-03-30T08:00:00'}", "h.json: `createTime` is no time as RFC 3339 has it, with its zone"),
        ("{'resource':{},'createTime':'1960-03-30T08:00:00Z'}", "h.json: `createTime` is a time before 1970"),
        ("{'resource':{},'createTime':'-5'}", "h.json: `createTime` is negative"),
    ];
    for (json, message) in cases {
        assert_eq!(refused(json), *message, "{json}");
    }
}

#[test]
fn a_key_that_appears_twice_is_refused_wherever_it_would_be_read() {
    #[rustfmt::skip]
    let cases: &[(&str, &str)] = &[
        ("{'batchNo':'B','total':1,'list':[],'total':2}", "h.json: `total` appears twice in one object"),
        ("{'batchNo':'B','x':1,'x':1,'list':[]}", "h.json: `x` appears twice in one object"),
        ("{'resource':{'batchNo':'B','list':[]},'resource':{}}", "h.json: `resource` appears twice in one object"),
        ("{'resource':{'batchNo':'B','batchNo':'C','list':[]}}", "h.json: in `resource`: `batchNo` appears twice in one object"),
    ];
    for (json, message) in cases {
        assert_eq!(refused(json), *message, "{json}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    #[rustfmt::skip]
    let cases: &[(&[u8], &str)] = &[
        (b"{\"batchNo\":\n\xff}", "h.json: not JSON: not UTF-8 at line 2 column 1"),
        (b"{\"batchNo\":\"\xff\",\"list\":[]}", "h.json: `batchNo` holds what is no character: bytes that are not UTF-8, or half a surrogate pair"),
        (b"\xff\xfe{\0", "h.json: not JSON: not UTF-8 at line 1 column 1"),
        (br#"{"batchNo":"\ud83d","list":[]}"#, "h.json: `batchNo` holds what is no character: bytes that are not UTF-8, or half a surrogate pair"),
        (br#"{"batchNo":"B","\ude00":1}"#, "h.json: a key holds what is no character"),
        (br#"{"batchNo":"B\u0000","list":[]}"#, "h.json: `batchNo` has U+0000, which is not seen, at position 2: only letters, digits, `_`, `.` and `-` are allowed"),
    ];
    for (bytes, message) in cases {
        assert_eq!(refused_bytes(bytes).0, *message);
    }
}

#[test]
fn a_row_that_is_no_text_does_not_refuse_the_others() {
    let json = r#"{"batchNo":"B","list":[{"a":"1"},{"a":"\ud83d","b":"x"},{"\ude00":1},{"c":["\ud83d"]}]}"#;
    let list = one(json).hook.list.expect("a list");
    let faults: Vec<_> = list
        .iter()
        .map(|row| row.fault.as_ref().map(|fault| fault.key.as_deref()))
        .collect();
    // What is nested is kept as its JSON text, which is none of ours to read.
    assert_eq!(faults, [None, Some(Some("a")), Some(None), None]);
    assert_eq!(
        list[1].cells,
        [("a".into(), None), ("b".into(), Some("x".into()))]
    );
    assert_eq!(list[2].json, r#"{"\ude00":1}"#);
}

#[test]
fn a_row_of_other_bytes_or_with_a_key_twice_does_not_refuse_the_others() {
    let row = b"{\"a\":\"\xff\"},{\"a\":1,\"\\u0061\":2},{\"\xe4\":1},{\"a\":\"ok\"}";
    let hook = [b"{\"batchNo\":\"B\",\"list\":[", &row[..], b"]}"].concat();
    let escaped = hook
        .iter()
        .flat_map(|byte| match byte {
            b'"' | b'\\' => vec![b'\\', *byte],
            _ => vec![*byte],
        })
        .collect::<Vec<u8>>();
    let in_text = [b"{\"resource\":\"", &escaped[..], b"\"}"].concat();
    let mut identities = Vec::new();
    for document in [&hook, &in_text] {
        let list = parse("h", document)
            .expect("an announcement")
            .remove(0)
            .hook
            .list;
        let list = list.expect("a list");
        let faults: Vec<_> = list
            .iter()
            .map(|row| {
                row.fault
                    .as_ref()
                    .map(|fault| (fault.is_repeated_key, fault.key.as_deref()))
            })
            .collect();
        assert_eq!(
            faults,
            [
                Some((false, Some("a"))),
                Some((true, Some("a"))),
                Some((false, None)),
                None
            ]
        );
        identities.push(super::super::list_identity(&list));
        let indexed = index("h", document)
            .expect("an announcement")
            .remove(0)
            .hook;
        assert_eq!(
            indexed.summary.map(|of| (of.rows, of.identity)),
            Some((4, identities[0].clone()))
        );
        assert!(rows_of("h", document, 0).expect("rows") == list);
        assert!(rows_of("h", document, 1).is_err());
    }
    assert_eq!(identities[0], identities[1]);
    // What was signed is what was sent.
    let signed = wrapping("h", &in_text).expect("JSON").resource;
    assert_eq!(signed.as_deref(), Some(&hook[..]));
    let escape = br#"{"resource":"{\"a\":\"\\udcff\"}"}"#;
    let signed = wrapping("h", escape).expect("JSON").resource;
    assert_eq!(signed.as_deref(), Some(&br#"{"a":"\udcff"}"#[..]));
}

#[test]
fn a_text_that_says_nothing_is_absent_and_times_may_be_written_out() {
    let blank =
        one("{'batchNo':'B','page':'','size':' ','total':0,'lastPage':'','fileUrl':' ','list':''}");
    assert_eq!(blank, one("{'batchNo':'B','total':0}"));
    for (time, millis) in [
        ("'2024-03-30T08:00:00Z'", Some(1_711_785_600_000)),
        ("'2024-03-30T16:00:00.5+08:00'", Some(1_711_785_600_500)),
        ("'1711785600000'", Some(1_711_785_600_000)),
        ("''", None),
    ] {
        let json = format!("{{'createTime':{time},'resource':{HOOK}}}");
        assert_eq!(one(&json).announced_at, millis, "{time}");
    }
}

#[test]
fn refusals_say_what_to_do_where_something_can_be_done() {
    for (json, hint) in [
        ("<html>", "web page"),
        ("{}\n{}", "put several hooks into an array"),
        ("{}", "an array of them"),
        (
            r#"{"batchNo":"B","fileUrl":"file:///x"}"#,
            "only from the command line",
        ),
    ] {
        let found = refused_bytes(json.as_bytes()).1;
        assert!(
            found.as_deref().is_some_and(|text| text.contains(hint)),
            "{json}: {found:?}"
        );
    }
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let url = "https://user:word@h/hook.json?Signature=s3cret";
    let announcements = parse(
        url,
        br#"[{"batchNo":"B","fileUrl":"https://h/f?sig=s3cret","list":[{"name":"s3cret"}]}]"#,
    )
    .expect("an announcement");
    assert_eq!(announcements[0].origin, "https://h/hook.json[1]");
    let refusal = parse(url, b"{}").expect_err("no hook").to_string();
    let shown = format!(
        "{announcements:?} {:?} {refusal}",
        assemble(announcements.clone())
    );
    assert!(
        !shown.contains("s3cret") && !shown.contains("word"),
        "{shown}"
    );
    // A path is not a URL: all of it is its name.
    let path = parse("in#1?.json", br#"{"batchNo":"B","list":[]}"#).expect("an announcement");
    assert_eq!(path[0].origin, "in#1?.json");
}

#[test]
fn depth_costs_no_stack() {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
    for cell in [deep("[", "]"), deep("{\"a\":", "}")] {
        let json = format!("{{\"batchNo\":\"B\",\"list\":[{{\"a\":{cell}}}],\"x\":{cell}}}");
        let list = one(&json).hook.list.expect("a list");
        assert_eq!(list[0].cells[0].1.as_deref(), Some(cell.as_str()));
        refused(&cell);
        refused(&format!("{{\"resource\":{cell}}}"));
    }
}

/// JSON-like text: most of it nearly an announcement.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "'batchNo'",
        "'page'",
        "'total'",
        "'list'",
        "'fileUrl'",
        "'resource'",
        "'lastPage'",
        "'createTime'",
        "'B'",
        "'https://h/f?q'",
        "1",
        "0",
        "-1",
        "1.10",
        "1e9",
        "true",
        "null",
        "\\",
        "\\u",
        "\\ud83d",
        "\u{feff}",
        "\0",
        "{'batchNo':'B','list':[{'a':1}]}",
        "{'resource':'{}'}",
        "\n",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat().replace('\'', "\""))
}

fn arbitrary_hook() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "null",
        "0",
        "1",
        "2",
        "'1'",
        "'2'",
        "3",
        "9223372036854775807",
        "true",
        "false",
        "[]",
        "[{'a':1}]",
        "[{'a':1},{'b':2}]",
        "'https://h/a?1'",
        "'https://h/b?2'",
        "''",
    ]);
    prop::collection::vec(value, 5).prop_map(|v| {
        format!(
            "{{'batchNo':'B','page':{},'size':{},'total':{},'lastPage':{},'fileUrl':{},'list':[{{'a':1}}]}}",
            v[0], v[1], v[2], v[3], v[4]
        )
        .replace('\'', "\"")
    })
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse("h", &bytes).map(assemble);
    }

    #[test]
    fn no_text_is_a_panic(text in nearly_json()) {
        let _ = parse("h", text.as_bytes()).map(assemble);
    }

    #[test]
    fn no_hooks_are_a_panic(hooks in prop::collection::vec(arbitrary_hook(), 0..40)) {
        let announcements: Vec<_> = hooks
            .iter()
            .filter_map(|hook| parse("h", hook.as_bytes()).ok())
            .flatten()
            .collect();
        let known = announcements.len();
        prop_assert!(assemble(announcements).len() <= known);
    }

    #[test]
    fn a_number_survives_as_its_text(number in r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,5})?") {
        let json = format!(r#"{{"batchNo":"B","list":[{{"n":{number},"deep":[{number}]}}]}}"#);
        let list = one(&json).hook.list.expect("a list");
        prop_assert_eq!(&list[0].cells[0].1, &Some(number.clone()));
        prop_assert_eq!(&list[0].cells[1].1, &Some(format!("[{number}]")));
    }

    #[test]
    fn text_survives(text in any::<String>()) {
        let cell = serde_json::to_string(&text).expect("a string");
        let json = format!(r#"{{"batchNo":"B","list":[{{"t":{cell}}}]}}"#);
        let list = parse("h", json.as_bytes()).expect("an announcement").remove(0).hook.list.expect("a list");
        prop_assert_eq!(&list[0].cells[0].1, &Some(text));
    }
}
