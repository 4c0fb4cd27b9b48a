//! gRPC clients of both services for one caller.

use std::net::SocketAddr;

use homeroom_api::{invitations::v1 as invitations, membership::v1 as membership};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// Adds the caller's access token, and the user for whom it acts, to every call.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub(crate) authorization: MetadataValue<Ascii>,
    pub(crate) acting_user: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        if let Some(user) = &self.acting_user {
            request
                .metadata_mut()
                .insert("x-homeroom-user", user.clone());
        }
        Ok(request)
    }
}

type Authenticated = InterceptedService<Channel, Credentials>;

/// Clients of every service of the contract, for one caller.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "each field is the client of the service that it is named after"
)]
pub struct Clients {
    pub organizations:
        membership::organization_service_client::OrganizationServiceClient<Authenticated>,
    pub classes: membership::class_service_client::ClassServiceClient<Authenticated>,
    pub members: membership::member_service_client::MemberServiceClient<Authenticated>,
    pub join_requests:
        membership::join_request_service_client::JoinRequestServiceClient<Authenticated>,
    pub admissions: membership::admission_service_client::AdmissionServiceClient<Authenticated>,
    pub membership_users: membership::user_service_client::UserServiceClient<Authenticated>,
    pub membership_events: membership::event_service_client::EventServiceClient<Authenticated>,
    pub tokens: invitations::token_service_client::TokenServiceClient<Authenticated>,
    pub enrollment_codes:
        invitations::enrollment_code_service_client::EnrollmentCodeServiceClient<Authenticated>,
    pub class_codes: invitations::class_code_service_client::ClassCodeServiceClient<Authenticated>,
    pub join_urls: invitations::join_url_service_client::JoinUrlServiceClient<Authenticated>,
    pub redemptions: invitations::redemption_service_client::RedemptionServiceClient<Authenticated>,
    pub audits: invitations::audit_service_client::AuditServiceClient<Authenticated>,
    pub users: invitations::user_service_client::UserServiceClient<Authenticated>,
    pub invitations_events: invitations::event_service_client::EventServiceClient<Authenticated>,
}

impl Clients {
    /// Returns clients of two services on new connections, with this access token.
    #[must_use]
    pub fn connect(membership: SocketAddr, invitations: SocketAddr, access_token: &str) -> Self {
        let [membership, invitations] = [membership, invitations].map(crate::channel);
        Self::on(&membership, &invitations, access_token)
    }

    /// Returns clients of two services on these connections, with this access token.
    #[must_use]
    pub fn on(membership: &Channel, invitations: &Channel, access_token: &str) -> Self {
        let credentials = Credentials {
            authorization: format!("Bearer {access_token}").parse().unwrap(),
            acting_user: None,
        };
        Self::new(membership, invitations, &credentials)
    }

    pub(crate) fn new(
        membership: &Channel,
        invitations: &Channel,
        credentials: &Credentials,
    ) -> Self {
        macro_rules! client {
            ($channel:ident, $package:ident, $module:ident, $client:ident) => {
                $package::$module::$client::with_interceptor($channel.clone(), credentials.clone())
            };
        }
        use homeroom_api::{invitations::v1 as i, membership::v1 as m};
        Self {
            organizations: client!(
                membership,
                m,
                organization_service_client,
                OrganizationServiceClient
            ),
            classes: client!(membership, m, class_service_client, ClassServiceClient),
            members: client!(membership, m, member_service_client, MemberServiceClient),
            join_requests: client!(
                membership,
                m,
                join_request_service_client,
                JoinRequestServiceClient
            ),
            admissions: client!(
                membership,
                m,
                admission_service_client,
                AdmissionServiceClient
            ),
            membership_users: client!(membership, m, user_service_client, UserServiceClient),
            membership_events: client!(membership, m, event_service_client, EventServiceClient),
            tokens: client!(invitations, i, token_service_client, TokenServiceClient),
            enrollment_codes: client!(
                invitations,
                i,
                enrollment_code_service_client,
                EnrollmentCodeServiceClient
            ),
            class_codes: client!(
                invitations,
                i,
                class_code_service_client,
                ClassCodeServiceClient
            ),
            join_urls: client!(
                invitations,
                i,
                join_url_service_client,
                JoinUrlServiceClient
            ),
            redemptions: client!(
                invitations,
                i,
                redemption_service_client,
                RedemptionServiceClient
            ),
            audits: client!(invitations, i, audit_service_client, AuditServiceClient),
            users: client!(invitations, i, user_service_client, UserServiceClient),
            invitations_events: client!(invitations, i, event_service_client, EventServiceClient),
        }
    }
}
