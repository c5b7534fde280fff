//! Who may look: the browser that opened the printed address first.

use std::{
    fs::File,
    io::Read as _,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use base16ct::lower::encode_string;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::asked::parameter;
use crate::error::{Error, Result};

/// The cookie's name; its value is the session's secret.
const COOKIE: &str = "redledger_ui";
const SECRET: usize = 32;

/// Who may look.
pub(super) struct Access {
    address: SocketAddr,
    /// `None` once it is spent.
    token: Mutex<Option<String>>,
    printed: String,
    session: String,
    /// What a `Host` header may say: a page elsewhere that makes its own name resolve to this machine is refused.
    hosts: [String; 2],
}

/// What a request is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Granted,
    /// The token was good: what the browser is to keep.
    Redeemed(String),
    Refused(StatusCode, &'static str),
}

impl Access {
    pub(super) fn new(address: SocketAddr) -> Result<Self> {
        let (token, session) = (secret()?, secret()?);
        Ok(Self {
            address,
            printed: token.clone(),
            token: Mutex::new(Some(token)),
            session,
            hosts: [address.to_string(), format!("localhost:{}", address.port())],
        })
    }

    /// The address that opens once.
    pub(super) fn address(&self) -> String {
        format!("http://{}/?token={}", self.address, self.printed)
    }

    pub(super) fn admit<B>(&self, request: &Request<B>) -> Admission {
        let (headers, uri) = (request.headers(), request.uri());
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.hosts.iter().any(|known| known == host)) {
            return Admission::Refused(
                StatusCode::MISDIRECTED_REQUEST,
                "this is served under the address that `redledger ui` printed, and no other",
            );
        }
        if request.method() != Method::GET {
            return Admission::Refused(StatusCode::METHOD_NOT_ALLOWED, "there is only GET");
        }
        if let Some(token) = parameter(uri, "token") {
            return self.redeem(token, headers);
        }
        match self.is_known(headers) {
            true => Admission::Granted,
            false => NOT_ADMITTED,
        }
    }

    fn redeem(&self, told: &str, headers: &HeaderMap) -> Admission {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if token.as_deref().is_some_and(|token| is_same(token, told)) {
            *token = None;
            return Admission::Redeemed(self.cookie());
        }
        // The same browser, going back to the address that it was given.
        match self.is_known(headers) {
            true => Admission::Redeemed(self.cookie()),
            false => NOT_ADMITTED,
        }
    }

    fn cookie(&self) -> String {
        format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict",
            self.session
        )
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == COOKIE && is_same(value, &self.session))
    }
}

const NOT_ADMITTED: Admission = Admission::Refused(
    StatusCode::FORBIDDEN,
    "the address that `redledger ui` printed opens once, in one browser; start it again for another",
);

fn secret() -> Result<String> {
    let mut bytes = [0; SECRET];
    let random = "/dev/urandom";
    File::open(random)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(Error::io("read", random))?;
    Ok(encode_string(&bytes))
}

/// In a time that tells nothing of where they differ.
fn is_same(a: &str, b: &str) -> bool {
    Sha256::digest(a) == Sha256::digest(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::new(SocketAddr::from(([127, 0, 0, 1], 8081))).expect("random bytes")
    }

    fn asked(method: Method, uri: &str, host: &str, cookie: &str) -> Request<()> {
        Request::builder()
            .method(method)
            .uri(uri)
            .header(header::HOST, host)
            .header(header::COOKIE, cookie)
            .body(())
            .expect("a request")
    }

    const HERE: &str = "127.0.0.1:8081";

    #[test]
    fn the_printed_address_opens_once() {
        let access = access();
        let path = access.address().replace("http://127.0.0.1:8081", "");
        let Admission::Redeemed(cookie) = access.admit(&asked(Method::GET, &path, HERE, "")) else {
            panic!("refused");
        };
        assert_eq!(
            access.admit(&asked(Method::GET, &path, HERE, "")),
            NOT_ADMITTED
        );
        let cookie = cookie.split(';').next().expect("a cookie");
        assert_eq!(
            access.admit(&asked(Method::GET, "/", HERE, &format!("a=b; {cookie}"))),
            Admission::Granted
        );
        assert!(matches!(
            access.admit(&asked(Method::GET, &path, HERE, cookie)),
            Admission::Redeemed(_)
        ));
    }

    #[test]
    fn who_has_no_cookie_sees_nothing() {
        let access = access();
        for cookie in ["", "redledger_ui=", "redledger_ui=0", "other=1"] {
            let request = asked(Method::GET, "/", HERE, cookie);
            assert_eq!(access.admit(&request), NOT_ADMITTED, "{cookie}");
        }
        let request = asked(Method::GET, "/?token=", HERE, "");
        assert_eq!(access.admit(&request), NOT_ADMITTED);
    }

    #[test]
    fn other_names_and_methods_are_refused() {
        let access = access();
        let path = access.address().replace("http://127.0.0.1:8081", "");
        for host in [
            "evil.example",
            "evil.example:8081",
            "127.0.0.1",
            "localhost:80",
        ] {
            let admission = access.admit(&asked(Method::GET, &path, host, ""));
            assert!(
                matches!(
                    admission,
                    Admission::Refused(StatusCode::MISDIRECTED_REQUEST, _)
                ),
                "{host}"
            );
        }
        let admission = access.admit(&asked(Method::POST, &path, "localhost:8081", ""));
        assert!(matches!(
            admission,
            Admission::Refused(StatusCode::METHOD_NOT_ALLOWED, _)
        ));
    }
}
