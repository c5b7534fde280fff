//! `redledger serve` under way, and a client that posts to it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::program::{Ran, Workspace};

/// A receiver that takes longer than this to stop hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// The receiver; it is killed when dropped.
pub(crate) struct Receiver {
    child: Child,
    address: SocketAddr,
    /// The line it starts with.
    pub(crate) greeting: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    client: reqwest::Client,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    /// Starts it on a free port of loopback and waits until it listens.
    pub(crate) fn start(workspace: &Workspace) -> Self {
        let mut command = workspace.command(env!("CARGO_BIN_EXE_redledger"));
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Self::of(command)
    }

    /// The same for a command of the test's own, which listens on a port of loopback.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the receiver starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut err = child.stderr.take().expect("piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        let mut greeting = String::new();
        out.read_line(&mut greeting).expect("text");
        let address = greeting
            .split_once("http://")
            .and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!(
                "the receiver does not listen: {greeting}{}",
                stderr.join().unwrap_or_default()
            );
        };
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
        });
        Self {
            child,
            address,
            greeting,
            stdout: Some(stdout),
            stderr: Some(stderr),
            client: reqwest::Client::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Posts an announcement; the answer's status and text.
    pub(crate) async fn post(
        &self,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let mut request = self.client.post(self.url("/hooks")).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// The status of the answer to an announcement; `None` when none came.
    pub(crate) fn posting(
        &self,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Option<u16>> + Send + 'static {
        let mut request = self.client.post(self.url("/hooks")).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async move { Some(request.send().await.ok()?.status().as_u16()) }
    }

    /// The status and text of a page.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        answer(self.client.get(self.url(path))).await
    }

    /// Most memory that it had at any time, in kilobytes; 0 where the system does not say.
    pub(crate) fn peak_kilobytes(&self) -> u64 {
        super::program::peak_of(&format!("/proc/{}/status", self.child.id()))
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Asks it to stop and waits for its end.
    pub(crate) fn stop(self) -> Ran {
        self.terminate();
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ran {
        let started = Instant::now();
        let exit = loop {
            if let Some(status) = self.child.try_wait().expect("to wait") {
                break status.code();
            }
            assert!(started.elapsed() < LONGEST, "the receiver does not stop");
            std::thread::sleep(Duration::from_millis(2));
        };
        let join = |text: Option<JoinHandle<String>>| {
            text.map_or_else(String::new, |thread| thread.join().expect("text"))
        };
        Ran {
            exit,
            stdout: join(self.stdout.take()),
            stderr: join(self.stderr.take()),
            peak_kilobytes: 0,
        }
    }

    /// Ends it without asking, as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("to kill");
        self.child.wait().expect("to wait");
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.text().await.expect("text"))
}

/// The HMAC-SHA256 of `message`.
pub(crate) fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The same in Base64.
pub(crate) fn hmac_base64(secret: &str, message: &str) -> String {
    BASE64_STANDARD.encode(hmac(secret.as_bytes(), message.as_bytes()))
}
