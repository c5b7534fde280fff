use std::time::Duration;

use super::*;

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect::<Vec<_>>()
        .into_iter()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("to write");
    file
}

#[test]
fn the_shipped_file_states_the_defaults() {
    let shipped: Config =
        toml::from_str(include_str!("../../config/redledger.toml")).expect("valid");
    assert_eq!(shipped, Config::default());
}

#[test]
fn a_record_has_four_gigabytes_at_most_whatever_is_set() {
    for (set, kept) in [
        ("\"5GB\"", 4_000_000_000),
        ("18446744073709551615", 4_000_000_000),
        ("\"32MB\"", 32_000_000),
    ] {
        let config: Config =
            toml::from_str(&format!("[download]\nmax_record = {set}")).expect("valid");
        assert_eq!(config.download.max_record, ByteSize(kept), "{set}");
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = file("[download]\nattempts = 5\nbackoff = \"1s\"\n");
    let config = Config::load(
        Some(file.path()),
        env(&[
            ("REDLEDGER_DOWNLOAD__ATTEMPTS", "3"),
            ("REDLEDGER_DATA_DIR", "/tmp/x"),
            ("REDLEDGER_DOWNLOAD__ALLOW_HOSTS", "[\"a.example.com\"]"),
            ("REDLEDGER_DOWNLOAD__MAX_BACKOFF", "7s"),
            ("REDLEDGER_HOOK_SECRET", "not a setting"),
            ("PATH", "/bin"),
        ]),
    )
    .expect("valid");
    assert_eq!(config.download.attempts, 3);
    assert_eq!(config.download.backoff, Duration::from_secs(1));
    assert_eq!(config.download.max_backoff, Duration::from_secs(7));
    assert_eq!(config.download.allow_hosts, ["a.example.com"]);
    assert_eq!(config.data_dir, Path::new("/tmp/x"));
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_key() {
    let file = file("data_dir = \"x\"\n[download]\nattemps = 5\n");
    let error = Config::load(Some(file.path()), env(&[])).expect_err("misspelt");
    assert!(
        error.to_string().contains(":3: unknown field `attemps`"),
        "{error}"
    );
    assert_eq!(error.hint(), Some("did you mean `attempts`?"));
}

#[test]
fn a_misspelt_variable_is_named_with_the_nearest() {
    for (name, nearest) in [
        (
            "REDLEDGER_DOWNLOAD__ATTEMPS",
            "REDLEDGER_DOWNLOAD__ATTEMPTS",
        ),
        (
            "REDLEDGER_DOWNLOAD_ATTEMPTS",
            "REDLEDGER_DOWNLOAD__ATTEMPTS",
        ),
        ("REDLEDGER_DATADIR", "REDLEDGER_DATA_DIR"),
        ("REDLEDGER_HOK_SECRET", "REDLEDGER_HOOK_SECRET"),
        ("REDLEDGER_PROVIDER_TOKN", "REDLEDGER_PROVIDER_TOKEN"),
        ("REDLEDGER_CONFG", "REDLEDGER_CONFIG"),
        ("REDLEDGER_SERVICE_HOST", "enableServiceLinks: false"),
        ("REDLEDGER_PORT_8080_TCP", "enableServiceLinks: false"),
    ] {
        let error = Config::load(None, env(&[(name, "5")])).expect_err("misspelt");
        let said = error.to_string();
        assert!(said.starts_with(&format!("{name}: ")), "{error}");
        let hint = error.hint().expect("a hint");
        assert!(hint.contains(nearest), "{name}: {hint}");
    }
    let error = Config::load(None, env(&[("REDLEDGER_DOWNLOAD__BACKOFF", "soon")]))
        .expect_err("not a duration");
    assert!(
        error
            .to_string()
            .contains("REDLEDGER_DOWNLOAD__BACKOFF: `soon` is not a duration"),
        "{error}"
    );
}

#[test]
fn a_secret_may_have_a_name_of_its_own() {
    let named = [
        ("REDLEDGER_SERVE__SECRET_ENV", "REDLEDGER_MINE"),
        ("REDLEDGER_MINE", "a secret"),
    ];
    Config::load(None, env(&named)).expect("valid");
    let error = Config::load(None, env(&named[1..])).expect_err("nobody names it");
    assert!(!error.chain().contains("a secret"), "{}", error.chain());
}

#[test]
fn lists_have_commas_and_keys_of_a_map_keep_their_case() {
    let config = Config::load(
        None,
        env(&[
            (
                "REDLEDGER_DOWNLOAD__ALLOW_HOSTS",
                "a.example.com, *.example.org,",
            ),
            ("REDLEDGER_DOWNLOAD__ALLOW_PRIVATE", ""),
            (
                "REDLEDGER_HOOK__EVENTS__cardNegative__v2",
                "account_negative",
            ),
            ("REDLEDGER_EXPECTED_EVERY__ACCOUNT_NEGATIVE", "26h"),
            (
                "REDLEDGER_PROVIDER__HEADERS",
                "{ Accept = \"application/json\" }",
            ),
        ]),
    )
    .expect("valid");
    assert_eq!(
        config.download.allow_hosts,
        ["a.example.com", "*.example.org"]
    );
    assert!(config.download.allow_private.is_empty());
    assert_eq!(config.hook.events["cardNegative__v2"], "account_negative");
    assert_eq!(
        config.expected_every["account_negative"].to_string(),
        "1day 2h"
    );
    assert_eq!(config.provider.headers["Accept"], "application/json");
}

#[cfg(unix)]
#[test]
fn what_is_not_utf_8_is_passed_over_or_named() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = || OsString::from_vec(vec![0xff]);
    Config::load(
        None,
        [("LC_X".into(), odd()), (odd(), "x".into())].into_iter(),
    )
    .expect("nobody's");
    for name in ["REDLEDGER_DATA_DIR", "REDLEDGER_X"] {
        let error = Config::load(None, [(name.into(), odd())].into_iter()).expect_err("no text");
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[test]
fn values_that_could_only_fail_are_refused() {
    for (set, said) in [
        ("data_dir = \"\"", "data_dir"),
        ("[download]\nconcurrency = 0", "concurrency"),
        (
            "[download]\nconcurrency = 9223372036854775807",
            "concurrency",
        ),
        ("[download]\nidle_timeout = \"0s\"", "idle_timeout"),
        ("[download]\nconnect_timeout = \"0s\"", "connect_timeout"),
        ("[download]\ndeadline = \"0s\"", "deadline"),
        ("[download]\ndeadline = \"9000000000y\"", "deadline"),
        ("[download]\nmax_bytes = 0", "max_bytes"),
        ("[load]\nthreads = 1000000", "threads"),
        ("[load]\nmemory_limit = \"9EB\"", "memory_limit"),
        ("[serve]\npath = \"hooks\"", "path"),
        ("[serve]\ntimeout = \"0s\"", "timeout"),
        ("[serve]\nlisten = \"8080\"", "listen"),
        (
            "[serve]\nsignature_header = \"X Signature\"",
            "signature_header",
        ),
        ("[serve]\nsecret_env = \"\"", "secret_env"),
        ("[provider]\nheaders = { \"a b\" = \"x\" }", "headers"),
        (
            "[expected_every]\naccount_negative = \"0s\"",
            "expected_every",
        ),
    ] {
        let file = file(set);
        let error = Config::load(Some(file.path()), env(&[])).expect_err(set);
        let named = error.chain().contains(said) || error.to_string().contains(":2:");
        assert!(named, "{set}: {error}");
    }
}
