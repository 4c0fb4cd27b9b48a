//! The changes that staff make to tokens, codes and join URLs, through the handlers, with a membership service whose
//! answers the test sets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "support/databases.rs"]
#[expect(
    dead_code,
    reason = "these tests run on SQLite alone; the store's run on both engines"
)]
mod databases;

#[path = "staff/access.rs"]
mod access;
#[path = "staff/audit_lists.rs"]
mod audit_lists;
#[path = "staff/audit_trail.rs"]
mod audit_trail;
#[path = "staff/class_codes.rs"]
mod class_codes;
#[path = "staff/class_tokens.rs"]
mod class_tokens;
#[path = "staff/enrollment_codes.rs"]
mod enrollment_codes;
#[path = "staff/fake_membership.rs"]
mod fake_membership;
#[path = "staff/fences.rs"]
mod fences;
#[path = "staff/fences_of_each.rs"]
mod fences_of_each;
#[path = "staff/invite_tokens.rs"]
mod invite_tokens;
#[path = "staff/join_urls.rs"]
mod join_urls;
#[path = "staff/office.rs"]
mod office;
#[path = "staff/retries.rs"]
mod retries;
#[path = "support/scrape.rs"]
mod scrape;
#[path = "staff/service.rs"]
mod service;
