//! Clients of seven releases of DuckDB read every view, and see the same.

use std::{path::PathBuf, process::Command};

use crate::support::{checkout::checkout, program::Workspace, skipped};

const RELEASES: [&str; 7] = [
    "1.0.0", "1.1.3", "1.2.2", "1.3.2", "1.4.5", "1.5.5", "2.0.1",
];

/// Where `.ci/install-servers` puts them.
fn clients() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = cache.unwrap_or_else(|| home().join(".cache"));
    cache.join("redledger/servers/duckdb")
}

#[test]
fn old_and_new_clients_see_the_same_in_every_view() {
    let workspace = Workspace::new().set("REPORTING__TIME_ZONE", "Asia/Shanghai");
    workspace.run(&["demo", "--data-dir", "data"]);
    let mut seen: Vec<(&str, String)> = Vec::new();
    for release in RELEASES {
        let client = clients().join(release);
        if !client.is_dir() {
            skipped(
                &format!("DuckDB {release}"),
                "its Python client is not installed (`just servers`)",
            );
            continue;
        }
        let read = Command::new("timeout")
            .arg("120")
            .arg("python3")
            .arg(checkout("tests/views/sums.py"))
            .arg(workspace.data().join("warehouse.duckdb"))
            .env("PYTHONPATH", client)
            // What has no ICU needs none.
            .env("TZ", "America/New_York")
            .output()
            .expect("python3 starts");
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success(), "{release}: {said}");
        seen.push((release, String::from_utf8_lossy(&read.stdout).into_owned()));
    }
    for (release, sums) in &seen {
        // Directly and attached.
        let parts: Vec<&str> = sums.split("attached\n").collect();
        assert_eq!(parts.len(), 2, "{release}: {sums}");
        assert_eq!(parts[0], parts[1], "{release}");
        assert_eq!(parts[0].lines().count(), 15, "{release}: {sums}");
        assert_eq!(sums, &seen[0].1, "{release} and {}", seen[0].0);
    }
}
