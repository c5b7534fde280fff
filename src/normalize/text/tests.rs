use proptest::prelude::*;
use reqwest::Url;

use super::{text, unwrap_spreadsheet, url};
use crate::rejection::RejectionCode::{InvalidUtf8, NotAllowed, TooLong};

#[test]
fn text_comes_back_byte_for_byte() {
    for cell in [
        "",
        " ",
        "  two  ",
        "\ttab\t",
        "账户名称",
        "e\u{301}",
        "\u{feff}bom",
        "a\r\nb",
        "'s-Hertogenbosch",
        "=SUM(A1)",
        "-",
        "NULL",
        "🦀",
    ] {
        assert_eq!(text(cell.as_bytes(), None), Ok(cell));
    }
}

#[test]
fn text_that_is_not_utf8_says_where() {
    let long = [&[b'a'; 200][..], b"\xFF"].concat();
    for (cell, message) in [
        (&b"\xFF"[..], "byte 1 of the cell is not UTF-8"),
        (b"caf\xE9", "byte 4 of the cell is not UTF-8"),
        (b"ok\xC0\x80", "byte 3 of the cell is not UTF-8"),
        (b"\xED\xA0\x80", "byte 1 of the cell is not UTF-8"),
        (&long, "byte 201 of the cell is not UTF-8"),
    ] {
        let fault = text(cell, None).expect_err("not UTF-8");
        assert_eq!((fault.code, &*fault.message), (InvalidUtf8, message));
    }
}

#[test]
fn a_nul_is_not_text() {
    for cell in [&b"\0"[..], b"a\0b", b"ab\0"] {
        let fault = text(cell, None).expect_err("a NUL");
        assert_eq!(fault.code, NotAllowed);
        assert!(fault.message.starts_with("a NUL character"));
    }
}

#[test]
fn length_counts_characters() {
    assert_eq!(text("账户".as_bytes(), Some(2)), Ok("账户"));
    assert_eq!(text(b"", Some(0)), Ok(""));
    let fault = text("账户名".as_bytes(), Some(2)).expect_err("too long");
    assert_eq!(
        (fault.code, &*fault.message),
        (TooLong, "3 characters where 2 are allowed")
    );
    assert!(text(b"a", Some(0)).is_err());
}

#[test]
fn absolute_http_urls_are_taken_whole() {
    for cell in [
        "https://store.example.com/a/b.csv?X-Amz-Signature=abc#f",
        "http://h",
        "HTTPS://H.example/",
        "https://h?q",
        "https://h.example:8443/x",
        "https://user:pass@h.example/x@y.csv",
        "https://127.0.0.1:8080/x",
        "https://[::1]/x",
        "https://例子.测试/账单.csv",
        "https://h.example/negative bill.csv",
        "https://my_bucket.example.com/x",
    ] {
        assert_eq!(url(cell.as_bytes()), Ok(cell));
    }
    assert_eq!(url(b"  https://h/x "), Ok("https://h/x"));
}

#[test]
fn anything_else_is_not_a_url() {
    for cell in [
        "",
        " ",
        "-",
        "/plain/path.csv",
        "//h/x",
        "h.example/x",
        "https:",
        "https://",
        "https:/h/x",
        "https:///h/x",
        "https:\\\\h\\x",
        "https://h\\x",
        "https:h",
        "ftp://h/x",
        "file:///x",
        "data:text/plain,x",
        "javascript:1",
        "https://?x",
        "https://:80/",
        "https://h:port/",
        "https://h:99999/",
        "https://h h/",
        "https://1.2.3.999/",
        "https://h.1x.0x",
        "https://u:p@/x",
        "https://h/a\tb",
        "https://h/a\nb",
        "\thttps://h/",
        "see https://h/x",
        "https://xn--a/",
        "https://h%00/",
        "https://<h>/",
    ] {
        let fault = url(cell.as_bytes()).expect_err(cell);
        assert_eq!(fault.code, NotAllowed, "{cell:?}");
    }
    assert_eq!(
        url(b"https://h/\xFF").map_err(|fault| fault.code),
        Err(InvalidUtf8)
    );
}

#[test]
fn faults_of_urls_hold_nothing_of_them() {
    let fault = url(b"https://user:secret@h:port/x?token=abc").expect_err("no port");
    assert_eq!(
        fault.message,
        "not an absolute http or https URL: invalid port number"
    );
}

#[test]
fn spreadsheet_wrappings_of_ids_are_removed() {
    let uuid = "f36da01f-9abd-4d9d-80c7-02af85c822a8";
    for (cell, inner) in [
        ("=\"0001234\"", "0001234"),
        ("=\"AB-12_3.4\"", "AB-12_3.4"),
        ("=\"-5\"", "-5"),
        ("'0001234", "0001234"),
        ("\t0001234", "0001234"),
        ("0001234\t", "0001234"),
        ("\t\t0001234\t", "0001234"),
        ("'0001234\t", "0001234"),
        ("=\"AB-12\"\t", "AB-12"),
        (&format!("{uuid}\t"), uuid),
        (&format!("'{uuid}"), uuid),
        (&format!("\t{uuid}"), uuid),
        (&format!("=\"{uuid}\""), uuid),
    ] {
        assert_eq!(
            unwrap_spreadsheet(cell.as_bytes()),
            Some(inner.as_bytes()),
            "{cell:?}"
        );
    }
}

#[test]
fn other_text_is_left_alone() {
    for cell in [
        "",
        "0001234",
        "=",
        "=\"",
        "=\"\"",
        "='1'",
        "=SUM(A1)",
        "=1+1",
        "=\"a b\"",
        "=\"a\"&\"b\"",
        "=\"账户\"",
        "=\"1\" ",
        " =\"1\"",
        "=\"=\"1\"\"",
        "'",
        "'s-Hertogenbosch",
        "'t Hof",
        "'90s kids",
        "''1",
        "'1'",
        "\t",
        "\tname",
        "name\t",
        "AB-12\t",
        "1 2\t",
        "'\t1",
        "'-5",
        "-5\t",
        "\"0001234\"",
        "\u{2018}0001234",
        "' 1",
        "\t1,5",
    ] {
        assert_eq!(unwrap_spreadsheet(cell.as_bytes()), None, "{cell:?}");
    }
}

proptest! {
    #[test]
    fn text_is_what_the_standard_library_takes(cell in prop::collection::vec(any::<u8>(), 0..96)) {
        let reference = std::str::from_utf8(&cell).ok().filter(|text| !text.contains('\0'));
        prop_assert_eq!(text(&cell, None).ok(), reference);
    }

    #[test]
    fn no_bytes_panic(cell in prop::collection::vec(any::<u8>(), 0..64), most: usize) {
        let _ = (text(&cell, Some(most)), url(&cell), unwrap_spreadsheet(&cell));
    }

    #[test]
    fn every_url_taken_can_be_parsed(
        cell in r"(https?|HTTP|ftp)://[a-zA-Z0-9.xn:@%\[\]_ é-]{0,20}[/?#]?\PC{0,8}"
    ) {
        if let Ok(text) = url(cell.as_bytes()) {
            let parsed = Url::parse(text).expect("taken");
            prop_assert!(parsed.has_host() && ["http", "https"].contains(&parsed.scheme()));
        }
    }

    #[test]
    fn plain_hosts_are_parsed_as_they_are_written(
        host in r"([a-z0-9x-]{1,8}\.){0,3}[a-z0-9x-]{1,8}"
    ) {
        let text = format!("https://{host}/x");
        // A number that the parser takes for an address is none as it is written.
        let same = Url::parse(&text).is_ok_and(|url| url.host_str() == Some(&host));
        prop_assert_eq!(url(text.as_bytes()).is_ok(), same);
    }

    #[test]
    fn only_the_wrapping_is_removed(cell in "\t?(=\"|')?[0-9A-Za-z_.' -]{0,12}\"?\t?") {
        if let Some(inner) = unwrap_spreadsheet(cell.as_bytes()) {
            let inner = std::str::from_utf8(inner).expect("ASCII");
            let wrapped = [format!("=\"{inner}\""), format!("'{inner}"), inner.to_owned()];
            prop_assert!(cell != inner && wrapped.iter().any(|text| text == cell.trim_matches('\t')));
        }
    }
}
