//! Certificates made by the `openssl` command.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Makes a private authority (`ca.pem`) in `folder` and a certificate of its for 127.0.0.1 (`server.pem`,
/// `server.key`); false where there is no openssl.
pub(crate) fn make(folder: &Path) -> bool {
    let openssl = |arguments: &str| {
        Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("to write");
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority",
    ) && openssl(
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=test-server",
    ) && openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    )
}
