//! The gRPC services. Each handler parses its request into typed values, reports all violations at once, calls one use
//! case and converts its answer.

pub mod audit_service;
pub mod class_code_service;
mod convert;
pub mod enrollment_code_service;
pub mod join_url_service;
mod logs;
pub mod redemption_service;
mod token_fields;
pub mod token_service;
pub mod user_service;
mod views;

use std::sync::Arc;

use homeroom_api::invitations::v1::{
    audit_service_server::AuditServiceServer, class_code_service_server::ClassCodeServiceServer,
    enrollment_code_service_server::EnrollmentCodeServiceServer,
    event_service_server::EventServiceServer, join_url_service_server::JoinUrlServiceServer,
    redemption_service_server::RedemptionServiceServer, token_service_server::TokenServiceServer,
    user_service_server::UserServiceServer,
};
use homeroom_kit::{events::EventFeed, server::Services, shutdown::Shutdown};

use crate::{SERVICE, app::App};

homeroom_kit::event_api!(homeroom_api::invitations::v1::event_service_server::EventService);

/// Returns the services of the contract, with health.
pub(crate) async fn services(app: &Arc<App>, shutdown: &Shutdown) -> Services {
    let feed = EventFeed::new(SERVICE, &app.store, app.clone(), &app.paging, shutdown);
    homeroom_kit::services![
        TokenServiceServer(token_service::TokenHandlers(app.clone())),
        EnrollmentCodeServiceServer(enrollment_code_service::EnrollmentCodeHandlers(app.clone())),
        ClassCodeServiceServer(class_code_service::ClassCodeHandlers(app.clone())),
        JoinUrlServiceServer(join_url_service::JoinUrlHandlers(app.clone())),
        RedemptionServiceServer(redemption_service::RedemptionHandlers::new(app.clone())),
        AuditServiceServer(audit_service::AuditHandlers(app.clone())),
        UserServiceServer(user_service::UserHandlers(app.clone())),
        EventServiceServer(EventApi(feed)),
    ]
}
