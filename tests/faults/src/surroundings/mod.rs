//! Networks, databases and disks that can be made to fail. They stop what they started when they
//! are dropped.

mod disk;
mod postgres_pair;
mod rpc_proxy;

pub use disk::SmallDisk;
pub use postgres_pair::PostgresPair;
pub use rpc_proxy::{Loss, RpcFault, RpcProxy};
