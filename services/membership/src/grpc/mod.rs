//! The gRPC services: parse to typed values, naming every violation at once; call one use case; convert back.

mod admission_conversion;
pub(crate) mod admission_service;
pub(crate) mod class_service;
pub(crate) mod convert;
mod join_request_conversion;
pub(crate) mod join_request_service;
pub(crate) mod member_service;
pub(crate) mod organization_service;
pub(crate) mod parse;
pub(crate) mod user_service;

homeroom_kit::event_api!(homeroom_api::membership::v1::event_service_server::EventService);
