//! The proxies in front of a server, which say for whom they call.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, HeaderName};

use crate::config::Reader;

/// The header to which each proxy appends the address that it was called from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The addresses of proxies whose `x-forwarded-for` is believed; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Reads the setting `TRUSTED_PROXIES`.
    pub fn read(reader: &mut Reader) -> Self {
        reader.or_default("TRUSTED_PROXIES", Self::default(), str::parse)
    }

    /// Returns the address that a call comes from: that of the connection, or if a trusted proxy has made it, the last
    /// address in `x-forwarded-for` that is not a trusted proxy's. A caller may have written whatever precedes it.
    /// What cannot be read ends the search at the proxy that passed it on.
    pub(crate) fn client_address(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = connection.to_canonical();
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut hops = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        while self.0.iter().any(|network| network.contains(address)) {
            let hop = hops.next().and_then(|hop| hop.trim().parse().ok());
            let Some(hop) = hop.as_ref().map(IpAddr::to_canonical) else {
                break;
            };
            address = hop;
        }
        address
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// Reads addresses and networks with commas between them, as `10.0.0.7, fd00:1::/64`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let networks = text.split(',').map(|part| {
            let part = part.trim();
            Network::parse(part).ok_or_else(|| {
                format!(
                    "has {part:?}, which must be an address or a network, such as 10.0.0.7 or fd00:1::/64; a network \
                     of every address would let callers choose theirs"
                )
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

/// A network: an address of it, and the number of bits that all of its addresses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    shared_bits: u32,
}

impl Network {
    /// Reads `address/bits`, or one address; a network of every address is none. One of IPv4 addresses that are written
    /// as IPv6 is read as what it is, since addresses are compared so.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().ok()?;
        let bits_max = bits_of(written);
        let shared_bits: u32 = bits.map_or(Some(bits_max), |bits| bits.parse().ok())?;
        let address = written.to_canonical();
        let shared_bits = shared_bits.checked_sub(bits_max - bits_of(address))?;
        (1..=bits_of(address))
            .contains(&shared_bits)
            .then_some(Self {
                address,
                shared_bits,
            })
    }

    fn contains(self, address: IpAddr) -> bool {
        let differing = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        differing >= self.shared_bits
    }
}

fn bits_of(address: IpAddr) -> u32 {
    if address.is_ipv4() {
        u32::BITS
    } else {
        u128::BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, connection: &str, values: &[&str]) -> String {
        let proxies: TrustedProxies = trusted.parse().unwrap();
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let connection = connection.parse().unwrap();
        proxies.client_address(connection, &headers).to_string()
    }

    #[test]
    fn r10_the_last_address_that_is_no_trusted_proxys_is_the_callers() {
        const PROXIES: &str = "10.0.0.0/30, 192.0.2.1,fd00:1::/64";
        for (connection, values, expected) in [
            // A caller who is no proxy is not believed.
            ("198.51.100.1", &["203.0.113.7"][..], "198.51.100.1"),
            ("10.0.0.4", &["203.0.113.7"], "10.0.0.4"),
            ("fd00:1:0:1::1", &["203.0.113.7"], "fd00:1:0:1::1"),
            // A proxy is, for what it appended itself.
            ("10.0.0.3", &["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.3", &["192.0.2.9, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.3", &["192.0.2.9", "203.0.113.7"], "203.0.113.7"),
            ("fd00:1::3", &["2001:db8::7"], "2001:db8::7"),
            ("::ffff:10.0.0.3", &["::ffff:203.0.113.7"], "203.0.113.7"),
            // A chain of proxies.
            ("10.0.0.3", &["203.0.113.7, 192.0.2.1"], "203.0.113.7"),
            (
                "10.0.0.3",
                &["203.0.113.7,fd00:1::9 ,", "192.0.2.1"],
                "192.0.2.1",
            ),
            (
                "10.0.0.3",
                &["203.0.113.7", "fd00:1::9, 192.0.2.1"],
                "203.0.113.7",
            ),
            // A proxy that calls for itself, or says nothing that can be read.
            ("10.0.0.3", &["10.0.0.2"], "10.0.0.2"),
            ("10.0.0.3", &[], "10.0.0.3"),
            ("10.0.0.3", &[""], "10.0.0.3"),
            ("10.0.0.3", &["203.0.113.7, unknown"], "10.0.0.3"),
            ("10.0.0.3", &["203.0.113.7, 203.0.113.8:4711"], "10.0.0.3"),
        ] {
            assert_eq!(client(PROXIES, connection, values), expected, "{values:?}");
        }
        let nobody = TrustedProxies::default();
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "203.0.113.7".parse().unwrap());
        let connection: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(nobody.client_address(connection, &headers), connection);
    }

    #[test]
    fn a_network_has_all_addresses_that_share_its_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.0.0.77/24", "10.0.0.1", "10.0.1.77"),
            ("128.0.0.0/1", "255.255.255.255", "127.255.255.255"),
            ("10.0.0.7", "10.0.0.7", "10.0.0.6"),
            ("10.0.0.7/32", "10.0.0.7", "::ffff:10.0.0.8"),
            ("fd00:1::/64", "fd00:1::ffff:0:0:1", "fd00:1:0:1::"),
            ("::1", "::1", "0.0.0.1"),
            ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.6"),
            ("::ffff:10.0.0.0/104", "10.255.255.255", "11.0.0.0"),
            ("::/1", "7fff::", "1.2.3.4"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network}");
        }
    }

    #[test]
    fn what_is_no_network_is_named_and_so_is_one_of_every_address() {
        for text in [
            "envoy",
            "",
            "10.0.0",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "0.0.0.0/0",
            "::/0",
            "::ffff:10.0.0.0/96",
            "::ffff:10.0.0.0/64",
            "::ffff:10.0.0.0/129",
        ] {
            let error = format!("10.0.0.7,{text}")
                .parse::<TrustedProxies>()
                .unwrap_err();
            assert!(error.starts_with(&format!("has {text:?}, ")), "{error}");
        }
    }
}
