//! gRPC clients of both services, acting for any person.

use std::{net::SocketAddr, time::Duration};

use homeroom_api::{
    invitations::v1::{
        class_code_service_client::ClassCodeServiceClient,
        enrollment_code_service_client::EnrollmentCodeServiceClient,
        join_url_service_client::JoinUrlServiceClient,
        redemption_service_client::RedemptionServiceClient,
        token_service_client::TokenServiceClient,
    },
    membership::v1::{
        class_service_client::ClassServiceClient,
        join_request_service_client::JoinRequestServiceClient,
        member_service_client::MemberServiceClient,
        organization_service_client::OrganizationServiceClient,
    },
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// The time that a caller waits for one answer.
pub(crate) const CALL_SECONDS: u64 = 2;
/// The time that a caller waits for a connection.
const CONNECT_MILLIS: u64 = 500;

/// Adds the bearer token, the acting user and the deadline to each call.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    authorization: MetadataValue<Ascii>,
    acting_user: MetadataValue<Ascii>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(Duration::from_secs(CALL_SECONDS));
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        metadata.insert("x-homeroom-user", self.acting_user.clone());
        Ok(request)
    }
}

type Authenticated = InterceptedService<Channel, Credentials>;

/// The platform, which acts for people.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    membership: Channel,
    invitations: Channel,
    authorization: MetadataValue<Ascii>,
}

impl Platform {
    /// Returns clients of both services at these addresses.
    pub(crate) fn new(membership: SocketAddr, invitations: SocketAddr, token: &str) -> Self {
        Self {
            membership: channel(membership),
            invitations: channel(invitations),
            authorization: format!("Bearer {token}").parse().unwrap(),
        }
    }

    /// Returns a caller that acts for this person.
    pub(crate) fn acting_for(&self, user: &str) -> Caller {
        Caller {
            membership: self.membership.clone(),
            invitations: self.invitations.clone(),
            credentials: Credentials {
                authorization: self.authorization.clone(),
                acting_user: user.parse().unwrap(),
            },
        }
    }
}

fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_timeout(Duration::from_millis(CONNECT_MILLIS))
        .connect_lazy()
}

/// A caller that acts for one person.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    membership: Channel,
    invitations: Channel,
    credentials: Credentials,
}

macro_rules! clients {
    ($($name:ident $channel:ident $client:ident,)*) => {
        impl Caller {
            $(
                /// Returns the client of the service in the method's name.
                pub(crate) fn $name(&self) -> $client<Authenticated> {
                    $client::with_interceptor(self.$channel.clone(), self.credentials.clone())
                }
            )*
        }
    };
}

clients! {
    organizations membership OrganizationServiceClient,
    classes membership ClassServiceClient,
    members membership MemberServiceClient,
    join_requests membership JoinRequestServiceClient,
    tokens invitations TokenServiceClient,
    enrollment_codes invitations EnrollmentCodeServiceClient,
    class_codes invitations ClassCodeServiceClient,
    join_urls invitations JoinUrlServiceClient,
    redemptions invitations RedemptionServiceClient,
}
