//! The rules of invitations and of using them. All are pure and total: no async, no I/O, no clock, no SQL, no gRPC. To
//! learn the product, read [`decide::decide`]; each kind of invitation is a value there ([`way::Policy`]), not a path
//! through the code.

pub mod audit_entry;
pub mod credential;
pub mod crockford;
pub mod decide;
pub mod domain_rule;
pub mod earlier_redemptions;
pub mod invitation;
pub mod lock;
mod message;
pub mod public_url;
pub mod redemption;
pub mod refused_attempt;
pub mod strength;
mod typed_text;
pub mod way;
pub mod ways;
mod webmail;
