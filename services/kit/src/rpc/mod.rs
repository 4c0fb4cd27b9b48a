//! Common parts of the handlers of both services: how calls are opened, read, authorized and
//! answered.

mod patch;
mod refusals;
mod routes;
mod rules;

use std::fmt::Display;

pub use patch::Patch;
pub use refusals::{check_etag, etag, place_not_found, require_unbound};
pub use rules::Rule;

use homeroom_api::names::Place;
use uuid::Uuid;

use crate::{
    auth::Caller,
    paging::{PageRequest, Paging},
    status::Result,
    validation::Violations,
};

/// Returns the name of a request that asks for one resource and nothing else.
pub fn name<T, E: Display>(parsed: std::result::Result<T, E>) -> Result<T> {
    let mut violations = Violations::new();
    let name = violations.take("name", parsed);
    violations.finish_with(name)
}

/// Returns the request id of a change, and what `parse` reads of its request.
pub fn change<T>(
    request_id: &str,
    parse: impl FnOnce(&mut Violations) -> Option<T>,
) -> Result<(Option<Uuid>, T)> {
    let mut violations = Violations::new();
    let request_id = violations.request_id(request_id);
    let parsed = parse(&mut violations);
    Ok((request_id, violations.finish_with(parsed)?))
}

/// The parent of a list that means every organization.
const EVERY_ORGANIZATION: &str = "organizations/-";

/// Parses the parent of a list by `parse`, or returns `None` for every organization.
pub fn or_every<E>(
    text: &str,
    parse: impl FnOnce(&str) -> std::result::Result<Place, E>,
) -> std::result::Result<Option<Place>, E> {
    if text == EVERY_ORGANIZATION {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}

/// Returns the parent of a list, checked together with the size of its page.
pub fn parent<T, E: Display>(parsed: std::result::Result<T, E>, page_size: i32) -> Result<T> {
    let mut violations = Violations::new();
    let parent = violations.take("parent", parsed);
    violations.page_size(page_size);
    violations.finish_with(parent)
}

/// Returns the requested page of the caller's list: its token is bound to the method, and to the parent and the filter
/// in `of`.
pub fn page(
    paging: &Paging,
    caller: &Caller,
    of: [&str; 2],
    page_size: i32,
    page_token: &str,
) -> Result<PageRequest> {
    let method = caller.method.rsplit('/').next().unwrap_or_default();
    let [parent, filter] = of;
    paging.parse(page_size, page_token, format!("{method} {parent} {filter}"))
}
