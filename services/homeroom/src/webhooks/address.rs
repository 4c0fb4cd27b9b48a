//! Which addresses may be called: a webhook must not reach what only this machine's network may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns true if an endpoint may be called at this address. Plain HTTP stays within private networks.
pub(crate) fn may_call(is_https: bool, address: IpAddr, allow_private_networks: bool) -> bool {
    if is_https {
        allow_private_networks || is_public(address)
    } else {
        allow_private_networks && !is_public(address)
    }
}

/// Returns true if the address is one of the public Internet, by the registries of special-purpose addresses of IANA.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network; private use; loopback; multicast; reserved, and broadcast.
        [0 | 10 | 127 | 224..=255, ..]
            | [172, 16..32, ..]
            | [192, 168, ..]
            // Shared between a provider and its customers (CGNAT).
            | [100, 64..128, ..]
            // Link-local, where clouds serve credentials.
            | [169, 254, ..]
            // Protocol assignments and documentation.
            | [192, 0, 0 | 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Relays of 6to4; benchmarks.
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // IPv4 mapped into IPv6, and IPv4 behind a translator (NAT64).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments such as Teredo; documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        // 6to4; documentation.
        [0x2002, ..] => false,
        [0x3fff, second, ..] => second >= 0x1000,
        // What else is global unicast.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &[&str] = &[
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::",
        "2606:4700:4700::1111",
        "2a00:1450:4001::5",
        "3fff:1000::",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ];
    const SPECIAL: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
        let parsed = addresses.iter().map(|address| address.parse());
        parsed.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for address in parsed(PUBLIC) {
            assert!(is_public(address), "{address}");
        }
        for address in parsed(SPECIAL) {
            assert!(!is_public(address), "{address}");
        }
    }

    #[test]
    fn other_addresses_are_called_where_the_endpoint_allows_them_and_http_calls_no_public_one() {
        for address in parsed(PUBLIC) {
            assert!(may_call(true, address, false));
            assert!(may_call(true, address, true));
            assert!(!may_call(false, address, false));
            assert!(!may_call(false, address, true));
        }
        for address in parsed(SPECIAL) {
            assert!(!may_call(true, address, false));
            assert!(may_call(true, address, true));
            assert!(!may_call(false, address, false));
            assert!(may_call(false, address, true));
        }
    }
}
