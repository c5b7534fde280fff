//! Where the receiver listens.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An address or a name, and a port: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    host: String,
    port: u16,
}

impl Listen {
    /// What it stands for, as the system resolves it; IPv4 first, since whoever is told `localhost` tries that.
    ///
    /// # Errors
    /// The operating system's, when the name is not known.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        let found = std::net::ToSocketAddrs::to_socket_addrs(&(self.host.as_str(), self.port))?;
        let mut addresses: Vec<SocketAddr> = found.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        Ok(addresses)
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let named = text.rsplit_once(':').and_then(|(host, port)| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let port = port.parse().ok()?;
            (!host.is_empty() && host.chars().all(is_name)).then(|| Self {
                host: host.to_owned(),
                port,
            })
        });
        named.ok_or_else(|| {
            format!(
                "`{text}` is not an address or name with a port, such as 127.0.0.1:8080, localhost:8080 or \
                 0.0.0.0:8080 for every address"
            )
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_with_a_port_are_understood() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "0.0.0.0:0",
            "localhost:8080",
            "hooks.internal:443",
        ] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.to_string(), text);
        }
        for text in [
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:x",
            "a b:1",
            "::1:99999",
            "h:70000",
        ] {
            text.parse::<Listen>().expect_err(text);
        }
    }
}
