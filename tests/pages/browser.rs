//! The pages in Debian's Chromium: as they look at 375 and 1280 px, light and dark, in both languages, without scripts, by
//! keyboard, on paper; axe-core finds nothing. Screenshots stay in the target folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{load, report, workspace};
use crate::support::{checkout::checkout, skipped};

/// Where `.ci/install-servers` puts playwright-core and axe-core.
fn modules() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = cache.unwrap_or_else(|| home().join(".cache"));
    cache.join("redledger/servers")
}

#[test]
fn pages_are_fit_to_be_looked_at() {
    let modules = modules();
    if !Path::new("/usr/bin/chromium").exists() || !modules.join("node_modules/axe-core").is_dir() {
        skipped(
            "pages in a browser",
            "chromium, playwright-core or axe-core is not installed (`just servers`)",
        );
        return;
    }
    let workspace = workspace().set("EXPECTED_EVERY__ACCOUNT_REPAYMENT", "1d");
    let played = workspace.run(&["demo", "--month", "--data-dir", "data"]);
    assert_eq!(played.exit, Some(0), "{}", played.stderr);
    for (batch, day, spoiled) in [("B1", 27, 0), ("B2", 28, 1), ("B3", 30, 2), ("B4", 31, 90)] {
        load(&workspace, batch, day, spoiled);
    }
    let pages: Vec<PathBuf> = [
        ("night-en", &["--lang", "en", "--days", "3660"][..]),
        ("night-zh", &["--lang", "zh", "--days", "3660"]),
        ("batch-en", &["--batch", "B3"]),
        ("batch-zh", &["--batch", "B3", "--lang", "zh"]),
    ]
    .into_iter()
    .map(|(name, options)| {
        report(&workspace, options);
        let path = workspace.path().join(format!("{name}.html"));
        std::fs::rename(workspace.path().join("night.html"), &path).expect("to rename");
        path
    })
    .collect();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let looked = Command::new("timeout")
        .args(["300", "node"])
        .arg(checkout("tests/pages/browser.mjs"))
        .args([&modules, &out])
        .args(&pages)
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&looked.stdout);
    let failed = String::from_utf8_lossy(&looked.stderr);
    assert_eq!(said, format!("looked at {}\n", 4 * pages.len()), "{failed}");
}
