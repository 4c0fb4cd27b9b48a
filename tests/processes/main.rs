//! Both services as processes: killed, stopped, restarted, traced, migrated and upgraded.

mod canary;
mod crowd;
mod durability;
mod keys;
mod kill;
mod migrations;
mod restart;
mod stop;
mod tls;
mod upgrade;
mod ways;
