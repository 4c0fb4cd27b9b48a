//! Addresses for a test's programs, which keep them when they are killed and restarted.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// The first port of [`free_address`], and the number of ports that it chooses from.
const PORTS: (u16, u16) = (17_000, 15_000);
/// The number of ports between the starting points of processes with consecutive ids: more
/// addresses than one test takes.
const PORTS_A_PROCESS: u32 = 64;

/// Returns a free address on loopback; one process never gets the same twice.
///
/// Its port is below the range of outgoing connections, so that a killed program finds it free when
/// it restarts.
///
/// # Panics
///
/// Panics if no port is free.
#[must_use]
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (first, many) = PORTS;
    let begin = std::process::id().wrapping_mul(PORTS_A_PROCESS);
    for _ in 0..many {
        let step = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = first + u16::try_from(step % u32::from(many)).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {first} on is free");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_address_is_given_once_and_lies_below_the_ports_of_outgoing_connections() {
        let [first, second] = [free_address(), free_address()];
        assert_ne!(first, second);
        assert!(first.port() < 32_768, "{first}");
        TcpListener::bind(first).unwrap();
    }
}
