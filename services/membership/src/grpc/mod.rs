//! The gRPC services: each parses a request to typed values and reports all violations at once, calls one use case, and
//! converts the result back.

mod admission_conversion;
mod admission_service;
mod class_service;
mod convert;
mod join_request_conversion;
mod join_request_service;
mod member_service;
mod organization_service;
mod roster_service;
mod user_service;

use std::sync::Arc;

use homeroom_api::membership::v1::{
    admission_service_server::AdmissionServiceServer, class_service_server::ClassServiceServer,
    event_service_server::EventServiceServer,
    join_request_service_server::JoinRequestServiceServer,
    member_service_server::MemberServiceServer,
    organization_service_server::OrganizationServiceServer,
    roster_service_server::RosterServiceServer, user_service_server::UserServiceServer,
};
use homeroom_kit::{events::EventFeed, server::Services, shutdown::Shutdown};

use crate::{SERVICE, app::App};

homeroom_kit::event_api!(homeroom_api::membership::v1::event_service_server::EventService);

/// Returns the services of the contract, with health.
pub(crate) async fn services(app: &Arc<App>, shutdown: &Shutdown) -> Services {
    let feed = EventFeed::new(SERVICE, &app.store, app.clone(), &app.paging, shutdown);
    homeroom_kit::services![
        OrganizationServiceServer(organization_service::OrganizationApi(App::clone(app))),
        ClassServiceServer(class_service::ClassApi(App::clone(app))),
        MemberServiceServer(member_service::MemberApi(App::clone(app))),
        JoinRequestServiceServer(join_request_service::JoinRequestApi(App::clone(app))),
        RosterServiceServer(roster_service::RosterApi(App::clone(app))),
        AdmissionServiceServer(admission_service::AdmissionApi::new(App::clone(app))),
        UserServiceServer(user_service::UserApi(App::clone(app))),
        EventServiceServer(EventApi(feed)),
    ]
}
