//! Common parts of the handlers of both services: how calls are opened, read, authorized and
//! answered.

mod refusals;

use std::fmt::Display;

pub use refusals::{check_etag, etag, place_not_found, require_unbound};

use homeroom_api::names::Place;
use uuid::Uuid;

use crate::{status::Result, validation::Violations};

/// Implements a generated service by methods of the same names: each takes the caller and the
/// message of a call, and returns the answer.
#[macro_export]
macro_rules! rpcs {
    ($service:ident for $api:ty { $($method:ident: $request:ty => $answer:ty;)+ }) => {
        #[::tonic::async_trait]
        impl $service for $api {
            $(
                async fn $method(
                    &self,
                    request: ::tonic::Request<$request>,
                ) -> ::std::result::Result<::tonic::Response<$answer>, ::tonic::Status> {
                    let caller = $crate::auth::Caller::of(&request)?;
                    let answer = <$api>::$method(self, &caller, request.into_inner()).await?;
                    Ok(::tonic::Response::new(answer))
                }
            )+
        }
    };
}

/// Returns the name of a request that asks for one resource and nothing else.
pub fn name<T, E: Display>(parsed: std::result::Result<T, E>) -> Result<T> {
    let mut violations = Violations::new();
    let name = violations.take("name", parsed);
    violations.finish_with(name)
}

/// Returns the request id of a change of one resource, and the resource's name.
pub fn change<T, E: Display>(
    request_id: &str,
    parsed: std::result::Result<T, E>,
) -> Result<(Option<Uuid>, T)> {
    let mut violations = Violations::new();
    let request_id = violations.request_id(request_id);
    let name = violations.take("name", parsed);
    Ok((request_id, violations.finish_with(name)?))
}

/// The parent of a list that means every organization.
const EVERY_ORGANIZATION: &str = "organizations/-";

/// Returns the parent of a list as `parse` reads it, or `None` for every organization.
pub fn parent_or_every<E: Display>(
    text: &str,
    page_size: i32,
    parse: impl FnOnce(&str) -> std::result::Result<Place, E>,
) -> Result<Option<Place>> {
    let parsed = if text == EVERY_ORGANIZATION {
        Ok(None)
    } else {
        parse(text).map(Some)
    };
    parent(parsed, page_size)
}

/// Returns the parent of a list, checked together with the size of its page.
pub fn parent<T, E: Display>(parsed: std::result::Result<T, E>, page_size: i32) -> Result<T> {
    let mut violations = Violations::new();
    let parent = violations.take("parent", parsed);
    violations.page_size(page_size);
    violations.finish_with(parent)
}
