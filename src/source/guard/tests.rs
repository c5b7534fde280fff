use super::*;

fn guard(hosts: &[&str], ranges: &[&str]) -> Guard {
    Guard::new(&DownloadConfig {
        allow_hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        allow_private: ranges.iter().map(|&range| range.to_owned()).collect(),
        ..DownloadConfig::default()
    })
    .expect("valid settings")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

#[test]
fn only_global_unicast_addresses_are_public() {
    for (text, rule) in [
        ("0.0.0.0", Some("\"this network\"")),
        ("0.255.255.255", Some("\"this network\"")),
        ("1.0.0.0", None),
        ("8.8.8.8", None),
        ("9.255.255.255", None),
        ("10.0.0.0", Some("private")),
        ("10.255.255.255", Some("private")),
        ("11.0.0.0", None),
        ("100.63.255.255", None),
        ("100.64.0.0", Some("carrier-grade NAT")),
        ("100.127.255.255", Some("carrier-grade NAT")),
        ("100.128.0.0", None),
        ("126.255.255.255", None),
        ("127.0.0.0", Some("loopback")),
        ("127.255.255.255", Some("loopback")),
        ("128.0.0.0", None),
        ("168.63.129.15", None),
        ("168.63.129.16", Some("cloud metadata")),
        ("169.253.255.255", None),
        ("169.254.169.254", Some("link-local")),
        ("169.255.0.0", None),
        ("172.15.255.255", None),
        ("172.16.0.0", Some("private")),
        ("172.31.255.255", Some("private")),
        ("172.32.0.0", None),
        ("191.255.255.255", None),
        ("192.0.0.0", Some("reserved")),
        ("192.0.1.0", None),
        ("192.0.2.255", Some("documentation")),
        ("192.88.99.1", Some("6to4 relay")),
        ("192.167.255.255", None),
        ("192.168.0.0", Some("private")),
        ("192.169.0.0", None),
        ("198.17.255.255", None),
        ("198.18.0.0", Some("benchmarking")),
        ("198.19.255.255", Some("benchmarking")),
        ("198.20.0.0", None),
        ("198.51.100.1", Some("documentation")),
        ("203.0.113.1", Some("documentation")),
        ("223.255.255.255", None),
        ("224.0.0.0", Some("multicast")),
        ("239.255.255.255", Some("multicast")),
        ("240.0.0.0", Some("reserved")),
        ("255.255.255.255", Some("reserved")),
        ("::", Some("not global unicast")),
        ("::1", Some("loopback")),
        ("::127.0.0.1", Some("not global unicast")),
        ("::ffff:127.0.0.1", Some("loopback")),
        ("::ffff:8.8.8.8", None),
        ("::ffff:0:127.0.0.1", Some("not global unicast")),
        ("64:ff9b::8.8.8.8", None),
        (
            "64:ff9b::10.0.0.1",
            Some("NAT64 of an address that is not public"),
        ),
        (
            "64:ff9b::169.254.169.254",
            Some("NAT64 of an address that is not public"),
        ),
        ("64:ff9b:1::8.8.8.8", Some("not global unicast")),
        ("100::1", Some("not global unicast")),
        ("1fff:ffff::1", Some("not global unicast")),
        ("2000::1", None),
        ("2001::1", Some("Teredo")),
        ("2001:0:ffff::1", Some("Teredo")),
        ("2001:1::1", Some("reserved")),
        ("2001:1ff:ffff::1", Some("reserved")),
        ("2001:200::1", None),
        ("2001:4860:4860::8888", None),
        ("2001:db7::1", None),
        ("2001:db8::1", Some("documentation")),
        ("2001:db8:ffff::1", Some("documentation")),
        ("2001:db9::1", None),
        ("2002:808:808::1", Some("6to4")),
        ("2002:7f00:1::", Some("6to4")),
        ("2003::1", None),
        ("2606:4700::1111", None),
        (
            "2a00:1450:4001::5efe:10.0.0.1",
            Some("ISATAP of an address that is not public"),
        ),
        ("2a00:1450:4001::200:5efe:8.8.8.8", None),
        ("3ffe::1", None),
        ("3fff::1", Some("documentation")),
        ("3fff:fff::1", Some("documentation")),
        ("3fff:1000::1", None),
        ("4000::1", Some("not global unicast")),
        ("5f00::1", Some("not global unicast")),
        ("fbff::1", Some("not global unicast")),
        ("fc00::1", Some("private")),
        ("fdff:ffff::1", Some("private")),
        ("fe00::1", Some("not global unicast")),
        ("fe80::1", Some("link-local")),
        ("febf::1", Some("link-local")),
        ("fec0::1", Some("not global unicast")),
        ("ff02::1", Some("multicast")),
    ] {
        assert_eq!(not_public(address(text)), rule, "{text}");
    }
}

#[test]
fn ranges_let_their_addresses_through_in_any_form() {
    let guard = guard(&[], &["127.0.0.0/8", "10.1.2.3", "fd00::/8"]);
    for (text, allowed) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::ffff:127.0.0.1", true),
        ("10.1.2.3", true),
        ("10.1.2.4", false),
        ("fd12::1", true),
        ("fc12::1", false),
        ("::1", false),
        ("8.8.8.8", true),
    ] {
        assert_eq!(
            guard.check_address(address(text)).is_ok(),
            allowed,
            "{text}"
        );
    }
}

#[test]
fn one_forbidden_address_condemns_a_name() {
    let guard = guard(&[], &[]);
    let public = SocketAddr::new(address("8.8.8.8"), 0);
    let inner = SocketAddr::new(address("10.0.0.1"), 0);
    assert!(guard.check_all(&[public]).is_ok());
    assert!(guard.check_all(&[public, inner]).is_err());
    let denied = guard.check_all(&[inner]).expect_err("private");
    assert!(!denied.0.contains("10."), "{denied}");
}

#[tokio::test]
async fn names_are_resolved_through_the_guard() {
    let resolve = |ranges: &[&str]| {
        let resolver = GuardedResolver(Arc::new(guard(&[], ranges)));
        resolver.resolve("localhost".parse().expect("a name"))
    };
    let error = resolve(&[]).await.map(|_| ()).expect_err("loopback");
    assert!(error.downcast_ref::<Denied>().is_some(), "{error}");
    let found = resolve(&["127.0.0.0/8", "::1"]).await.expect("allowed");
    assert!(found.count() > 0);
}

#[test]
fn hosts_are_compared_in_their_normal_form() {
    for (entry, url, allowed) in [
        ("files.example.com", "https://files.example.com/x", true),
        ("files.example.com", "https://FILES.example.com./x", true),
        ("Files.Example.com.", "https://files.example.com/x", true),
        (
            "files.example.com",
            "https://files.example.com:8443/x",
            true,
        ),
        ("files.example.com:443", "https://files.example.com/x", true),
        (
            "files.example.com:443",
            "https://files.example.com:8443/x",
            false,
        ),
        (
            "files.example.com:8443",
            "https://files.example.com:8443/x",
            true,
        ),
        (
            "files.example.com",
            "https://evil-files.example.com/x",
            false,
        ),
        (
            "files.example.com",
            "https://files.example.com.evil.org/x",
            false,
        ),
        (
            "files.example.com",
            "https://files.example.com@evil.org/x",
            false,
        ),
        ("*.example.com", "https://a.example.com/x", true),
        ("*.example.com", "https://a.b.example.com/x", true),
        ("*.example.com", "https://example.com/x", false),
        ("*.example.com", "https://evilexample.com/x", false),
        ("*.example.com:8443", "https://a.example.com:8443/x", true),
        ("*.example.com:8443", "https://a.example.com/x", false),
        ("bücher.example", "https://xn--bcher-kva.example/x", true),
        ("8.8.8.8", "https://0x08080808/x", true),
        ("8.8.8.8", "https://8.8.4.4/x", false),
        (
            "[2606:4700::1111]:8443",
            "https://[2606:4700:0::1111]:8443/x",
            true,
        ),
        ("[2606:4700::1111]", "https://[2606:4700::1112]/x", false),
    ] {
        let url = Url::parse(url).expect(url);
        assert_eq!(
            guard(&[entry], &[]).check(&url).is_ok(),
            allowed,
            "{entry} {url}"
        );
    }
}

#[test]
fn settings_that_are_no_hosts_or_ranges_are_errors() {
    for (hosts, ranges) in [
        (&["https://example.com"][..], &[][..]),
        (&["example.com/path"], &[]),
        (&["user@example.com"], &[]),
        (&["*"], &[]),
        (&["a.*.com"], &[]),
        (&["*.*.com"], &[]),
        (&[""], &[]),
        (&["example.com:99999"], &[]),
        (&["example.com?x"], &[]),
        (&[], &["10.0.0.0/33"]),
        (&[], &["localhost"]),
        (&[], &[""]),
    ] {
        let config = DownloadConfig {
            allow_hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            allow_private: ranges.iter().map(|&range| range.to_owned()).collect(),
            ..DownloadConfig::default()
        };
        assert!(Guard::new(&config).is_err(), "{hosts:?} {ranges:?}");
    }
}
