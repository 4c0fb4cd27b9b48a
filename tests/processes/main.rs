//! Both services as processes: killed, stopped, restarted, traced, migrated and upgraded.

mod crowd;
mod durability;
mod kill;
mod migrations;
mod restart;
mod stop;
mod upgrade;
