//! Where a download may go: scheme, host and address, on every hop.
//!
//! Announcements come from outside, so a URL in one must not make this process talk to its own network.
//! A name is checked by its text ([`Guard::check`]) and then by every address it resolves to
//! ([`GuardedResolver`]); the connection uses exactly the addresses that were checked, so a name can't
//! change its mind in between. IP literals never reach a resolver and are checked with the text.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use thiserror::Error;

use crate::{
    config::DownloadConfig,
    error::{Error, Result},
};

/// A rule forbids an address. The text names the rule and never the address a name resolved to: that
/// would tell an outsider about the inside.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Denied(pub(super) String);

/// An entry of `allow_hosts`.
#[derive(Debug)]
struct HostRule {
    /// The host in its normal form; with a leading dot, every name below it.
    host: String,
    /// `None` covers every port.
    port: Option<u16>,
}

/// The rules of `[download]`.
#[derive(Debug)]
pub(super) struct Guard {
    allow_http: bool,
    hosts: Vec<HostRule>,
    ranges: Vec<IpNet>,
}

/// Special-purpose IPv4 blocks (IANA registry, RFC 6890 and successors), and one well-known service.
const FORBIDDEN_V4: &[(Ipv4Addr, u8, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "\"this network\""),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "carrier-grade NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
    // Azure's metadata and agent address lies in a public block.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "cloud metadata"),
];

/// What is not global unicast within 2000::/3; everything outside that block is refused anyway.
const FORBIDDEN_V6: &[(Ipv6Addr, u8, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "documentation",
    ),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "documentation",
    ),
];

impl Guard {
    pub(super) fn new(config: &DownloadConfig) -> Result<Self> {
        let settings = |key: &str, message: String| Error::Settings {
            place: format!("[download] {key}"),
            message,
            hint: None,
        };
        let hosts = config
            .allow_hosts
            .iter()
            .map(|entry| HostRule::parse(entry).map_err(|message| settings("allow_hosts", message)))
            .collect::<Result<_>>()?;
        let ranges = config
            .allow_private
            .iter()
            .map(|entry| {
                let text = entry.trim();
                text.parse::<IpNet>()
                    .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| {
                        settings(
                            "allow_private",
                            format!("`{entry}` is not an address range such as \"10.0.0.0/8\""),
                        )
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            allow_http: config.allow_http,
            hosts,
            ranges,
        })
    }

    /// Checks everything about `url` that needs no resolving.
    pub(super) fn check(&self, url: &Url) -> Result<(), Denied> {
        let deny = |text: &str| Err(Denied(text.to_owned()));
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return deny("plain http is not allowed (`allow_http`)"),
            "file" => return deny("a local file is only taken from the command line"),
            _ => return deny("only https is allowed"),
        }
        let Some(host) = url.host_str() else {
            return deny("the address has no host");
        };
        if !self.hosts.is_empty() {
            let name = normal_host(host);
            let port = url.port_or_known_default();
            if !self.hosts.iter().any(|rule| rule.covers(&name, port)) {
                return deny("the host is not among `allow_hosts`");
            }
        }
        // The parser has already brought every spelling (octal, hex, one number, full-width) to one form.
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) => self.check_address(address),
            // These names mean loopback whatever a resolver says (RFC 6761, section 6.3).
            Err(_) if is_localhost(host) => self.check_address(Ipv4Addr::LOCALHOST.into()),
            Err(_) => Ok(()),
        }
    }

    /// Checks one address: public, or in a range that `allow_private` names.
    pub(super) fn check_address(&self, address: IpAddr) -> Result<(), Denied> {
        // The system connects ::ffff:a.b.c.d to a.b.c.d, so it is judged as that.
        let address = address.to_canonical();
        if self.ranges.iter().any(|range| range.contains(&address)) {
            return Ok(());
        }
        match not_public(address) {
            None => Ok(()),
            Some(rule) => Err(Denied(format!(
                "the host's address is not public ({rule}); see `allow_private`"
            ))),
        }
    }
}

/// Why `address` is not a public one, if it is not.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    FORBIDDEN_V4
        .iter()
        .find(|(net, bits, _)| {
            (u32::from(address) ^ u32::from(*net)) >> (32 - u32::from(*bits)) == 0
        })
        .map(|(_, _, rule)| *rule)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = address.to_ipv4_mapped() {
        return not_public_v4(inner);
    }
    let bits = u128::from(address);
    let within = |net: u128, length: u32| (bits ^ net) >> (128 - length) == 0;
    // NAT64 (RFC 6052): the address behind the translator is what counts.
    if within(0x0064_ff9b_u128 << 96, 96) {
        #[allow(clippy::cast_possible_truncation)]
        return not_public_v4(Ipv4Addr::from(bits as u32))
            .map(|_| "NAT64 of an address that is not public");
    }
    if address.is_loopback() {
        return Some("loopback");
    }
    if within(0xfc00_u128 << 112, 7) {
        return Some("private");
    }
    if within(0xfe80_u128 << 112, 10) {
        return Some("link-local");
    }
    if within(0xff00_u128 << 112, 8) {
        return Some("multicast");
    }
    if !within(0x2000_u128 << 112, 3) {
        return Some("not global unicast");
    }
    if let Some((_, _, rule)) = FORBIDDEN_V6
        .iter()
        .find(|(net, length, _)| within(u128::from(*net), u32::from(*length)))
    {
        return Some(rule);
    }
    // ISATAP (RFC 5214, section 6.1): an interface identifier 0:5efe or 200:5efe carries an IPv4 address.
    if (bits >> 32) & 0xfdff_ffff == 0x0000_5efe {
        #[allow(clippy::cast_possible_truncation)]
        return not_public_v4(Ipv4Addr::from(bits as u32))
            .map(|_| "ISATAP of an address that is not public");
    }
    None
}

impl HostRule {
    fn parse(entry: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{entry}` is not a host such as \"files.example.com\" or \"*.example.com\"")
        };
        let text = entry.trim();
        let (below, text) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // Only a URL's own rules give the same normal form that a URL's host has (IDNA, IPv4 spellings).
        let url = Url::parse(&format!("https://{text}")).map_err(|_| wrong())?;
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.ends_with('/');
        let host = normal_host(url.host_str().ok_or_else(wrong)?);
        if !plain || host.is_empty() || host.contains('*') {
            return Err(wrong());
        }
        // `url` drops a port that is the scheme's default, but here it was written down.
        let port = match text.rsplit_once(':') {
            Some((_, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => {
                Some(port.parse().map_err(|_| wrong())?)
            }
            _ => None,
        };
        Ok(Self {
            host: if below { format!(".{host}") } else { host },
            port,
        })
    }

    fn covers(&self, host: &str, port: Option<u16>) -> bool {
        let named = if self.host.starts_with('.') {
            host.len() > self.host.len() && host.ends_with(&self.host)
        } else {
            host == self.host
        };
        named && self.port.is_none_or(|wanted| Some(wanted) == port)
    }
}

/// A host as it is compared: lower case, without the root's dot.
fn normal_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_localhost(host: &str) -> bool {
    let host = normal_host(host);
    host == "localhost" || host.ends_with(".localhost")
}

/// Resolves names with the system's resolver and lets only checked addresses through.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver(pub(super) Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            guard.check_all(&found)?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

impl Guard {
    /// One forbidden address among many condemns the name: which one is used would be chance.
    fn check_all(&self, addresses: &[SocketAddr]) -> Result<(), Denied> {
        addresses
            .iter()
            .try_for_each(|address| self.check_address(address.ip()))
    }
}

#[cfg(test)]
mod tests;
