//! How the pages look, and what a browser may do with them.

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// What a page begins with: a file that begins so may be written over by a newer one.
pub(crate) const MARK: &str = "<!doctype html>\n<!-- redledger report -->";

/// The one style sheet; within the page, so that nothing is asked for.
pub(super) const STYLE: &str = include_str!("style.css");

/// The content security policy: no script, no request, this style alone, and no frame of another's.
pub(crate) fn policy() -> &'static str {
    static POLICY: LazyLock<String> =
        LazyLock::new(|| format!("{}; frame-ancestors 'none'", policy_within()));
    &POLICY
}

/// The same as far as a page can say it of itself.
pub(super) fn policy_within() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
        )
    });
    &POLICY
}
