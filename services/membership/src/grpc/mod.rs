//! The gRPC services: each parses a request to typed values and reports all violations at once, calls one use case, and
//! converts the result back.

mod admission_conversion;
pub(crate) mod admission_service;
pub(crate) mod class_service;
pub(crate) mod convert;
mod join_request_conversion;
pub(crate) mod join_request_service;
pub(crate) mod member_service;
pub(crate) mod organization_service;
pub(crate) mod user_service;

homeroom_kit::event_api!(homeroom_api::membership::v1::event_service_server::EventService);
