//! The gRPC services. Each handler parses its request into typed values, reports all violations at once, calls one use
//! case and converts its answer.

mod audit_service;
mod class_code_service;
mod convert;
mod enrollment_code_service;
mod join_url_service;
mod logs;
pub mod redemption_service;
mod token_fields;
mod token_service;
mod user_service;
mod views;

pub use audit_service::AuditHandlers;
pub use class_code_service::ClassCodeHandlers;
pub use enrollment_code_service::EnrollmentCodeHandlers;
pub use join_url_service::JoinUrlHandlers;
pub use token_service::TokenHandlers;
pub use user_service::UserHandlers;

homeroom_kit::event_api!(homeroom_api::invitations::v1::event_service_server::EventService);
