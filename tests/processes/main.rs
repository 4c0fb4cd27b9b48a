//! Both services as processes: killed, stopped, restarted, traced, migrated and upgraded.

mod canary;
mod crowd;
mod durability;
mod jwks_url;
mod keys;
mod migrations;
mod redis_away;
mod refusals;
mod restart;
mod restored;
mod stop;
mod tls;
mod upgrade;
mod ways;
