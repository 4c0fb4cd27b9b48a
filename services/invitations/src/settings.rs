//! The settings that only this service has, for its command line.

use homeroom_kit::service::Setting;

/// Every setting besides those that all services have.
pub const SETTINGS: &[Setting] = &[
    (
        "LISTEN_ADDRESS",
        "where to listen; 127.0.0.1:50052 if unset",
    ),
    (
        "REDIS_URL",
        "Redis of the limiter; unset: limited within the process",
    ),
    (
        "MEMBERSHIP_URL",
        "the membership service, as http://host:port or https://host:port",
    ),
    (
        "MEMBERSHIP_CA_FILE",
        "PEM of the authority that signs membership's certificate; required with https://",
    ),
    (
        "MEMBERSHIP_CLIENT_CERT_FILE",
        "PEM of the certificate that is shown to membership; unset: none",
    ),
    (
        "MEMBERSHIP_CLIENT_KEY_FILE",
        "PEM of that certificate's private key",
    ),
    (
        "PUBLIC_URL",
        "the base of every URL handed out, as https://join.school.example",
    ),
    (
        "SIGNING_KEY_FILE",
        "this service's own Ed25519 key, PKCS#8 PEM, for its calls of membership",
    ),
    (
        "CALLS_PER_MINUTE_MAX",
        "attempts of one calling service a minute; unset: no limit",
    ),
    (
        "LIMITER_BUDGETS",
        "the limiter's budgets, as user_daily=20,address_hourly=30",
    ),
];
