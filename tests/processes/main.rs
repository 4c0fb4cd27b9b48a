//! Both services as processes: killed, stopped, restarted, traced, migrated and upgraded.

mod canary;
mod crowd;
mod durability;
mod jwks_url;
mod keys;
#[path = "../../services/invitations/tests/limiter/masters.rs"]
#[expect(dead_code, reason = "the limiter's own tests do more with it")]
mod masters;
mod migrations;
mod redis_away;
mod refusals;
mod restart;
mod restored;
mod stop;
mod tls;
mod upgrade;
mod ways;
