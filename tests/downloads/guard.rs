//! Places a download must not go.

use redledger::{config::DownloadConfig, error::FetchKind, source_url::SourceUrl};

use super::{assert_fails, assert_whole, config, csv, fetch, fetch_with, fetcher, url};
use crate::support::server::{Object, Reply, Server};

/// Hosts that mean this machine, its network or a cloud's metadata service, as an attacker would write
/// them. None of them needs a name server.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7F.0x0.0x0.0x1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.0.1",
    "127.0.0.0x1",
    "0x00007f.1",
    "127。0。0。1",
    "127．0．0．1",
    "１２７.0.0.1",
    "①②⑦.⓪.⓪.①",
    "%31%32%37.0.0.1",
    "127%2e0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "inner.localhost",
    "LocalHost.",
    "ｌｏｃａｌｈｏｓｔ",
    "l%6fcalhost",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::0.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[::FFFF:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2002:c0a8:101::]",
    "[2001:0:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fe80::1]",
    "[fe80::5efe:127.0.0.1]",
    "[2a00:1450::5efe:10.0.0.1]",
    "[2a00:1450::200:5efe:192.168.0.1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[ff02::1]",
    "[ff05::2]",
    "[100::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[5f00::1]",
    "[4000::1]",
    "10.0.0.1",
    "10.255.255.255",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "0xac.0x10.0.1",
    "192.168.0.1",
    "192.168.257",
    "3232235777",
    "0300.0250.1",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "0xffffffff",
];

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_reached() {
    assert!(HOSTS.len() >= 80);
    let server = Server::script([Reply::new(200, csv(1))]).await;
    let open_to_http = DownloadConfig {
        allow_http: true,
        ..DownloadConfig::default()
    };
    let (fetcher, pace) = fetcher(&open_to_http);
    for host in HOSTS {
        let address = format!("http://{host}:{}/a.csv?SECRET", server.port());
        if let Ok(address) = SourceUrl::parse(&address) {
            let error = fetcher.open(&address).await.expect_err(host);
            assert_eq!(error.kind, FetchKind::Refused, "{host}: {error}");
            assert!(!error.to_string().contains("SECRET"), "{error}");
            assert!(error.message.contains("not public"), "{host}: {error}");
        }
    }
    assert!(pace.sleeps().is_empty(), "a refusal is not retried");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn no_redirect_leads_to_an_inner_address() {
    let inner = Server::script([Reply::new(200, csv(1))]).await;
    let port = inner.port();
    let outer = Server::start_at("127.0.0.2:0", move |request| {
        let host = HOSTS[request
            .path
            .trim_start_matches('/')
            .parse::<usize>()
            .expect("a number")];
        Reply::redirect(&format!("http://{host}:{port}/latest/meta-data"))
    })
    .await;
    // The first hop is let through by its exact address, which no entry of the table writes.
    let mut config = config();
    config.allow_private = vec!["127.0.0.2/32".into()];
    let (fetcher, _) = fetcher(&config);
    for (number, host) in HOSTS.iter().enumerate() {
        let result = fetcher.open(&url(&outer.url(&format!("/{number}")))).await;
        let error = result.expect_err(host);
        assert!(
            matches!(error.kind, FetchKind::Refused | FetchKind::Malformed),
            "{}: {error}",
            host
        );
    }
    assert_eq!(outer.requests().len(), HOSTS.len(), "each was redirected");
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn redirect_to_another_scheme_is_refused() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/",
        "data:text/csv,a",
        "javascript:1",
    ] {
        let server = Server::script([Reply::redirect(location)]).await;
        assert_fails(fetch(&server).await, FetchKind::Refused, "");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_no_more() {
    let body = csv(5);
    let server = Server::start(|request| {
        let hop = request
            .path
            .trim_start_matches('/')
            .parse::<usize>()
            .unwrap_or(0);
        if hop == 5 {
            Reply::new(200, csv(5))
        } else {
            Reply::redirect(&format!("/{}", hop + 1))
        }
    })
    .await;
    assert_whole(&fetch(&server).await, &body);
    assert_eq!(server.requests().len(), 6);
    let server = Server::script([Reply::redirect("/again")]).await;
    assert_fails(
        fetch(&server).await,
        FetchKind::Refused,
        "more than 5 redirects",
    );
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn redirect_without_or_with_a_bad_target_is_malformed() {
    for reply in [
        Reply::new(302, ""),
        Reply::redirect("http://"),
        Reply::redirect("http://[::1/"),
    ] {
        let server = Server::script([reply]).await;
        assert_fails(fetch(&server).await, FetchKind::Malformed, "");
    }
}

#[tokio::test]
async fn redirect_that_programs_read_differently_is_not_followed() {
    let inner = Server::script([Reply::new(200, csv(1))]).await;
    for (location, rule) in [
        (
            format!("http://allowed\\@127.0.0.1:{}/", inner.port()),
            "backslash",
        ),
        (
            format!("//a@b@127.0.0.1:{}/", inner.port()),
            "more than one `@`",
        ),
        (format!("http:/127.0.0.1:{}/", inner.port()), "between `//`"),
        (format!("http://127.1:{}/", inner.port()), "four plain"),
        (inner.url("/x/%2e%2E/a.csv"), "`%2E`"),
        (inner.url("/x\ty"), "U+0009"),
    ] {
        let server = Server::script([Reply::redirect(&location)]).await;
        assert_fails(fetch(&server).await, FetchKind::Malformed, rule);
        assert_eq!(server.requests().len(), 1, "{location}");
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::script([Object::new(csv(5)).whole()]).await;
    let target = other.url("/b.csv");
    let first = Server::start(move |request| match request.path.as_str() {
        "/a.csv" => Reply::redirect("/same"),
        _ => Reply::redirect(&target),
    })
    .await;
    let (fetcher, _) = fetcher(&config());
    let address = first
        .url("/a.csv")
        .replace("http://", "http://user:SECRET@");
    fetcher.open(&url(&address)).await.expect("to open");
    let seen: Vec<bool> = first
        .requests()
        .iter()
        .map(|r| r.header("authorization").is_some())
        .collect();
    assert_eq!(seen, [true, true]);
    assert_eq!(other.requests()[0].header("authorization"), None);
    assert_eq!(other.requests()[0].header("referer"), None);
}

#[tokio::test]
async fn plain_http_and_local_files_need_permission() {
    let server = Server::script([Reply::new(200, csv(1))]).await;
    let mut config = config();
    config.allow_http = false;
    assert_fails(
        fetch_with(&server, &config).await,
        FetchKind::Refused,
        "`allow_http`",
    );
    assert_eq!(server.connections(), 0);
    let (fetcher, _) = fetcher(&config);
    let error = fetcher
        .open(&url("file:///etc/hostname"))
        .await
        .expect_err("a file");
    assert_eq!(error.kind, FetchKind::Refused);
    assert!(error.message.contains("command line"), "{error}");
}

#[tokio::test]
async fn only_listed_hosts_are_asked() {
    let server = Server::script([Reply::new(200, csv(1))]).await;
    let port = server.port();
    for (entry, allowed) in [
        ("127.0.0.1".to_owned(), true),
        (format!("127.0.0.1:{port}"), true),
        (format!("127.0.0.1:{}", port - 1), false),
        ("localhost".to_owned(), false),
        ("*.0.0.1".to_owned(), false),
        ("*.example.com".to_owned(), false),
    ] {
        let mut config = config();
        config.allow_hosts = vec![entry.clone()];
        let Ok(fetcher) = redledger::source::Fetcher::new(&config) else {
            assert!(!allowed, "{entry}");
            continue;
        };
        let result = fetcher.open(&url(&server.url("/"))).await;
        match result {
            Ok(_) => assert!(allowed, "{entry}"),
            Err(error) => {
                assert!(!allowed, "{entry}: {error}");
                assert!(error.message.contains("`allow_hosts`"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn name_that_resolves_inside_is_let_through_only_by_its_range() {
    let server = Server::script([Reply::new(200, csv(1))]).await;
    let address = format!("http://localhost:{}/a.csv", server.port());
    let mut config = config();
    config.allow_private = vec!["127.0.0.0/8".into(), "::1".into()];
    let (both, _) = fetcher(&config);
    assert!(both.open(&url(&address)).await.is_ok());
    config.allow_hosts = vec!["localhost".into()];
    config.allow_private = Vec::new();
    let (none, _) = fetcher(&config);
    let error = none
        .open(&url(&address))
        .await
        .expect_err("allow_hosts is no pass for addresses");
    assert_eq!(error.kind, FetchKind::Refused);
    assert!(!error.to_string().contains("127."), "{error}");
}
